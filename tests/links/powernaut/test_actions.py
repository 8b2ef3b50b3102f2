from collections.abc import Callable
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
import voluptuous as vol

from custom_components.grid_telemetry.const import DOMAIN

from .conftest import AddEntry, FakeApi, FakeBroker, battery_subentry, solar_subentry
from .samples import BATTERY_ID, BID_ID, SITE_ID, SOLAR_ID, activation, bid, listed
from .schemas import (
    BASELINE,
    CREATE_BASELINE,
    CREATE_BID,
    CREATE_EVENT,
    FORECAST_TAKEN,
    UPDATE_BID,
    UPLOAD_FORECAST,
)


@pytest.fixture(autouse=True)
async def running(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await hass.config.async_set_time_zone("Europe/Brussels")
    freezer.move_to("2026-03-01T12:03:00Z")
    entry = add_entry(battery_subentry(), solar_subentry())
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=False)


async def call(hass: HomeAssistant, name: str, **data: Any) -> Any:
    return await hass.services.async_call(
        DOMAIN, f"powernaut_{name}", data, blocking=True, return_response=True
    )


def last_body(api: FakeApi) -> Any:
    return api.requests[-1][2]


async def test_activations_are_answered_in_watts(hass: HomeAssistant, api: FakeApi) -> None:
    api.answer("GET", f"resources/{BATTERY_ID}/activations", listed(activation()))
    answer = await call(
        hass, "get_activations", resource_id=BATTERY_ID, start="2026-02-28 00:00:00"
    )
    assert [item["watts"] for item in answer["activations"]] == [-2500]
    # A time without a zone is local.
    assert "start=2026-02-27T23:00:00Z" in api.requests[-1][1].replace("%3A", ":")


async def test_a_baseline_begins_with_the_present_quarter_hour(
    hass: HomeAssistant, api: FakeApi
) -> None:
    api.answer("POST", f"resources/{BATTERY_ID}/baseline", status=201)
    answer = await call(hass, "set_baseline", resource_id=BATTERY_ID, watts=[1500, -300.5])
    assert CREATE_BASELINE(last_body(api)) == {
        "start": "2026-03-01T12:00:00Z",
        "power_type": "active",
        "values": ["1.5", "-0.3005"],
        "skip_activated_windows": False,
    }
    assert answer == {
        "id": BATTERY_ID,
        "start": "2026-03-01T12:00:00+00:00",
        "end": "2026-03-01T12:30:00+00:00",
        "watts": [1500, -300.5],
    }


async def test_without_a_resource_the_baseline_is_that_of_the_site(
    hass: HomeAssistant, api: FakeApi
) -> None:
    api.answer("POST", f"sites/{SITE_ID}/baseline", status=201)
    answer = await call(
        hass,
        "set_baseline",
        watts=1000,
        start="2026-03-01T14:15:00+01:00",
        power_type="reactive",
        skip_activated_windows=True,
    )
    assert answer["id"] == SITE_ID
    assert CREATE_BASELINE(last_body(api)) == {
        "start": "2026-03-01T13:15:00Z",
        "power_type": "reactive",
        "values": ["1.0"],
        "skip_activated_windows": True,
    }


@pytest.mark.parametrize(
    ("start", "key"),
    [
        ("2026-03-01T13:01:00Z", "powernaut_no_quarter"),
        ("2026-03-01T11:45:00Z", "powernaut_baseline_start"),
        ("2026-03-03T12:15:00Z", "powernaut_baseline_start"),
    ],
)
async def test_a_baseline_begins_at_a_quarter_hour_that_the_platform_takes(
    hass: HomeAssistant, start: str, key: str
) -> None:
    with pytest.raises(ServiceValidationError) as refusal:
        await call(hass, "set_baseline", watts=[1], start=start)
    assert refusal.value.translation_key == key


@pytest.mark.parametrize("watts", [[], [1] * 193, [True], ["nan"], [2e9], "much"])
async def test_a_baseline_has_1_to_192_numbers(hass: HomeAssistant, watts: object) -> None:
    with pytest.raises(vol.Invalid):
        await call(hass, "set_baseline", watts=watts)


async def test_a_bid_is_placed_for_a_quarter_hour(hass: HomeAssistant, api: FakeApi) -> None:
    api.answer("POST", f"resources/{BATTERY_ID}/bid", bid(), status=201)
    answer = await call(
        hass,
        "place_bid",
        resource_id=BATTERY_ID,
        start="2026-03-01T14:00:00Z",
        curve=[{"watts": -2500, "price": 0.3}, {"watts": 5000}],
        expires_at="2026-03-01T13:55:00Z",
    )
    assert CREATE_BID(last_body(api)) == {
        "timing": {"start": "2026-03-01T14:00:00Z", "end": "2026-03-01T14:15:00Z"},
        "power_type": "active",
        "curve": [{"value": "-2.5", "price": "0.3"}, {"value": "5.0"}],
        "expires_at": "2026-03-01T13:55:00Z",
    }
    assert answer["bid"]["id"] == BID_ID
    assert answer["bid"]["curve"] == [
        {"watts": -2500, "price": 0.3},
        {"watts": 5000, "price": None},
    ]


