"""The server of a virtual meter's link: what an entry says of it, and whether it can be had."""

from collections.abc import Mapping, Sequence
from typing import Any, override

from homeassistant.const import CONF_DEVICE, CONF_HOST, CONF_PORT

from ...connection.traffic import Direction, Traffic
from ...forms.listener import address_of, allowed_networks
from ...forms.serial_line import CONF_BAUDRATE, CONF_PARITY, CONF_STOPBITS, PARITIES
from ...protocols.listener import share_of
from ...protocols.modbus_server import (
    Limits,
    Meter,
    Meters,
    NoAnswerError,
    RequestRefusedError,
    SerialServer,
    TcpServer,
)
from .const import CONF_MAX_CLIENTS, CONF_TRANSPORT, Transport
from .meter import PlayedMeter


class _WatchedMeter(Meter):
    """A meter that notes what is read for whoever looks at the traffic."""

    def __init__(self, meter: PlayedMeter, traffic: Traffic) -> None:
        self._meter = meter
        self._traffic = traffic

    @override
    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        if not self._traffic.watched:
            return self._meter.read(function, address, count)
        place = f"{self._meter.unit}: {address} … {address + count - 1}"
        message = self._traffic.note(Direction.IN, f"0x{function:02x}", place, "")
        try:
            registers = self._meter.read(function, address, count)
        except (RequestRefusedError, NoAnswerError) as err:
            message.refused = str(err) or "NO_ANSWER"
            raise
        message.confirmed_s = 0.0
        message.size = 2 * count
        message.body = " ".join(f"{register:04x}" for register in registers)
        return registers

    @override
    def write(self, address: int, words: Sequence[int]) -> None:
        self._meter.write(address, words)


def by_unit(meters: Sequence[PlayedMeter], transport: Transport, traffic: Traffic) -> Meters:
    """Return which meter answers for each unit id."""
    first = next(iter(meters), None)
    if first is None or not first.any_unit_id:
        return {meter.unit: _WatchedMeter(meter, traffic) for meter in meters}
    # On a line 0 is for all units, and nobody answers it; over Modbus TCP it is a unit as any.
    units = range(0 if transport is Transport.TCP else 1, 256)
    return dict.fromkeys(units, _WatchedMeter(first, traffic))


def server_of(
    data: Mapping[str, Any], played: Sequence[PlayedMeter], traffic: Traffic
) -> TcpServer | SerialServer:
    """Return the server of an entry."""
    transport = Transport(data[CONF_TRANSPORT])
    meters = by_unit(played, transport, traffic)
    # Of the master that waits least: a line or a port has one watch.
    waits_ms = [meter.image.as_meter.timeout_ms for meter in played]
    stall_s = min(waits_ms) / 1000 if waits_ms else Limits.stall_s
    if transport is Transport.SERIAL:
        return SerialServer(
            meters,
            device=data[CONF_DEVICE],
            baudrate=data[CONF_BAUDRATE],
            parity=PARITIES[data[CONF_PARITY]],
            stopbits=data[CONF_STOPBITS],
            limits=Limits(stall_s=stall_s),
        )
    return TcpServer(
        meters,
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        rtu=transport is Transport.RTU_OVER_TCP,
        allowed_networks=allowed_networks(data),
        limits=Limits(
            connections=data[CONF_MAX_CLIENTS],
            connections_per_address=share_of(data[CONF_MAX_CLIENTS]),
            stall_s=stall_s,
        ),
    )


def place_of(data: Mapping[str, Any]) -> str:
    """Return the port or the line of an entry."""
    if data[CONF_TRANSPORT] == Transport.SERIAL:
        return str(data[CONF_DEVICE])
    return address_of(data)
