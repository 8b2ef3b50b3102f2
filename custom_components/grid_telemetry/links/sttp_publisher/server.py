"""The server of a publisher: what an entry says of it, and whether it can be had."""

from collections.abc import Mapping
from ipaddress import ip_network
import ssl
from typing import Any

from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant

from ...forms.listener import CONF_ALLOWED_NETWORKS
from ...forms.tls import server_context
from ...protocols.sttp import History, Limits, Publisher
from .const import CONF_CERTIFICATE, CONF_CLIENT_CA, CONF_KEY, CONF_MAX_SUBSCRIBERS

_UNSHARED = 8
"""So many connections one address may have in any case, if there are as many."""


async def async_tls_context(hass: HomeAssistant, data: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return the TLS context, None without TLS; raises OSError where a file cannot be read."""
    if (certificate := data.get(CONF_CERTIFICATE)) is None:
        return None
    return await hass.async_add_executor_job(
        server_context, certificate, data.get(CONF_KEY), data.get(CONF_CLIENT_CA)
    )


def publisher_of(
    data: Mapping[str, Any], tls: ssl.SSLContext | None, history: History
) -> Publisher:
    """Return the publisher of an entry; one address gets no more than half of its connections."""
    connections = data[CONF_MAX_SUBSCRIBERS]
    return Publisher(
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        tls=tls,
        history=history,
        allowed_networks=[ip_network(network) for network in data[CONF_ALLOWED_NETWORKS]],
        limits=Limits(
            connections=connections,
            connections_per_address=max(connections // 2, min(connections, _UNSHARED)),
        ),
    )
