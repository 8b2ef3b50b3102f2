"""Metadata and measurements for tests."""

from collections.abc import Sequence
from datetime import UTC, datetime
import struct
from typing import Any
from uuid import UUID, uuid5

from custom_components.grid_telemetry.protocols.sttp.measurement import (
    Frame,
    Measurement,
    Sample,
)
from custom_components.grid_telemetry.protocols.sttp.metadata import (
    DeviceDetail,
    MeasurementDetail,
    Metadata,
    PhasorDetail,
)

NAMESPACE = UUID("6f3c5a52-0d8c-4c43-9a0b-0f8a9a1e7d11")
WHEN = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
NOON = 639_307_728_000_000_000
"""2026-11-20 12:00 UTC in ticks."""
ALL = "FILTER ActiveMeasurements WHERE True"


def signal_id(number: int) -> UUID:
    """Return the ID of a signal."""
    return uuid5(NAMESPACE, str(number))


def metadata(count: int, **changes: Any) -> Metadata:
    """Return a meter with some signals: a frequency, a phasor of A, and analogs."""
    kinds = {1: ("FREQ", "FQ", 0), 2: ("VPHM", "PM1", 1), 3: ("VPHA", "PA1", 1)}
    measurements = []
    for number in range(1, count + 1):
        acronym, suffix, phasor = kinds.get(number, ("ALOG", f"AV{number}", 0))
        measurements.append(
            MeasurementDetail(
                device_acronym="METER",
                id=f"HA:{number}",
                signal_id=signal_id(number),
                point_tag=f"HA_METER:{acronym}{number}",
                signal_reference=f"METER-{suffix}",
                signal_acronym=acronym,
                phasor_source_index=phasor,
                description=f"Signal {number}",
                updated_on=WHEN,
            )
        )
    return Metadata(
        **{
            "devices": (
                DeviceDetail(
                    acronym="METER", unique_id=uuid5(NAMESPACE, "meter"), name="M", updated_on=WHEN
                ),
            ),
            "measurements": tuple(measurements),
            "phasors": (
                PhasorDetail(
                    id=1,
                    device_acronym="METER",
                    label="V A",
                    type="V",
                    phase="A",
                    source_index=1,
                    updated_on=WHEN,
                ),
            ),
            **changes,
        }
    )


def measurement(number: int, value: float = 1.5, time: int = NOON, flags: int = 0) -> Measurement:
    """Return a measurement of a signal."""
    return Measurement(signal_id(number), value, time, flags)


def frame(count: int, value: float = 0.0, time: int = NOON) -> list[Measurement]:
    """Return a measurement of each signal, all different."""
    return [measurement(number, value + number, time) for number in range(1, count + 1)]


def bits(value: float) -> int:
    """Return the bits of a float32."""
    result: int = struct.unpack("<I", struct.pack("<f", value))[0]
    return result


def frames_of(samples: Sequence[Sample]) -> list[Frame]:
    """Return samples as what an encoder takes."""
    return [Frame.of(samples)] if samples else []
