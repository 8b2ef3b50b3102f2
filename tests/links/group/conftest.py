"""Groups of meters whose sensors are only states."""

from collections.abc import Callable
from typing import Any

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES

type AddEntry = Callable[..., MockConfigEntry]


def member(entity: str, quantity: str, factor: float = 1.0) -> dict[str, Any]:
    return {
        "entity": entity,
        "name": quantity,
        "unit": QUANTITIES[quantity].unit,
        "factor": factor,
    }


def group(*members: dict[str, Any], kind: str = "total", name: str = "Flats") -> ConfigSubentryData:
    return ConfigSubentryData(
        subentry_id=f"id_of_{name}",
        subentry_type="group",
        title=name,
        unique_id=None,
        data={"group_name": name, "group_kind": kind, "points": list(members)},
    )


@pytest.fixture
def add_entry(hass: HomeAssistant) -> AddEntry:
    """Return a function that adds the entry of all groups."""

    def add(*groups: ConfigSubentryData) -> MockConfigEntry:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Meter groups",
            unique_id="group",
            data={CONF_KIND: "group"},
            subentries_data=groups,
        )
        entry.add_to_hass(hass)
        return entry

    return add
