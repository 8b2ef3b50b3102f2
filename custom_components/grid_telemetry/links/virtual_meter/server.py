"""The server of a virtual meter's link: what an entry says of it, and whether it can be had."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from homeassistant.const import CONF_DEVICE, CONF_HOST, CONF_PORT

from ...forms.listener import CONF_ALLOWED_NETWORKS, address_of
from ...forms.serial_line import CONF_BAUDRATE, CONF_PARITY, CONF_STOPBITS, PARITIES
from ...protocols.modbus_server.server import Meters, SerialServer, TcpServer
from .const import CONF_MAX_CLIENTS, CONF_TRANSPORT, Transport


def server_of(data: Mapping[str, Any], meters: Meters) -> TcpServer | SerialServer:
    """Return the server of an entry."""
    transport = Transport(data[CONF_TRANSPORT])
    if transport is Transport.SERIAL:
        return SerialServer(
            meters,
            device=data[CONF_DEVICE],
            baudrate=data[CONF_BAUDRATE],
            parity=PARITIES[data[CONF_PARITY]],
            stopbits=data[CONF_STOPBITS],
        )
    return TcpServer(
        meters,
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        rtu=transport is Transport.RTU_OVER_TCP,
        allowed_networks=[ip_network(network) for network in data[CONF_ALLOWED_NETWORKS]],
        max_clients=data[CONF_MAX_CLIENTS],
    )


def place_of(data: Mapping[str, Any]) -> str:
    """Return the port or the line of an entry."""
    if data[CONF_TRANSPORT] == Transport.SERIAL:
        return str(data[CONF_DEVICE])
    return address_of(data)
