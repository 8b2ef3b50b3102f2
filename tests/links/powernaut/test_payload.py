import json
import math

import pytest

from custom_components.grid_telemetry.links.powernaut.payload import (
    Reading,
    Skip,
    activation_topic,
    as_text,
    messages,
    parse_json,
    reading,
    resource_of_activation,
    resource_topic,
    site_topic,
)

RESOURCE = "5b0a3f64-6a3c-4f0e-9f0b-3f1d2c4b5a69"


def test_topics_carry_the_platforms_ids() -> None:
    assert site_topic(RESOURCE) == f"site/{RESOURCE}/data"
    assert resource_topic(RESOURCE) == f"resource/{RESOURCE}/data"
    assert activation_topic(RESOURCE) == f"resource/{RESOURCE}/commands/setpoint"
    assert resource_of_activation(activation_topic(RESOURCE)) == RESOURCE


@pytest.mark.parametrize(
    ("watts", "whole"),
    [
        (0, 0),
        (-0.0, 0),
        (-2500, -2500),
        (0.4, 0),
        (0.5, 1),
        (1.5, 2),
        (2.5, 3),
        (-0.5, -1),
        (-2.5, -3),
        (1e9, 1_000_000_000),
    ],
)
def test_power_is_a_whole_number_of_watts(watts: float, whole: int) -> None:
    result, skip = reading(1744858463.2, watts, None, capacity_wh=None)
    assert result == Reading(1744858463, whole)
    assert skip is None


@pytest.mark.parametrize("watts", [math.nan, math.inf, -math.inf, 1.1e9, -1.1e9])
def test_power_that_cannot_be_is_left_out(watts: float) -> None:
    assert reading(0, watts, 5, capacity_wh=10) == (None, Skip.POWER_OUT_OF_RANGE)


@pytest.mark.parametrize(
    ("soc_wh", "capacity_wh", "sent"),
    [
        (8150.4, 10_000, 8150),
        (0, 10_000, 0),
        (10_000, 10_000, 10_000),
        (10_000.000000000002, 10_000, 10_000),
        (10_000.6, 10_000, 10_000),  # a converted 100 % can be so much
        (10_001, 10_000, None),
        (-0.1, 10_000, None),
        (math.nan, 10_000, None),
        (54_321, None, 54_321),
        (-1, None, None),
        (1e13, None, None),
    ],
)
def test_a_state_of_charge_lies_between_nothing_and_the_capacity(
    soc_wh: float, capacity_wh: float | None, sent: int | None
) -> None:
    result, skip = reading(12, 1, soc_wh, capacity_wh=capacity_wh)
    assert result == Reading(12, 1, sent)
    assert skip is (Skip.SOC_OUT_OF_RANGE if sent is None else None)


def test_one_reading_is_an_object_with_integers_only() -> None:
    [(body, _)] = messages([Reading(1744858463, -2500, 8150)], None)
    assert json.loads(body) == {"value": -2500, "soc": 8150, "time": 1744858463}
    assert b"." not in body


def test_several_readings_are_an_array_in_order() -> None:
    [(body, _)] = messages([Reading(1744858460, -3000), Reading(1744858464, -3050)], None)
    assert json.loads(body) == [
        {"value": -3000, "time": 1744858460},
        {"value": -3050, "time": 1744858464},
    ]


@pytest.mark.parametrize("limit", [1, 31, 62, 63, 64, 65, 66, 97, 98, 99, 10_000])
def test_an_array_is_split_where_the_broker_takes_no_longer_one(limit: int) -> None:
    readings = [Reading(1744858460 + 4 * number, -3000) for number in range(13)]
    parts = list(messages(readings, limit))
    assert [one for _, some in parts for one in some] == readings
    for body, some in parts:
        elements = json.loads(body)
        assert len(elements if isinstance(elements, list) else [elements]) == len(some)
        assert len(body) <= limit or len(some) == 1
    if len(parts) > 2:  # as many in each as there is room for
        assert len(parts[0][0]) + 36 > limit


def test_a_payload_is_shown_cut_and_without_breaking_on_bad_bytes() -> None:
    assert as_text(b'{"a":1}') == '{"a":1}'
    assert as_text(b"\xff") == "\N{REPLACEMENT CHARACTER}"
    assert as_text(b"x" * 20, limit=3) == "xxx…"


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"[" * 200_000])
def test_what_is_no_json_is_told_by_one_kind_of_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(payload)
