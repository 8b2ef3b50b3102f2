"""What Scout takes and what it refuses, message by message."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from simulators.scout_messages import Ledger, Refusal
from tests.fixtures.scout import HEADERS

# The examples of the platform's own page, shortened.
METRIC: dict[str, Any] = {
    "gateway_device_id": "MAIN",
    "metrics": [
        {
            "ts": "2024-09-30T09:00:00.000Z",
            "data": {"P_CON_TOT_ENERGY": 756387.9, "P_GEN_TOT_ENERGY": 6},
        }
    ],
}
ATTRIBUTE: dict[str, Any] = {
    "gateway_attributes": {"SERIAL_NUMBER": "82621240052", "HW_MODEL": "EDSCLOUD"},
    "device_attributes": {"1": {"SERIAL_NUMBER": "12300012345678", "CONNECTION_TYPE": "3PH4W"}},
}
EVENT: dict[str, Any] = {
    "gateway_device_id": "MAIN",
    "events": [
        {
            "id": "e9adb178-3a7c-4e90-9ea8-d0a3fc5ddc34",
            "type": "EXPORT_CONNECTED",
            "ts": "2024-09-30T12:13:54.094+02:00",
            "status": "INFO",
            "index": "NONE",
            "info": {},
        }
    ],
}
WAVEFORM: dict[str, Any] = {
    "id": "2ec67a5a-7310-42ae-95ec-1203d8fc634b",
    "gateway_device_id": "QNA600",
    "start_at": "2024-05-16T09:26:27.976Z",
    "first_event_ts": "2024-05-16T09:26:28.040Z",
    "sample_rate": 12797.278,
    "channels_analog": [
        {"name": "V_AN", "sample_factor": 0.02519966, "samples": [[0, 12436], [78, -12313]]},
        {"name": "I_AN", "sample_factor": 0.00066365, "samples": [[0, 12], [78, 11]]},
    ],
}
EXAMPLES = {
    "metrics": METRIC,
    "attributes": ATTRIBUTE,
    "events": EVENT,
    "waveforms": WAVEFORM,
}


def take(
    ledger: Ledger, exchange: str, message: object, headers: dict[str, str] | None = None
) -> None:
    kind = exchange.removesuffix("s").upper()
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    ledger.take(exchange, HEADERS | {"myc-message-type": kind} | (headers or {}), body, len(body))


def changed(exchange: str, path: str, value: object) -> dict[str, Any]:
    """Return an example with one thing in it replaced, or removed if the value is `...`."""
    message = deepcopy(EXAMPLES[exchange])
    *parents, last = path.split(".")
    place: Any = message
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    if isinstance(place, list):
        place[int(last)] = value
    elif value is ...:
        del place[last]
    else:
        place[last] = value
    return message


def test_metrics_are_entered_with_their_own_time() -> None:
    ledger = Ledger()
    take(ledger, "metrics", METRIC)
    ts = datetime(2024, 9, 30, 9, tzinfo=UTC)
    assert ledger.metrics == [
        ("MAIN", ts, "P_CON_TOT_ENERGY", 756387.9),
        ("MAIN", ts, "P_GEN_TOT_ENERGY", 6),
    ]


def test_attributes_are_entered() -> None:
    ledger = Ledger()
    take(ledger, "attributes", ATTRIBUTE)
    take(ledger, "attributes", changed("attributes", "device_attributes", ...))
    take(ledger, "attributes", changed("attributes", "gateway_attributes", ...))
    assert ledger.attributes[0].gateway["HW_MODEL"] == "EDSCLOUD"
    assert ledger.attributes[1].devices == {}
    assert ledger.attributes[2].devices["1"]["CONNECTION_TYPE"] == "3PH4W"


def test_events_are_entered() -> None:
    ledger = Ledger()
    take(ledger, "events", EVENT)
    bare = changed("events", "events.0.id", ...)
    bare["events"][0] = {
        key: value for key, value in bare["events"][0].items() if key not in {"info", "index"}
    }
    take(ledger, "events", bare)
    take(ledger, "events", changed("events", "events.0.index", 3))
    event = ledger.events[0]
    assert (event.device, event.type, event.status) == ("MAIN", "EXPORT_CONNECTED", "INFO")
    assert event.ts.utcoffset() == timedelta(hours=2)
    assert (ledger.events[1].id, ledger.events[1].index, ledger.events[1].info) == (
        None,
        "NONE",
        {},
    )
    assert ledger.events[2].index == 3


def test_waveforms_are_entered() -> None:
    ledger = Ledger()
    take(ledger, "waveforms", WAVEFORM)
    [waveform] = ledger.waveforms
    assert waveform.sample_rate == 12797.278
    assert waveform.channels["V_AN"] == (0.02519966, [(0, 12436), (78, -12313)])


@pytest.mark.parametrize(
    ("exchange", "path", "value", "reason"),
    [
        ("metrics", "gateway_device_id", "", "gateway_device_id"),
        ("metrics", "gateway_device_id", 5, "gateway_device_id"),
        ("metrics", "gateway_device_id", ..., "without gateway_device_id"),
        ("metrics", "metrics", [], "metrics: not a list"),
        ("metrics", "metrics", {}, "metrics: not a list"),
        ("metrics", "metrics.0", 5, "metrics: not an object"),
        ("metrics", "metrics.0.tS", "", "unknown tS"),
        ("metrics", "metrics.0.ts", "2024-09-30T09:00:00.000", "zone"),
        ("metrics", "metrics.0.ts", "2024-09-30T09:00:00Z", "milliseconds"),
        ("metrics", "metrics.0.ts", "2024-09-30T09:00:00.000000Z", "milliseconds"),
        ("metrics", "metrics.0.ts", "2024-09-30 09:00:00.000Z", "ISO 8601"),
        ("metrics", "metrics.0.ts", "2024-13-30T09:00:00.000Z", "ts: month"),
        ("metrics", "metrics.0.ts", 1727686800000, "ISO 8601"),
        ("metrics", "metrics.0.data", {}, "data: not an object"),
        ("metrics", "metrics.0.data.P_GEN_TOT_ENERGY", "6.7", "P_GEN_TOT_ENERGY: not a number"),
        ("metrics", "metrics.0.data.P_GEN_TOT_ENERGY", True, "P_GEN_TOT_ENERGY: not a number"),
        ("metrics", "metrics.0.data.P_GEN_TOT_ENERGY", None, "P_GEN_TOT_ENERGY: not a number"),
        ("metrics", "metrics.0.data.P_GEN_TOT_ENERGY", float("nan"), "NaN is not JSON"),
        ("metrics", "metrics.0.data.P_GEN_TOT_ENERGY", float("inf"), "Infinity is not JSON"),
        ("metrics", "metrics.0.data.V AN", 1, "'V AN' is not a code"),
        ("attributes", "gateway_attributes", {}, "gateway_attributes"),
        ("attributes", "gateway_attributes.HW_MODEL", 5, "gateway_attributes HW_MODEL"),
        ("attributes", "device_attributes", {}, "device_attributes"),
        ("attributes", "device_attributes", None, "device_attributes"),
        ("attributes", "device_attributes.1", {}, "1: not an object"),
        ("attributes", "devices", {}, "unknown devices"),
        ("events", "events", [], "events: not a list"),
        ("events", "events.0.type", ..., "without type"),
        ("events", "events.0.ts", "now", "ISO 8601"),
        ("events", "events.0.status", "on", "status"),
        ("events", "events.0.index", None, "index"),
        ("events", "events.0.info", [], "info"),
        ("events", "events.0.id", "", "id"),
        ("events", "events.0.name", "x", "unknown name"),
        ("waveforms", "id", "", "id"),
        ("waveforms", "sample_rate", 0, "sample_rate"),
        ("waveforms", "first_event_ts", ..., "without first_event_ts"),
        ("waveforms", "channels_analog", [], "channels_analog"),
        ("waveforms", "channels_analog.1.name", "V_AN", "V_AN twice"),
        ("waveforms", "channels_analog.0.samples.0", [1, 2, 3], "pair"),
        ("waveforms", "channels_analog.0.samples.0", [0, 1.5], "count: not an integer"),
        ("waveforms", "channels_analog.0.samples.1", [0, 1], "do not rise"),
        ("waveforms", "channels_analog.0.samples.0", [-1, 1], "do not rise"),
    ],
)
def test_a_message_of_another_shape_is_refused(
    exchange: str, path: str, value: object, reason: str
) -> None:
    ledger = Ledger()
    with pytest.raises(Refusal) as caught:
        take(ledger, exchange, changed(exchange, path, value))
    assert reason in str(caught.value)
    assert ledger == Ledger(_changed=ledger._changed)


@pytest.mark.parametrize(
    ("exchange", "body", "reason"),
    [
        ("metrics", b"{", "not JSON"),
        ("metrics", b"\xff", "not JSON"),
        ("metrics", b"[]", "METRIC: not an object"),
        ("metrics", b'{"a": 1, "a": 2}', "twice"),
        (
            "metrics",
            json.dumps(METRIC).replace("756387.9", "1e999").encode(),
            "P_CON_TOT_ENERGY: not a number",
        ),
        ("attributes", b"{}", "nothing in it"),
    ],
)
def test_what_is_no_message_is_refused(exchange: str, body: bytes, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        take(Ledger(), exchange, body)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"myc-version": "1.1"}, "myc-version '1.1' is not 1.0"),
        ({"myc-message-type": "EVENT"}, "'EVENT' does not go to /metrics"),
        ({"myc-message-type": "metric"}, "'metric' does not go to /metrics"),
        ({"myc-gw-type": " "}, "nothing in myc-gw-type"),
        ({"myc-fw-measurement": "1"}, "unknown myc-fw-measurement"),
        ({"MYC-version": "1.0"}, "unknown MYC-version"),
        ({"content-type": "text/plain"}, "content-type"),
        ({"persistent": "yes"}, "persistent"),
    ],
)
def test_headers_of_another_spelling_are_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(Refusal) as caught:
        take(Ledger(), "metrics", METRIC, headers)
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", [name for name in HEADERS if name != "persistent"])
def test_every_header_is_needed(name: str) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    with pytest.raises(Refusal, match=name):
        Ledger().take("metrics", headers, json.dumps(METRIC).encode(), 100)


def test_the_measure_firmware_may_be_told() -> None:
    ledger = Ledger()
    take(ledger, "metrics", METRIC, {"myc-fw-measure": "2.6.0"})
    assert ledger.messages == 1


def test_a_message_of_more_than_64_kib_is_refused() -> None:
    with pytest.raises(Refusal, match="65537 bytes"):
        Ledger().take("metrics", HEADERS, json.dumps(METRIC).encode(), 64 * 1024 + 1)


def test_what_comes_again_is_counted() -> None:
    ledger = Ledger()
    for exchange, message in EXAMPLES.items():
        take(ledger, exchange, message)
    assert ledger.duplicates == 0
    for exchange, message in EXAMPLES.items():
        take(ledger, exchange, message)
    assert ledger.duplicates == 2 + 1 + 1
    assert ledger.messages == 8


def test_the_report_has_the_newest_values() -> None:
    ledger = Ledger()
    take(ledger, "metrics", METRIC)
    take(ledger, "metrics", changed("metrics", "metrics.0.ts", "2024-09-30T08:00:00.000Z"))
    take(ledger, "metrics", changed("metrics", "metrics.0.data", {"V_AN": 230}))
    ledger.refuse("something")
    report = ledger.report()
    assert json.loads(json.dumps(report)) == report
    assert report["refusals"] == ["something"]
    assert report["values"] == 5
    assert report["devices"] == {
        "MAIN": {
            "P_CON_TOT_ENERGY": {"ts": "2024-09-30T09:00:00.000+00:00", "value": 756387.9},
            "P_GEN_TOT_ENERGY": {"ts": "2024-09-30T09:00:00.000+00:00", "value": 6},
            "V_AN": {"ts": "2024-09-30T09:00:00.000+00:00", "value": 230},
        }
    }


async def test_waiting_ends_with_an_error_after_its_time() -> None:
    with pytest.raises(TimeoutError):
        await Ledger().wait_for(lambda: False, 0.05)
