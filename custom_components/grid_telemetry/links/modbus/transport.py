"""The ways to reach meters, and what Home Assistant's shared connection wants to know of each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from homeassistant.components.modbus.connection import async_get_connection_info
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE, CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant
from modbus_connection import (
    ModbusSerialParams,
    ModbusTcpParams,
    ModbusTlsParams,
    ModbusUdpParams,
)

from ...forms.serial_line import CONF_BAUDRATE, CONF_BYTESIZE, CONF_PARITY, CONF_STOPBITS, PARITIES
from .const import (
    CONF_CA_FILE,
    CONF_CLIENT_CERT,
    CONF_CLIENT_KEY,
    CONF_CLIENT_KEY_PASSWORD,
    CONF_TRANSPORT,
    CONF_VERIFY,
)

type ModbusParams = ModbusTcpParams | ModbusUdpParams | ModbusTlsParams | ModbusSerialParams


class Transport(StrEnum):
    """How a link reaches its meters."""

    TCP = "tcp"
    UDP = "udp"
    TLS = "tls"
    RTU_OVER_TCP = "rtu_over_tcp"
    SERIAL = "serial"


def modbus_params(data: Mapping[str, Any]) -> ModbusParams:
    """Return the parameters of the connection that an entry describes."""
    match Transport(data[CONF_TRANSPORT]):
        case Transport.TCP:
            return ModbusTcpParams(host=data[CONF_HOST], port=data[CONF_PORT])
        case Transport.UDP:
            return ModbusUdpParams(host=data[CONF_HOST], port=data[CONF_PORT])
        case Transport.TLS:
            return ModbusTlsParams(
                host=data[CONF_HOST],
                port=data[CONF_PORT],
                verify=data[CONF_VERIFY] and data.get(CONF_CA_FILE, True),
                client_cert=data.get(CONF_CLIENT_CERT),
                client_key=data.get(CONF_CLIENT_KEY),
                client_key_password=data.get(CONF_CLIENT_KEY_PASSWORD),
            )
        case Transport.RTU_OVER_TCP:
            host = data[CONF_HOST].lower()
            # An IPv6 address needs brackets, or its colons read as the start of the port. The
            # speed is the one Home Assistant gives such a link, so that it can be shared.
            return ModbusSerialParams(
                device=f"socket://{f'[{host}]' if ':' in host else host}:{data[CONF_PORT]}",
                baudrate=115200,
            )
        case Transport.SERIAL:
            return ModbusSerialParams(
                device=data[CONF_DEVICE],
                baudrate=data[CONF_BAUDRATE],
                bytesize=data[CONF_BYTESIZE],
                parity=PARITIES[data[CONF_PARITY]],
                stopbits=data[CONF_STOPBITS],
            )


def is_shared(hass: HomeAssistant, entry: ConfigEntry[Any]) -> bool:
    """Return whether another integration holds a unit on the connection of an entry."""
    endpoint = modbus_params(entry.data).endpoint
    return any(
        info.units.keys() - {entry.entry_id}
        for info in async_get_connection_info(hass)
        if info.endpoint == endpoint
    )


def is_numbered(data: Mapping[str, Any]) -> bool:
    """Return whether the frames of a connection have a number that joins answer and request."""
    return Transport(data[CONF_TRANSPORT]) in (Transport.TCP, Transport.UDP, Transport.TLS)


def link_title(data: Mapping[str, Any]) -> str:
    """Return the name that a link gets at first."""
    if CONF_DEVICE in data:
        return str(data[CONF_DEVICE])
    return f"{data[CONF_HOST]}:{data[CONF_PORT]}"


def link_unique_id(data: Mapping[str, Any]) -> str:
    """Return what two entries for the same line have in common."""
    return ":".join(str(part) for part in modbus_params(data).endpoint)
