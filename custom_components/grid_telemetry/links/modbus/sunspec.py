"""Finds the SunSpec models of a device on the line."""

from collections.abc import Awaitable, Callable

from modbus_connection import ModbusError, ModbusExceptionError, ModbusTimeoutError, ModbusUnit
from modbus_connection.model import ManualComponent
from modbus_connection.model.sunspec import SunSpecError, SunSpecModels, scan, string

from ...meters import RegisterMap
from ...meters.sunspec import BASES, COMMON_MODEL, SunSpecPlace, measures, sunspec_map


class MapMovedError(ModbusError):
    """A model is no longer where it was found: the device has other models than before."""


async def find_models(unit: ModbusUnit) -> list[SunSpecPlace]:
    """Return the models that measure something, in the order of the device; none without SunSpec.

    Raises `ModbusError` when the device does not answer.
    """
    models = await _scan(unit)
    places: list[SunSpecPlace] = []
    # A device without a common block breaks the standard, and yet its models can be read.
    common: int | None = None
    manufacturer, product = "SunSpec", "device"
    for model in models.chain:
        if model.model_id == COMMON_MODEL:
            common = model.address
            manufacturer, product = await _product(unit, common)
        elif measures(model.model_id):
            places.append(
                SunSpecPlace(
                    model=model.model_id,
                    instance=models[model.model_id].index(model),
                    address=model.address,
                    length=model.length,
                    common=common,
                    manufacturer=manufacturer,
                    product=product,
                )
            )
    return places


async def _scan(unit: ModbusUnit) -> SunSpecModels:
    """Return the models of the first list that there is."""
    silent: ModbusTimeoutError | None = None
    answered = False
    for base in BASES:
        try:
            return await scan(unit, base)
        except ModbusTimeoutError as err:
            # Some devices leave a request for registers that they do not have without an answer.
            silent = err
        except SunSpecError, ModbusExceptionError:
            answered = True
    if silent is not None and not answered:
        raise silent
    return SunSpecModels()


async def _product(unit: ModbusUnit, common: int) -> tuple[str, str]:
    """Return manufacturer and model as the common block names them."""
    component = ManualComponent(unit)
    component.add("manufacturer", string(common + 2, 16))
    component.add("product", string(common + 18, 16))
    values = await component.async_update()
    manufacturer, product = (values[key].strip("\0 ") for key in ("manufacturer", "product"))
    return manufacturer or "SunSpec", product or "device"


async def find_again(unit: ModbusUnit, place: SunSpecPlace) -> SunSpecPlace:
    """Return where a device has the model that was elsewhere before.

    Raises `MapMovedError` when the device has it no more.
    """
    for found in await find_models(unit):
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
