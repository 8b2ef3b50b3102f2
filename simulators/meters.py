"""Simulated Modbus meters, as strict as real ones, on pymodbus.

The registers lie where the integration's maps say, but pymodbus encodes and serves them, so that
the integration's own Modbus stack is checked by another one. `python -m simulators.meters` serves
a house with a meter at its grid connection and one at its solar inverter.
"""

import argparse
import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
import signal
import ssl
from typing import Any, Literal, Protocol, Self

from pymodbus import FramerType
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusTcpServer, ModbusTlsServer, ModbusUdpServer
from pymodbus.simulator import DataType, SimData, SimDevice
import yaml

from .house import House
from .serial_line import serial_line

_MAPS = Path(__file__).parents[1] / "custom_components" / "grid_telemetry" / "meters"

type Space = Literal["input", "holding"]
type Transport = Literal["tcp", "udp", "tls", "rtu_over_tcp", "serial"]
type Words = list[int]

_SPACES: Mapping[int, Space] = {3: "holding", 4: "input"}

# What a family answers beyond the registers of its map: the reserved ones between them, as zero.
# A family that is not listed answers its mapped registers only.
_RESERVED: Mapping[str, Mapping[Space, list[range]]] = {
    "eastron_sdm630": {
        "input": [range(0x6C), range(0xC8, 0x10E), range(0x14E, 0x17E)],
        "holding": [range(0x3E)],
    },
    "eastron_sdm120": {
        "input": [range(0x5A), range(0x102, 0x10A), range(0x156, 0x15A)],
        "holding": [range(0x20)],
    },
    "carlo_gavazzi_em24_e1": {"input": [range(0x52)]},
}


@dataclass(frozen=True, slots=True)
class Request:
    """A read that reached the server, at a time of its loop."""

    at: float
    unit: int
    function: int
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a map keeps a value and how it is written there."""

    space: Space
    address: int
    type: str
    word_order: Literal["big", "little"]
    scale: float
    length: int

    def encode(self, value: float | str) -> Words:
        types = ModbusClientMixin.DATATYPE
        if self.type == "string":
            text = str(value).ljust(2 * self.length, "\0")
            return ModbusClientMixin.convert_to_registers(text, types.STRING)
        if self.type == "split64":
            thousands, rest = divmod(round(float(value) / self.scale), 1000)
            return [
                *ModbusClientMixin.convert_to_registers(thousands, types.UINT32, self.word_order),
                *ModbusClientMixin.convert_to_registers(rest, types.UINT32, self.word_order),
            ]
        if self.type == "version":
            return [int(part) for part in str(value).split(".")]
        raw = float(value) / self.scale
        return ModbusClientMixin.convert_to_registers(
            raw if self.type.startswith("float") else round(raw),
            types[self.type.upper()],
            self.word_order,
        )

    @property
    def words(self) -> int:
        return self.length or {"16": 1, "32": 2, "64": 4}[self.type[-2:]]


# What a map may say besides of quantities.
_KNOWN = ("serial_number", "firmware", "current_ratio", "voltage_ratio")


def _places(document: Mapping[str, Any]) -> dict[str, _Place]:
    """Return the places of a map by quantity, with its serial number and firmware."""
    known = {key: document[key] for key in _KNOWN if key in document}
    return {
        key: _Place(
            space=raw.get("register_space", document["register_space"]),
            address=raw["address"],
            type=raw.get("type", document.get("type")),
            word_order=raw.get("word_order", document.get("word_order", "big")),
            scale=raw.get("scale", 1),
            length=raw.get("length", 0),
        )
        for key, raw in (known | _identified(document) | document["quantities"]).items()
    }


def _identified(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the registers that tell what a meter is and are no quantity, each by a name."""

    def place(raw: Mapping[str, Any]) -> tuple[str, int]:
        return raw.get("register_space", document["register_space"]), raw["address"]

    told = [document[key] for key in _KNOWN if key in document]
    measured = {place(raw) for raw in (*told, *document["quantities"].values())}
    return {
        f"{part} {index}": check
        for part in ("identify", "recognise")
        for index, check in enumerate(document.get(part, ()))
        if "address" in check and place(check) not in measured
    }


def _says(check: Mapping[str, Any]) -> float | str:
    """Return a value by which a family is known."""
    if "between" in check:
        low, high = check["between"]
        return (float(low) + float(high)) / 2
    known = check["equals"] if "equals" in check else check["starts_with"]
    first: float | str = known[0] if isinstance(known, list) else known
    return first


class Meter(Protocol):
    """What a server asks of a meter on its line."""

    unit: int
    silent: bool

    def answer(self, function: int, address: int, count: int) -> Words | ExcCodes:
        """Return the registers of a request, or the exception that the meter answers with."""


