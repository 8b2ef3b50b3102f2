"""What a centre needs to configure its sites: a key, signed bundles, texts that enrol a site.

It needs Python and its package `cryptography`, nothing of Home Assistant:
    python tools/centre.py key centre.pem
    python tools/centre.py sign centre.pem --version 1 site/ > bundle.json
    python tools/centre.py enrol centre.pem https://centre.example/bundle.json sites.csv
"""

import argparse
import base64
import csv
import json
import os
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

_PREFIX: Final = b"grid_telemetry site bundle 1\n"
_SECRET: Final = "secret:"  # noqa: S105 (the beginning of a column's name)


def make_key(path: Path) -> None:
    """Write a new private key, for its owner's eyes only; never over one that is there."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


def read_key(path: Path) -> Ed25519PrivateKey:
    """Return a private key."""
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise SystemExit(f"{path} is no Ed25519 key")
    return key


def public_key(key: Ed25519PrivateKey) -> str:
    """Return the public key as sites take it."""
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def bundle(key: Ed25519PrivateKey, version: int, folder: Path) -> str:
    """Return the signed bundle of a folder: `site.yaml` and, if there are any, `templates/`."""
    files = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in [folder / "site.yaml", *sorted(folder.glob("templates/*.yaml"))]
    }
    payload = json.dumps({"version": version, "files": files}, ensure_ascii=False, sort_keys=True)
    signature = key.sign(_PREFIX + payload.encode())
    return json.dumps(
        {"payload": payload, "signature": base64.b64encode(signature).decode()}, ensure_ascii=False
    )


def enrolment(key: Ed25519PrivateKey, url: str, row: dict[str, str]) -> str:
    """Return the text that enrols a site; columns that begin with `secret:` are its secrets."""
    content: dict[str, Any] = {
        "url": url,
        "public_key": public_key(key),
        "variables": {name: text for name, text in row.items() if not name.startswith(_SECRET)},
        "secrets": {
            name.removeprefix(_SECRET): text
            for name, text in row.items()
            if name.startswith(_SECRET)
        },
    }
    encoded = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    return f"gte1:{encoded}"


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("key", help="make a key pair")
    new.add_argument("key", type=Path)
    sign = commands.add_parser("sign", help="sign a folder and print the bundle")
    sign.add_argument("key", type=Path)
    sign.add_argument("folder", type=Path)
    sign.add_argument("--version", type=int, required=True, help="higher than the last one")
    enrol = commands.add_parser("enrol", help="print an enrolment text for each row of a table")
    enrol.add_argument("key", type=Path)
    enrol.add_argument("url", help="where the bundle can be fetched, https://…")
    enrol.add_argument("table", type=Path, help="CSV with a column for each variable")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run one of the commands."""
    given = _arguments(arguments)
    if given.command == "key":
        make_key(given.key)
        print(public_key(read_key(given.key)))
        return
    key = read_key(given.key)
    if given.command == "sign":
        print(bundle(key, given.version, given.folder))
        return
    with given.table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            first = next(iter(row.values()), "")
            print(f"{first}\t{enrolment(key, given.url, row)}")


if __name__ == "__main__":
    main()
