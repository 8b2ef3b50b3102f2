"""The reads of one unit: in turn with the others on its line, and with a patience that learns.

While an answer is waited for, nobody else on the line can be read. A meter that has always answered
within 50 ms need not be waited for as long as one that takes a second, so what the answers took
bounds the wait; only what was never answered has the whole time-out of the connection.
"""

import asyncio
from collections.abc import Awaitable, Callable
import time
from typing import cast

from modbus_connection import ModbusTimeoutError, ModbusUnit

# Nobody is given less, since a gateway or a meter can be busy for a moment.
LEAST_PATIENCE_S = 0.5
# How much longer than the slowest of the last answers one may take.
_MARGIN = 4
# What is left of the memory of a slow answer with each one after it.
_FADE = 0.99


class Reads:
    """The two reads that the Modbus library plans, counted and timed, and the identification.

    `turn` is held by whoever has a request on the line, so that waiting for the others is not taken
    for the time that the meter needs.
    """

    def __init__(self, unit: ModbusUnit, turn: asyncio.Lock | None = None) -> None:
        self.count = 0
        self._unit = unit
        self._turn = turn or asyncio.Lock()
        # Seconds that the slowest of the last answers took, by the number of registers.
        self._slowest_s: dict[int, float] = {}
        self._least_s: float | None = None
        self._unknown_s: float | None = None

    @property
    def unit(self) -> ModbusUnit:
        """Return this as what the library reads from, which does nothing else with a unit."""
        return cast("ModbusUnit", self)

    @property
    def connected(self) -> bool:
        """Return whether the line is open."""
        return self._unit.connected

    def wait_fully(self) -> None:
        """Wait for each answer until the connection gives up."""
        self._least_s = None

    def wait_as_usual(self) -> None:
        """Wait for as long as the answers so far tell, and fully for what was never answered."""
        self._least_s, self._unknown_s = LEAST_PATIENCE_S, None

    def wait_briefly(self, seconds: float) -> None:
        """Wait for so long, or a little longer where the answers so far took longer."""
        self._least_s = self._unknown_s = max(LEAST_PATIENCE_S, seconds)

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
        self.count += 1
        async with self._turn:
            return await self._unit.read_device_identification()

    async def _read(
        self, read: Callable[[int, int], Awaitable[list[int]]], address: int, count: int
    ) -> list[int]:
        self.count += 1
        async with self._turn:
            # The connection has a time-out of its own for being opened.
            patience_s = self._patience_s(count) if self._unit.connected else None
            sent = time.monotonic()
            try:
                async with asyncio.timeout(patience_s) as limit:
                    registers = await read(address, count)
            except TimeoutError as err:
                if not limit.expired():
                    raise
                raise ModbusTimeoutError(
                    f"no answer within {patience_s} s to a read of {count} registers at {address}"
                ) from err
            # A refusal teaches nothing, since it is shorter than an answer.
            self._learn(count, time.monotonic() - sent)
            return registers

    def _patience_s(self, count: int) -> float | None:
        if self._least_s is None:
            return None
        # What is shorter takes no longer.
        if (
            known := min((known for known in self._slowest_s if known >= count), default=None)
        ) is None:
            return self._unknown_s
        return max(self._least_s, round(_MARGIN * self._slowest_s[known], 1))

    def _learn(self, count: int, seconds: float) -> None:
        self._slowest_s[count] = max(seconds, _FADE * self._slowest_s.get(count, 0.0))