@dataclass
class RawMeter:
    """A meter that is nothing but its registers; those not written read as zero."""

    unit: int
    words: dict[Space, dict[int, int]] = field(default_factory=lambda: {"input": {}, "holding": {}})
    silent: bool = False
    # Refuses registers that were not written.
    strict: bool = False

    def answer(self, function: int, address: int, count: int) -> Words | ExcCodes:
        """Return the registers of a request; a space without any is refused."""
        space = _SPACES.get(function)
        if space is None or not self.words[space]:
            return ExcCodes.ILLEGAL_FUNCTION
        if self.strict and not set(range(address, address + count)) <= self.words[space].keys():
            return ExcCodes.ILLEGAL_ADDRESS
        return [self.words[space].get(address + offset, 0) for offset in range(count)]


def reported_meter(unit: int, report: str) -> RawMeter:
    """Return a meter that says what a user's report has, and refuses all else."""
    meter = RawMeter(unit, strict=True)
    for space, runs in yaml.safe_load(report)["registers"].items():
        for first, words in runs.items():
            meter.words[space].update(
                enumerate((int(word, 16) for word in str(words).split()), first)
            )
    return meter


@dataclass
class SimulatedMeter:
    """One meter on the line; its faults can be switched while it is served.

    `values` gives its quantities in the units of the integration. A quantity of the map that is
    not among them reads as zero.
    """

    unit: int
    map_name: str
    values: Callable[[], Mapping[str, float]]
    serial_number: str = "23120417"
    firmware: str = "1.2.3"
    # Answers nothing, as if it were unplugged.
    silent: bool = False
    # Quantities whose registers it refuses.
    refused: set[str] = field(default_factory=set)
    # Quantities that read once as the value given, and then as they are.
    glitches: dict[str, float] = field(default_factory=dict)
    # Answers every request with this exception code.
    failing: ExcCodes | None = None

    def __post_init__(self) -> None:
        document = yaml.safe_load((_MAPS / f"{self.map_name}.yaml").read_text(encoding="utf-8"))
        self._max_count: int = document.get("max_span", 125)
        self._places = _places(document)
        self._says = {key: _says(check) for key, check in _identified(document).items()}
        for key, said in self._says.items():
            serial = self._places.get("serial_number")
            if serial and serial.address == self._places[key].address:
                # By the first letters of its serial number.
                self.serial_number = self._says[key] = f"{said}{self.serial_number}"
        # As of a meter without transformers.
        self._says |= dict.fromkeys(("current_ratio", "voltage_ratio"), 1)
        self._readable: dict[Space, set[int]] = {"input": set(), "holding": set()}
        for place in self._places.values():
            self._readable[place.space].update(range(place.address, place.address + place.words))
        for space, reserved in _RESERVED.get(self.map_name, {}).items():
            for addresses in reserved:
                self._readable[space].update(addresses)

    def answer(self, function: int, address: int, count: int) -> Words | ExcCodes:
        """Return the registers of a request, or the exception that the meter answers with."""
        if self.failing is not None:
            return self.failing
        space = _SPACES.get(function)
        if space is None or not self._readable[space]:
            return ExcCodes.ILLEGAL_FUNCTION
        if count > self._max_count:
            return ExcCodes.ILLEGAL_VALUE
        asked = set(range(address, address + count))
        if not asked <= self._readable[space]:
            return ExcCodes.ILLEGAL_ADDRESS
        if (said := self._said(space, address, count)) is not None:
            return said
        here = {
            key: place
            for key, place in self._places.items()
            if place.space == space
            and place.address < address + count
            and address < place.address + place.words
        }
        if self.refused & here.keys():
            return ExcCodes.ILLEGAL_ADDRESS
        words = [0] * count
        values = self.values()
        for key, place in here.items():
            for offset, word in enumerate(place.encode(self._value(key, values))):
                if 0 <= (at := place.address + offset - address) < count:
                    words[at] = word
        return words

    def _said(self, space: Space, address: int, count: int) -> Words | None:
        """Return what it is; some keep that within another value, for whoever asks for it alone."""
        for key, said in self._says.items():
            place = self._places.get(key)
            if place and (place.space, place.address, place.words) == (space, address, count):
                return place.encode(said)
        return None

    def _value(self, key: str, values: Mapping[str, float]) -> float | str:
        if key == "serial_number":
            return self.serial_number
        if key == "firmware":
            return self.firmware
        if key in self._says:
            return self._says[key]
        return self.glitches.pop(key) if key in self.glitches else values.get(key, 0.0)