async def test_bids_are_listed_and_cancelled(hass: HomeAssistant, api: FakeApi) -> None:
    api.answer("GET", "bids", listed(bid()))
    answer = await call(hass, "list_bids", status="open")
    assert [found["id"] for found in answer["bids"]] == [BID_ID]
    assert "status=open" in api.requests[-1][1]
    api.answer("DELETE", f"bids/{BID_ID}", status=204)
    assert await call(hass, "cancel_bid", bid_id=BID_ID) == {"id": BID_ID, "cancelled": True}


@pytest.mark.parametrize("resource_id", [None, SITE_ID])
async def test_which_resource_is_meant_has_to_be_said(
    hass: HomeAssistant, resource_id: str | None
) -> None:
    data = {} if resource_id is None else {"resource_id": resource_id}
    with pytest.raises(ServiceValidationError) as refusal:
        await call(hass, "get_activations", **data)
    assert refusal.value.translation_key == "powernaut_unknown_resource"
    placeholders = refusal.value.translation_placeholders
    assert placeholders is not None
    assert placeholders["known"] == f"{BATTERY_ID}, {SOLAR_ID}"


async def test_a_single_resource_need_not_be_named(
    hass: HomeAssistant, api: FakeApi, add_entry: AddEntry
) -> None:
    [entry] = hass.config_entries.async_entries(DOMAIN)
    [_, solar] = entry.get_subentries_of_type("resource")
    hass.config_entries.async_remove_subentry(entry, solar.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=False)
    api.answer("GET", f"resources/{BATTERY_ID}/activations", listed())
    assert await call(hass, "get_activations") == {"activations": []}


type Trouble = Callable[[FakeApi], None]


@pytest.mark.parametrize("bid_id", [f"../resources/{BATTERY_ID}", "", "..", "one", f"{BID_ID}/x"])
async def test_only_a_uuid_is_the_id_of_a_bid(
    hass: HomeAssistant, api: FakeApi, bid_id: str
) -> None:
    count = len(api.requests)
    with pytest.raises(vol.Invalid):
        await call(hass, "cancel_bid", bid_id=bid_id)
    assert len(api.requests) == count


NEXT = "2026-03-01T12:15:00Z"
# Each path of the site key's OpenAPI that an action uses, with the errors it documents.
DOCUMENTED: list[tuple[str, str, str, dict[str, Any], tuple[int, ...]]] = [
    ("get_activations", "GET", f"resources/{BATTERY_ID}/activations", {}, (400, 401, 403, 404)),
    (
        "set_baseline",
        "POST",
        f"resources/{BATTERY_ID}/baseline",
        {"watts": [1]},
        (400, 401, 403, 404, 409),
    ),
    ("get_baseline", "GET", f"sites/{SITE_ID}/baseline", {}, (400, 401, 403, 404, 409)),
    (
        "place_bid",
        "POST",
        f"resources/{BATTERY_ID}/bid",
        {"start": NEXT, "curve": [{"watts": 1}]},
        (400, 401, 403, 404, 409),
    ),
    (
        "change_bid",
        "PATCH",
        f"bids/{BID_ID}",
        {"bid_id": BID_ID, "curve": [{"watts": 1}]},
        (400, 401, 403, 404, 409),
    ),
    ("cancel_bid", "DELETE", f"bids/{BID_ID}", {"bid_id": BID_ID}, (400, 401, 403, 404, 409)),
    ("list_bids", "GET", "bids", {}, (400, 401, 403)),
    (
        "upload_forecast",
        "POST",
        f"resources/{BATTERY_ID}/forecast",
        {"watts": [1]},
        (400, 401, 403, 404),
    ),
    (
        "report_event",
        "POST",
        f"resources/{BATTERY_ID}/events",
        {"event_type": "MFRR_ACTIVATION", "start": NEXT, "end": "2026-03-01T12:30:00Z"},
        (400, 401, 403),
    ),
]
TOLD = {
    400: (ServiceValidationError, "powernaut_request_refused"),
    401: (HomeAssistantError, "powernaut_login_refused"),
    403: (HomeAssistantError, "powernaut_forbidden"),
    404: (ServiceValidationError, "powernaut_request_refused"),
    409: (HomeAssistantError, "powernaut_request_refused"),
    # Not documented, and to be expected of any server.
    429: (HomeAssistantError, "powernaut_rate_limited"),
    500: (HomeAssistantError, "powernaut_unreachable"),
}


