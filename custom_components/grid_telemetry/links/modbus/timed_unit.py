"""The reads of one unit: in turn with the others on its line, and with a patience that learns.

While an answer is waited for, nobody else on the line can be read. A meter that has always answered
within 50 ms need not be waited for as long as one that takes a second, so what the answers took
bounds the wait; what was never answered is waited for as long as any answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
import contextlib
import time
from typing import cast

from modbus_connection import (
    ModbusError,
    ModbusExceptionError,
    ModbusProtocolError,
    ModbusTimeoutError,
    ModbusUnit,
)

from ...connection.traffic import Direction
from .line import Line

# The longest that an answer is waited for; nobody else on the line can be read meanwhile. The
# connection's own limit may be longer, where another integration asked for that.
REQUEST_TIMEOUT_S = 2.0

# Nobody is given less, since a gateway or a meter can be busy for a moment.
LEAST_PATIENCE_S = 0.5
# How much longer than the slowest of the last answers one may take.
_MARGIN = 4
# What is left of the memory of a slow answer with each one after it.
_FADE = 0.99


class Reads:
    """The two reads that the Modbus library plans, counted and timed, and the identification.

    Whoever has a request on the line holds its turn, so that waiting for the others is not taken
    for the time that the meter needs.
    """

    def __init__(
        self,
        unit: ModbusUnit,
        unit_id: int = 0,
        line: Line | None = None,
        *,
        longest_s: float | None = None,
    ) -> None:
        """Take the unit and the line that its id is on; no answer is waited for any longer."""
        self.count = 0
        self.answer_s: float | None = None
        """How long the last answer took."""
        self._unit = unit
        self._unit_id = unit_id
        self._line = line or Line()
        self._longest_s = REQUEST_TIMEOUT_S if longest_s is None else longest_s
        # The same, while less is allowed.
        self._most_s = self._longest_s
        # Seconds that the slowest of the last answers took, by the number of registers.
        self._slowest_s: dict[int, float] = {}
        self._least_s: float | None = None
        self._unknown_s: float | None = None
        self._sent = 0.0

    @property
    def unit(self) -> ModbusUnit:
        """Return this as what the library reads from, which does nothing else with a unit."""
        return cast("ModbusUnit", self)

    @property
    def connected(self) -> bool:
        """Return whether the line is open."""
        return self._unit.connected

    def wait_fully(self) -> None:
        """Wait for each answer as long as for any."""
        self._least_s = None

    def wait_as_usual(self) -> None:
        """Wait for as long as the answers so far tell, and fully for what was never answered."""
        self._least_s, self._unknown_s = LEAST_PATIENCE_S, None

    def wait_briefly(self, seconds: float) -> None:
        """Wait for so long, or a little longer where the answers so far took longer."""
        self._least_s = self._unknown_s = max(LEAST_PATIENCE_S, seconds)

    @contextlib.contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Wait as usual meanwhile, and for no answer any longer than this."""
        before = self._least_s, self._unknown_s, self._most_s
        self.wait_as_usual()
        self._most_s = min(seconds, self._longest_s)
        try:
            yield
        finally:
            self._least_s, self._unknown_s, self._most_s = before

    def wait_s(self, count: int) -> float:
        """Return the longest that a read of some registers takes, once it is its turn.

        That is for what may still be owed, and then for the answer.
        """
        owed_s = self._line.late_s if self._line.in_doubt(self._unit_id) else 0.0
        return owed_s + self._patience_s(count)

    def wait_longer(self) -> None:
        """Take note that waiting as usual was too short.

        Once may be noise, and lengthens nothing where answers are quick; more often does.
        """
        for registers in self._slowest_s:
            self._slowest_s[registers] = max(
                2 * self._slowest_s[registers], LEAST_PATIENCE_S / _MARGIN
            )

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        """Read input registers; raises `ModbusError`."""
        return await self._read(self._unit.read_input_registers, address, count)

    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        """Read holding registers; raises `ModbusError`."""
        return await self._read(self._unit.read_holding_registers, address, count)

    async def read_device_identification(self) -> dict[int, bytes]:
        """Return the objects by which a device says what it is; raises `ModbusError`."""
        return await self._believed(
            lambda: self._timed(self._unit.read_device_identification, self._most_s)
        )

    async def _read(
        self, read: Callable[[int, int], Awaitable[list[int]]], address: int, count: int
    ) -> list[int]:
        async def ask() -> list[int]:
            registers = await self._timed(lambda: read(address, count), self._patience_s(count))
            # A refusal teaches nothing, since it is shorter than an answer.
            self.answer_s = time.monotonic() - self._sent
            self._learn(count, self.answer_s)
            return registers

        if not self._line.traffic.watched:
            return await self._believed(ask)
        place = f"{self._unit_id}: {address} … {address + count - 1}"
        message = self._line.traffic.note(Direction.OUT, read.__name__, place, "")
        try:
            registers = await self._believed(ask)
        except ModbusError as err:
            message.refused = str(err) or type(err).__name__
            raise
        message.confirmed_s = time.monotonic() - self._sent
        message.size = 2 * count
        message.body = " ".join(f"{register:04x}" for register in registers)
        return registers

    async def _believed[T](self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return an answer that cannot be the one to an earlier request."""
        if self._line.in_doubt(self._unit_id):
            await self._line.quieten(self._unit_id)
            with contextlib.suppress(ModbusExceptionError):
                await ask()
            await self._line.settle(self._unit_id)
        return await ask()

    async def _timed[T](self, request: Callable[[], Awaitable[T]], patience_s: float) -> T:
        """Send a request when it is our turn, and return the answer; raises `ModbusError`."""
        self.count += 1
        async with self._line.turn():
            self._sent = time.monotonic()
            if not self._unit.connected:
                # Being opened, the connection has a time-out of its own.
                return await _uncancelled(request())
            try:
                async with asyncio.timeout(patience_s) as limit:
                    return await request()
            except (TimeoutError, asyncio.CancelledError) as err:
                self._line.missed(self._unit_id)
                if not limit.expired():
                    raise
                raise ModbusTimeoutError(f"no answer within {patience_s} s") from err
            except ModbusProtocolError:
                # What does not fit answers something else: the own answer may be yet to come.
                self._line.missed(self._unit_id)
                raise

    def _patience_s(self, count: int) -> float:
        if self._least_s is None:
            return self._most_s
        # What is shorter takes no longer.
        if (
            known := min((known for known in self._slowest_s if known >= count), default=None)
        ) is None:
            return self._most_s if self._unknown_s is None else self._unknown_s
        return min(self._most_s, max(self._least_s, round(_MARGIN * self._slowest_s[known], 1)))

    def _learn(self, count: int, seconds: float) -> None:
        self._slowest_s[count] = max(seconds, _FADE * self._slowest_s.get(count, 0.0))


async def _uncancelled[T](request: Awaitable[T]) -> T:
    """Await a request that opens the connection, which goes on for others if we are cancelled."""
    task = asyncio.ensure_future(request)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.add_done_callback(_forget)
        raise
    return task.result()


def _forget[T](task: asyncio.Future[T]) -> None:
    """Take note of what nobody waits for any more."""
    if not task.cancelled():
        task.exception()
