"""The dashboard that one action makes."""

from typing import Any

from homeassistant.components.lovelace import LovelaceData
from homeassistant.components.lovelace.const import LOVELACE_DATA, ConfigNotFound
from homeassistant.components.lovelace.dashboard import LovelaceStorage, LovelaceYAML
from homeassistant.components.lovelace.resources import ResourceYAMLCollection
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN

type Card = dict[str, Any]

DASHBOARD = "energy-live"


@pytest.fixture
async def dashboard(hass: HomeAssistant, enable_custom_integrations: None) -> LovelaceStorage:
    """Have an empty dashboard, one of a file, and the action."""
    made = LovelaceStorage(hass, {"id": "energy_live", "url_path": DASHBOARD})
    file = LovelaceYAML(hass, "by-hand", {"filename": "by_hand.yaml"})
    hass.data[LOVELACE_DATA] = LovelaceData(
        resource_mode="storage",
        dashboards={DASHBOARD: made, "by-hand": file},
        resources=ResourceYAMLCollection([]),
        yaml_dashboards={},
    )
    assert await async_setup_component(hass, DOMAIN, {})
    return made


def add_entry(hass: HomeAssistant, title: str, **more: Any) -> MockConfigEntry:
    entry = MockConfigEntry(domain=DOMAIN, title=title, data={"kind": "modbus"}, **more)
    entry.add_to_hass(hass)
    return entry


def add_device(hass: HomeAssistant, entry: MockConfigEntry, key: str, name: str) -> str:
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, key)}, name=name
    )
    return device.id


def add_entity(
    hass: HomeAssistant, entry: MockConfigEntry, device_id: str, key: str, **more: Any
) -> str:
    entity = er.async_get(hass).async_get_or_create(
        more.pop("domain", "sensor"),
        more.pop("platform", DOMAIN),
        f"{device_id}_{key}",
        config_entry=entry,
        device_id=device_id,
        suggested_object_id=key,
        **more,
    )
    return entity.entity_id


def add_meter(hass: HomeAssistant) -> None:
    entry = add_entry(hass, "Line")
    device_id = add_device(hass, entry, "meter", "House")
    add_entity(hass, entry, device_id, "power", original_device_class="power")
    add_entity(hass, entry, device_id, "voltage", original_device_class="voltage")
    disabled = er.RegistryEntryDisabler.INTEGRATION
    add_entity(hass, entry, device_id, "thd", disabled_by=disabled)
    hidden = er.RegistryEntryHider.USER
    add_entity(hass, entry, device_id, "energy", hidden_by=hidden)
    add_entity(hass, entry, device_id, "cost", platform="template")


def add_forwarder(hass: HomeAssistant) -> None:
    entry = add_entry(hass, "Scout")
    device_id = add_device(hass, entry, entry.entry_id, "Scout")
    category = {"entity_category": EntityCategory.DIAGNOSTIC}
    connectivity = {"domain": "binary_sensor", "original_device_class": "connectivity"}
    add_entity(hass, entry, device_id, "connected", **connectivity, **category)
    capabilities = {"state_class": "measurement"}
    add_entity(hass, entry, device_id, "queued", capabilities=capabilities, **category)
    add_entity(hass, entry, device_id, "last_error", **category)
    add_entity(hass, entry, device_id, "activation", domain="binary_sensor")


async def create(hass: HomeAssistant, **data: Any) -> dict[str, Any]:
    answer = await hass.services.async_call(
        DOMAIN, "create_dashboard", data, blocking=True, return_response=True
    )
    assert answer is not None
    return dict(answer)


def cards(config: dict[str, Any], view: int) -> list[Card]:
    """Return the cards of the only section of a view."""
    (section,) = config["views"][view]["sections"]
    return list(section["cards"])


def shown(card: Card) -> list[str]:
    """Return the entities of a card."""
    return [row["entity"] for row in card["entities"]]


