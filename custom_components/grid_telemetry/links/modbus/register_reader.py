"""Reads the registers of one meter in few requests and finds those that it refuses.

The Modbus library plans the requests; what is learned of the meter here bounds its plan.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
import logging
import math
import time
from typing import Any

from modbus_connection import (
    ExceptionCode,
    ModbusConnectionError,
    ModbusError,
    ModbusExceptionError,
    ModbusTimeoutError,
    ModbusUnit,
    ReadBlock,
)
from modbus_connection.model import (
    FloatField,
    ManualComponent,
    NumberField,
    RawField,
    RegisterField,
    string,
)

from ...meters import Check, Register, RegisterMap, RegisterSpace
from ...meters.adjust import Transformer, with_ratio
from .payload import scaled, shortest_float32
from .sunspec import MapMovedError
from .timed_unit import Reads

_LOGGER = logging.getLogger(__name__)

# Answers that mean "not these registers". Others mean that the meter is busy or out of reach.
_REFUSALS = (
    ExceptionCode.ILLEGAL_FUNCTION,
    ExceptionCode.ILLEGAL_DATA_ADDRESS,
    ExceptionCode.ILLEGAL_DATA_VALUE,
    ExceptionCode.SERVER_DEVICE_FAILURE,
)
# Requests that one read may spend on finding out which registers of a block are refused.
_SEARCH_REQUESTS = 16
# A refused register is tried again after this pause, which doubles up to the longest.
_FIRST_RETRY_S = 60.0
_LAST_RETRY_S = 3600.0
_RETRIES_PER_READ = 4
# The ratios of its transformers are asked for again after so long: they can be set at the meter.
_RATIOS_KEPT_S = 3600.0
# The exponents that SunSpec allows; devices have been seen with others while they fall asleep.
_EXPONENTS = (-10, 10)
# A ratio that is rounded can be a little above 1.
_LARGEST_RATIO = 1.05
# What nearly every meter has, the first of them in a map.
_LIKELY = ("voltage_l1", "voltage", "power", "frequency", "energy_import")
# What the anchor of a map is called among the quantities that are read with it.
_ANCHOR = "anchor"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a meter says of itself; None for what its map does not have or the meter refuses."""

    serial_number: str | None = None
    firmware: str | None = None
    # False where an answer was lost; then None can also mean that it is not known yet.
    complete: bool = True


@dataclass(slots=True)
class _Refusal:
    """When a register that the meter refuses is tried again (monotonic seconds)."""

    retry_at: float
    pause_s: float = _FIRST_RETRY_S


