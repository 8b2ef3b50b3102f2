"""Finds out who is on a line: walks unit ids and recognises register maps and SunSpec."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass

from modbus_connection import (
    GatewayPathUnavailableError,
    GatewayTargetError,
    ModbusConnectionError,
    ModbusDesyncError,
    ModbusError,
    ModbusUnit,
)

from ...meters import Register, RegisterMap
from ...meters.sunspec import SunSpecPlace, sunspec_map
from ...vocabulary.quantities import QUANTITIES
from .preview import telling
from .register_reader import Identity, read_once, read_register
from .sunspec import find_models

# A meter may leave requests that it does not know without an answer; after so many no more maps
# are tried on it.
_UNANSWERED = 10
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


type GetUnit = Callable[[int], AbstractAsyncContextManager[ModbusUnit]]


async def search(
    line: ModbusUnit,
    get_unit: GetUnit,
    unit_ids: Sequence[int],
    maps: Mapping[str, RegisterMap],
    *,
    timeout_s: float,
    known: Collection[str],
    progress: Callable[[float], None],
) -> list[Found]:
    """Return the meters that answer, the likeliest map of each first.

    `line` is any unit, by which the line is opened. Meters whose keys are known are left out, and
    so is what is one of them under another unit id.
    Raises `ModbusConnectionError` when the line cannot be used.
    """
    await _open(line)
    found: list[Found] = []
    for index, unit_id in enumerate(unit_ids):
        progress(index / len(unit_ids))
        async with get_unit(unit_id) as unit:
            if await _is_there(unit, timeout_s):
                found += await _meters(unit, unit_id, maps, timeout_s, known)
    return await _without_known(_without_echoes(found), get_unit, known)


async def search_sunspec(unit: ModbusUnit, unit_id: int, known: Collection[str]) -> list[Found]:
    """Return the SunSpec models of one unit.

    Raises `ModbusError` when it does not answer.
    """
    return [
        await _read(unit, unit_id, sunspec_map(place), place)
        for place in await find_models(unit)
        if meter_key(unit_id, place) not in known
    ]


async def _open(unit: ModbusUnit) -> None:
    """Open the line, which may take longer than an answer."""
    try:
        await unit.read_holding_registers(0, 1)
    except ModbusConnectionError:
        raise
    except ModbusError:
        # Whether this unit is there is asked later.
        return


async def _is_there(unit: ModbusUnit, timeout_s: float) -> bool:
    """Return whether anybody answers as this unit, if only to refuse."""
    for read in (unit.read_holding_registers, unit.read_input_registers):
        try:
            async with asyncio.timeout(timeout_s):
                await read(0, 1)
        except GatewayPathUnavailableError, GatewayTargetError:
            # A gateway answers for a meter that does not.
            return False
        except ModbusConnectionError:
            raise
        except TimeoutError, ModbusDesyncError:
            # Nobody, or somebody else who was late.
            continue
        except ModbusError:
            return True
        else:
            return True
    return False


async def _meters(
    unit: ModbusUnit,
    unit_id: int,
    maps: Mapping[str, RegisterMap],
    timeout_s: float,
    known: Collection[str],
) -> list[Found]:
    """Return what a unit that answers can be."""
    found: list[Found] = []
    with suppress(ModbusError):
        found += await search_sunspec(unit, unit_id, known)
    if meter_key(unit_id, None) in known:
        return found
    checks = _Checks(unit, timeout_s)
    fitting = [
        register_map
        for register_map in maps.values()
        if register_map.recognise and await checks.hold(register_map)
    ]
    for register_map in sorted(fitting, key=_certainty, reverse=True):
        with suppress(ModbusError):
            meter = await _read(unit, unit_id, register_map, None)
            if meter.values:
                found.append(meter)
    return found


def _certainty(register_map: RegisterMap) -> tuple[int, int]:
    """Return how much it tells that all checks of a map hold."""
    exact = sum(check.between is None for check in register_map.recognise)
    return exact, len(register_map.recognise)


class _Checks:
    """Tries the checks of maps on one unit; each register is read once for all of them."""

    def __init__(self, unit: ModbusUnit, timeout_s: float) -> None:
        self._unit = unit
        self._timeout_s = timeout_s
        self._values: dict[Register, float | str | None] = {}
        self._unanswered = 0

    async def hold(self, register_map: RegisterMap) -> bool:
        """Return whether all checks of a map hold."""
        for check in register_map.recognise:
            if not check.holds(await self._value(check.register)):
                return False
        return True

    async def _value(self, register: Register) -> float | str | None:
        if register not in self._values:
            self._values[register] = await self._read(register)
        return self._values[register]

    async def _read(self, register: Register) -> float | str | None:
        if self._unanswered >= _UNANSWERED:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                return await read_register(self._unit, register)
        except ModbusConnectionError:
            raise
        except TimeoutError:
            self._unanswered += 1
        except ModbusError:
            pass
        return None


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
        async with get_unit(unit_id) as unit:
            for meter in kinds.values():
                try:
                    present = await _read(unit, unit_id, meter.map, meter.place)
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
