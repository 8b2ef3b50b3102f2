"""What a sensor most likely measures."""

import re
from typing import Final

from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ..const import DOMAIN
from ..vocabulary.quantities import QUANTITIES
from .entity_attributes import device_class_of, unit_of
from .point import can_convert

# Of sensors of other integrations; which phase or direction it is, their name may tell.
_KEYS_BY_DEVICE_CLASS: Final[dict[str, tuple[str, ...]]] = {
    SensorDeviceClass.VOLTAGE: ("voltage", "voltage_l1"),
    SensorDeviceClass.CURRENT: ("current", "current_l1"),
    SensorDeviceClass.POWER: ("power",),
    SensorDeviceClass.REACTIVE_POWER: ("reactive_power",),
    SensorDeviceClass.APPARENT_POWER: ("apparent_power",),
    SensorDeviceClass.POWER_FACTOR: ("power_factor",),
    SensorDeviceClass.FREQUENCY: ("frequency",),
    SensorDeviceClass.ENERGY: ("energy_import",),
    SensorDeviceClass.REACTIVE_ENERGY: ("reactive_energy_import",),
}
# What the circuit of a meter with one phase is on a meter with three, and the other way round.
_ONE_PHASE: Final = {
    "voltage": "voltage_l1",
    "current": "current_l1",
    "voltage_l1": "voltage",
    "current_l1": "current",
}
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")
_PHASES: Final = {
    f"l{number}": re.compile(rf"\b(l{number}|phase ({number}|{letter})|{letter} phase)\b")
    for number, letter in ((1, "a"), (2, "b"), (3, "c"))
}
_DIRECTIONS: Final = {
    "export": re.compile(r"\b(export|exported|returned|feed in|sold|production to grid)\b"),
    "import": re.compile(r"\b(import|imported|consumed|bought|from grid)\b"),
}


def suggested_quantities(hass: HomeAssistant, entity_id: str) -> tuple[str, ...]:
    """Return what an entity may measure, the likeliest first: our own meters' are known."""
    entry = er.async_get(hass).async_get(entity_id)
    if entry is not None and entry.platform == DOMAIN and entry.translation_key in QUANTITIES:
        key = entry.translation_key
        return (key, _ONE_PHASE[key]) if key in _ONE_PHASE else (key,)
    unit = unit_of(hass, entity_id)
    likely = [
        key
        for key in _KEYS_BY_DEVICE_CLASS.get(device_class_of(hass, entity_id) or "", ())
        if (wanted := QUANTITIES[key].unit) is None or can_convert(unit, wanted)
    ]
    named = [_as_named(hass, entity_id, key) for key in likely]
    return tuple(dict.fromkeys([key for key in named if key is not None] + likely))


def _as_named(hass: HomeAssistant, entity_id: str, key: str) -> str | None:
    """Return the quantity that the name of an entity makes of a likely one, None if it does not.

    A phase or a direction is taken from the words of its name and of its entity_id.
    """
    state = hass.states.get(entity_id)
    text = f"{entity_id.partition('.')[2]} {'' if state is None else state.name}".lower()
    words = " ".join(_NO_WORD.split(text))
    base, _, rest = key.rpartition("_")
    whole = base if rest in _DIRECTIONS or rest in _PHASES else key
    for rest, pattern in (*_PHASES.items(), *_DIRECTIONS.items()):
        if pattern.search(words) and (named := f"{whole}_{rest}") in QUANTITIES:
            return named
    return None
