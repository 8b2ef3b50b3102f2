"""What the tests of several links' flows do alike."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES


async def begin_link(hass: HomeAssistant, kind: str) -> str:
    """Choose a kind of link that begins with one form, and return the id of its flow."""
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": kind}
    )
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == kind
    return result["flow_id"]


def register_meter(
    hass: HomeAssistant,
    name: str,
    *keys: str,
    domain: str = DOMAIN,
    disabled_by: er.RegistryEntryDisabler | None = None,
) -> str:
    """Register a meter with some quantities, and return its device."""
    owner = MockConfigEntry(domain=domain)
    owner.add_to_hass(hass)
    found = dr.async_get(hass).async_get_or_create(
        config_entry_id=owner.entry_id, identifiers={(domain, name)}, name=name
    )
    for key in keys:
        quantity = QUANTITIES[key]
        er.async_get(hass).async_get_or_create(
            "sensor",
            domain,
            f"{name}_{key}",
            suggested_object_id=f"{name}_{key}",
            config_entry=owner,
            device_id=found.id,
            disabled_by=disabled_by,
            capabilities={"state_class": quantity.state_class},
            original_device_class=quantity.device_class,
            translation_key=key,
            unit_of_measurement=quantity.unit,
        )
    return found.id


async def fill_in(hass: HomeAssistant, result: Any, way: str = "points") -> dict[str, Any]:
    """Go on from the choice of readings to their table, if it came that far."""
    if result["type"] is not FlowResultType.MENU:
        return dict(result)
    assert result["step_id"] == "mapping"
    return dict(
        await hass.config_entries.subentries.async_configure(
            result["flow_id"], {"next_step_id": way}
        )
    )


async def save(
    hass: HomeAssistant, result: dict[str, Any], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """Send the table of points of a subentry."""
    return dict(
        await hass.config_entries.subentries.async_configure(result["flow_id"], {"points": rows})
    )


def suggested(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that a form with nothing but a table suggests."""
    (key,) = result["data_schema"].schema
    rows: list[dict[str, Any]] = key.description["suggested_value"]
    return rows
