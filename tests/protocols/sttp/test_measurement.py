from math import inf

import pytest

from custom_components.grid_telemetry.protocols.sttp.measurement import Framer, Measurement, Sample

from .samples import NOON, bits, measurement, signal_id


def samples(measurements: list[Measurement], indexes: dict[int, int]) -> list[Sample]:
    frame = Framer().frame(measurements, indexes)
    return [] if frame is None else [*frame.samples()]


INDEXES = {signal_id(1).int: 0, signal_id(2).int: 5}


def test_measurements_become_samples() -> None:
    assert samples([measurement(2, 2.5, NOON, 1), measurement(1)], INDEXES) == [
        (5, NOON, 1, bits(2.5)),
        (0, NOON, 0, bits(1.5)),
    ]


def test_nothing_becomes_nothing() -> None:
    assert samples([], INDEXES) == []


@pytest.mark.parametrize(
    ("value", "bits_sent"),
    [
        (16_777_217, bits(16_777_216.0)),
        (1_234_567.89, bits(1_234_567.875)),
        (1e39, bits(inf)),
        (-1e39, bits(-inf)),
        (True, bits(1.0)),
    ],
)
def test_values_travel_as_float32(value: float, bits_sent: int) -> None:
    assert samples([measurement(1, value), measurement(2, 7.0)], INDEXES) == [
        (0, NOON, 0, bits_sent),
        (5, NOON, 0, bits(7.0)),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        Measurement(signal_id(1), None, NOON),
        Measurement(signal_id(1), "12", NOON),
        Measurement(signal_id(1), 10**400, NOON),
        Measurement(signal_id(1), 1.0, -1),
        Measurement(signal_id(1), 1.0, 1 << 64),
        Measurement(signal_id(1), 1.0, 1.5),
        Measurement(signal_id(1), 1.0, NOON, None),
        Measurement(signal_id(1), 1.0, NOON, 1 << 32),
    ],
)
def test_what_no_packet_can_carry_is_refused(broken: Measurement) -> None:
    with pytest.raises(ValueError, match="Not a measurement"):
        samples([measurement(2), broken], INDEXES)


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(KeyError):
        samples([measurement(3)], INDEXES)