class RegisterReader:
    """Reads one meter, and knows what the meter refuses."""

    def __init__(
        self, unit: ModbusUnit, register_map: RegisterMap, reads: Reads | None = None
    ) -> None:
        # As it was given, and with what the meter says of its transformers.
        self._given = self._map = register_map
        self._ratios_at = float("-inf")
        # What a form or a report looks through is timed itself: timed once more, waiting for its
        # turn on the line would be taken for a meter that is silent.
        self.reads = reads or Reads(unit, longest_s=math.inf)
        # Answers that mean "not these registers" by this meter.
        self._refusals = set(_REFUSALS)
        # Whether it leaves requests without an answer that reach beyond its registers.
        self._silent_beyond = False
        self._silence_asked_at = float("-inf")
        # Whether its power factors are percentages: one of them was above 1.
        self._percent = False
        # Quantities that were answered for.
        self._answered: set[str] = set()
        self._refused: dict[str, _Refusal] = {}
        # Groups that are refused as a whole, where it is not yet known which register is the cause.
        self._suspects: list[list[str]] = []
        # Addresses that no block may reach across, since the meter refuses what lies before them.
        self._cuts: set[tuple[RegisterSpace, int]] = set()
        # Planned reads by what they read, as long as nothing new is learned about the meter.
        self._components: dict[frozenset[str], ManualComponent] = {}

    @property
    def refused(self) -> set[str]:
        """Return the quantities whose registers the meter refuses."""
        return set(self._refused)

    @property
    def rated_power_w(self) -> float:
        """Return what the meter can measure at most, behind the transformers that it tells of."""
        return self._map.rated_power_w

    @property
    def searching(self) -> bool:
        """Return whether the next read goes on with finding refused registers."""
        return bool(self._suspects)

    def follow(self, register_map: RegisterMap) -> None:
        """Read at other addresses from now on; what was learned of the old ones is void."""
        self._given = self._map = register_map
        self.forget_ratios()
        self._answered.clear()
        self._silent_beyond = False
        self._refused.clear()
        self._suspects.clear()
        self._cuts.clear()
        self._components.clear()

    def forget_ratios(self) -> None:
        """Ask for the ratios of the transformers again before the next read."""
        self._ratios_at = float("-inf")

    async def identify(self) -> Identity:
        """Read serial number and firmware, as far as the meter tells them."""
        texts: list[str | None] = []
        complete = True
        for register in (self._map.serial_number, self._map.firmware):
            try:
                texts.append(await self._read_text(register))
            except ModbusError as err:
                _LOGGER.debug("The meter does not tell what it is: %s", err)
                texts.append(None)
                complete = False
        return Identity(serial_number=texts[0], firmware=texts[1], complete=complete)

    async def read(self, keys: Collection[str]) -> dict[str, float]:
        """Read quantities; what the meter refuses or has no value for is left out.

        Raises `ModbusError` when the meter does not answer, and `MapMovedError` when what is at
        these addresses is no longer what the map is about.
        """
        await self._take_ratios()
        # A map that was found anew can have less than the one before.
        keys = [key for key in keys if key in self._map.quantities]
        values: dict[str, float] = {}
        # Blocks that the meter was too busy for once.
        busy: set[ReadBlock | None] = set()
        while readable := self._readable(keys):
            try:
                values = await self._read_blocks(readable)
            except ModbusExceptionError as err:
                if err.exception_code == ExceptionCode.SERVER_DEVICE_BUSY:
                    if err.block not in busy:
                        busy.add(err.block)
                        continue
                    await self._learn_busy(err, readable)
                if err.exception_code in self._refusals:
                    await self._look_at_anchor()
                suspects = self._suspected(err, readable)
                if not suspects:
                    raise
                self._suspects.append(suspects)
                self._components.clear()
            except ModbusTimeoutError:
                if not await self._learn_silence(readable):
                    raise
                values = await self._read_runs(readable)
                break
            else:
                break
        await self._search(values)
        await self._retry_refused(keys, values)
        return {key: value for key, value in values.items() if key in keys}

    async def read_all(self, keys: Collection[str]) -> dict[str, float]:
        """Read quantities until it is known of all of them whether the meter refuses them.

        Raises what `read` does.
        """
        values = await self.read(keys)
        while self.searching:
            values |= await self.read(keys)
        return values

    async def _take_ratios(self) -> None:
        """Multiply what is secondary by the ratios that the meter says.

        Raises `ModbusError` when it does not answer: values without them would be wrong.
        """
        if time.monotonic() < self._ratios_at + _RATIOS_KEPT_S:
            return
        taken = self._given
        registers: tuple[tuple[Transformer, Register | None], ...] = (
            ("current", taken.current_ratio),
            ("voltage", taken.voltage_ratio),
        )
        for transformer, register in registers:
            if register is not None:
                taken = with_ratio(taken, transformer, await self._ratio(register))
        self._map = taken
        self._ratios_at = time.monotonic()

    async def _ratio(self, register: Register) -> Decimal:
        """Return a ratio; 1 where the meter has no transformers, or no register for them."""
        try:
            value = await read_register(self.reads.unit, register)
        except ModbusExceptionError as err:
            if err.exception_code not in _REFUSALS:
                raise
            value = None
        if isinstance(value, int | float) and value > 0:
            return Decimal(repr(value))
        return Decimal(1)

    def _readable(self, keys: Iterable[str]) -> list[str]:
        barred = self._refused.keys() | self._suspected_keys
        return [key for key in keys if key not in barred]

    @property
    def _suspected_keys(self) -> set[str]:
        return {key for group in self._suspects for key in group}

    def _suspected(self, err: ModbusExceptionError, keys: Iterable[str]) -> list[str]:
        """Return the quantities in a refused block, in the order of their addresses."""
        if err.block is None or err.exception_code not in self._refusals:
            return []
        registers = self._map.quantities
        return sorted(
            (key for key in keys if _within(registers[key], err.block)),
            key=lambda key: registers[key].address,
        )

    async def _learn_busy(self, err: ModbusExceptionError, keys: Sequence[str]) -> None:
        """Find out whether the meter says that it is busy where it has no registers.

        It is so for a block twice, and yet answers for another one, or for the beginning of this.
        """
        block = err.block
        if block is None:
            return
        inside = [key for key in keys if _within(self._map.quantities[key], block)]
        elsewhere = sorted(self._answered - set(inside))
        for key in (*elsewhere[:1], *inside[:1]):
            try:
                await self._read_blocks([key])
            except ModbusExceptionError:
                continue
            self._refusals.add(ExceptionCode.SERVER_DEVICE_BUSY)
            return

    async def _learn_silence(self, keys: Sequence[str]) -> bool:
        """Find out whether a meter is there that is silent on registers that it does not have.

        One that has answered before is not asked, since its answers can be lost, and nobody is
        again soon: it takes the time of the others on the line.
        """
        now = time.monotonic()
        if self._answered or len(keys) == 1 or now < self._silence_asked_at + _LAST_RETRY_S:
            return False
        self._silence_asked_at = now
        key = next((key for key in _LIKELY if key in keys), keys[0])
        try:
            await self._read_blocks([key])
        except ModbusError:
            return False
        self._silent_beyond = True
        self._components.clear()
        return True

    async def _read_runs(self, keys: Sequence[str]) -> dict[str, float]:
        """Read what lies next to each other on its own; what is silent counts as refused."""
        values: dict[str, float] = {}
        registers = self._map.quantities
        runs: list[list[str]] = []
        for key in sorted(keys, key=lambda key: (registers[key].space, registers[key].address)):
            last = registers[runs[-1][-1]] if runs else None
            follows = last is not None and (last.space, last.end) == (
                registers[key].space,
                registers[key].address,
            )
            if follows:
                runs[-1].append(key)
            else:
                runs.append([key])
        for run in runs:
            if not await self._answers(run, values):
                for key in run:
                    self._refused[key] = _Refusal(time.monotonic() + _FIRST_RETRY_S)
        self._components.clear()
        return values

    async def _look_at_anchor(self) -> None:
        """Find out whether registers are refused because the map no longer lies where they are.

        Raises `MapMovedError` if it does not, and `ModbusError` when the meter does not answer.
        """
        if (anchor := self._map.anchor) is None:
            return
        try:
            value = await read_register(self.reads.unit, anchor.register)
        except ModbusExceptionError as err:
            if err.exception_code not in _REFUSALS:
                raise
            value = None
        self._check_anchor(anchor, value)

    def _check_anchor(self, anchor: Check, value: float | str | None) -> None:
        if not anchor.holds(value):
            raise MapMovedError(f"{self._map.source} is no longer at {anchor.register.address}")

    async def _search(self, values: dict[str, float]) -> None:
        """Halve the refused groups until the cause is found; what answers on the way is kept.

        Where both halves answer, it is what lies between them that the meter refuses.
        """
        end = self.reads.count + _SEARCH_REQUESTS
        while self._suspects and self.reads.count < end:
            group = self._suspects[-1]
            refused: list[list[str]] = []
            if len(group) == 1:
                self._refused[group[0]] = _Refusal(time.monotonic() + _FIRST_RETRY_S)
            else:
                middle = len(group) // 2
                halves = (group[:middle], group[middle:])
                refused = [half for half in halves if not await self._answers(half, values)]
                if not refused:
                    register = self._map.quantities[group[middle]]
                    self._cuts.add((register.space, register.address))
            # Not before the requests, so that a search cut short by a timeout is taken up again.
            self._suspects[-1:] = refused
            self._components.clear()

    async def _retry_refused(self, keys: Collection[str], values: dict[str, float]) -> None:
        """Try some of the refused registers again, each on its own."""
        now = time.monotonic()
        due = [key for key in keys if key in self._refused and self._refused[key].retry_at <= now]
        for key in due[:_RETRIES_PER_READ]:
            # Before the request: should it get no answer at all, the next one is as far away.
            refusal = self._refused[key]
            refusal.pause_s = min(2 * refusal.pause_s, _LAST_RETRY_S)
            refusal.retry_at = now + refusal.pause_s
            if await self._answers([key], values):
                del self._refused[key]
                self._components.clear()
                # Whatever made the meter refuse may be over for the others too.
                for other in self._refused.values():
                    other.retry_at = now

    async def _answers(self, keys: Sequence[str], values: dict[str, float]) -> bool:
        """Read a few quantities on their own; False if the meter refuses them."""
        try:
            values.update(await self._read_blocks(keys))
        except ModbusExceptionError as err:
            if err.exception_code not in self._refusals:
                raise
            return False
        except ModbusTimeoutError:
            if not self._silent_beyond:
                raise
            return False
        return True

    async def _read_blocks(self, keys: Sequence[str]) -> dict[str, float]:
        """Read quantities in as few requests as the map and what is known of the meter allow."""
        plan = frozenset(keys)
        if (component := self._components.get(plan)) is None:
            component = self._components[plan] = self._component(keys)
        raw = await _update(component)
        if (anchor := self._map.anchor) is not None:
            self._check_anchor(anchor, raw[_ANCHOR])
        registers = self._map.quantities
        self._answered.update(keys)
        read = ((key, _value(registers[key], raw[key])) for key in keys)
        values = {key: value for key, value in read if value is not None}
        self._settle_percentages(values)
        return values

    def _settle_percentages(self, values: dict[str, float]) -> None:
        """Make ratios of what a device gives in percent, as the standard says and few do."""
        keys = [key for key in values if self._map.quantities[key].ratio_or_percent]
        self._percent = self._percent or any(abs(values[key]) > _LARGEST_RATIO for key in keys)
        if self._percent:
            for key in keys:
                values[key] = float(Decimal(repr(values[key])) / 100)

    def _component(self, keys: Sequence[str]) -> ManualComponent:
        registers = self._map.quantities
        # Neither what is refused nor what is suspected to be may be read along with others.
        barred = (self._refused.keys() | self._suspected_keys) - set(keys)
        barriers = self._cuts | {(registers[key].space, registers[key].address) for key in barred}
        readable = [register for key, register in registers.items() if key not in barred]
        if (anchor := self._map.anchor) is not None:
            readable.append(anchor.register)
        ranges = {
            space: _ranges(
                [register for register in readable if register.space == space],
                max_gap=0 if self._silent_beyond else self._map.max_gap,
                barriers={address for where, address in barriers if where == space},
            )
            for space in ("input", "holding")
        }
        component = ManualComponent(
            self.reads.unit,
            max_span=self._map.max_span,
            input_ranges=ranges["input"],
            holding_ranges=ranges["holding"],
        )
        for key in keys:
            component.add(key, _field(registers[key]), space=registers[key].space)
        if anchor is not None:
            component.add(_ANCHOR, _field(anchor.register), space=anchor.register.space)
        return component

    async def _read_text(self, register: Register | None) -> str | None:
        if register is None:
            return None
        try:
            value = await read_register(self.reads.unit, register)
        except ModbusExceptionError as err:
            if err.exception_code not in _REFUSALS:
                raise
            return None
        return None if value is None else str(value) or None


