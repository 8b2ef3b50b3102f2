"""One age and one count for all links: groups as others forward and serve them."""

from types import MappingProxyType
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.powernaut.payload import SENDABLE_S
from custom_components.grid_telemetry.links.virtual_meter.meter import PlayedMeter, meter_of
from custom_components.grid_telemetry.points.point import Point
from custom_components.grid_telemetry.points.reader import PointReader, Reading
from custom_components.grid_telemetry.protocols.modbus_server.frames import RequestRefusedError

from .links.group.conftest import group, member

POWER = "sensor.flats_active_power"


@pytest.fixture(autouse=True)
async def flats(hass: HomeAssistant, enable_custom_integrations: None) -> None:
    report(hass, "a", "b")
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Meter groups",
        unique_id="group",
        data={CONF_KIND: "group"},
        subentries_data=[group(member("sensor.a", "power"), member("sensor.b", "power"))],
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


def report(hass: HomeAssistant, *names: str, value: float = 0) -> None:
    for name in names:
        hass.states.async_set(f"sensor.{name}", str(value), {"unit_of_measurement": "W"})


async def played(hass: HomeAssistant, **more: Any) -> PlayedMeter:
    subentry = ConfigSubentry(
        data=MappingProxyType(
            {
                "unit_id": "1",
                "profile": "eastron_sdm630",
                "points": [{"entity": POWER, "name": "power", "unit": "W"}],
                **more,
            }
        ),
        subentry_type="virtual_meter",
        title="SDM630",
        unique_id=None,
    )
    return await hass.async_add_executor_job(meter_of, hass, subentry)


@pytest.mark.parametrize("limit", [{}, {"max_age_s": 300}])
async def test_a_group_of_meters_that_report_no_power_stays_fresh(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, limit: dict[str, int]
) -> None:
    meter = await played(hass, **limit)
    reader = PointReader(hass, Point(entity=POWER, name="P", unit="W"))
    for _ in range(100):
        freezer.tick(4)
        report(hass, "a", "b")
        assert meter.read(4, 0x34, 2) == [0, 0]
        reading = reader.read()
        assert isinstance(reading, Reading)
        assert not reading.is_stale
        # What Powernaut takes, and what STTP has as the time of the value.
        assert freezer.time_to_freeze.timestamp() - reading.reported_at < SENDABLE_S
        assert reading.age_s < 1


async def test_a_group_is_stale_when_one_member_is(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    meter = await played(hass)
    for number in range(12):
        freezer.tick(4)
        report(hass, "a", value=number)
        reader = PointReader(hass, Point(entity=POWER, name="P", unit="W"))
        reading = reader.read()
        assert isinstance(reading, Reading)
        assert reading.age_s == pytest.approx(4 * (number + 1), abs=0.5)
    with pytest.raises(RequestRefusedError):
        meter.read(4, 0x34, 2)
    report(hass, "b")
    assert meter.read(4, 0x34, 2) != [0, 0]