@pytest.mark.usefixtures("dashboard")
async def test_a_meter_shows_its_power_as_curve_and_the_rest_as_list(hass: HomeAssistant) -> None:
    add_meter(hass)

    config = await create(hass)

    assert [view["title"] for view in config["views"]] == ["Meters", "Links"]
    heading, tile, curve, rest = cards(config, 0)
    assert heading["heading"] == "House"
    assert (tile["type"], tile["entity"]) == ("tile", "sensor.power")
    assert (curve["type"], shown(curve)) == ("history-graph", ["sensor.power"])
    assert (rest["type"], shown(rest)) == ("entities", ["sensor.voltage"])
    assert config["views"][1]["sections"] == []


@pytest.mark.usefixtures("dashboard")
async def test_a_forwarder_shows_its_health_and_its_queue_over_time(hass: HomeAssistant) -> None:
    add_forwarder(hass)

    config = await create(hass)

    heading, *tiles, curve = cards(config, 1)
    assert heading["heading"] == "Scout"
    # What is connected is well.
    assert [tile.get("color") for tile in tiles] == ["green", None, None, None]
    assert [tile["entity"] for tile in tiles] == [
        "binary_sensor.connected",
        "sensor.queued",
        "sensor.last_error",
        "binary_sensor.activation",
    ]
    assert (curve["type"], shown(curve)) == ("history-graph", ["sensor.queued"])
    assert config["views"][0]["sections"] == []


@pytest.mark.usefixtures("dashboard")
async def test_devices_without_anything_to_show_are_left_out(hass: HomeAssistant) -> None:
    empty = add_entry(hass, "Line")
    add_device(hass, empty, "meter", "Not read yet")
    disabled = add_entry(hass, "Off", disabled_by=ConfigEntryDisabler.USER)
    device_id = add_device(hass, disabled, "other", "Off")
    add_entity(hass, disabled, device_id, "power")
    counting = add_entry(hass, "Gas")
    gas = add_device(hass, counting, "gas", "Gas")
    add_entity(hass, counting, gas, "volume")

    config = await create(hass)

    heading, rest = cards(config, 0)
    assert (heading["heading"], shown(rest)) == ("Gas", ["sensor.volume"])


async def test_an_empty_dashboard_is_filled(
    hass: HomeAssistant, dashboard: LovelaceStorage
) -> None:
    add_meter(hass)
    with pytest.raises(ConfigNotFound):
        await dashboard.async_load(force=False)

    answer = await create(hass, dashboard=DASHBOARD)

    assert await dashboard.async_load(force=False) == answer


@pytest.mark.parametrize(
    ("present", "is_empty"),
    [
        ({"views": []}, True),
        ({"views": [{"title": "Home"}]}, True),
        ({"views": [{"type": "sections", "sections": [{"cards": [{"type": "heading"}]}]}]}, True),
        ({"views": [{"cards": [{"type": "tile"}]}]}, False),
        ({"views": [{"strategy": {"type": "map"}}]}, False),
        ({"views": [{"sections": [{"cards": [{}, {}]}]}]}, False),
        ({"strategy": {"type": "map"}}, False),
    ],
)
async def test_cards_of_the_user_are_replaced_only_on_demand(
    hass: HomeAssistant, dashboard: LovelaceStorage, present: dict[str, Any], is_empty: bool
) -> None:
    await dashboard.async_save(present)
    if not is_empty:
        with pytest.raises(ServiceValidationError) as caught:
            await create(hass, dashboard=DASHBOARD)
        assert caught.value.translation_key == "dashboard_not_empty"
        assert await dashboard.async_load(force=False) == present

    answer = await create(hass, dashboard=DASHBOARD, replace=not is_empty)

    assert await dashboard.async_load(force=False) == answer


@pytest.mark.parametrize("name", ["elsewhere", "by-hand"])
@pytest.mark.usefixtures("dashboard")
async def test_only_a_dashboard_of_the_user_interface_can_be_filled(
    hass: HomeAssistant, name: str
) -> None:
    with pytest.raises(ServiceValidationError) as caught:
        await create(hass, dashboard=name)
    assert caught.value.translation_key == "dashboard_unknown"


async def test_without_a_frontend_no_dashboard_can_be_filled(
    hass: HomeAssistant, enable_custom_integrations: None
) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    with pytest.raises(ServiceValidationError) as caught:
        await create(hass, dashboard=DASHBOARD)
    assert caught.value.translation_key == "dashboard_unknown"
