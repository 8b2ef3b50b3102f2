"""TLS contexts of links that speak TLS on sockets of their own."""

import ssl


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
