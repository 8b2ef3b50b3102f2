"""The patience with which a unit is read, on a line with a clock that the test turns."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Self, cast
from unittest.mock import patch

from modbus_connection import (
    IllegalDataAddressError,
    ModbusConnectionError,
    ModbusError,
    ModbusProtocolError,
    ModbusTimeoutError,
    ModbusUnit,
)
import pytest

from custom_components.grid_telemetry.connection.traffic import Traffic
from custom_components.grid_telemetry.links.modbus import timed_unit as module
from custom_components.grid_telemetry.links.modbus.line import Line
from custom_components.grid_telemetry.links.modbus.timed_unit import LEAST_PATIENCE_S, Reads

LONGEST_S = 60.0


class Clock:
    """Stands in for `asyncio` and `time`; whoever takes longer than the time-out is cut off."""

    Lock = asyncio.Lock
    CancelledError = asyncio.CancelledError
    ensure_future = staticmethod(asyncio.ensure_future)
    wait = staticmethod(asyncio.wait)

    def __init__(self) -> None:
        self.now = 0.0
        # The time-outs that were asked for.
        self.given: list[float | None] = []
        self._cut = False

    def monotonic(self) -> float:
        return self.now

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[Self]:
        self.given.append(seconds)
        self._cut = False
        yield self

    def expired(self) -> bool:
        return self._cut

    async def sleep(self, seconds: float) -> None:
        limit = self.given[-1] if self.given else None
        self.now += seconds if limit is None else min(limit, seconds)
        if limit is not None and seconds > limit:
            self._cut = True
            raise TimeoutError


class Unit:
    """A unit that answers after a while."""

    def __init__(
        self,
        answer_s: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.answer_s = answer_s
        self.connected = True
        self.error: Exception | None = None
        self._sleep = sleep

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        await self._sleep(self.answer_s)
        if self.error is not None:
            raise self.error
        return [address] * count

    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        return await self.read_input_registers(address, count)


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Put a clock in place of the one of the machine."""
    clock = Clock()
    with patch.object(module, "asyncio", clock), patch.object(module, "time", clock):
        yield clock


def reads_of(unit: Unit, **kwargs: Any) -> Reads:
    return Reads(cast("ModbusUnit", unit), **{"longest_s": LONGEST_S, **kwargs})


async def test_an_answer_is_waited_for_fully_at_first(clock: Clock) -> None:
    unit = Unit(30, clock.sleep)
    reads = reads_of(unit)

    assert await reads.read_input_registers(7, 2) == [7, 7]
    reads.wait_as_usual()
    assert await reads.read_holding_registers(9, 40) == [9] * 40
    assert clock.given == [LONGEST_S, LONGEST_S]
    assert reads.count == 2


@pytest.mark.parametrize(
    ("answer_s", "expected_s"), [(0.02, LEAST_PATIENCE_S), (0.2, 0.8), (0.6, 2.4)]
)
async def test_an_answer_is_waited_for_as_long_as_the_last_ones_tell(
    clock: Clock, answer_s: float, expected_s: float
) -> None:
    unit = Unit(answer_s, clock.sleep)
    reads = reads_of(unit)
    reads.wait_as_usual()
    await reads.read_input_registers(0, 40)

    unit.answer_s = 30
    for shorter in (40, 2):
        with pytest.raises(ModbusTimeoutError, match=f"within {expected_s} s"):
            await reads.read_input_registers(0, shorter)
    # More registers take longer, and nobody knows how much.
    await reads.read_input_registers(0, 41)
    assert clock.given == [LONGEST_S, expected_s, expected_s, LONGEST_S]


@pytest.mark.parametrize("error", [ModbusTimeoutError("after 2 s"), IllegalDataAddressError()])
async def test_only_an_answer_teaches(clock: Clock, error: ModbusError) -> None:
    unit = Unit(0.1, clock.sleep)
    unit.error = error
    reads = reads_of(unit)
    reads.wait_as_usual()
    for _ in range(2):
        with pytest.raises(type(error), match=str(error)):
            await reads.read_input_registers(0, 4)
    assert clock.given == [LONGEST_S, LONGEST_S]


async def test_a_slow_answer_is_forgotten_with_time(clock: Clock) -> None:
    unit = Unit(1, clock.sleep)
    reads = reads_of(unit)
    reads.wait_as_usual()
    await reads.read_input_registers(0, 4)
    unit.answer_s = 0.02
    for _ in range(250):
        await reads.read_input_registers(0, 4)
    assert clock.given[1:4] == [4, 4, 3.9]
    assert clock.given[-1] == LEAST_PATIENCE_S


async def test_waits_that_were_too_short_more_than_once_get_longer(clock: Clock) -> None:
    reads = reads_of(Unit(0.01, clock.sleep))
    reads.wait_as_usual()
    await reads.read_input_registers(0, 4)
    for expected_s in (0.5, 1.0, 2.0):
        reads.wait_longer()
        await reads.read_input_registers(0, 4)
        assert clock.given[-1] == pytest.approx(expected_s, abs=0.1)


async def test_a_silent_meter_is_waited_for_briefly(clock: Clock) -> None:
    unit = Unit(0.3, clock.sleep)
    reads = reads_of(unit)
    reads.wait_briefly(0.1)
    await reads.read_input_registers(0, 4)
    reads.wait_briefly(2.0)
    await reads.read_input_registers(0, 4)
    # Whoever took longer when it answered is given that.
    reads.wait_briefly(0.1)
    await reads.read_input_registers(0, 4)
    reads.wait_fully()
    await reads.read_input_registers(0, 4)
    assert clock.given == [LEAST_PATIENCE_S, 2.0, 1.2, LONGEST_S]


