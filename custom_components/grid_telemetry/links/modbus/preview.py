"""What a meter says, as a form shows it."""

from collections.abc import Collection, Mapping

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from ...const import DOMAIN
from ...vocabulary.quantities import QUANTITIES

# What a user can compare with the meter's own display, the most telling first.
_SHOWN = (
    "voltage",
    "voltage_l1",
    "current",
    "current_l1",
    "power",
    "frequency",
    "energy_import",
    "energy_export",
    "energy_sum",
    "energy_produced",
    "state_of_charge",
    "voltage_dc",
    "power_dc",
)


def telling(keys: Collection[str]) -> list[str]:
    """Return the quantities by which a meter is known best, or else all of them."""
    return [key for key in _SHOWN if key in keys] or list(keys)


async def async_readings(hass: HomeAssistant, values: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the most telling values with their names, as text."""
    texts = await async_get_translations(hass, hass.config.language, "entity", [DOMAIN])
    readings = []
    for key in telling(values):
        quantity = QUANTITIES[key]
        sensor = f"component.{DOMAIN}.entity.sensor.{key}"
        if quantity.options:
            option = quantity.options[int(values[key])]
            value = texts.get(f"{sensor}.state.{option}", option)
        else:
            value = f"{values[key]:.{quantity.precision}f} {quantity.unit or ''}".strip()
        readings.append((texts.get(f"{sensor}.name", key), value))
    return readings
