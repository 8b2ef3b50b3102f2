"""Finds out who is on a line: walks unit ids and recognises register maps and SunSpec."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial

from modbus_connection import (
    GatewayPathUnavailableError,
    GatewayTargetError,
    ModbusConnectionError,
    ModbusDesyncError,
    ModbusError,
    ModbusTimeoutError,
    ModbusUnit,
)

from ...meters import Check, ObjectCheck, Register, RegisterMap, RegisterSpace
from ...meters.sunspec import SunSpecPlace, is_empty_storage, sunspec_map
from ...vocabulary.quantities import QUANTITIES
from .preview import telling
from .register_reader import Identity, read_once, read_register
from .sunspec import find_models
from .timed_unit import Reads

# A meter may leave requests that it does not know without an answer; after so many seconds of
# waiting for it no more maps are tried on it.
_SILENCE_S = 60.0
# Where nobody answers what is asked first, so many seconds go into asking the first unit ids for
# what the maps know: some meters have registers elsewhere only, and are silent on others.
_CLOSER_LOOK_S = 60.0
# What two reads of one counter differ by at most, in its unit, while a line is searched.
_SAME_COUNT = 0.5


@dataclass(frozen=True, kw_only=True)
class Found:
    """A meter that answers as one map has it; a unit id can have several of them."""

    unit_id: int
    map: RegisterMap
    # Where its SunSpec model is, if it is one.
    place: SunSpecPlace | None = None
    identity: Identity
    values: Mapping[str, float]

    @property
    def key(self) -> str:
        """Return what tells it from all others on the line."""
        return meter_key(self.unit_id, self.place)


def meter_key(unit_id: int, place: SunSpecPlace | None) -> str:
    """Return the unique id of a meter: a unit is one meter, or one for each SunSpec model."""
    if place is None:
        return str(unit_id)
    return f"{unit_id}_{place.model}_{place.instance}"


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """A device that answers as a unit and is none of the maps, with what it says that it is."""

    unit_id: int
    says: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a search has found, and the unit ids where somebody answered who was not recognised."""

    found: Sequence[Found]
    unknown: Sequence[Unknown]


type GetUnit = Callable[[int], AbstractAsyncContextManager[Reads]]


async def search(
    line: ModbusUnit,
    get_unit: GetUnit,
    unit_ids: Sequence[int],
    maps: Mapping[str, RegisterMap],
    *,
    timeout_s: float,
    known: Collection[str],
    progress: Callable[[float], None],
) -> Results:
    """Return the meters that answer, the likeliest map of each first.

    `line` is any unit, by which the line is opened. Whether somebody is there is waited for so
    long, and what is there is read in the time that any answer may take. Meters whose keys are
    known are left out, and so is what is one of them under another unit id.
    Raises `ModbusConnectionError` when the line cannot be used.
    """
    await _open(line)
    found: list[Found] = []
    unknown: list[Unknown] = []
    silent: list[int] = []

    async def look(reads: Reads, unit_id: int, checks: _Checks) -> None:
        meters = await _meters(reads, unit_id, maps, checks, known)
        found.extend(meters)
        if not meters and not _is_known(unit_id, known):
            with reads.at_most(timeout_s):
                unknown.append(Unknown(unit_id=unit_id, says=await _says(reads)))

    for index, unit_id in enumerate(unit_ids):
        progress(index / len(unit_ids))
        async with get_unit(unit_id) as reads:
            with reads.at_most(timeout_s):
                there = await _is_there(reads)
            if there:
                await look(reads, unit_id, _Checks(reads, timeout_s))
            else:
                silent.append(unit_id)
    if not (found or unknown or known):
        probes = _probes(maps)
        left_s = _CLOSER_LOOK_S
        for unit_id in silent:
            async with get_unit(unit_id) as reads:
                checks = _Checks(reads, timeout_s)
                if await checks.answer_any(probes, left_s):
                    await look(reads, unit_id, checks)
            left_s -= checks.silence_s
            progress(min(1.0, 1 - left_s / _CLOSER_LOOK_S))
            if left_s <= 0:
                break
    return Results(
        found=await _without_known(_without_echoes(found), get_unit, known), unknown=unknown
    )


def _is_known(unit_id: int, known: Collection[str]) -> bool:
    return any(key.partition("_")[0] == str(unit_id) for key in known)


