"""Metadata of STTP: devices, measurements and phasors, and the view that filters look at.

Tables and columns are those of the reference's metadata data set. Its subscribers know the signal
acronyms FREQ, DFDT, VPHM, VPHA, IPHM, IPHA, ALOG, DIGI, FLAG, CALC, STAT, ALRM and QUAL.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime
import re
from typing import Any, Final, Protocol, runtime_checkable
from uuid import UUID

from . import dataset
from .dataset import Row, Table, Value, read_time

SCHEMA_VERSION: Final = 14
NO_ID: Final = UUID(int=0)
# The reference derives these units from the kind of signal.
_UNITS: Final = {
    "FREQ": "Hz",
    "VPHM": "Volts",
    "IPHM": "Amps",
    "VPHA": "Degrees",
    "IPHA": "Degrees",
}


@dataclass(frozen=True, kw_only=True)
class DeviceDetail:
    """A device; its acronym of A-Z 0-9 - ! _ . @ # $ is what measurements refer to."""

    acronym: str
    unique_id: UUID
    updated_on: datetime
    """Subscribers take over only what is newer than at their last look."""
    name: str = ""
    node_id: UUID = NO_ID
    original_source: str = ""
    is_concentrator: bool = False
    access_id: int = 0
    parent_acronym: str = ""
    protocol_name: str = "STTP"
    frames_per_second: int = 1
    company_acronym: str = ""
    vendor_acronym: str = ""
    vendor_device_name: str = ""
    longitude: float = 0.0
    latitude: float = 0.0
    interconnection_name: str = ""
    contact_list: str = ""
    enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class MeasurementDetail:
    """A signal."""

    device_acronym: str
    id: str
    """Measurement key, "source:number"."""
    signal_id: UUID
    point_tag: str
    signal_reference: str
    """Device acronym, "-", and the kind with its number: FQ, DF, PM1, PA1, AV1, DV1, CV1, SF …"""
    signal_acronym: str
    updated_on: datetime
    phasor_source_index: int = 0
    """SourceIndex of the phasor it is part of, 0 where of none."""
    description: str = ""
    alternate_tag: str = ""
    internal: bool = True
    enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class PhasorDetail:
    """A voltage or current phasor: magnitude and angle that belong together."""

    id: int
    device_acronym: str
    label: str
    type: str
    """V or I."""
    phase: str
    """A, B, C, +, -, 0 or N."""
    source_index: int
    updated_on: datetime
    destination_phasor_id: int = 0


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a publisher has to offer."""

    devices: tuple[DeviceDetail, ...] = ()
    measurements: tuple[MeasurementDetail, ...] = ()
    phasors: tuple[PhasorDetail, ...] = ()
    schema_version: int = SCHEMA_VERSION
    node_id: UUID = NO_ID

    def tables(self) -> list[Table]:
        """Return the tables that METADATA REFRESH sends."""
        return [
            _table("DeviceDetail", _DEVICE, self.devices),
            _table("MeasurementDetail", _MEASUREMENT, self.measurements),
            _table("PhasorDetail", _PHASOR, self.phasors),
            Table(
                name="SchemaVersion",
                columns={"VersionNumber": "int"},
                rows=[{"VersionNumber": self.schema_version}],
            ),
        ]

    def active_measurements(self) -> Table:
        """Return the flat view ActiveMeasurements, which filter expressions select from.

        Text that is not there is empty rather than null, so that no condition on it is lost.
        """
        devices = {device.acronym: (number, device) for number, device in enumerate(self.devices)}
        phasors = {(phasor.device_acronym, phasor.source_index): phasor for phasor in self.phasors}
        rows: list[Row] = []
        for signal in self.measurements:
            if not signal.enabled:
                continue
            number, device = devices.get(signal.device_acronym, (None, None))
            phasor = phasors.get((signal.device_acronym, signal.phasor_source_index))
            rows.append(
                {
                    "SourceNodeID": self.node_id,
                    "ID": signal.id,
                    "SignalID": signal.signal_id,
                    "PointTag": signal.point_tag,
                    "AlternateTag": signal.alternate_tag,
                    "SignalReference": signal.signal_reference,
                    "Internal": int(signal.internal),
                    "Subscribed": 0,
                    "Device": signal.device_acronym,
                    "DeviceID": number,
                    "FramesPerSecond": device.frames_per_second if device else 1,
                    "Protocol": device.protocol_name if device else "",
                    "ProtocolType": "Measurement",
                    "SignalType": signal.signal_acronym,
                    "EngineeringUnits": _UNITS.get(signal.signal_acronym, ""),
                    "PhasorID": phasor.id if phasor else None,
                    "PhasorType": phasor.type if phasor else "",
                    "Phase": phasor.phase if phasor else "",
                    "Adder": 0.0,
                    "Multiplier": 1.0,
                    "Company": device.company_acronym if device else "",
                    "Longitude": device.longitude if device else 0.0,
                    "Latitude": device.latitude if device else 0.0,
                    "Description": signal.description,
                    "UpdatedOn": signal.updated_on,
                }
            )
        return Table(name="ActiveMeasurements", columns=_ACTIVE, rows=rows)

    @classmethod
    def from_xml(cls, data: bytes) -> Metadata:
        """Read what METADATA REFRESH brought, uncompressed; raises SttpError where it is no such.

        What a row leaves out or has in no readable form takes its default. A measurement without
        a signal ID is passed over, and so is a device or a phasor without a name to refer to.
        """
        tables = dataset.from_xml(data, _WANTED)
        versions = [
            _value(row.get("VersionNumber", ""), "int") for row in tables.get("schemaversion", [])
        ]
        devices = _records(DeviceDetail, _DEVICE, tables.get("devicedetail", []))
        measurements = _records(
            MeasurementDetail, _MEASUREMENT, tables.get("measurementdetail", [])
        )
        phasors = _records(PhasorDetail, _PHASOR, tables.get("phasordetail", []))
        return cls(
            devices=tuple(device for device in devices if device.acronym),
            measurements=tuple(signal for signal in measurements if signal.signal_id != NO_ID),
            phasors=tuple(phasor for phasor in phasors if phasor.device_acronym),
            schema_version=next((item for item in versions if isinstance(item, int)), 0),
        )


_DEVICE: Final = {
    "NodeID": "guid",
    "UniqueID": "guid",
    "OriginalSource": "string",
    "IsConcentrator": "boolean",
    "Acronym": "string",
    "Name": "string",
    "AccessID": "int",
    "ParentAcronym": "string",
    "ProtocolName": "string",
    "FramesPerSecond": "int",
    "CompanyAcronym": "string",
    "VendorAcronym": "string",
    "VendorDeviceName": "string",
    "Longitude": "decimal",
    "Latitude": "decimal",
    "InterconnectionName": "string",
    "ContactList": "string",
    "Enabled": "boolean",
    "UpdatedOn": "dateTime",
}
_MEASUREMENT: Final = {
    "DeviceAcronym": "string",
    "ID": "string",
    "SignalID": "guid",
    "PointTag": "string",
    "AlternateTag": "string",
    "SignalReference": "string",
    "SignalAcronym": "string",
    "PhasorSourceIndex": "int",
    "Description": "string",
    "Internal": "boolean",
    "Enabled": "boolean",
    "UpdatedOn": "dateTime",
}
_PHASOR: Final = {
    "ID": "int",
    "DeviceAcronym": "string",
    "Label": "string",
    "Type": "string",
    "Phase": "string",
    "DestinationPhasorID": "int",
    "SourceIndex": "int",
    "UpdatedOn": "dateTime",
}
_ACTIVE: Final = {
    "SourceNodeID": "guid",
    "ID": "string",
    "SignalID": "guid",
    "PointTag": "string",
    "AlternateTag": "string",
    "SignalReference": "string",
    "Internal": "int",
    "Subscribed": "int",
    "Device": "string",
    "DeviceID": "int",
    "FramesPerSecond": "int",
    "Protocol": "string",
    "ProtocolType": "string",
    "SignalType": "string",
    "EngineeringUnits": "string",
    "PhasorID": "int",
    "PhasorType": "string",
    "Phase": "string",
    "Adder": "double",
    "Multiplier": "double",
    "Company": "string",
    "Longitude": "decimal",
    "Latitude": "decimal",
    "Description": "string",
    "UpdatedOn": "dateTime",
}


# The tables and columns that are read of a publisher's metadata.
_WANTED: Final = {
    "schemaversion": ("VersionNumber",),
    "devicedetail": _DEVICE,
    "measurementdetail": _MEASUREMENT,
    "phasordetail": _PHASOR,
}

# How the text of a column is read, and what stands there where it cannot be.
_KINDS: Final[Mapping[str, tuple[Callable[[str], Value], Value]]] = {
    "guid": (UUID, NO_ID),
    "string": (str, ""),
    "int": (int, 0),
    "decimal": (float, 0.0),
    "boolean": (lambda text: text.lower() in {"true", "1", "yes"}, False),
    "dateTime": (read_time, datetime(1, 1, 1, tzinfo=UTC)),
}


# Left out of the XML where there is nothing to tell, as the reference leaves out a null. A C#
# subscriber takes an empty element for an empty text: it synchronises the devices whose
# OriginalSource IS NULL, and looks for a phasor where PhasorSourceIndex is not.
_NULL_WHERE_EMPTY: Final = frozenset(
    {
        *("OriginalSource", "CompanyAcronym", "VendorAcronym", "VendorDeviceName"),
        *("InterconnectionName", "DeviceAcronym", "AlternateTag"),
        *("PhasorSourceIndex", "DestinationPhasorID"),
    }
)


def _attribute(column: str) -> str:
    """Return the attribute that holds a column: NodeID is node_id."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", column).lower()


