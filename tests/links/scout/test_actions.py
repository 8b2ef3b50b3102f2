"""The actions of the link, called as an automation would."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
import threading
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.scout import handlers
from custom_components.grid_telemetry.links.scout.payload import waveform_record
from custom_components.grid_telemetry.outbox.store import Record
from simulators.scout import ScoutServer

from .conftest import AddEntry, device
from .test_waveform import CONFIGURATION, SAMPLES

WITHIN_S = 10
TS = "2024-09-30T11:00:00.250+02:00"
INSTANT = datetime(2024, 9, 30, 9, 0, 0, 250_000, UTC)


@pytest.fixture
async def entry(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> AsyncGenerator[MockConfigEntry]:
    """Run a link whose only point has no state."""
    entry = add_entry(device("MAIN", {"entity": "sensor.none", "name": "P"}))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await server.wait_for(lambda: bool(server.attributes), WITHIN_S)
    yield entry
    await hass.config_entries.async_unload(entry.entry_id)


async def call(hass: HomeAssistant, action: str, **data: Any) -> dict[str, Any]:
    response = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True
    )
    assert isinstance(response, dict)
    return response


async def test_an_event_goes_out_as_said(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry
) -> None:
    response = await call(
        hass,
        "scout_send_event",
        event_type="OVERLOAD",
        status="on",
        index="L1",
        info={"limit": 5},
        custom_name="Kiln",
        timestamp=TS,
    )
    await server.wait_for(lambda: len(server.events) == 2, WITHIN_S)
    event = server.events[1]
    assert (event.type, event.status, event.index, event.id) == (
        "OVERLOAD",
        "ON",
        "L1",
        response["id"],
    )
    assert event.ts == INSTANT
    assert event.info == {"limit": 5, "EVENT_CUSTOM_NAME": "Kiln"}


async def test_an_event_that_json_cannot_carry_is_refused(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry
) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "scout_send_event", event_type="A", info={"value": float("nan")})
    assert raised.value.translation_key == "not_json"
    assert len(server.events) == 1


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("scout_send_event", {"event_type": "A", "custom_name": "\ud83d\udd25 fire"}),
        ("scout_send_event", {"event_type": "A", "info": {"\udc80": 1}}),
        ("scout_send_attributes", {"gateway_attributes": {"NAME": "\udc80"}}),
        (
            "scout_send_waveform",
            {
                "id": "\udc80",
                "start_at": TS,
                "sample_rate": 1,
                "channels": [{"name": "V", "sample_factor": 1, "samples": [[0, 1]]}],
            },
        ),
    ],
)
async def test_text_that_is_not_unicode_is_refused_and_the_link_goes_on(
    hass: HomeAssistant,
    server: ScoutServer,
    entry: MockConfigEntry,
    action: str,
    data: dict[str, Any],
) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, action, **data)
    assert raised.value.translation_key == "not_json"
    await call(hass, "scout_send_metrics", metrics=[{"data": {"A": 1}}])
    await server.wait_for(lambda: len(server.metrics) == 1, WITHIN_S)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_code_of_type_json_has_several_numbers(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry
) -> None:
    harmonics = {"0": 230.1, "1": 0.1, "2": 0.05}
    await call(
        hass, "scout_send_metrics", metrics=[{"data": {"HARM_V_AN": harmonics, "V_AN": 230}}]
    )
    await server.wait_for(lambda: len(server.metrics) == 2, WITHIN_S)
    assert {metric.code: metric.value for metric in server.metrics} == {
        "HARM_V_AN": harmonics,
        "V_AN": 230,
    }


@pytest.mark.parametrize("value", [{}, {"0": "x"}, {"0": {"1": 2}}, [1], None, {"0": True}])
async def test_what_is_neither_a_number_nor_numbers_is_refused(
    hass: HomeAssistant, entry: MockConfigEntry, value: object
) -> None:
    with pytest.raises(vol.Invalid):
        await call(hass, "scout_send_metrics", metrics=[{"data": {"HARM_V_AN": value}}])


@pytest.mark.parametrize("device_id", ["\udc80", "a\tb"])
async def test_a_device_id_has_characters_that_can_be_shown(
    hass: HomeAssistant, entry: MockConfigEntry, device_id: str
) -> None:
    with pytest.raises(vol.Invalid):
        await call(
            hass, "scout_send_metrics", gateway_device_id=device_id, metrics=[{"data": {"A": 1}}]
        )


async def test_attributes_given_or_known_go_out(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry
) -> None:
    await call(hass, "scout_send_attributes", device_attributes={"2": {"CONNECTION_TYPE": "3PH4W"}})
    await call(hass, "scout_send_attributes")
    await server.wait_for(lambda: len(server.attributes) == 3, WITHIN_S)
    assert server.attributes[1].devices == {"2": {"CONNECTION_TYPE": "3PH4W"}}
    assert server.attributes[1].gateway == {}
    assert server.attributes[2].gateway["SERIAL_NUMBER"] == "HA-1"


async def test_metrics_go_out_with_their_own_times(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry
) -> None:
    response = await call(
        hass,
        "scout_send_metrics",
        gateway_device_id="2",
        metrics=[{"timestamp": TS, "data": {"V_AN": 230.5, "V_BN": 231}}, {"data": {"V_AN": 1}}],
    )
    assert response == {"queued": 3}
    await server.wait_for(lambda: len(server.metrics) == 3, WITHIN_S)
    assert server.metrics[0] == ("2", INSTANT, "V_AN", 230.5)


@pytest.mark.parametrize("value", [float("inf"), "text", True])
async def test_metrics_that_are_no_numbers_are_refused(
    hass: HomeAssistant, entry: MockConfigEntry, value: object
) -> None:
    with pytest.raises(vol.Invalid):
        await call(hass, "scout_send_metrics", metrics=[{"data": {"V_AN": value}}])


async def test_a_waveform_goes_out_from_its_channels(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry
) -> None:
    channels = [{"name": "V_AN", "sample_factor": 0.5, "samples": [[0, 12436], [78, 12313]]}]
    await call(hass, "scout_send_waveform", start_at=TS, sample_rate=12797.278, channels=channels)
    await server.wait_for(lambda: len(server.waveforms) == 1, WITHIN_S)
    (waveform,) = server.waveforms
    assert waveform.start_at == waveform.first_event_at == INSTANT
    assert waveform.channels == {"V_AN": (0.5, [(0, 12436), (78, 12313)])}


async def test_a_waveform_is_not_written_out_in_the_event_loop(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    threads: list[threading.Thread] = []

    def write_out(*args: Any, **values: Any) -> Record:
        threads.append(threading.current_thread())
        return waveform_record(*args, **values)

    with patch(f"{handlers.__name__}.waveform_record", write_out):
        await call(
            hass,
            "scout_send_waveform",
            start_at=TS,
            sample_rate=12800,
            channels=[{"name": "V_AN", "sample_factor": 1, "samples": [[0, 12436]]}],
        )
    assert threading.main_thread() not in threads
    assert len(threads) == 1


async def test_a_waveform_goes_out_from_a_comtrade_file(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry, tmp_path: Path
) -> None:
    path = tmp_path / "fault.cfg"
    path.write_text(CONFIGURATION)
    path.with_suffix(".dat").write_text(SAMPLES)
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "scout_send_waveform", file=str(path))
    assert raised.value.translation_key == "path_not_allowed"
    hass.config.allowlist_external_dirs.add(str(tmp_path))
    response = await call(hass, "scout_send_waveform", file=str(path))
    assert response["channels"] == ["V_AN", "I_BN", "Trip_coil_1"]
    assert response["samples"] == 12
    await server.wait_for(lambda: len(server.waveforms) == 1, WITHIN_S)
    path.write_text("nonsense")
    with pytest.raises(HomeAssistantError) as failed:
        await call(hass, "scout_send_waveform", file=str(path))
    assert failed.value.translation_key == "waveform_file"


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({}, "waveform_incomplete"),
        (
            {
                "start_at": TS,
                "sample_rate": 1,
                "channels": [
                    {"name": "V", "sample_factor": 1, "samples": [[0, 123_456]] * 100_000}
                ],
            },
            "waveform_too_large",
        ),
    ],
)
async def test_a_waveform_that_cannot_go_out_says_why(
    hass: HomeAssistant, entry: MockConfigEntry, data: dict[str, Any], key: str
) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "scout_send_waveform", **data)
    assert raised.value.translation_key == key


async def test_the_outbox_is_flushed_and_cleared(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry
) -> None:
    await server.stop()
    await call(hass, "scout_send_metrics", metrics=[{"data": {"A": 1, "B": 2}}])
    assert await call(hass, "clear_outbox") == {"dropped": 2}
    await call(hass, "scout_send_metrics", metrics=[{"data": {"C": 3}}])
    assert await call(hass, "flush", timeout=0) == {"delivered": 0, "queued": 1}
    await server.start()
    assert await call(hass, "flush", timeout=WITHIN_S) == {"delivered": 1, "queued": 0}
    assert [metric.code for metric in server.metrics] == ["C"]


async def test_an_outbox_that_cannot_be_emptied_says_why(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    with (
        patch.object(Path, "unlink", side_effect=PermissionError("read-only")),
        pytest.raises(HomeAssistantError) as raised,
    ):
        await call(hass, "clear_outbox")
    assert raised.value.translation_key == "outbox_failed"


async def test_which_gateway_has_to_be_said_when_there_are_two(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry, add_entry: AddEntry
) -> None:
    other = add_entry(claim_id="Other567")
    await hass.config_entries.async_setup(other.entry_id)
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "scout_send_attributes")
    assert raised.value.translation_key == "choose_entry"
    await call(hass, "scout_send_attributes", config_entry_id=entry.entry_id)
    await server.wait_for(lambda: len(server.attributes) == 2, WITHIN_S)
    await hass.config_entries.async_unload(other.entry_id)


async def test_an_entry_of_another_kind_is_refused(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    meters = MockConfigEntry(
        domain=DOMAIN,
        data={CONF_KIND: "modbus", "transport": "tcp", "host": "127.0.0.1", "port": 1},
    )
    meters.add_to_hass(hass)
    await hass.config_entries.async_setup(meters.entry_id)
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "scout_send_attributes", config_entry_id=meters.entry_id)
    assert raised.value.translation_key == "wrong_kind"
    await hass.config_entries.async_unload(meters.entry_id)


# What ends a header, a frame, a path or a topic where it is not escaped.
HOSTILE = ["a\nreceipt:1", "a\n\n\0SEND\ndestination:/exchange/other/x", "../a", "gateways.#", "*"]


@pytest.mark.parametrize("text", HOSTILE[:2])
async def test_no_device_and_no_code_has_a_line_break(
    hass: HomeAssistant, entry: MockConfigEntry, text: str
) -> None:
    channel = {"name": "V", "sample_factor": 1, "samples": [[0, 1]]}
    waveform = {"start_at": TS, "sample_rate": 1, "channels": [channel]}
    for action, data in (
        ("scout_send_event", {"event_type": text}),
        ("scout_send_event", {"event_type": "A", "gateway_device_id": text}),
        ("scout_send_metrics", {"metrics": [{"data": {text: 1}}]}),
        ("scout_send_metrics", {"metrics": [{"data": {"P": 1}}], "gateway_device_id": text}),
        ("scout_send_attributes", {"gateway_attributes": {text: "1"}}),
        ("scout_send_attributes", {"device_attributes": {text: {"A": "1"}}}),
        ("scout_send_waveform", {**waveform, "gateway_device_id": text}),
        ("scout_send_waveform", {**waveform, "channels": [{**channel, "name": text}]}),
        ("scout_backfill", {"start": TS, "gateway_device_id": text}),
    ):
        with pytest.raises(vol.Invalid):
            await call(hass, action, **data)


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_free_text_leaves_the_body(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry, text: str
) -> None:
    """The stand-in refuses headers and destinations that are none of the platform's."""
    given = {"id": text, "index": text, "custom_name": text, "info": {text: text}}
    await call(hass, "scout_send_event", event_type="A", **given)
    await server.wait_for(lambda: len(server.events) == 2, WITHIN_S)
    event = server.events[1]
    assert (event.id, event.index) == (text, text)
    assert event.info == {text: text, "EVENT_CUSTOM_NAME": text}
    assert not server.refusals
    assert entry.runtime_data.outbox.refused_records == 0
