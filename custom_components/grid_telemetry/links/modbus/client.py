"""One meter on the line: whether it answers, and how it is left alone when it does not.

Home Assistant's shared connection carries the requests, one at a time for the whole line.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
import contextlib
import logging
import time

from modbus_connection import (
    ModbusConnectionError,
    ModbusError,
    ModbusTimeoutError,
    ModbusUnit,
)

from ...meters import RegisterMap
from ...meters.model import RegisterSpace
from .line import Line
from .register_reader import Identity, RegisterReader
from .sunspec import MapMovedError
from .timed_unit import LEAST_PATIENCE_S, REQUEST_TIMEOUT_S, Reads
from .wording import modbus_words

_LOGGER = logging.getLogger(__name__)

# The longest pause between two attempts to reach a silent meter.
MAX_PAUSE_S = 300.0
# Where nobody answers there is nobody to hold up, and a line that is plugged in again should not
# wait: its meters together try it about once in so many seconds.
_SILENT_LINE_PAUSE_S = 10.0
# Where others answer: from its second failure on, the share of its pauses that waiting for a
# silent meter may take.
_SILENT_SHARE = 1 / 10
# Where a meter did not tell what it is, it is asked again after this pause, which doubles up to the
# longest.
_FIRST_IDENTIFY_PAUSE_S = 60.0
_LAST_IDENTIFY_PAUSE_S = 3600.0
# A socket that stays open but carries nothing is opened anew after so many timeouts in a row.
_TIMEOUTS_UNTIL_DISCONNECT = 3


class MeterSilentError(ModbusError):
    """The meter did not answer lately and it is too early to ask again."""


class Meter:
    """One meter, and what is known of its state on the line."""

    def __init__(
        self,
        unit: ModbusUnit,
        register_map: RegisterMap,
        *,
        name: str,
        first_pause_s: float,
        unit_id: int = 0,
        line: Line | None = None,
        find_map: Callable[[ModbusUnit], Awaitable[RegisterMap]] | None = None,
    ) -> None:
        self.map = register_map
        self.name = name
        self.identity: Identity | None = None
        self.last_error: str | None = None
        # Requests that the last read took, by what was read.
        self.requests: dict[str, int] = {}
        self._unit = unit
        # Finds the map anew when the device has moved it.
        self._find_map = find_map
        unit.require_timeout(REQUEST_TIMEOUT_S)
        self._line = line or Line()
        self._line.meters += 1
        self._reader = RegisterReader(unit, register_map, Reads(unit, unit_id, self._line))
        self._first_pause_s = first_pause_s
        self._lock = asyncio.Lock()
        # Whether it has answered since the start.
        self._known = False
        self._failures = 0
        self._silent_since = 0.0
        self._last_pause_s = 0.0
        self._retry_at = 0.0
        # When it is asked what it is (monotonic seconds), and the pause if that answer is lost.
        self._identify_at = 0.0
        self._identify_pause_s = _FIRST_IDENTIFY_PAUSE_S

    @property
    def answering(self) -> bool:
        """Return whether the last read was answered."""
        return self._failures == 0

    @property
    def pause_s(self) -> float:
        """Return the seconds until a silent meter is asked again."""
        return max(0.0, self._retry_at - time.monotonic())

    @property
    def answer_s(self) -> float | None:
        """Return how long the last answer took; None before the first."""
        return self._reader.reads.answer_s

    @property
    def rated_power_w(self) -> float:
        """Return what it can measure at most, as far as it is known now."""
        return self._reader.rated_power_w

    @property
    def refused(self) -> list[str]:
        """Return the quantities whose registers the meter refuses."""
        return sorted(self._reader.refused)

    async def read(self, keys: Collection[str], purpose: str = "values") -> dict[str, float]:
        """Read quantities; what the meter refuses or has no value for is left out.

        Raises `ModbusError` when the meter does not answer, and `MeterSilentError` without a
        request while it is left alone after that.
        """
        async with self._lock:
            if not self.answering and self.pause_s > 0:
                raise MeterSilentError(self.last_error)
            reads = self._reader.reads
            before, began = reads.count, time.monotonic()
            refused = self._reader.refused
            try:
                values = await self._read(keys)
            except ModbusError as err:
                await self._failed(err, began)
                raise
            finally:
                self.requests[purpose] = reads.count - before
            # What needs no request, since nothing of it is there to be read, is no answer.
            if reads.count > before:
                self._answered()
            self._tell_refusals(refused)
            return values

    async def read_words(self, space: RegisterSpace, address: int, count: int) -> list[int]:
        """Read registers as they are, whatever the map says; raises `ModbusError`."""
        reads = self._reader.reads
        async with self._lock:
            if space == "input":
                return await reads.read_input_registers(address, count)
            return await reads.read_holding_registers(address, count)

    async def _read(self, keys: Collection[str]) -> dict[str, float]:
        """Read, and once more where an answering meter must not be lost for one bad frame."""
        reads = self._reader.reads
        if self.answering:
            reads.wait_as_usual()
        elif self._others_answer:
            reads.wait_briefly(self._last_pause_s * _SILENT_SHARE)
        else:
            reads.wait_fully()
        try:
            return await self._reader.read(keys)
        except MapMovedError:
            await self._follow()
        except ModbusTimeoutError:
            if not (self.answering and self._known):
                raise
            # Others have a turn meanwhile.
            await asyncio.sleep(self._line.late_s)
            reads.wait_fully()
            values = await self._reader.read(keys)
            reads.wait_longer()
            return values
        except ModbusError:
            if not self.answering:
                raise
        return await self._reader.read(keys)

    async def _follow(self) -> None:
        """Find the map where the device has it now.

        Raises `ModbusError` when the device does not answer or has it no more.
        """
        found = self.map if self._find_map is None else await self._find_map(self._unit)
        if found != self.map:
            _LOGGER.warning("%s has changed its registers; they were found anew", self.name)
            self.map = found
            self._reader.follow(found)

    async def identify(self) -> Identity | None:
        """Read serial number and firmware; None if it is not time to ask.

        It is asked once, and again after a pause where an answer was lost.
        """
        async with self._lock:
            now = time.monotonic()
            if self.identity is not None or now < self._identify_at:
                return None
            # Some meters never answer this, which holds up the line each time.
            self._identify_at = now + self._identify_pause_s
            self._identify_pause_s = min(2 * self._identify_pause_s, _LAST_IDENTIFY_PAUSE_S)
            identity = await self._reader.identify()
            if identity.complete:
                self.identity = identity
            return identity

    # --- the state of the line

    @property
    def _others_answer(self) -> bool:
        # Of another integration on the connection nothing is known, so that it is taken to be well.
        return self._line.is_shared() or self._line.last_answer > self._silent_since

    @property
    def _longest_pause_s(self) -> float:
        if self._others_answer:
            return MAX_PAUSE_S
        return min(MAX_PAUSE_S, self._line.meters * _SILENT_LINE_PAUSE_S)

    async def _failed(self, err: ModbusError, began: float) -> None:
        self.last_error = modbus_words(err)
        if self.answering:
            self._silent_since = began
            _LOGGER.warning("%s does not answer and is tried again: %s", self.name, err)
        self._failures += 1
        silent = isinstance(err, ModbusTimeoutError)
        # The exponents are bounded, since a meter can be away for years.
        pause_s = self._first_pause_s * 2 ** min(self._failures - 1, 16)
        if silent and self._others_answer and self._failures > 1:
            briefest_s = LEAST_PATIENCE_S / _SILENT_SHARE
            pause_s = max(pause_s, briefest_s * 2 ** min(self._failures - 2, 16))
        self._last_pause_s = min(max(self._longest_pause_s, self._first_pause_s), pause_s)
        self._retry_at = time.monotonic() + self._last_pause_s
        if (
            silent
            and not self._others_answer
            and self._failures % _TIMEOUTS_UNTIL_DISCONNECT == 0
            and self._unit.connected
        ):
            _LOGGER.debug("%s: nothing answers on this connection, it is opened anew", self.name)
            with contextlib.suppress(ModbusConnectionError):
                await self._unit.disconnect()

    def _answered(self) -> None:
        self._line.last_answer = time.monotonic()
        self._known = True
        if not self.answering:
            _LOGGER.info("%s answers again", self.name)
            self._failures = 0
            # It may have been replaced meanwhile.
            self._reader.forget_ratios()
            self.identity = None
            self._identify_at = 0.0
            self._identify_pause_s = _FIRST_IDENTIFY_PAUSE_S

    def _tell_refusals(self, before: set[str]) -> None:
        now = self._reader.refused
        if new := sorted(now - before):
            _LOGGER.warning(
                "%s refuses the registers of %s; they are tried again now and then",
                self.name,
                ", ".join(new),
            )
        if gone := sorted(before - now):
            _LOGGER.info("%s no longer refuses the registers of %s", self.name, ", ".join(gone))