def _table(name: str, columns: Mapping[str, str], records: Iterable[object]) -> Table:
    """Return the table of some records."""
    attributes = {column: _attribute(column) for column in columns}
    return Table(
        name=name,
        columns=columns,
        rows=[
            {
                column: None if not value and column in _NULL_WHERE_EMPTY else value
                for column, attribute in attributes.items()
                for value in (getattr(record, attribute),)
            }
            for record in records
        ],
    )


def _records[T: (DeviceDetail, MeasurementDetail, PhasorDetail)](
    cls: type[T], columns: Mapping[str, str], rows: Iterable[Mapping[str, str]]
) -> Iterator[T]:
    """Make records of the rows of a table."""
    required = {field.name for field in fields(cls) if field.default is MISSING}
    attributes = [(column, _attribute(column), kind) for column, kind in columns.items()]
    for row in rows:
        values: dict[str, Any] = {}
        for column, attribute, kind in attributes:
            if column in row:
                values[attribute] = _value(row[column], kind)
            elif attribute in required:
                values[attribute] = _KINDS[kind][1]
        yield cls(**values)


def _value(text: str, kind: str) -> Value:
    """Read the text of a column, or return what stands for none."""
    read, default = _KINDS[kind]
    try:
        return read(text.strip())
    except ValueError:
        return default


@runtime_checkable
class MetadataSource(Protocol):
    """Who has metadata: a publisher its own, a subscriber those of another."""

    async def async_refresh_metadata(self) -> Metadata:
        """Send the metadata anew, or ask for it, and return it."""
