"""The words of our own tables are Home Assistant's, written without it."""

from enum import StrEnum

from homeassistant import const
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.components.sensor.const import DEVICE_CLASS_UNITS, STATE_CLASS_UNITS
import pytest

from custom_components.grid_telemetry.vocabulary import unit as units
from custom_components.grid_telemetry.vocabulary.classes import DeviceClass, StateClass
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES, Quantity

UNITS = [
    kind
    for kind in vars(units).values()
    if isinstance(kind, type) and issubclass(kind, StrEnum) and kind is not StrEnum
]


@pytest.mark.parametrize(
    ("ours", "theirs"), [(DeviceClass, SensorDeviceClass), (StateClass, SensorStateClass)]
)
def test_classes_are_those_of_home_assistant(ours: type[StrEnum], theirs: type[StrEnum]) -> None:
    assert {member.name: str(member) for member in ours}.items() <= {
        member.name: str(member) for member in theirs
    }.items()


@pytest.mark.parametrize("ours", UNITS)
def test_units_are_those_of_home_assistant(ours: type[StrEnum]) -> None:
    theirs: type[StrEnum] | None = getattr(const, ours.__name__, None)
    if ours is units.UnitOfApparentEnergy:
        assert theirs is None, "Home Assistant has it by now, so it need not be ours"
        return
    assert theirs is not None
    assert {member.name: str(member) for member in ours}.items() <= {
        member.name: str(member) for member in theirs
    }.items()
    assert const.DEGREE == units.DEGREE


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=lambda quantity: quantity.key)
def test_a_quantity_has_a_unit_that_its_class_can_have(quantity: Quantity) -> None:
    if quantity.device_class is None:
        return
    allowed = DEVICE_CLASS_UNITS.get(SensorDeviceClass(quantity.device_class))
    assert allowed is None or quantity.unit in allowed
    if quantity.state_class is not None:
        state_class = SensorStateClass(quantity.state_class)
        assert quantity.unit in STATE_CLASS_UNITS.get(state_class, {quantity.unit})
