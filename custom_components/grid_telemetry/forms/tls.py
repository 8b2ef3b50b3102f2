"""TLS of links that speak it on sockets of their own: fields, contexts, and what goes wrong."""

from collections.abc import Mapping
import ssl
from typing import Any, Final

from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.selector import TextSelector
import voluptuous as vol

from ..connection.wording import in_words
from ..const import DOMAIN

CONF_CERTIFICATE: Final = "certificate"
CONF_KEY: Final = "key"
CONF_CLIENT_CA: Final = "client_ca"

SERVER_TLS_FIELDS: Final[dict[vol.Marker, Any]] = {
    vol.Optional(CONF_CERTIFICATE): TextSelector(),
    vol.Optional(CONF_KEY): TextSelector(),
    vol.Optional(CONF_CLIENT_CA): TextSelector(),
}


def server_context(
    certificate: str, key: str | None = None, client_ca: str | None = None
) -> ssl.SSLContext:
    """Return the context of a server from PEM files; with `client_ca` it wants certificates.

    Without `key` the key is in the certificate's file. Reads files; raises OSError, of which
    ssl.SSLError is one.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_own(context, certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    ca: str | None = None, certificate: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """Return the context of a client, which always verifies the server, against `ca` if given.

    Reads files; raises OSError, of which ssl.SSLError is one.
    """
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        _load_own(context, certificate, key)
    return context


def _load_own(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    # Without a password the library would ask for one at the terminal, and wait.
    context.load_cert_chain(certificate, key, password="")


def server_context_of(data: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return the context that an entry wants for its server, None where it is without TLS.

    Reads files; raises OSError.
    """
    if (certificate := data.get(CONF_CERTIFICATE)) is None:
        return None
    return server_context(certificate, data.get(CONF_KEY), data.get(CONF_CLIENT_CA))


def server_tls_data(files: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store of the fields; one that was emptied comes as an empty text."""
    return {key: files[key] for key in map(str, SERVER_TLS_FIELDS) if files.get(key)}


def unreadable_file(err: OSError) -> ConfigEntryNotReady:
    """Return the error of an entry whose files cannot be read; it is tried again."""
    return ConfigEntryNotReady(
        translation_domain=DOMAIN,
        translation_key="certificate_file",
        translation_placeholders={"error": in_words(str(err))},
    )