@pytest.mark.parametrize(
    ("name", "method", "path", "data", "status"),
    [
        pytest.param(name, method, path, data, status, id=f"{name}-{status}")
        for name, method, path, data, statuses in DOCUMENTED
        for status in (*statuses, 429, 500)
    ],
)
async def test_each_error_of_each_path_is_told_as_what_it_is(
    hass: HomeAssistant,
    api: FakeApi,
    name: str,
    method: str,
    path: str,
    data: dict[str, Any],
    status: int,
) -> None:
    words = "The platform's own words"
    api.answer("GET", f"bids/{BID_ID}", bid())
    api.answer(method, path, {"message": words, "error": "x", "status_code": status}, status)
    resource = {} if path.startswith(("sites", "bids")) else {"resource_id": BATTERY_ID}
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, name, **resource, **data)
    kind, key = TOLD[status]
    assert (type(error.value), error.value.translation_key) == (kind, key)
    if status != 401:  # there the user is asked to log in, whatever the words
        assert words in (error.value.translation_placeholders or {})["error"]


async def test_an_open_bid_is_changed(hass: HomeAssistant, api: FakeApi) -> None:
    api.answer("GET", f"bids/{BID_ID}", bid())
    api.answer("PATCH", f"bids/{BID_ID}", bid(curve=[{"value": "1.5", "price": "0.2"}]), 202)
    answer = await call(
        hass,
        "change_bid",
        bid_id=BID_ID,
        curve=[{"watts": 1500, "price": 0.2}],
        expires_at="2026-03-01T13:00:00Z",
    )
    assert UPDATE_BID(last_body(api)) == {
        "curve": [{"value": "1.5", "price": "0.2"}],
        "expires_at": "2026-03-01T13:00:00Z",
    }
    assert answer["bid"]["curve"] == [{"watts": 1500, "price": 0.2}]
    await call(hass, "change_bid", bid_id=BID_ID, expires_at="2026-03-01T13:00:00Z")
    assert UPDATE_BID(last_body(api)).keys() == {"expires_at"}


async def test_a_change_of_nothing_is_refused(hass: HomeAssistant, api: FakeApi) -> None:
    with pytest.raises(ServiceValidationError) as error:
        await call(hass, "change_bid", bid_id=BID_ID)
    assert error.value.translation_key == "powernaut_nothing_to_change"


async def test_the_baseline_of_the_site_is_read_in_watts(hass: HomeAssistant, api: FakeApi) -> None:
    answer = BASELINE({"items": ["1.5", "-0.3005"]})
    api.answer("GET", f"sites/{SITE_ID}/baseline", answer)
    found = await call(hass, "get_baseline", count=2)
    assert found == {
        "id": SITE_ID,
        "start": "2026-03-01T12:00:00+00:00",
        "watts": [1500, -300.5],
    }
    query = api.requests[-1][1].partition("?")[2].replace("%3A", ":")
    assert query == "start=2026-03-01T12:00:00Z&amount=2&granularity=PT15M"


async def test_a_forecast_is_uploaded_from_the_next_quarter_hour(
    hass: HomeAssistant, api: FakeApi
) -> None:
    taken = FORECAST_TAKEN({"inserted": [{}, {}], "ignored": []})
    api.answer("POST", f"resources/{SOLAR_ID}/forecast", taken, 201)
    found = await call(hass, "upload_forecast", resource_id=SOLAR_ID, watts=[-1500, 0])
    assert found == {"inserted": 2, "ignored": 0}
    assert UPLOAD_FORECAST(last_body(api)) == {
        "model_id": "home-assistant",
        "items": [
            {"start": "2026-03-01T12:15:00Z", "end": "2026-03-01T12:30:00Z", "value": "-1.5"},
            {"start": "2026-03-01T12:30:00Z", "end": "2026-03-01T12:45:00Z", "value": "0.0"},
        ],
    }


async def test_an_event_is_reported(hass: HomeAssistant, api: FakeApi) -> None:
    api.answer("POST", f"resources/{SOLAR_ID}/events", status=201)
    period = {"start": "2026-03-01T13:00:00Z", "end": "2026-03-01T14:30:00Z"}
    found = await call(
        hass,
        "report_event",
        resource_id=SOLAR_ID,
        event_type="PV_CURTAILMENT_SCHEDULED",
        **period,
    )
    assert found == {"resource_id": SOLAR_ID, "event_type": "PV_CURTAILMENT_SCHEDULED"}
    assert CREATE_EVENT(last_body(api)) == {
        "event_type": "PV_CURTAILMENT_SCHEDULED",
        "payload": period,
    }
    with pytest.raises(ServiceValidationError) as error:
        await call(
            hass,
            "report_event",
            resource_id=SOLAR_ID,
            event_type="MFRR_ACTIVATION",
            start=period["end"],
            end=period["start"],
        )
    assert error.value.translation_key == "powernaut_end_before_start"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("upload_forecast", {"resource_id": SOLAR_ID, "watts": [1]}),
        ("get_baseline", {}),
    ],
)
async def test_an_answer_of_another_shape_is_told(
    hass: HomeAssistant, api: FakeApi, name: str, data: dict[str, Any]
) -> None:
    api.answer("POST", f"resources/{SOLAR_ID}/forecast", {"x": 1}, 201)
    api.answer("GET", f"sites/{SITE_ID}/baseline", {"x": 1})
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, name, **data)
    assert error.value.translation_key == "powernaut_unreachable"
