from dataclasses import replace
from datetime import UTC, datetime, timedelta
import re
from uuid import UUID

import pytest
from sttp.data.dataset import DataSet
from sttp.metadata.cache import MetadataCache

from custom_components.grid_telemetry.protocols.sttp import dataset
from custom_components.grid_telemetry.protocols.sttp.frames import SttpError
from custom_components.grid_telemetry.protocols.sttp.metadata import NO_ID, Metadata, PhasorDetail

from .samples import WHEN, metadata, signal_id


def xml(offered: Metadata) -> bytes:
    return dataset.to_xml(offered.tables())


def changed(**values: object) -> Metadata:
    offered = metadata(1)
    return replace(offered, measurements=(replace(offered.measurements[0], **values),))


def test_metadata_survives() -> None:
    offered = metadata(5)
    assert Metadata.from_xml(xml(offered)) == offered


def test_the_reference_reads_our_metadata() -> None:
    tables, error = DataSet.from_xml(xml(metadata(5)))
    assert error is None
    assert {table.name: table.rowcount for table in tables} == {
        "DeviceDetail": 1,
        "MeasurementDetail": 5,
        "PhasorDetail": 1,
        "SchemaVersion": 1,
    }
    cache = MetadataCache(tables)
    record = cache.find_measurement_signalid(signal_id(2))
    assert record is not None
    assert (record.source, int(record.id)) == ("HA", 2)
    assert (record.pointtag, record.signaltypename) == ("HA_METER:VPHM2", "VPHM")
    assert record.updatedon == WHEN.replace(tzinfo=None)
    device = cache.find_device_acronym("METER")
    assert device is not None
    assert len(device.measurements) == 5
    assert [phasor.label for phasor in device.phasors] == ["V A"]


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
        (datetime.fromisoformat("2026-01-02T03:04:05.5+02:00"), "2026-01-02T01:04:05.500000Z"),
    ],
)
def test_a_time_always_has_its_fraction_and_z(when: datetime, text: str) -> None:
    assert f"<UpdatedOn>{text}</UpdatedOn>".encode() in xml(changed(updated_on=when))


def test_text_is_escaped_and_cleaned_of_what_xml_cannot_have() -> None:
    offered = changed(description='<a> & "b" \x01\x1f\ud800é𝄞')
    received = Metadata.from_xml(xml(offered)).measurements[0].description
    assert received == '<a> & "b" é𝄞'
    assert DataSet.from_xml(xml(offered))[1] is None


def test_a_measurement_without_a_signal_id_is_passed_over() -> None:
    assert Metadata.from_xml(xml(changed(signal_id=NO_ID))).measurements == ()


def test_what_is_missing_or_unreadable_takes_its_default() -> None:
    document = xml(metadata(1)).decode()
    document = re.sub("<Enabled>true</Enabled>", "", document)
    document = document.replace("<FramesPerSecond>1", "<FramesPerSecond>thirty")
    document = re.sub("<UpdatedOn>[^<]*</UpdatedOn>", "", document)
    document = document.replace("<VersionNumber>14", "<VersionNumber>new")
    received = Metadata.from_xml(document.encode())
    (device,) = received.devices
    (signal,) = received.measurements
    assert device.enabled
    assert signal.enabled
    assert device.frames_per_second == 0
    assert signal.updated_on == datetime(1, 1, 1, tzinfo=UTC)
    assert received.schema_version == 0