class MeterServer:
    """Serves meters on one line at the loopback address; `async with` starts and stops it.

    With the transport `serial` the line is a pseudo terminal, and `device` is its path.
    """

    def __init__(
        self,
        meters: Iterable[Meter],
        *,
        port: int = 0,
        delay_s: float = 0.0,
        baudrate: int | None = None,
        transport: Transport = "tcp",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = port
        self.device = ""
        # What every answer takes, as on a slow line.
        self.delay_s = delay_s
        # The speed of the line behind a gateway, and how long its bytes took in all.
        self._baudrate = baudrate
        self.line_s = 0.0
        # The last ones, and how many there were in all.
        self.requests: deque[Request] = deque(maxlen=10_000)
        self.served = 0
        self._meters = {meter.unit: meter for meter in meters}
        self._transport = transport
        self._tls = tls
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        devices = [self._device(unit, meter) for unit, meter in self._meters.items()]
        # Whoever is not on the line does not answer; pymodbus takes unit 0 for all others.
        server = self._make_server([*devices, self._device(0, None)])
        await server.serve_forever(background=True)
        self._running.push_async_callback(server.shutdown)
        if isinstance(server.transport, asyncio.Server):
            self.port = server.transport.sockets[0].getsockname()[1]
        elif isinstance(server.transport, asyncio.DatagramTransport):
            self.port = server.transport.get_extra_info("sockname")[1]
        if self._transport == "serial":
            self.device = await self._running.enter_async_context(serial_line(self.port))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._running.aclose()

    def _make_server(self, devices: list[SimDevice]) -> ModbusTcpServer | ModbusUdpServer:
        address = ("127.0.0.1", self.port)
        if self._transport == "udp":
            return ModbusUdpServer(
                devices, address=address, ignore_missing_devices=True, trace_pdu=self._trace
            )
        if self._transport == "tls":
            return ModbusTlsServer(
                devices,
                address=address,
                sslctx=self._tls,
                ignore_missing_devices=True,
                trace_pdu=self._trace,
            )
        return ModbusTcpServer(
            devices,
            framer=(
                FramerType.RTU
                if self._transport in ("rtu_over_tcp", "serial")
                else FramerType.SOCKET
            ),
            address=address,
            ignore_missing_devices=True,
            trace_pdu=self._trace,
        )

    def _trace(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if not sending:
            self.served += 1
            now = asyncio.get_running_loop().time()
            self.requests.append(
                Request(now, pdu.dev_id, pdu.function_code, pdu.address, pdu.count)
            )
        return pdu

    def _device(self, unit: int, meter: Meter | None) -> SimDevice:
        async def action(
            function: int,
            start: int,
            address: int,
            count: int,
            registers: Words,
            written: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            await asyncio.sleep(self.delay_s)
            if meter is None or meter.silent:
                # pymodbus' own way to leave a request without an answer.
                raise NoSuchIdException
            if written is not None:
                return ExcCodes.ILLEGAL_FUNCTION
            answer = meter.answer(function, address, count)
            if self._baudrate is not None:
                words = 0 if isinstance(answer, ExcCodes) else len(answer)
                line_s = line_time_s(words, self._baudrate)
                self.line_s += line_s
                await asyncio.sleep(line_s)
            if isinstance(answer, ExcCodes):
                return answer
            registers[address - start : address - start + count] = answer
            return None

        bits = [SimData(0, count=16, values=False, datatype=DataType.BITS)]
        # The whole address space, so that it is the meter that says what it refuses.
        words = [SimData(0, count=0x10000, values=0, datatype=DataType.REGISTERS)]
        return SimDevice(unit, simdata=(bits, bits.copy(), words, words.copy()), action=action)


def line_time_s(words: int, baudrate: int) -> float:
    """Return how long a read of some registers takes on a serial line, with the pauses around it.

    A request has 8 bytes and an answer 5 beside its registers, of 10 bits each (8N1); a frame ends
    with the silence of 3.5 bytes.
    """
    return (8 + 5 + 2 * words + 2 * 3.5) * 10 / baudrate


def demo_meters(*, day_s: float) -> list[SimulatedMeter]:
    """Return the meters of a house with solar panels: grid connection and inverter."""
    house = House(day_s=day_s)
    return [
        SimulatedMeter(1, "eastron_sdm630", house.grid),
        SimulatedMeter(2, "eastron_sdm120", house.solar, serial_number="19070815"),
    ]


async def _serve(server: MeterServer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with server:
        # Lets a bench ask for the count without a request of its own.
        loop.add_signal_handler(
            signal.SIGUSR1, lambda: print(f"served {server.line_s} {server.served}", flush=True)
        )
        print(f"listening on 127.0.0.1:{server.port}", flush=True)
        await stop.wait()


def main() -> None:
    """Serve the demo house, or the meters that are named, until a signal comes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=5020)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that an answer takes")
    parser.add_argument("--baudrate", type=int, help="speed of the line behind the gateway")
    parser.add_argument("--day", type=float, default=1200.0, help="seconds that its day takes")
    parser.add_argument(
        "--meter", action="append", default=[], metavar="UNIT:MAP", help="a meter at the grid"
    )
    arguments = parser.parse_args()
    house = House(day_s=arguments.day)
    named = [meter.split(":") for meter in arguments.meter]
    meters = [SimulatedMeter(int(unit), name, house.grid) for unit, name in named]
    server = MeterServer(
        meters or demo_meters(day_s=arguments.day),
        port=arguments.port,
        delay_s=arguments.delay,
        baudrate=arguments.baudrate,
    )
    asyncio.run(_serve(server))


if __name__ == "__main__":
    main()