async def test_a_line_that_is_not_open_has_its_own_time_out(clock: Clock) -> None:
    unit = Unit(5, clock.sleep)
    unit.connected = False
    unit.error = ModbusConnectionError("refused")
    reads = reads_of(unit)
    reads.wait_briefly(0.5)
    with pytest.raises(ModbusConnectionError, match="refused"):
        await reads.read_input_registers(0, 4)
    assert clock.given == []
    assert not reads.connected


async def test_the_turn_of_others_is_not_the_time_that_a_meter_takes() -> None:
    line = Line()
    slow, quick = Unit(answer_s=0.2), Unit(answer_s=0.01)
    quick_reads, slow_reads = reads_of(quick, line=line), reads_of(slow, line=line)
    with patch.object(module, "LEAST_PATIENCE_S", 0.1):
        quick_reads.wait_as_usual()
        await quick_reads.read_input_registers(0, 4)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(slow_reads.read_input_registers(0, 4))
            answer = tasks.create_task(quick_reads.read_input_registers(0, 4))
        assert answer.result() == [0] * 4
        quick.answer_s = 0.5
        with pytest.raises(ModbusTimeoutError, match=r"within 0.1 s"):
            await quick_reads.read_input_registers(0, 4)


class LateUnit:
    """A meter on a serial line: each answer goes to whoever waits when it comes."""

    connected = True

    def __init__(self) -> None:
        self.stalled = False
        self._owed: list[int] = []
        self._waiting: asyncio.Future[list[int]] | None = None

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        self._waiting = asyncio.get_running_loop().create_future()
        if self.stalled:
            self._owed.append(address)
        else:
            self._waiting.set_result([address] * count)
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def answer(self) -> None:
        """Give the oldest answer that is owed; nobody takes one that nobody waits for."""
        address = self._owed.pop(0)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result([address] * 2)


@pytest.mark.parametrize("late", [1, 2, 3])
async def test_an_answer_that_comes_late_is_not_taken_for_the_next(late: int) -> None:
    """A stall in which some requests are lost, and whose answers then come while others wait."""
    unit = LateUnit()
    line = Line(numbered=False, late_s=0.02)
    reads = Reads(cast("ModbusUnit", unit), 1, line, longest_s=0.05)
    unit.stalled = True
    for address in range(late):
        asking = asyncio.create_task(reads.read_input_registers(address, 2))
        with pytest.raises(ModbusTimeoutError):
            await asking

    asking = asyncio.create_task(reads.read_input_registers(100, 2))
    while len(unit._owed) <= late:
        await asyncio.sleep(0.001)
    unit.stalled = False
    while unit._owed:
        unit.answer()
        await asyncio.sleep(0.002)
    assert await asking == [100, 100]
    assert await reads.read_input_registers(200, 2) == [200, 200]


async def test_other_meters_are_read_while_one_is_in_doubt() -> None:
    line = Line(numbered=False, late_s=0.3)
    silent = LateUnit()
    silent.stalled = True
    lost = Reads(cast("ModbusUnit", silent), 1, line, longest_s=0.01)
    other = Reads(cast("ModbusUnit", LateUnit()), 2, line)
    with pytest.raises(ModbusTimeoutError):
        await lost.read_input_registers(0, 2)
    waiting = asyncio.create_task(lost.read_input_registers(0, 2))
    async with asyncio.timeout(0.2):
        assert await other.read_input_registers(7, 2) == [7, 7]
    waiting.cancel()


async def test_an_answer_that_does_not_fit_puts_the_next_in_doubt() -> None:
    """The first of two answers is taken for the other's request, and has another length."""
    unit = Unit(answer_s=0)
    unit.error = ModbusProtocolError("expected 2, got 4")
    line = Line(numbered=False, late_s=0)
    reads = reads_of(unit, unit_id=1, line=line)
    with pytest.raises(ModbusProtocolError, match="expected 2, got 4"):
        await reads.read_input_registers(0, 2)
    assert line.in_doubt(1)
    unit.error = None
    assert await reads.read_input_registers(7, 2) == [7, 7]
    assert reads.count == 3
    assert not line.in_doubt(1)


async def test_a_connection_that_is_being_opened_goes_on_when_nobody_waits() -> None:
    """Check that a reload meanwhile leaves nothing that was never looked at."""
    unit = Unit(answer_s=0.02)
    unit.connected = False
    unit.error = ModbusConnectionError("refused")
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    asking = asyncio.create_task(reads_of(unit).read_input_registers(0, 2))
    await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.sleep(0.05)
    assert asking.cancelled()
    assert not told


async def test_whoever_looks_sees_the_requests_and_their_registers() -> None:
    traffic = Traffic()
    traffic.watch()
    unit = Unit()
    reads = Reads(cast("ModbusUnit", unit), 7, Line(traffic=traffic))
    assert await reads.read_input_registers(16, 2) == [16, 16]
    unit.error = IllegalDataAddressError()
    with pytest.raises(IllegalDataAddressError):
        await reads.read_holding_registers(1, 1)
    [answered, refused] = traffic.messages.values()
    assert (answered.kind, answered.about) == ("read_input_registers", "7: 16 … 17")
    assert (answered.body, answered.size) == ("0010 0010", 4)
    assert answered.confirmed_s is not None
    assert refused.refused
