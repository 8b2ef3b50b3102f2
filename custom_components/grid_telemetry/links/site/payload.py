"""What a centre publishes: a signed bundle of files, and the text that enrols a site.

A bundle is JSON: `payload`, itself a JSON text with the version and the files, and `signature`, the
Ed25519 signature of that text behind a fixed prefix, in base64. An enrolment is one line: `gte1:`
and base64url of JSON with the address of the bundle, the public key, variables and secrets.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
import json
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_BYTES: Final = 2 * 1024 * 1024
SITE_FILE: Final = "site.yaml"
TEMPLATES: Final = "templates/"
# A signature of one thing may never be taken for that of another.
_PREFIX: Final = b"grid_telemetry site bundle 1\n"
_ENROLMENT: Final = "gte1:"
_KEY_BYTES: Final = 32


class BundleError(ValueError):
    """A bundle or an enrolment cannot be used; `key` names the error text."""

    def __init__(self, key: str, detail: str = "") -> None:
        """Remember the error text's key and what is said of it."""
        super().__init__(detail or key)
        self.key = key
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A site file with all that it includes."""

    version: int
    files: Mapping[str, str]
    payload: str = field(repr=False)

    @property
    def digest(self) -> str:
        """Return what tells two bundles of one version apart."""
        return hashlib.sha256(self.payload.encode()).hexdigest()

    @property
    def site_file(self) -> str:
        """Return the text of the site file."""
        return self.files[SITE_FILE]

    @property
    def templates(self) -> dict[str, str]:
        """Return the texts of the templates by their names."""
        return {
            name.removeprefix(TEMPLATES).removesuffix(".yaml"): text
            for name, text in self.files.items()
            if name.startswith(TEMPLATES)
        }


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """What joins a site to its centre."""

    url: str
    public_key: str
    variables: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def public_key_of(text: str) -> Ed25519PublicKey:
    """Return the key that a text in base64 is. Raises `BundleError`."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
        if len(raw) != _KEY_BYTES:
            raise BundleError("site_invalid_key")
        return Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError) as err:
        raise BundleError("site_invalid_key") from err


def read_bundle(data: bytes, public_key: str) -> Bundle:
    """Return the bundle of an answer, once its signature was verified. Raises `BundleError`."""
    key = public_key_of(public_key)
    if len(data) > MAX_BYTES:
        raise BundleError("site_malformed", f"> {MAX_BYTES} bytes")
    try:
        envelope = json.loads(data)
        payload: str = envelope["payload"]
        signature = base64.b64decode(envelope["signature"], validate=True)
        signed = _PREFIX + payload.encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as err:
        raise BundleError("site_malformed", type(err).__name__) from err
    try:
        key.verify(signature, signed)
    except InvalidSignature as err:
        raise BundleError("site_bad_signature") from err
    return bundle_of(payload)


def bundle_of(payload: str) -> Bundle:
    """Return the bundle of a payload whose signature was verified. Raises `BundleError`."""
    try:
        content = json.loads(payload)
        version, files = content["version"], content["files"]
    except (ValueError, TypeError, KeyError, RecursionError) as err:
        raise BundleError("site_malformed", type(err).__name__) from err
    if (
        type(version) is not int
        or version < 1
        or not isinstance(files, dict)
        or not isinstance(files.get(SITE_FILE), str)
        or not all(isinstance(text, str) for text in files.values())
    ):
        raise BundleError("site_malformed", "version, files")
    return Bundle(version=version, files=files, payload=payload)


def read_enrolment(text: str) -> Enrolment:
    """Return what the text to paste says. Raises `BundleError`."""
    try:
        encoded = "".join(text.split()).removeprefix(_ENROLMENT)
        content: Any = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        enrolment = Enrolment(
            url=content["url"],
            public_key=content["public_key"],
            variables=content.get("variables", {}),
            secrets=content.get("secrets", {}),
        )
        texts = (enrolment.url, enrolment.public_key, *enrolment.secrets.values())
        if not all(isinstance(each, str) for each in texts) or not all(
            isinstance(each, str | int | float) for each in enrolment.variables.values()
        ):
            raise BundleError("site_invalid_enrolment")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as err:
        raise BundleError("site_invalid_enrolment") from err
    return enrolment
