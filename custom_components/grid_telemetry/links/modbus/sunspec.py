"""Finds the SunSpec models of a device on the line."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import NamedTuple

from modbus_connection import (
    ExceptionCode,
    ModbusConnectionError,
    ModbusError,
    ModbusExceptionError,
    ModbusProtocolError,
    ModbusTimeoutError,
    ModbusUnit,
)

from ...meters import RegisterMap
from ...meters.model import ADDRESSES
from ...meters.sunspec import (
    BASES,
    COMMON_MODEL,
    STRINGS_MODEL,
    SunSpecPlace,
    is_twin,
    measures,
    string_name,
    sunspec_map,
)

# "SunS", with which a list of models begins, and what stands in place of a model at its end.
_MARKER = [0x5375, 0x6E53]
_END = 0xFFFF
# How often a register inside the list is asked for, and answers that may be others the next time.
_ATTEMPTS = 3
_PASSING = (
    ExceptionCode.SERVER_DEVICE_FAILURE,
    ExceptionCode.SERVER_DEVICE_BUSY,
    ExceptionCode.GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND,
)


class _Header(NamedTuple):
    model: int
    address: int
    length: int


class MapMovedError(ModbusError):
    """A model is no longer where it was found: the device has other models than before."""


async def find_models(
    unit: ModbusUnit,
    base: int | None = None,
    asking: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[SunSpecPlace]:
    """Return the models that measure something, in the order of the device; none without SunSpec.

    `base` is where the list begins, for a device that has it elsewhere than the standard says;
    `asking` is held while the device is asked whether one begins there.
    Raises `ModbusError` when the device does not answer.
    """
    places: list[SunSpecPlace] = []
    instances: Counter[int] = Counter()
    # A device without a common block breaks the standard, and yet its models can be read.
    common: int | None = None
    manufacturer, product, device = "SunSpec", "device", ""
    for model, address, length in await _walk_first(
        unit, BASES if base is None else (base,), asking
    ):
        if model == COMMON_MODEL:
            common = address
            manufacturer, product = await _product(unit, common)
            device = device or manufacturer
        elif measures(model):
            place = SunSpecPlace(
                model=model,
                instance=instances[model],
                address=address,
                length=length,
                common=common,
                manufacturer=manufacturer,
                product=product,
                device=device,
                base=base,
            )
            instances[model] += 1
            if model == STRINGS_MODEL:
                place = await _with_battery(unit, place)
            if not any(is_twin(place, other) for other in places):
                places.append(place)
    return places


async def _walk_first(
    unit: ModbusUnit, bases: Sequence[int], asking: Callable[[], AbstractContextManager[None]]
) -> list[_Header]:
    """Return the models of the first list that there is."""
    silent: ModbusTimeoutError | None = None
    answered = False
    for base in bases:
        try:
            with asking():
                begins = await unit.read_holding_registers(base, 2) == _MARKER
        except ModbusTimeoutError as err:
            # Some devices leave a request for registers that they do not have without an answer.
            silent = err
        except ModbusExceptionError:
            answered = True
        else:
            answered = True
            if begins:
                return await _walk(unit, base + 2)
    if silent is not None and not answered:
        raise silent
    return []


async def _walk(unit: ModbusUnit, address: int) -> list[_Header]:
    """Return the models of a list, as far as the device answers for it.

    Raises `ModbusConnectionError` when the line cannot be used.
    """
    headers: list[_Header] = []
    while address + 2 <= ADDRESSES:
        try:
            model, length = await _persistently(unit, address, 2)
        except ModbusConnectionError:
            raise
        except ModbusError:
            # Kostal ends its list with a single register that cannot be read as two. And what
            # was found is better than nothing where a device does not answer for the rest.
            break
        if model in (_END, 0):
            break
        headers.append(_Header(model, address, length))
        address += 2 + length
    return headers


async def _persistently(unit: ModbusUnit, address: int, count: int) -> list[int]:
    """Read registers, and once more where an answer was lost or the device was not able to.

    Raises `ModbusError`.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await unit.read_holding_registers(address, count)
        except ModbusTimeoutError, ModbusProtocolError:
            continue
        except ModbusExceptionError as err:
            if err.exception_code not in _PASSING:
                raise
    return await unit.read_holding_registers(address, count)


async def _texts(unit: ModbusUnit, address: int, *lengths: int) -> list[str]:
    """Read texts that lie one after the other; empty ones where the device does not answer.

    Raises `ModbusConnectionError` when the line cannot be used.
    """
    try:
        words = await _persistently(unit, address, sum(lengths))
    except ModbusConnectionError:
        raise
    except ModbusError:
        return [""] * len(lengths)
    texts = []
    for length in lengths:
        taken, words = words[:length], words[length:]
        data = b"".join(word.to_bytes(2) for word in taken)
        texts.append(data.partition(b"\0")[0].decode(errors="replace").strip())
    return texts


async def _product(unit: ModbusUnit, common: int) -> tuple[str, str]:
    """Return manufacturer and model as the common block names them."""
    manufacturer, product = await _texts(unit, common + 2, 16, 16)
    return manufacturer or "SunSpec", product or "device"


async def _with_battery(unit: ModbusUnit, place: SunSpecPlace) -> SunSpecPlace:
    """Return a place with the inputs that a Fronius GEN24 names after its battery."""
    number = 0
    while (address := string_name(place, number := number + 1)) is not None:
        (name,) = await _texts(unit, address, 8)
        if name.startswith("StCha"):
            place = replace(place, charge_input=number)
        elif name.startswith("StDisCha"):
            place = replace(place, discharge_input=number)
    return place


async def find_again(unit: ModbusUnit, place: SunSpecPlace) -> SunSpecPlace:
    """Return where a device has the model that was elsewhere before.

    Raises `MapMovedError` when the device has it no more.
    """
    for found in await find_models(unit, place.base):
        if (found.model, found.instance) == (place.model, place.instance):
            return found
    raise MapMovedError(f"the device has no SunSpec model {place.model} any more")


def map_finder(
    place: SunSpecPlace, adjust: Callable[[RegisterMap], RegisterMap]
) -> Callable[[ModbusUnit], Awaitable[RegisterMap]]:
    """Return what `find_again` does, for a meter that knows nothing of SunSpec."""

    async def find(unit: ModbusUnit) -> RegisterMap:
        return adjust(sunspec_map(await find_again(unit, place)))

    return find
