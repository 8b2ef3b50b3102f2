from datetime import UTC, datetime, timedelta, timezone

import pytest

from custom_components.grid_telemetry.links.powernaut import rest_payload
from custom_components.grid_telemetry.links.powernaut.rest_payload import Resource, ShapeError, Site

from . import samples
from .schemas import CREATE_BASELINE, CREATE_BID, DECIMAL, PRICE

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("watts", "text"),
    [
        (0, "0.0"),
        (-0.0, "0.0"),
        (5000, "5.0"),
        (-2500, "-2.5"),
        (50, "0.05"),
        (1, "0.001"),
        (0.001, "0.000001"),
        (0.0001, "0.0"),
        (-0.0001, "0.0"),
        (1234.5678, "1.234568"),
        (1e9, "1000000.0"),
        (123456789, "123456.789"),
    ],
)
def test_watts_become_decimal_strings_in_kilowatts(watts: float, text: str) -> None:
    assert DECIMAL(rest_payload.kilo(watts)) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0.0"), (0.3, "0.3"), (-0.125, "-0.125"), (0.1234567, "0.12346")]
)
def test_prices_have_five_decimals_at_most(amount: float, text: str) -> None:
    assert PRICE(rest_payload.price(amount)) == text


@pytest.mark.parametrize(
    ("text", "watts"),
    [("5.1", 5100), ("-2.5", -2500), ("0.000001", 0.001), ("15.500000", 15500), (None, None)],
)
def test_decimal_strings_in_kilowatts_become_watts(text: str | None, watts: float | None) -> None:
    assert rest_payload.watts(text) == watts
    assert isinstance(rest_payload.watts(text), type(watts))


@pytest.mark.parametrize("text", ["", "much", [], {}, "NaN", "Infinity", "1E+999999999"])
def test_what_is_no_decimal_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ShapeError):
        rest_payload.watts(text)


def test_times_go_out_in_utc_and_come_in_with_their_zone() -> None:
    brussels = timezone(timedelta(hours=1))
    assert rest_payload.utc(NOON.astimezone(brussels)) == "2026-03-01T12:00:00Z"
    assert rest_payload.instant("2026-03-01T13:00:00+01:00") == NOON
    assert rest_payload.instant("2026-03-01T12:00:00") == NOON
    assert rest_payload.instant(None) is None
    with pytest.raises(ShapeError):
        rest_payload.instant("yesterday")


@pytest.mark.parametrize(
    ("moment", "is_one"),
    [(NOON, True), (NOON.replace(minute=45), True), (NOON.replace(minute=5), False),
     (NOON.replace(second=1), False), (NOON.replace(microsecond=1), False)],
)  # fmt: skip
def test_quarter_hours_are_perfect(moment: datetime, is_one: bool) -> None:
    assert rest_payload.is_quarter(moment) is is_one


def test_the_present_quarter_is_the_one_that_runs() -> None:
    assert rest_payload.present_quarter(NOON) == NOON
    assert rest_payload.present_quarter(NOON + timedelta(minutes=14, seconds=59)) == NOON


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (samples.site(), "Home"),
        (samples.site(external_id=None), "541448820000000000"),
        (samples.site(external_id=None, grid_identifier=""), "0d4c4b2e"),
    ],
)
def test_a_site_has_the_name_that_people_know(item: samples.Json, name: str) -> None:
    assert rest_payload.site(item) == Site(
        id=samples.SITE_ID, name=name, deleted=False, last_seen_at=None
    )


def test_a_site_may_be_deleted() -> None:
    assert rest_payload.site(samples.site(status="deleted")).deleted


def test_a_resource_has_a_name_and_perhaps_a_capacity() -> None:
    assert rest_payload.resource(samples.resource()) == Resource(
        id=samples.BATTERY_ID,
        name="Home battery",
        type="static_battery",
        capacity_kwh=10,
        last_seen_at=datetime(2026, 3, 1, 11, 59, tzinfo=UTC),
    )
    nameless = rest_payload.resource(samples.solar(name="absent", last_seen_at=None))
    assert (nameless.name, nameless.capacity_kwh) == ("photovoltaic 0d4c4b2e", None)
    assert rest_payload.resource(samples.solar(name="absent", external_id="PV")).name == "PV"


@pytest.mark.parametrize("answer", [None, [], {}, {"total": 1}, {"total": "1", "items": []}])
def test_what_is_no_list_is_not_taken_for_one(answer: object) -> None:
    with pytest.raises(ShapeError):
        rest_payload.page(answer)


