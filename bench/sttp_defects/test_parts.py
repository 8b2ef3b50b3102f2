"""What parts of the reference's publisher do wrong (P1 to P15 in docs/sttp.md)."""

from contextlib import suppress
from datetime import datetime
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from sttp.data.dataset import DataSet
from sttp.data.datatype import DataType
from sttp.transport.constants import OperationalEncoding, OperationalModes as ReferenceModes
from sttp.transport.measurement import Measurement as ReferenceMeasurement
from sttp.transport.signalindexcache import SignalIndexCache as ReferenceCache
from sttp.transport.subscriberconnection import SubscriberConnection
from sttp.transport.tssc.decoder import Decoder
from sttp.transport.tssc.encoder import Encoder

from custom_components.grid_telemetry.protocols.sttp import frames
from custom_components.grid_telemetry.protocols.sttp.constants import (
    ServerCommand,
    ServerResponse,
    StateFlags,
)
from tests.protocols.sttp.samples import NOON, signal_id


class Reference:
    """The reference's end of a connection, and what it would have sent."""

    def __init__(self) -> None:
        """Make a connection that is subscribed."""
        self.sent = b""
        self.errors: list[str] = []
        parent = SimpleNamespace(
            is_nan_value_filter_forced=False,
            _filtering_metadata=None,
            _routing_tables=SimpleNamespace(update_routes=lambda *_: None),
            _dispatch_error_message=self.errors.append,
            _dispatch_status_message=lambda _: None,
        )
        self.connection = SubscriberConnection(
            parent, SimpleNamespace(sendall=self._take), ("127.0.0.1", 1)
        )
        self.connection._subscribed = True
        self.connection._stopped = False
        self.connection._operational_modes = np.uint32(ReferenceModes.NOFLAGS)
        self.connection._encoding = OperationalEncoding.UTF8

    def _take(self, data: bytes) -> None:
        self.sent += data

    def knows(self, *numbers: int) -> ReferenceCache:
        """Give it a signal index cache."""
        cache = ReferenceCache()
        for index, number in enumerate(numbers):
            cache.add_measurement_key(index, signal_id(number), "HA", np.uint64(number))
        self.connection._signal_index_cache = cache
        return cache


def test_p1_the_sequence_ends_after_65536_packets() -> None:
    reference = Reference()
    reference.connection._tssc_encoder.set_buffer(bytearray(100), np.uint32(0), np.uint32(100))
    reference.connection._tssc_encoder._write_bits(np.int32(1), np.int32(1))
    reference.connection._tssc_sequence_number = 65_536
    with pytest.raises(OverflowError):
        reference.connection._send_tssc_packet(1)


def test_p2_compact_packets_do_not_say_how_many_measurements_they_hold() -> None:
    reference = Reference()
    reference.knows(1)
    reference.connection._publish_compact_measurements(
        [ReferenceMeasurement(signal_id(1), np.float64(1.5), np.uint64(NOON), 0)]
    )
    # Frame length and response header, flags, and then at once the measurement.
    assert reference.sent[10:] == struct.pack(">BBifQ", 2, 0, 0, 1.5, NOON)


def test_p3_a_list_of_signals_cannot_be_subscribed() -> None:
    reference = Reference()
    data = frames.subscribe_data({"filterExpression": "HA:1;HA:2"}, "utf-8")
    reference.connection._handle_subscribe(bytearray(data))
    assert reference.sent[4:6] == bytes((ServerResponse.FAILED, ServerCommand.SUBSCRIBE))


@pytest.mark.parametrize(
    "flags", [StateFlags.BAD_TIME, StateFlags.CALCULATED_VALUE, StateFlags.MEASUREMENT_ERROR]
)
def test_p6_state_flags_from_256_on_cannot_be_sent(flags: int) -> None:
    encoder = Encoder()
    encoder.set_buffer(bytearray(1_000), np.uint32(0), np.uint32(1_000))
    with np.errstate(over="ignore"), pytest.raises(OverflowError):
        encoder.try_add_measurement(np.int32(0), np.int64(NOON), int(flags), np.float32(1.0))


def reference_times(kind: type[np.int64 | np.uint64], times: list[int]) -> list[int]:
    """Return what becomes of timestamps between the reference's encoder and its decoder."""
    encoder, decoder, received = Encoder(), Decoder(), []
    with np.errstate(over="ignore"), suppress(IndexError):
        for time in times:
            buffer = bytearray(1_000)
            encoder.set_buffer(buffer, np.uint32(0), np.uint32(1_000))
            encoder.try_add_measurement(np.int32(0), kind(time), np.uint32(0), np.float32(time % 7))
            decoder.set_buffer(bytes(buffer[: int(encoder.finish_block())]))
            received.append(int(decoder.try_get_measurement()[1]))
            decoder.try_get_measurement()
    return received


def test_p7_timestamps_go_wrong_in_the_documented_type() -> None:
    times = [NOON + step * 333_330 + step % 3 * 10 for step in range(100)]
    assert reference_times(np.int64, times) == times
    # Floats get into the sums.
    assert reference_times(np.uint64, times) != times


def test_p10_data_packets_name_another_cache_than_was_sent() -> None:
    reference = Reference()
    reference.connection._version = 2
    assert reference.connection._serialize_signal_index_cache(reference.knows(1))[0] == 0xFF


def test_p12_whole_seconds_make_invalid_times() -> None:
    when = datetime(2026, 11, 20, 12, 0, 52)  # noqa: DTZ001 (as it takes them)
    assert DataSet._value_to_xml_text(when, DataType.DATETIME) == "2026-11-20T12:00:52.Z"


def test_p13_messages_have_a_length_before_their_text() -> None:
    assert Reference().connection._encode_string("Hello") == b"\0\0\0\x05Hello"


def test_p15_the_cache_has_no_keys_and_no_unauthorized_count() -> None:
    reference = Reference()
    data = reference.connection._serialize_signal_index_cache(reference.knows(7))
    assert struct.unpack_from(">I", data)[0] == len(data) - 4
    assert data[-12:] == struct.pack(">IQ", 0, 0)
