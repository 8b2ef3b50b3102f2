"""What signals are called, what unit they have, and when their value is used."""

from math import inf, nan
from typing import Any

import pytest

from custom_components.grid_telemetry.links.sttp_subscriber.payload import signals_of, value_of
from custom_components.grid_telemetry.protocols.sttp.cache import SignalKey
from custom_components.grid_telemetry.protocols.sttp.constants import StateFlags
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement

from .conftest import detail, metadata, signal_id

KEY = SignalKey(signal_id=signal_id(1), source="PPA", id=1)


@pytest.mark.parametrize(
    ("kind", "description", "name", "unit"),
    [
        ("FREQ", "Shelby Frequency", "Frequency", "Hz"),
        ("VPHM", "", "VPHM1", "V"),
        ("VPHM", "Bus 1 [kV]", "Bus 1", "kV"),
        ("IPHM", "Bus 1 current (A)", "Bus 1 current (A)", "A"),
        ("VPHA", "Bus 1 angle", "Bus 1 angle", "°"),
        ("DFDT", "Rate", "Rate", "Hz/s"),
        ("ALOG", "Load (MW)", "Load", "MW"),
        ("ALOG", "Load [my unit]", "Load", "my unit"),
        ("ALOG", "Load (of the bus)", "Load (of the bus)", None),
        ("ALOG", "Shelby", "Shelby", None),
        ("alog", "SHELBY:LOAD", "LOAD", None),
    ],
)
def test_name_and_unit_come_from_kind_and_description(
    kind: str, description: str, name: str, unit: str | None
) -> None:
    tag = {"point_tag": "SHELBY:VPHM1"}
    signal = signals_of(metadata(detail(1, kind, description, **tag)), [KEY])[signal_id(1)]
    assert (signal.kind, signal.name, signal.unit) == (kind.upper(), name, unit)
    assert signal.device is not None
    assert (signal.device.name, signal.device.vendor) == ("Shelby", "SEL")


@pytest.mark.parametrize(
    ("more", "device"), [({"device_acronym": "LOST"}, "LOST"), ({"device_acronym": ""}, None)]
)
def test_a_device_that_is_not_described_has_its_acronym(
    more: dict[str, Any], device: str | None
) -> None:
    signal = signals_of(metadata(detail(1, "ALOG", "Load", **more)), [KEY])[signal_id(1)]
    assert (signal.device and signal.device.name) == device


def test_a_signal_whose_metadata_is_not_there_yet_waits_for_it() -> None:
    assert signals_of(metadata(detail(2, "ALOG", "Load")), [KEY]) == {}


def test_a_signal_of_a_publisher_without_metadata_has_its_key() -> None:
    signal = signals_of(None, [KEY])[signal_id(1)]
    assert (signal.name, signal.kind, signal.unit, signal.device) == ("PPA:1", "", None, None)


@pytest.mark.parametrize(
    ("value", "flags", "shown"),
    [
        (59.98100280761719, 0, 59.981),
        (1.0, StateFlags.SUSPECT_TIME, 1.0),
        (1.0, StateFlags.BAD_DATA, None),
        (1.0, StateFlags.DISCARDED_VALUE | StateFlags.CALCULATED_VALUE, None),
        (nan, 0, None),
        (inf, 0, None),
    ],
)
def test_a_value_is_used_while_it_is_good(value: float, flags: int, shown: float | None) -> None:
    assert value_of(Measurement(signal_id(1), value, 0, flags)) == shown
