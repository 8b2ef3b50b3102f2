"""Masters as they were captured, over every carrier: each request in turn, and what it gets."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
import os
import struct

from homeassistant.core import HomeAssistant
from pymodbus.framer import FramerRTU
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.links.virtual_meter.const import PROFILES
from custom_components.grid_telemetry.links.virtual_meter.masters import MASTERS
from custom_components.grid_telemetry.links.virtual_meter.payload import (
    profile_names,
    register_map_of,
)
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES

from .conftest import AddEntry, Line, meter, point
from .dialogues import DIALOGUES, HOUSE, Ask, Dialogue

# What came while a busy machine stood still is not answered, and asked again.
ASKED_AGAIN_AFTER_S = 2
TIMES = 10

type Exchange = Callable[[int, bytes], Awaitable[bytes | None]]
"""Sends a request to a unit and returns the answer; None over TCP where there is no such unit."""


def with_crc(frame: bytes) -> bytes:
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")


class RtuMaster:
    """Sends requests over a line, and waits for as many bytes as their answers have."""

    def __init__(self, send: Callable[[bytes], object], noise: bytes) -> None:
        self._send = send
        self._noise = noise
        self._received = bytearray()
        self._came = asyncio.Event()

    def take(self, data: bytes) -> None:
        self._received += data
        self._came.set()

    def ask(self, unit: int, pdu: bytes) -> None:
        """Ask, and wait for no answer."""
        self._send(self._noise)
        self._send(with_crc(bytes((unit,)) + pdu))

    async def exchange(self, unit: int, pdu: bytes) -> bytes | None:
        for _ in range(TIMES):
            self.ask(unit, pdu)
            with suppress(TimeoutError):
                async with asyncio.timeout(ASKED_AGAIN_AFTER_S):
                    while not (frame := self._frame()):
                        self._came.clear()
                        await self._came.wait()
                    break
        assert with_crc(frame[:-2]) == frame
        assert frame[0] == unit
        assert not self._received
        return frame[1:-2]

    def _frame(self) -> bytes:
        received = self._received
        if len(received) < 5:
            return b""
        function = received[1]
        length = 5 if function & 0x80 else 8 if function in (6, 16) else 5 + received[2]
        if len(received) < length:
            return b""
        frame = bytes(received[:length])
        del received[:length]
        return frame


@asynccontextmanager
async def over_tcp(entry: MockConfigEntry) -> AsyncGenerator[Exchange]:
    reader, writer = await asyncio.open_connection("127.0.0.1", entry.data["port"])
    numbers = iter(range(1, 65_536))

    async def exchange(unit: int, pdu: bytes) -> bytes | None:
        for _ in range(TIMES):
            number = next(numbers)
            writer.write(struct.pack(">HHHB", number, 0, len(pdu) + 1, unit) + pdu)
            with suppress(TimeoutError):
                async with asyncio.timeout(ASKED_AGAIN_AFTER_S):
                    header = await reader.readexactly(7)
                    answer = await reader.readexactly(struct.unpack(">HHHB", header)[2] - 1)
                    break
        assert struct.unpack(">HHHB", header) == (number, 0, len(answer) + 1, unit)
        return None if answer == bytes((pdu[0] | 0x80, 11)) else answer

    yield exchange
    writer.close()


@asynccontextmanager
async def over_rtu_over_tcp(entry: MockConfigEntry, noise: bytes) -> AsyncGenerator[RtuMaster]:
    reader, writer = await asyncio.open_connection("127.0.0.1", entry.data["port"])
    master = RtuMaster(writer.write, noise)

    async def receive() -> None:
        while data := await reader.read(1024):
            master.take(data)

    task = asyncio.create_task(receive())
    yield master
    task.cancel()
    writer.close()


@asynccontextmanager
async def over_a_line(line: Line, noise: bytes) -> AsyncGenerator[RtuMaster]:
    ours = os.open(line.client, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    loop = asyncio.get_running_loop()
    master = RtuMaster(lambda data: os.write(ours, data) if data else None, noise)
    loop.add_reader(ours, lambda: master.take(os.read(ours, 1024)))
    yield master
    loop.remove_reader(ours)
    os.close(ours)


def fill(hass: HomeAssistant, profile: str) -> list[dict[str, object]]:
    """Show the house, and return the points of those quantities that a meter has."""
    points = []
    for key in HOUSE.keys() & register_map_of(profile).quantities.keys():
        unit = QUANTITIES[key].unit
        attributes = {} if unit is None else {"unit_of_measurement": unit}
        hass.states.async_set(f"sensor.{key}", str(HOUSE[key]), attributes)
        points.append(point(f"sensor.{key}", key, unit=unit))
    return points


async def follow(dialogue: Dialogue, exchange: Exchange, rtu: RtuMaster | None) -> None:
    for ask in dialogue.asks:
        if ask.unit is not None and rtu is not None:
            # Had anybody answered for this, that would be taken for the next answer.
            rtu.ask(ask.unit, ask.pdu)
            continue
        answer = await exchange(dialogue.unit if ask.unit is None else ask.unit, ask.pdu)
        if ask.unit is not None:
            assert answer is None
            continue
        assert answer is not None
        check(ask, answer)


def check(ask: Ask, answer: bytes) -> None:
    if ask.code is not None:
        assert answer == bytes((ask.pdu[0] | 0x80, ask.code)), ask.pdu.hex(" ")
        return
    if ask.pdu[0] == 6:
        assert answer == ask.pdu
        return
    (count,) = struct.unpack(">H", ask.pdu[3:])
    assert answer[:2] == bytes((ask.pdu[0], 2 * count)), ask.pdu.hex(" ")
    words = list(struct.unpack(f">{count}H", answer[2:]))
    for at, word in (ask.words or {}).items():
        assert words[at] == word, (ask.pdu.hex(" "), at)
    for number in ask.numbers:
        # To the step of an integer, or to what a float can tell.
        step = 0 if number.kind.startswith("f") else 0.51 / number.per
        assert number.of(words) == pytest.approx(number.means, rel=1e-6, abs=max(step, 1e-9)), (
            ask.pdu.hex(" "),
            number,
        )


@pytest.mark.parametrize("transport", ["tcp", "rtu_over_tcp", "serial"])
@pytest.mark.parametrize("name", DIALOGUES)
async def test_a_master_gets_what_it_asks_for(
    hass: HomeAssistant,
    add_entry: AddEntry,
    stack: AsyncExitStack,
    line: Line,
    name: str,
    transport: str,
) -> None:
    dialogue = DIALOGUES[name]
    settings = (
        {"device": line.served, "baudrate": 115200, "parity": "none", "stopbits": 1}
        if transport == "serial"
        else {}
    )
    played = meter(
        *fill(hass, dialogue.profile), profile=dialogue.profile, unit=dialogue.unit, max_age_s=None
    )
    entry = add_entry(played, transport=transport, **settings)
    assert await hass.config_entries.async_setup(entry.entry_id)
    if transport == "tcp":
        await follow(dialogue, await stack.enter_async_context(over_tcp(entry)), None)
    else:
        master = await stack.enter_async_context(
            over_a_line(line, dialogue.noise)
            if transport == "serial"
            else over_rtu_over_tcp(entry, dialogue.noise)
        )
        await follow(dialogue, master.exchange, master)
    assert await hass.config_entries.async_unload(entry.entry_id)


def test_the_meter_of_every_master_has_a_dialogue() -> None:
    assert {master.profile for master in MASTERS.values()} <= {
        dialogue.profile for dialogue in DIALOGUES.values()
    }


def test_every_meter_that_a_map_can_be_is_offered() -> None:
    names = profile_names()
    assert len(set(names.values())) == len(names)
    for profile, name in PROFILES.items():
        assert profile in register_map_of(profile).as_meter, name
