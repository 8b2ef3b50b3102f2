"""The server of a publisher: what an entry says of it, and whether it can be had."""

from collections.abc import Mapping
import ssl
from typing import Any

from homeassistant.const import CONF_HOST, CONF_PORT

from ...forms.listener import allowed_networks
from ...protocols.listener import share_of
from ...protocols.sttp import History, Limits, Publisher
from .const import CONF_MAX_SUBSCRIBERS


def publisher_of(
    data: Mapping[str, Any], tls: ssl.SSLContext | None, history: History
) -> Publisher:
    """Return the publisher of an entry."""
    connections = data[CONF_MAX_SUBSCRIBERS]
    return Publisher(
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        tls=tls,
        history=history,
        allowed_networks=allowed_networks(data),
        limits=Limits(connections=connections, connections_per_address=share_of(connections)),
    )