@pytest.mark.parametrize(
    "read",
    [
        rest_payload.site,
        rest_payload.resource,
        rest_payload.bid_response,
        rest_payload.activation_response,
    ],
)
@pytest.mark.parametrize("item", [{}, {"id": 1, "type": "x", "last_seen_at": 5}, [], "x"])
def test_what_has_another_shape_is_told(read, item: samples.Json) -> None:
    with pytest.raises(ShapeError):
        read(item)


def test_a_bid_whose_price_is_no_number_is_told() -> None:
    item = samples.bid()
    item["curve"][0]["price"] = "much"
    with pytest.raises(ShapeError):
        rest_payload.bid_response(item)


@pytest.mark.parametrize("when", ["start", "end"])
@pytest.mark.parametrize("text", ["at noon", None, 5])
def test_a_bid_whose_time_is_none_is_told(when: str, text: object) -> None:
    item = samples.bid()
    item["timing"][when] = text
    with pytest.raises(ShapeError):
        rest_payload.bid_response(item)


def test_a_baseline_is_a_value_in_kilowatts_for_each_quarter_hour() -> None:
    body = rest_payload.baseline_body(NOON, [1500, -300.5], "active", skip_activated=True)
    assert CREATE_BASELINE(body) == {
        "start": "2026-03-01T12:00:00Z",
        "power_type": "active",
        "values": ["1.5", "-0.3005"],
        "skip_activated_windows": True,
    }


def test_a_bid_is_a_curve_for_one_quarter_hour() -> None:
    body = rest_payload.bid_body(
        NOON,
        NOON + timedelta(minutes=15),
        [(-2500, 0.3), (5000, None)],
        "active",
        NOON - timedelta(minutes=5),
    )
    assert CREATE_BID(body) == {
        "timing": {"start": "2026-03-01T12:00:00Z", "end": "2026-03-01T12:15:00Z"},
        "power_type": "active",
        "curve": [{"value": "-2.5", "price": "0.3"}, {"value": "5.0"}],
        "expires_at": "2026-03-01T11:55:00Z",
    }
    assert "expires_at" not in rest_payload.bid_body(NOON, NOON, [(1, 1)], "active", None)


def test_an_open_bid_is_answered_in_watts() -> None:
    assert rest_payload.bid_response(samples.bid()) == {
        "id": samples.BID_ID,
        "resource_id": samples.BATTERY_ID,
        "status": "open",
        "power_type": "active",
        "start": "2026-03-01T14:00:00Z",
        "end": "2026-03-01T14:15:00Z",
        "curve": [{"watts": -2500, "price": 0.3}, {"watts": 5000, "price": None}],
        "baseline_watts": 500,
        "expires_at": None,
        "created_at": "2026-03-01T12:00:00Z",
        "modified_at": "2026-03-01T12:00:00Z",
        "activation": None,
        "report": None,
    }


def test_an_accepted_bid_tells_its_activation_and_report() -> None:
    response = rest_payload.bid_response(
        samples.bid(
            status="accepted",
            activation={
                "value": None,
                "price": "0.3",
                "created_at": "2026-03-01T13:00:00Z",
                "canceled_at": "2026-03-01T13:30:00Z",
                "type": "exact",
            },
            report={
                "energy_requested": "15.500000",
                "energy_delivered": "14.750000",
                "extra_energy_delivered": None,
            },
        )
    )
    assert response["activation"] == {
        "watts": None,
        "price": 0.3,
        "type": "exact",
        "created_at": "2026-03-01T13:00:00Z",
        "canceled_at": "2026-03-01T13:30:00Z",
    }
    assert response["report"] == {
        "requested_wh": 15500,
        "delivered_wh": 14750,
        "extra_delivered_wh": None,
    }


def test_an_activation_is_answered_in_watts_and_watt_hours() -> None:
    assert rest_payload.activation_response(samples.activation()) == {
        "start": "2026-02-28T14:00:00Z",
        "end": "2026-02-28T14:15:00Z",
        "watts": -2500,
        "direction": "downward",
        "requested_wh": -625,
        "delivered_wh": -600,
        "extra_delivered_wh": None,
        "resource_id": samples.BATTERY_ID,
        "resource_type": "static_battery",
        "site_id": samples.SITE_ID,
        "bid_id": samples.BID_ID,
    }