def _probes(maps: Mapping[str, RegisterMap]) -> list[Register]:
    """Return what the maps ask first, each address once, what most of them have before the rest."""
    firsts = [
        check.register for register_map in maps.values() for check in register_map.recognise[:1]
    ]
    places = Counter(_span(first) for first in firsts)
    at = {_span(first): first for first in firsts}
    return [at[place] for place, _ in places.most_common()]


async def _says(reads: Reads) -> str:
    """Return maker and product as a device names them to whoever asks; empty if it does not."""
    objects = await _identification(reads)
    return " ".join(objects[key] for key in (0, 1) if objects.get(key))


async def _identification(reads: Reads) -> dict[int, str]:
    """Return the objects of the Modbus device identification; few devices have it."""
    try:
        objects = await reads.read_device_identification()
    except ModbusConnectionError:
        raise
    except ModbusError:
        return {}
    return {key: value.decode(errors="replace").strip("\0 ") for key, value in objects.items()}


async def search_sunspec(
    unit: ModbusUnit,
    unit_id: int,
    known: Collection[str],
    base: int | None = None,
    asking: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[Found]:
    """Return the SunSpec models of one unit; `base` is where the user says that they begin.

    `asking` is held while the unit is asked whether it has any.
    Raises `ModbusError` when it does not answer.
    """
    found: list[Found] = []
    lost: ModbusError | None = None
    for place in await find_models(unit, base, asking):
        if meter_key(unit_id, place) in known:
            continue
        try:
            meter = await _read(unit, unit_id, sunspec_map(place), place)
        except ModbusConnectionError:
            raise
        except ModbusError as err:
            lost = err
            continue
        if not is_empty_storage(place, meter.values):
            found.append(meter)
    if lost is not None and not found:
        raise lost
    return found


async def _open(unit: ModbusUnit) -> None:
    """Open the line, which may take longer than an answer."""
    try:
        await unit.read_holding_registers(0, 1)
    except ModbusConnectionError:
        raise
    except ModbusError:
        # Whether this unit is there is asked later.
        return


async def _is_there(reads: Reads) -> bool:
    """Return whether anybody answers as this unit, if only to refuse."""
    for read in (reads.read_holding_registers, reads.read_input_registers):
        try:
            await read(0, 1)
        except GatewayPathUnavailableError, GatewayTargetError:
            # A gateway answers for a meter that does not.
            return False
        except ModbusConnectionError:
            raise
        except ModbusTimeoutError, ModbusDesyncError:
            # Nobody, or somebody else who was late.
            continue
        except ModbusError:
            return True
        else:
            return True
    return False


async def _meters(
    reads: Reads,
    unit_id: int,
    maps: Mapping[str, RegisterMap],
    checks: _Checks,
    known: Collection[str],
) -> list[Found]:
    """Return what a unit that answers can be."""
    found: list[Found] = []
    unit = reads.unit
    with suppress(ModbusError):
        found += await search_sunspec(unit, unit_id, known, asking=checks.asking)
    if meter_key(unit_id, None) in known:
        return found
    identified = [
        register_map
        for register_map in maps.values()
        if register_map.identify and await checks.hold(register_map.identify)
    ]
    if meters := await _readable(unit, unit_id, identified):
        return found + meters
    # Where nothing decides what it is, look-alikes are told apart by the user.
    recognised = [
        register_map
        # Those first of which something was answered: the others may be met with silence only.
        for register_map in sorted(maps.values(), key=checks.is_strange)
        if register_map.recognise and await checks.hold(register_map.recognise)
    ]
    return found + await _readable(unit, unit_id, recognised)


async def _readable(unit: ModbusUnit, unit_id: int, maps: Sequence[RegisterMap]) -> list[Found]:
    """Return what a unit is by those of some maps that say anything of it, the likeliest first."""
    found: list[Found] = []
    for register_map in sorted(maps, key=_certainty, reverse=True):
        with suppress(ModbusError):
            meter = await _read(unit, unit_id, register_map, None)
            if meter.values:
                found.append(meter)
    return found


def _certainty(register_map: RegisterMap) -> tuple[int, int]:
    """Return how much it tells that all checks of a map hold."""
    exact = sum(check.between is None for check in register_map.recognise)
    return exact, len(register_map.recognise)


type _Span = tuple[RegisterSpace, int, int]


def _span(register: Register) -> _Span:
    return register.space, register.address, register.count


class _Checks:
    """Tries the checks of maps on one unit; each register is read once for all of them."""

    def __init__(self, reads: Reads, timeout_s: float) -> None:
        # What is held while something is asked for that the unit may leave without an answer.
        self.asking = partial(reads.at_most, timeout_s)
        self._reads = reads
        self._values: dict[Register, float | str | None] = {}
        self._objects: dict[int, str] | None = None
        # Where there was an answer, and where there was none, however it would be understood.
        self._places: set[_Span] = set()
        self._silent: set[_Span] = set()
        # Whether anybody has answered, if only to refuse.
        self._answered = False
        # Seconds that were waited in vain.
        self.silence_s = 0.0

    async def hold(self, checks: Iterable[Check | ObjectCheck]) -> bool:
        """Return whether all of some checks hold."""
        for check in checks:
            if isinstance(check, ObjectCheck):
                holds = check.holds(await self._object(check.object_id))
            else:
                holds = check.holds(await self._value(check.register))
            if not holds:
                return False
        return True

    def is_strange(self, register_map: RegisterMap) -> bool:
        """Return whether what a map asks first is nowhere that was answered."""
        return not any(
            _span(check.register) in self._places for check in register_map.recognise[:1]
        )

    async def answer_any(self, registers: Iterable[Register], within_s: float) -> bool:
        """Return whether anybody answers for one of some registers, if only to refuse it."""
        for register in registers:
            if self.silence_s >= within_s:
                break
            await self._value(register)
            if self._answered:
                return True
        return False

    async def _object(self, object_id: int) -> str | None:
        if self._objects is None:
            with self.asking():
                self._objects = await _identification(self._reads)
        return self._objects.get(object_id)

    async def _value(self, register: Register) -> float | str | None:
        if register not in self._values:
            self._values[register] = await self._read(register)
        return self._values[register]

    async def _read(self, register: Register) -> float | str | None:
        if self.silence_s >= _SILENCE_S or _span(register) in self._silent:
            return None
        with self.asking():
            wait_s = self._reads.wait_s(register.count)
            try:
                value = await read_register(self._reads.unit, register)
            except ModbusConnectionError:
                raise
            except (
                ModbusTimeoutError,
                ModbusDesyncError,
                GatewayPathUnavailableError,
                GatewayTargetError,
            ):
                self.silence_s += wait_s
                self._silent.add(_span(register))
                return None
            except ModbusError:
                self._answered = True
                return None
        self._answered = True
        self._places.add(_span(register))
        return value


async def _read(
    unit: ModbusUnit, unit_id: int, register_map: RegisterMap, place: SunSpecPlace | None
) -> Found:
    """Read what a user can compare with the display; all of it where it is found out what is there.

    Raises `ModbusError` when the meter does not answer.
    """
    keys = register_map.quantities if place else telling(register_map.quantities)
    identity, values = await read_once(unit, register_map, keys)
    return Found(unit_id=unit_id, map=register_map, place=place, identity=identity, values=values)


def _without_echoes(found: Iterable[Found]) -> Iterator[Found]:
    """Leave out what answers under several unit ids, as meters in the network often do."""
    kept: list[Found] = []
    for meter in found:
        if not any(_same(meter, other) for other in kept):
            kept.append(meter)
            yield meter


async def _without_known(
    found: Iterable[Found], get_unit: GetUnit, known: Collection[str]
) -> list[Found]:
    """Leave out what is a known meter under another unit id.

    A known meter is read only for what was found that it could be, as that was read. Raises
    `ModbusConnectionError` when the line cannot be used.
    """
    left = list(found)
    for unit_id in sorted({int(key.partition("_")[0]) for key in known}):
        # One find of each kind stands for the others.
        kinds = {
            (meter.map.key, meter.place): meter
            for meter in left
            if meter.unit_id != unit_id and meter_key(unit_id, meter.place) in known
        }
        if not kinds:
            continue
        async with get_unit(unit_id) as reads:
            for meter in kinds.values():
                try:
                    present = await _read(reads.unit, unit_id, meter.map, meter.place)
                except ModbusConnectionError:
                    raise
                except ModbusError:
                    # It is not what was found, which does answer.
                    continue
                left = [other for other in left if not _same(other, present)]
    return left


def _same(one: Found, other: Found) -> bool:
    """Return whether two finds are one meter: by its serial number, or else by what it counted."""
    if one.unit_id == other.unit_id or (one.map.key, one.place) != (other.map.key, other.place):
        return False
    if one.identity.serial_number is not None:
        return one.identity.serial_number == other.identity.serial_number
    counted = [
        key
        for key, value in one.values.items()
        if QUANTITIES[key].counter and value > _SAME_COUNT and key in other.values
    ]
    return bool(counted) and all(
        abs(one.values[key] - other.values[key]) <= _SAME_COUNT for key in counted
    )
