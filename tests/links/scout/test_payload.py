"""Scout's messages against the examples of the platform's own page."""

import json

import pytest

from custom_components.grid_telemetry.links.scout.payload import (
    MAX_FRAME_BYTES,
    Channel,
    EventStatus,
    Gateway,
    MessageType,
    WaveformTooLargeError,
    attributes_record,
    event_record,
    metric_records,
    pack,
    timestamp,
    waveform_record,
)
from custom_components.grid_telemetry.outbox.store import Destination, Record, StoredRecord

AT_MS = 1_727_686_800_000  # 2024-09-30T09:00:00Z
GATEWAY = Gateway(
    claim_id="abcd1234",
    serial_number="2145588744588",
    gateway_type="HOME_ASSISTANT",
    firmware_version="2026.10.4",
    hardware_version="1.0",
)


def stored(records: list[Record]) -> list[StoredRecord]:
    return [
        StoredRecord(
            destination=record.destination,
            at_ms=record.at_ms,
            body=record.body,
            samples=record.samples,
            id=number,
        )
        for number, record in enumerate(records, 1)
    ]


def test_timestamp_has_milliseconds_and_zone() -> None:
    assert timestamp(AT_MS) == "2024-09-30T09:00:00.000Z"
    assert timestamp(AT_MS + 7) == "2024-09-30T09:00:00.007Z"
    assert timestamp(-1) == "1969-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    ("message_type", "exchange"),
    [
        (MessageType.METRIC, "metrics"),
        (MessageType.ATTRIBUTE, "attributes"),
        (MessageType.EVENT, "events"),
        (MessageType.WAVEFORM, "waveforms"),
    ],
)
def test_destination_and_headers(message_type: MessageType, exchange: str) -> None:
    assert GATEWAY.destination(message_type) == f"/exchange/{exchange}/gateways.abcd1234"
    assert GATEWAY.headers(message_type) == {
        "myc-version": "1.0",
        "myc-message-type": message_type.value,
        "myc-fw-version": "2026.10.4",
        "myc-hw-version": "1.0",
        "myc-gw-type": "HOME_ASSISTANT",
        "myc-serial-number": "2145588744588",
        "persistent": "true",
        "content-type": "application/json",
    }


def test_metrics_have_the_shape_of_the_example() -> None:
    records = list(metric_records("MAIN", AT_MS, {"P_CON_TOT_ENERGY": 756387.9, "V_AN": 230}))
    (packet,) = pack(stored(records))
    assert packet.destination.kind == MessageType.METRIC
    assert packet.samples == 2
    assert json.loads(packet.body) == {
        "gateway_device_id": "MAIN",
        "metrics": [
            {
                "ts": "2024-09-30T09:00:00.000Z",
                "data": {"P_CON_TOT_ENERGY": 756387.9, "V_AN": 230},
            }
        ],
    }


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        list(metric_records("MAIN", AT_MS, {"V_AN": float("nan")}))


def test_many_codes_are_split_into_records_that_fit() -> None:
    data = {f"CODE_{number}": number / 3 for number in range(5000)}
    records = list(metric_records("MAIN", AT_MS, data))
    assert sum(record.samples for record in records) == 5000
    packets = list(pack(stored(records)))
    assert all(len(packet.body) < MAX_FRAME_BYTES for packet in packets)
    seen: dict[str, float] = {}
    for packet in packets:
        for metric in json.loads(packet.body)["metrics"]:
            seen.update(metric["data"])
    assert seen == data


def test_timestamps_of_a_device_share_messages_in_order() -> None:
    records = [
        record
        for slot in range(1000)
        for device in ("MAIN", "2")
        for record in metric_records(device, AT_MS + slot * 1000, {"V_AN": 230.5, "V_BN": 231.5})
    ]
    packets = list(pack(stored(records)))
    assert len(packets) < 6
    assert sorted(id_ for packet in packets for id_ in packet.ids) == list(range(1, 2001))
    for device in ("MAIN", "2"):
        times = [
            metric["ts"]
            for packet in packets
            if (message := json.loads(packet.body))["gateway_device_id"] == device
            for metric in message["metrics"]
        ]
        assert times == sorted(times)
        assert len(times) == 1000
    assert all(len(packet.body) < MAX_FRAME_BYTES for packet in packets)


