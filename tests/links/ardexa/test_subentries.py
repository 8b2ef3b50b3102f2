"""The flow of a feed: chosen from the metadata where it is there, typed otherwise."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER, SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from simulators.ardexa import Ardexa

from .conftest import FIELDS, GATEWAY, OTHER, ROW, AddEntry, is_shown, power_feed, start, until

SUBENTRIES = "custom_components.grid_telemetry.links.ardexa.subentries"
PLACE = {"device": GATEWAY, "table": "solar", "source": "inverter-01"}


async def begin(hass: HomeAssistant, entry: MockConfigEntry, device: str) -> SubentryFlowResult:
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "feed"), context={"source": SOURCE_USER}
    )
    assert result["step_id"] == "user"
    return await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"device": device}
    )


async def go_on(hass: HomeAssistant, result: SubentryFlowResult, **data: Any) -> SubentryFlowResult:
    return await hass.config_entries.subentries.async_configure(result["flow_id"], data)


def offered(result: SubentryFlowResult) -> list[str]:
    """Return what can be ticked."""
    assert result["data_schema"] is not None
    config = result["data_schema"].schema["feeds"].config
    return [option["value"] for option in config["options"]]


async def test_all_feeds_of_a_device_are_added_in_one_step(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    result = await begin(hass, entry, GATEWAY)
    all_of_them = [each for each in offered(result) if each != "typed"]
    assert len(all_of_them) > 3
    result = await go_on(hass, result, feeds=all_of_them, stale_after_s=60)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    titles = {subentry.title.removeprefix("Gateway ") for subentry in entry.subentries.values()}
    assert titles == set(all_of_them)
    await until(lambda: len(cloud.feeds) == len(all_of_them))
    assert cloud.counts["connect"] == 2  # once more, for all of them
    assert cloud.refused == []


async def test_what_is_ticked_is_added_before_more_is_typed(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    result = await begin(hass, entry, GATEWAY)
    result = await go_on(hass, result, feeds=["data.cpu_usage", "typed"], stale_after_s=60)
    assert result["step_id"] == "typed"
    assert [subentry.title for subentry in entry.subentries.values()] == ["Gateway data.cpu_usage"]
    await hass.async_block_till_done()


async def test_the_whole_row_is_chosen(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    result = await begin(hass, entry, GATEWAY)
    assert result["step_id"] == "feeds"
    result = await go_on(hass, result, feeds=["solar.inverter-01"], stale_after_s=60)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Gateway solar.inverter-01"
    [subentry] = entry.subentries.values()
    assert subentry.data == {**PLACE, "fields": FIELDS, "stale_after_s": 60}
    await hass.async_block_till_done()
    await until(lambda: cloud.counts["connect"] == 2 and cloud.feeds)
    await cloud.publish(GATEWAY, "solar", "inverter-01", ROW)
    await is_shown(hass, "sensor.gateway_solar_inverter_01_ac_power", "66920")
    assert cloud.refused == []


async def test_a_field_is_chosen(hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    result = await begin(hass, entry, GATEWAY)
    result = await go_on(hass, result, feeds=["solar.inverter-01 AC Power"], stale_after_s=60)
    assert result["title"] == "Gateway solar.inverter-01 AC Power"
    [subentry] = entry.subentries.values()
    assert subentry.data == {
        **PLACE,
        "field": "AC Power",
        "fields": FIELDS[:1],
        "stale_after_s": 60,
    }
    await hass.async_block_till_done()


async def test_a_single_value_has_no_field_to_choose(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    result = await begin(hass, entry, GATEWAY)
    assert [each for each in offered(result) if "cpu_usage" in each] == ["data.cpu_usage"]
    result = await go_on(hass, result, feeds=["data.cpu_usage"], stale_after_s=60)
    [subentry] = entry.subentries.values()
    assert subentry.data["fields"] == [{"name": "", "expect": "decimal", "unit": "percentage"}]
    await hass.async_block_till_done()


async def test_what_the_metadata_does_not_have_is_typed_and_tried(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    result = await begin(hass, entry, GATEWAY)
    result = await go_on(hass, result, feeds=["typed"], stale_after_s=60)
    assert result["step_id"] == "typed"
    typed = {"source": "inverter-01", "field": "Other", "unit": "W", "stale_after_s": 60}
    result = await go_on(hass, result, table="a.b", **typed)
    assert result["errors"] == {"table": "ardexa_invalid_name"}
    result = await go_on(hass, result, table="solar", **typed)
    assert result["errors"] == {"base": "ardexa_feed_refused"}
    assert result["description_placeholders"] is not None
    assert result["description_placeholders"]["error"] == "Unknown field Other"
    result = await go_on(hass, result, table="solar", **(typed | {"field": "AC Power"}))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [subentry] = entry.subentries.values()
    assert subentry.data["fields"] == [{"name": "AC Power", "expect": None, "unit": "W"}]
    await hass.async_block_till_done()


async def test_a_device_without_metadata_is_asked_for_by_typing(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    # It is offline and refuses everything, so the feed may be right all the same.
    result = await begin(hass, entry, OTHER)
    assert result["step_id"] == "typed"
    result = await go_on(hass, result, table="t", source="s", stale_after_s=60)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [subentry] = entry.subentries.values()
    assert subentry.data["fields"] == []
    assert "field" not in subentry.data
    await hass.async_block_till_done()


async def test_a_feed_can_be_added_while_the_cloud_is_away(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    await cloud.relay.stop()
    await until(lambda: entry.runtime_data.session is None)
    result = await begin(hass, entry, GATEWAY)
    assert result["step_id"] == "typed"
    result = await go_on(hass, result, table="solar", source="s", stale_after_s=60)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_a_feed_that_nobody_answers_may_be_right(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{SUBENTRIES}.TRIED_WITHIN_S", 0.1)
    entry = add_entry()
    await start(hass, cloud, entry)
    cloud.behaviour.no_answer = {"device:feed"}
    result = await begin(hass, entry, GATEWAY)
    result = await go_on(hass, result, feeds=["data.cpu_usage"], stale_after_s=60)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_a_refused_choice_is_told(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    result = await begin(hass, entry, GATEWAY)
    cloud.behaviour.error = "Broker is full"
    chosen = {"feeds": ["data.cpu_usage", "solar.inverter-01"], "stale_after_s": 60}
    result = await go_on(hass, result, **chosen)
    assert result["errors"] == {"base": "ardexa_feed_refused"}
    assert result["description_placeholders"] is not None
    assert result["description_placeholders"]["error"] == (
        "data.cpu_usage: Broker is full; solar.inverter-01: Broker is full"
    )
    assert not entry.subentries
    result = await go_on(hass, result, feeds=[], stale_after_s=60)
    assert result["errors"] == {"feeds": "no_feeds"}
    cloud.behaviour.error = None
    result = await go_on(hass, result, **chosen)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_a_feed_is_set_up_once(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    result = await begin(hass, entry, GATEWAY)
    assert "solar.inverter-01" in offered(result)
    assert "solar.inverter-01 AC Power" not in offered(result)
    result = await go_on(hass, result, feeds=["typed"], stale_after_s=60)
    same = {"table": "solar", "source": "inverter-01", "field": "AC Power"}
    result = await go_on(hass, result, **same, stale_after_s=60)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


@pytest.mark.parametrize("typed", [False, True])
async def test_a_feed_is_changed(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry, typed: bool
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    [subentry_id] = entry.subentries
    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    assert result["step_id"] == "user"
    result = await go_on(hass, result, device=GATEWAY)
    if typed:
        result = await go_on(hass, result, scenario="typed")
        result = await go_on(
            hass,
            result,
            table="solar",
            source="inverter-01",
            field="Energy",
            unit="kWh",
            stale_after_s=5,
        )
    else:
        result = await go_on(hass, result, scenario="solar.inverter-01")
        result = await go_on(hass, result, field="Energy", stale_after_s=5)
    assert result["reason"] == "reconfigure_successful"
    [subentry] = entry.subentries.values()
    assert subentry.data["field"] == "Energy"
    assert subentry.data["stale_after_s"] == 5
    assert subentry.title == "Gateway solar.inverter-01 Energy"
    await hass.async_block_till_done()


async def test_a_feed_can_become_the_whole_row_or_a_single_value(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    [subentry_id] = entry.subentries
    for scenario, choice, fields in (
        ("solar.inverter-01", {"field": "whole_row"}, FIELDS),
        ("data.cpu_usage", {}, [{"name": "", "expect": "decimal", "unit": "percentage"}]),
    ):
        result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
        result = await go_on(hass, result, device=GATEWAY)
        result = await go_on(hass, result, scenario=scenario)
        cloud.behaviour.error = "Broker is full"
        result = await go_on(hass, result, **choice, stale_after_s=60)
        assert result["errors"] == {"base": "ardexa_feed_refused"}
        cloud.behaviour.error = None
        result = await go_on(hass, result, **choice, stale_after_s=60)
        assert result["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
        await until(lambda: entry.runtime_data.session)
        [subentry] = entry.subentries.values()
        assert subentry.data["fields"] == fields
        assert "field" not in subentry.data