def test_the_forms_of_other_publishers_are_read() -> None:
    document = b"""<?xml version="1.0" standalone="yes"?>
<DataSet xmlns:d="urn:x">
  <devicedetail><Acronym>SHELBY</Acronym><UniqueID>{6c1b4b6e-4b1c-4ff1-8f3d-3b3d7b9d3b5a}</UniqueID>
    <Longitude>-89.8</Longitude><UpdatedOn>2025-01-04T03:00:52.7312345-05:00</UpdatedOn>
    <Unknown>x</Unknown></devicedetail>
  <MeasurementDetail><SignalID>83673C68-D59D-4926-B7E9-E7678F9F66B4</SignalID><Internal>1</Internal>
    <Enabled>False</Enabled><PointTag/><UpdatedOn>2025-01-04T03:00:52</UpdatedOn></MeasurementDetail>
</DataSet>"""
    received = Metadata.from_xml(document)
    (device,) = received.devices
    assert device.unique_id == UUID("6c1b4b6e-4b1c-4ff1-8f3d-3b3d7b9d3b5a")
    assert device.longitude == -89.8
    assert device.updated_on.utcoffset() == timedelta(hours=-5)
    (signal,) = received.measurements
    assert (signal.internal, signal.enabled, signal.point_tag) == (True, False, "")
    assert signal.updated_on == datetime(2025, 1, 4, 3, 0, 52, tzinfo=UTC)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<a><b></a>",
        b"\x00\xff garbage",
        b"<?xml version='1.0' encoding='no-such'?><a/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a><DeviceDetail><Name>" + b"x" * 70_000 + b"</Name></DeviceDetail></a>",
    ],
    ids=["nothing", "unbalanced", "garbage", "encoding", "entities", "external", "long field"],
)
def test_what_is_no_metadata_is_refused(document: bytes) -> None:
    with pytest.raises(SttpError):
        Metadata.from_xml(document)


def test_only_what_metadata_has_is_kept() -> None:
    document = (
        b"<a><Secret><Acronym>X</Acronym></Secret>"
        b"<DeviceDetail><Acronym>X</Acronym><Unknown>y</Unknown></DeviceDetail></a>"
    )
    kept = dataset.from_xml(document, {"devicedetail": ("Acronym",)})
    assert kept == {"devicedetail": [{"Acronym": "X"}]}


@pytest.mark.parametrize(
    "document",
    [
        b"<a>" + b"".join(b"<t%d/>" % number for number in range(1_000)) + b"</a>",
        b"<a><b>" + b"".join(b"<f%d/>" % number for number in range(1_000)) + b"</b></a>",
        b"<a>" + b"".join(b"<b c%d=''/>" % number for number in range(1_000)) + b"</a>",
    ],
    ids=["tables", "fields", "attributes"],
)
def test_names_have_a_limit(document: bytes) -> None:
    with pytest.raises(SttpError, match="More than 1000 different names"):
        Metadata.from_xml(document)


def test_rows_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_MAX_ROWS", 3)
    assert Metadata.from_xml(b"<a><b/><b/><b/></a>") == Metadata(schema_version=0)
    with pytest.raises(SttpError, match="More than 3 rows"):
        Metadata.from_xml(b"<a><b/><b/><b/><b/></a>")


def test_the_view_for_filters_joins_devices_and_phasors() -> None:
    view = metadata(4).active_measurements()
    frequency, magnitude, _, analog = view.rows
    assert frequency["SignalType"] == "FREQ"
    assert frequency["EngineeringUnits"] == "Hz"
    assert (magnitude["PhasorType"], magnitude["Phase"], magnitude["PhasorID"]) == ("V", "A", 1)
    assert magnitude["EngineeringUnits"] == "Volts"
    assert (analog["PhasorType"], analog["Phase"], analog["PhasorID"]) == ("", "", None)
    assert analog["Device"] == "METER"
    assert analog["DeviceID"] == 0
    assert set(view.columns) == set(analog)


def test_the_view_for_filters_leaves_out_what_is_disabled() -> None:
    assert not changed(enabled=False).active_measurements().rows


def test_a_signal_without_a_device_is_in_the_view_all_the_same() -> None:
    (row,) = changed(device_acronym="").active_measurements().rows
    assert (row["Device"], row["DeviceID"], row["Protocol"]) == ("", None, "")


def test_a_phasor_of_nobody_is_passed_over() -> None:
    nobody = PhasorDetail(
        id=1, device_acronym="", label="", type="V", phase="A", source_index=1, updated_on=WHEN
    )
    assert Metadata.from_xml(xml(metadata(1, phasors=(nobody,)))).phasors == ()