def test_names_outside_ascii_keep_below_the_limit_too() -> None:
    records = [
        event_record("MAIN", AT_MS, event_type="A", status=EventStatus.ON, info={"n": "電" * 500})
        for _ in range(200)
    ]
    packets = list(pack(stored(records)))
    assert all(len(packet.body) < MAX_FRAME_BYTES for packet in packets)
    assert sum(packet.samples for packet in packets) == 200


def test_event_has_the_shape_of_the_example() -> None:
    record = event_record(
        "MAIN",
        AT_MS,
        event_type="EXPORT_CONNECTED",
        status=EventStatus.INFO,
        event_id="e9adb178-3a7c-4e90-9ea8-d0a3fc5ddc34",
    )
    (packet,) = pack(stored([record]))
    assert json.loads(packet.body) == {
        "gateway_device_id": "MAIN",
        "events": [
            {
                "id": "e9adb178-3a7c-4e90-9ea8-d0a3fc5ddc34",
                "type": "EXPORT_CONNECTED",
                "ts": "2024-09-30T09:00:00.000Z",
                "status": "INFO",
                "index": "NONE",
                "info": {},
            }
        ],
    }


def test_every_event_gets_an_id_of_its_own() -> None:
    ids = {
        json.loads(event_record("MAIN", AT_MS, event_type="A", status=EventStatus.ON).body)["id"]
        for _ in range(3)
    }
    assert len(ids) == 3


def test_attributes_leave_out_what_is_not_given() -> None:
    (packet,) = pack(stored([attributes_record(AT_MS, {}, {"2": {"HW_MODEL": "SDM630"}})]))
    assert json.loads(packet.body) == {"device_attributes": {"2": {"HW_MODEL": "SDM630"}}}
    (packet,) = pack(stored([attributes_record(AT_MS, GATEWAY.attributes(), {})]))
    assert json.loads(packet.body) == {
        "gateway_attributes": {
            "SERIAL_NUMBER": "2145588744588",
            "FW_VERSION": "2026.10.4",
            "HW_VERSION": "1.0",
            "HW_MODEL": "HOME_ASSISTANT",
        }
    }


def test_waveform_has_the_shape_of_the_example() -> None:
    record = waveform_record(
        "QNA600",
        start_at_ms=AT_MS,
        first_event_at_ms=AT_MS + 64,
        sample_rate=12797.278,
        channels=[
            Channel(name="V_AN", sample_factor=0.02519966, samples=[(0, 12436), (78, 12313)])
        ],
        waveform_id="w",
    )
    (packet,) = pack(stored([record]))
    assert json.loads(packet.body) == {
        "id": "w",
        "gateway_device_id": "QNA600",
        "start_at": "2024-09-30T09:00:00.000Z",
        "first_event_ts": "2024-09-30T09:00:00.064Z",
        "sample_rate": 12797.278,
        "channels_analog": [
            {"name": "V_AN", "sample_factor": 0.02519966, "samples": [[0, 12436], [78, 12313]]}
        ],
    }


def test_a_waveform_beyond_one_message_is_refused() -> None:
    with pytest.raises(WaveformTooLargeError):
        waveform_record(
            "MAIN",
            start_at_ms=AT_MS,
            first_event_at_ms=AT_MS,
            sample_rate=12800,
            channels=[Channel(name="V_AN", sample_factor=1, samples=[(0, 12345)] * 200_000)],
        )


def test_a_kind_of_a_later_version_waits_and_stops_nothing() -> None:
    known = list(metric_records("MAIN", AT_MS, {"V_AN": 1.0}))
    records = stored([Record(Destination("LATER", "MAIN"), AT_MS, "{}", 1), *known])
    [packet] = pack(records)
    assert packet.ids == (2,)
