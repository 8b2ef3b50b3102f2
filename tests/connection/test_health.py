from datetime import UTC, datetime, timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockEntityPlatform,
    async_fire_time_changed,
)

from custom_components.grid_telemetry.connection.health import Health, as_datetime, health_entities

NAMES = {
    "binary_sensor.platform_connected": "off",
    "sensor.platform_queued": "0",
    "sensor.platform_oldest_queued": "0",
    "sensor.platform_delivered": "0",
    "sensor.platform_dropped": "0",
    "sensor.platform_stale_points": "0",
    "sensor.platform_refused": "0",
    "sensor.platform_last_delivery": "unknown",
    "sensor.platform_last_error": "none",
}


@pytest.fixture
async def health(
    hass: HomeAssistant, entry: MockConfigEntry, enable_custom_integrations: None
) -> Health:
    """A health whose entities are in Home Assistant."""
    health = Health()
    device = DeviceInfo(identifiers={("grid_telemetry", entry.entry_id)}, name="Platform")
    for platform, entities in health_entities(entry, device, health).items():
        entity_platform = MockEntityPlatform(hass, domain=platform, platform_name="grid_telemetry")
        entity_platform.config_entry = entry
        await entity_platform.platform_data.async_load_translations()
        await entity_platform.async_add_entities(entities)
    await hass.async_block_till_done()
    return health


async def later(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    freezer.tick(1)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


def states(hass: HomeAssistant) -> dict[str, str]:
    return {state.entity_id: state.state for state in hass.states.async_all()}


async def test_a_forwarder_shows_nine_diagnostic_entities_on_its_device(
    hass: HomeAssistant,
    health: Health,
    entry: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    assert states(hass) == NAMES
    entities = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    assert {entity.entity_category for entity in entities} == {"diagnostic"}
    assert {entity.translation_key for entity in entities} == {
        f"health_{name.split('.')[1].removeprefix('platform_').removesuffix('_points')}"
        for name in NAMES
    }
    assert len({entity.device_id for entity in entities}) == 1
    state = hass.states.get("sensor.platform_delivered")
    assert state is not None
    assert state.attributes["state_class"] == "total_increasing"
    assert state.attributes["unit_of_measurement"] == "samples"


async def test_the_figures_are_shown(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, health: Health
) -> None:
    health.connected = True
    health.queued = 12
    health.oldest_at = dt_util.utcnow() - timedelta(minutes=7)
    health.delivered = 100
    health.dropped = 5
    health.stale = ("V_AN", "V_BN")
    health.refused = 2
    health.last_delivery = datetime(2026, 3, 1, 13, tzinfo=UTC)
    health.last_error = "destination_refused"
    health.last_error_detail = "no exchange 'metrics'"
    health.notify()
    await later(hass, freezer)
    assert states(hass) == {
        "binary_sensor.platform_connected": "on",
        "sensor.platform_queued": "12",
        "sensor.platform_oldest_queued": "7",
        "sensor.platform_delivered": "100",
        "sensor.platform_dropped": "5",
        "sensor.platform_stale_points": "2",
        "sensor.platform_refused": "2",
        "sensor.platform_last_delivery": "2026-03-01T13:00:00+00:00",
        "sensor.platform_last_error": "destination_refused",
    }
    stale = hass.states.get("sensor.platform_stale_points")
    assert stale is not None
    assert stale.attributes["points"] == ["V_AN", "V_BN"]
    error = hass.states.get("sensor.platform_last_error")
    assert error is not None
    assert error.attributes["detail"] == "no exchange 'metrics'"


async def test_many_changes_are_written_once_a_second_and_only_what_changed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, health: Health
) -> None:
    def reported() -> dict[str, datetime]:
        return {state.entity_id: state.last_reported for state in hass.states.async_all()}

    before = reported()
    for number in range(50):
        health.queued = number
        health.notify()
    await hass.async_block_till_done()
    assert reported() == before
    await later(hass, freezer)
    after = reported()
    assert [name for name in after if after[name] != before[name]] == ["sensor.platform_queued"]
    assert states(hass)["sensor.platform_queued"] == "49"
    health.queued = 0
    health.notify()
    health.queued = 49
    health.notify()
    await later(hass, freezer)
    assert reported() == after


async def test_the_time_of_a_delivery_is_shown_each_five_minutes(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, health: Health
) -> None:
    shown = set()
    for _ in range(20 * 60):
        health.last_delivery = dt_util.utcnow()
        health.notify()
        await later(hass, freezer)
        shown.add(states(hass)["sensor.platform_last_delivery"])
    assert 4 <= len(shown - {"unknown"}) <= 5


async def test_a_very_long_error_fits_into_the_state(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, health: Health
) -> None:
    health.last_error = "x" * 400
    health.notify()
    await later(hass, freezer)
    assert states(hass)["sensor.platform_last_error"] == "x" * 255


async def test_a_new_detail_of_the_same_error_is_shown(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, health: Health
) -> None:
    health.last_error = "cannot_connect"
    for detail in ("first", "second"):
        health.last_error_detail = detail
        health.notify()
        await later(hass, freezer)
        error = hass.states.get("sensor.platform_last_error")
        assert error is not None
        assert error.attributes["detail"] == detail


async def test_nobody_listening_costs_no_timer() -> None:
    health = Health()
    health.notify()
    unlisten = health.listen(lambda: None)
    health.notify()
    unlisten()  # the timer goes with the last listener


def test_the_figures_can_be_put_into_diagnostics() -> None:
    health = Health(queued=3, oldest_at=as_datetime(1_500), last_delivery=as_datetime(2_000))
    assert health.as_dict() == {
        "connected": False,
        "queued": 3,
        "oldest_at": "1970-01-01T00:00:01.500000+00:00",
        "delivered": 0,
        "dropped": 0,
        "refused": 0,
        "last_delivery": "1970-01-01T00:00:02+00:00",
        "last_error": None,
        "last_error_detail": None,
    }
    assert Health().as_dict()["oldest_at"] is None
    assert Health().as_dict()["last_delivery"] is None
