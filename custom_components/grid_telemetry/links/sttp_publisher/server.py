"""The server of a publisher: what an entry says of it, and whether it can be had."""

from collections.abc import Mapping
from dataclasses import dataclass
import ssl
from typing import Any

from homeassistant.const import CONF_HOST, CONF_PORT

from ...forms.listener import allowed_networks
from ...forms.tls import (
    CONF_CERTIFICATE,
    CONF_CLIENT_CA,
    CONF_KEY,
    client_context,
    server_context_of,
)
from ...protocols.listener import share_of
from ...protocols.sttp import (
    DEFAULT_PORT,
    Dialing,
    History,
    Limits,
    OnCommand,
    OnUserCommand,
    Publisher,
    fingerprint_of,
    target_of,
)
from .const import CONF_FINGERPRINTS, CONF_MAX_SUBSCRIBERS, CONF_TARGETS


@dataclass(frozen=True, kw_only=True)
class TlsContexts:
    """The contexts of a publisher: for who connects to it, and for whom it dials."""

    server: ssl.SSLContext | None
    dialing: ssl.SSLContext | None


def tls_contexts(data: Mapping[str, Any]) -> TlsContexts:
    """Return the contexts of an entry. Reads files; raises OSError."""
    if (server := server_context_of(data)) is None:
        return TlsContexts(server=None, dialing=None)
    dialing = client_context(data.get(CONF_CLIENT_CA), data[CONF_CERTIFICATE], data.get(CONF_KEY))
    if data.get(CONF_FINGERPRINTS):
        # A certificate that is known needs no authority, and no name.
        dialing.check_hostname = False
        dialing.verify_mode = ssl.CERT_NONE
    return TlsContexts(server=server, dialing=dialing)


def publisher_of(
    data: Mapping[str, Any],
    tls: TlsContexts,
    history: History,
    *,
    on_command: OnCommand,
    on_user_command: OnUserCommand,
) -> Publisher:
    """Return the publisher of an entry; with TLS it shows its certificate where it dials, too."""
    connections = data[CONF_MAX_SUBSCRIBERS]
    return Publisher(
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        tls=tls.server,
        history=history,
        on_user_command=on_user_command,
        on_command=on_command,
        dialing=Dialing(
            targets=[target_of(text, DEFAULT_PORT) for text in data.get(CONF_TARGETS, ())],
            tls=tls.dialing,
            fingerprints=frozenset(map(fingerprint_of, data.get(CONF_FINGERPRINTS, ()))),
        ),
        allowed_networks=allowed_networks(data),
        limits=Limits(connections=connections, connections_per_address=share_of(connections)),
    )