async def read_once(
    unit: ModbusUnit, register_map: RegisterMap, keys: Collection[str]
) -> tuple[Identity, dict[str, float]]:
    """Read a meter that is not polled: what it says of itself, and quantities.

    Raises `ModbusError` when the meter does not answer.
    """
    reader = RegisterReader(unit, register_map)
    values = await reader.read_all(keys)
    return await reader.identify(), values


async def read_register(unit: ModbusUnit, register: Register) -> float | str | None:
    """Read one register on its own; None if it has no value.

    Raises `ModbusError` when the meter refuses it or does not answer.
    """
    component = ManualComponent(unit, max_span=register.count)
    component.add("value", _field(register), space=register.space)
    raw = (await _update(component))["value"]
    if raw is None:
        return None
    match register.type:
        case "string":
            return str(raw).strip("\0 ")
        case "version":
            words = int(raw).to_bytes(2 * register.count)
            return ".".join(
                str(int.from_bytes(words[at : at + 2])) for at in range(0, len(words), 2)
            )
        case _:
            return _value(register, raw)


async def _update(component: ManualComponent) -> dict[str, Any]:
    """Read a component.

    Raises `ModbusError` only: a certificate file that is missing comes out of the library as it is.
    """
    try:
        return await component.async_update()
    except ModbusError:
        raise
    except OSError as err:
        raise ModbusConnectionError(str(err)) from err


def _within(register: Register, block: ReadBlock) -> bool:
    return register.space == block.space and any(
        block.address <= first and end <= block.address + block.count
        for first, end in _spans(register)
    )


def _spans(register: Register) -> Iterator[tuple[int, int]]:
    """Return where a value and its scale factor are: first address, and the one after the last."""
    yield register.address, register.end
    if register.scale_address is not None:
        yield register.scale_address, register.scale_address + 1


def _ranges(
    registers: Iterable[Register], *, max_gap: int, barriers: Collection[int]
) -> tuple[tuple[int, int], ...]:
    """Return the runs of addresses that a request may lie in, first and last address of each."""
    runs: list[tuple[int, int]] = []
    for address, end in sorted(span for register in registers for span in _spans(register)):
        if runs:
            first, last = runs[-1]
            barred = any(last < barrier <= address for barrier in barriers)
            if address - last <= max_gap + 1 and not barred:
                runs[-1] = (first, max(last, end - 1))
                continue
        runs.append((address, end - 1))
    return tuple(runs)


def _field(register: Register) -> RegisterField[Any]:
    """Return the library's field for a register, without its scale."""
    match register.type:
        case "float32" | "float64":
            return FloatField(
                register.address, count=register.count, word_order=register.word_order
            )
        case "string":
            return string(register.address, register.count)
        case "version" | "split64":
            return RawField(register.address, count=register.count)
        case _:
            return NumberField(
                register.address,
                count=register.count,
                signed=register.type.startswith("int"),
                nan=register.nan,
                word_order=register.word_order,
                scale_register=register.scale_address,
                scale_exponent_range=_EXPONENTS,
            )


def _half(register: Register, raw: int) -> int:
    """Return a uint32 that was read with its high word first as the register has it."""
    return raw if register.word_order == "big" else raw >> 16 | (raw & 0xFFFF) << 16


def _value(register: Register, raw: float | None) -> float | None:
    if raw is None:
        return None
    if register.codes is not None:
        return register.codes.get(int(raw))
    if register.type == "float32":
        raw = shortest_float32(raw)
    elif register.type == "split64":
        raw = 1000 * _half(register, int(raw) >> 32) + _half(register, int(raw) & 0xFFFF_FFFF)
    return scaled(abs(raw) if register.magnitude else raw, register.scale)
