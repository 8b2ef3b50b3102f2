"""TSSC against itself and, byte for byte, against the reference."""

from collections.abc import Iterator
from itertools import batched, pairwise
import random
import struct

import numpy as np
import pytest
from sttp.transport.tssc.decoder import Decoder
from sttp.transport.tssc.encoder import Encoder

from custom_components.grid_telemetry.protocols.sttp.frames import SttpError
from custom_components.grid_telemetry.protocols.sttp.measurement import Frame, Sample
from custom_components.grid_telemetry.protocols.sttp.ticks import LEAP_SECOND, VALUE_MASK
from custom_components.grid_telemetry.protocols.sttp.tssc import TsscDecoder, TsscEncoder, decoder

from .samples import NOON, bits, frames_of

SECOND = 10_000_000


def walk(seed: int, frames: int, *, far: bool = False) -> Iterator[list[Sample]]:
    """Return frames that use every code word: order, times, flags and values of all kinds."""
    chance = random.Random(seed)
    values = [chance.random() * 100 for _ in range(50)]
    time = NOON
    for _ in range(frames):
        time += chance.choice([333_333, 333_334, 333_330, 10, -50, 123_456_789])
        numbers = list(range(50))
        if chance.random() < 0.1:
            chance.shuffle(numbers)
        frame: list[Sample] = []
        for number in numbers:
            kind = chance.random()
            if kind < 0.05:
                continue
            if kind < 0.5:
                values[number] += chance.random() - 0.5
            elif kind < 0.6:
                values[number] = 0.0
            elif kind < 0.7:
                values[number] = chance.choice([1.0, 2.0, 3.0, float("nan")])
            index = number
            if kind > 0.95:
                index = (number + 1) * chance.choice([1, 30, 700_000 if far else 90])
            late = chance.randint(-(10**6), 10**6) if chance.random() < 0.1 else 0
            flags = chance.choice([1, 0x2_0000, 0x8000_0000, 0x1001]) if kind > 0.9 else 0
            frame.append((index, time + late, flags, bits(values[number])))
        yield frame


def exchange(
    encoder: TsscEncoder, receiver: TsscDecoder, samples: list[Sample], limit: int = 32_768
) -> list[Sample]:
    return [
        sample
        for block, count in encoder.encode(frames_of(samples), limit)
        for sample in receiver.decode(block, count)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_everything_survives(seed: int) -> None:
    encoder, receiver = TsscEncoder(), TsscDecoder()
    for frame in walk(seed, 150, far=True):
        assert exchange(encoder, receiver, frame) == frame


@pytest.mark.parametrize("seed", range(2))
def test_blocks_are_those_of_the_reference(seed: int) -> None:
    encoder, reference = TsscEncoder(), Encoder()
    with np.errstate(over="ignore"):
        for frame in walk(seed, 100):
            buffer = bytearray(32_768)
            reference.set_buffer(buffer, np.uint32(0), np.uint32(len(buffer)))
            for index, time, flags, value in frame:
                (number,) = struct.unpack("<f", struct.pack("<I", value))
                assert reference.try_add_measurement(
                    np.int32(index), np.int64(time), np.uint32(flags), number
                )
            length = int(reference.finish_block())
            ((block, count),) = encoder.encode(frames_of(frame))
            assert count == len(frame)
            assert block[3:] == bytes(buffer[:length])


def steady(seed: int, frames: int, signals: int) -> Iterator[Frame]:
    """Return frames of the same signals, and now and then another one between them."""
    chance = random.Random(seed)
    indexes = tuple(range(signals))
    values = [chance.random() for _ in indexes]
    time = NOON
    for number in range(frames):
        time += chance.choice([333_333, 333_334, 10])
        if chance.random() < 0.03:
            yield Frame.of([(chance.randrange(signals), time, 1, bits(chance.random()))])
        for index in indexes:
            kind = chance.random()
            if kind < 0.1 and number % 2:
                values[index] = chance.choice([0.0, 1.0, 2.0, 3.0])
            elif kind < 0.9 or number % 2 == 0:
                values[index] = chance.random()
        packed = struct.pack(f">{signals}f", *values)
        flags = 2 if 40 < number < 50 else 0
        yield Frame(indexes, (time,) * signals, (flags,) * signals, packed)


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_a_steady_stream_are_those_of_the_reference(seed: int) -> None:
    encoder, reference = TsscEncoder(), Encoder()
    with np.errstate(over="ignore"):
        for frame in steady(seed, 320, 12):
            buffer = bytearray(32_768)
            reference.set_buffer(buffer, np.uint32(0), np.uint32(len(buffer)))
            for index, time, flags, value in frame.samples():
                (number,) = struct.unpack("<f", struct.pack("<I", value))
                reference.try_add_measurement(
                    np.int32(index), np.int64(time), np.uint32(flags), number
                )
            length = int(reference.finish_block())
            ((block, count),) = encoder.encode([frame])
            assert count == len(frame)
            assert block[3:] == bytes(buffer[:length])


@pytest.mark.parametrize("signals", [1, 2, 700, 6_000])
def test_a_steady_stream_survives(signals: int) -> None:
    encoder, receiver = TsscEncoder(), TsscDecoder()
    for together in batched(steady(4, 12, signals), 5, strict=False):
        blocks = list(encoder.encode(together))
        assert max(len(block) for block, _ in blocks) <= 32_768
        received = [sample for block, count in blocks for sample in receiver.decode(block, count)]
        assert received == [sample for frame in together for sample in frame.samples()]


def test_a_signal_twice_in_a_frame_survives() -> None:
    encoder, receiver = TsscEncoder(), TsscDecoder()
    indexes = (1, 2, 1)
    for number in range(5):
        frame = Frame(
            indexes, (NOON,) * 3, (0,) * 3, struct.pack(">3f", number, number + 1, number + 2)
        )
        ((block, count),) = encoder.encode([frame])
        assert receiver.decode(block, count) == [*frame.samples()]


def test_the_reference_reads_our_blocks() -> None:
    encoder, reference = TsscEncoder(), Decoder()
    for frame in walk(7, 30):
        ((block, _),) = encoder.encode(frames_of(frame))
        reference.set_buffer(block[3:])
        for index, time, flags, value in frame:
            *received, success, error = reference.try_get_measurement()
            assert success
            assert error is None
            assert [int(item) for item in received[:3]] == [index, time, flags]
            assert struct.pack("<f", received[3]) == struct.pack("<I", value)
        assert not reference.try_get_measurement()[4]


def test_blocks_end_at_the_limit() -> None:
    encoder, receiver = TsscEncoder(), TsscDecoder()
    chance = random.Random(1)
    samples = [(number, NOON, 0, chance.getrandbits(32)) for number in range(20_000)]
    blocks = list(encoder.encode(frames_of(samples)))
    assert len(blocks) == 4
    assert max(len(block) for block, _ in blocks) <= 32_768
    received = [sample for block, count in blocks for sample in receiver.decode(block, count)]
    assert received == samples


def test_a_block_has_no_more_measurements_than_a_decoder_takes() -> None:
    encoder, receiver = TsscEncoder(), TsscDecoder()
    samples = [(number % 3, NOON, 0, 0) for number in range(70_000)]
    blocks = list(encoder.encode(frames_of(samples)))
    assert [count for _, count in blocks] == [65_536, 70_000 - 65_536]
    assert exchange(TsscEncoder(), receiver, samples) == samples


def test_nothing_makes_no_block() -> None:
    assert list(TsscEncoder().encode([])) == []


def test_leap_second_flags_are_left_out() -> None:
    encoder, receiver = TsscEncoder(), TsscDecoder()
    frame = [(1, NOON | LEAP_SECOND, 0, 1), (2, NOON, 0, 1), (3, NOON | LEAP_SECOND, 0, 1)]
    assert exchange(encoder, receiver, frame) == [
        (index, time & VALUE_MASK, flags, value) for index, time, flags, value in frame
    ]


def test_the_sequence_goes_on_at_1_after_65535_and_every_timestamp_is_right() -> None:
    """More packets than the sequence has numbers, timestamps to the microsecond."""
    encoder, receiver = TsscEncoder(), TsscDecoder()
    sequences = []
    for number in range(70_000):
        time = NOON + number * 333_330 + number % 7 * 10
        sample = (number % 4, time, 0, bits(50.0 + number % 100 / 1000))
        ((block, count),) = encoder.encode(frames_of([sample]))
        sequences.append(int.from_bytes(block[1:3]))
        assert receiver.decode(block, count) == [sample]
    assert sequences[0] == 0
    assert 0 not in sequences[1:]
    assert [pair for pair in pairwise(sequences) if pair[1] != pair[0] + 1] == [(65_535, 1)]


def test_a_reset_lets_a_new_decoder_start_and_an_old_one_go_on() -> None:
    encoder, old = TsscEncoder(), TsscDecoder()
    for frame in walk(3, 20):
        exchange(encoder, old, frame)
    encoder.reset()
    new = TsscDecoder()
    for frame in walk(4, 20):
        for block, count in encoder.encode(frames_of(frame)):
            assert old.decode(block, count) == new.decode(block, count) == frame


def test_a_block_out_of_sequence_is_refused() -> None:
    encoder, receiver = TsscEncoder(), TsscDecoder()
    first, second, third = (
        next(encoder.encode(frames_of([(1, NOON, 0, value)]))) for value in (1, 2, 3)
    )
    receiver.decode(*first)
    with pytest.raises(SttpError, match="2 where 1 was expected"):
        receiver.decode(*third)
    assert receiver.decode(*second) == [(1, NOON, 0, 2)]


@pytest.mark.parametrize(
    ("data", "count"),
    [(b"", 0), (b"\x55\0", 0), (b"\x54\0\0", 0), (b"\x55\0\0", 70_000), (b"\x55\0\0", 1)],
    ids=["empty", "cut", "version", "count", "nothing in it"],
)
def test_broken_blocks_are_refused(data: bytes, count: int) -> None:
    with pytest.raises(SttpError):
        TsscDecoder().decode(data, count)


@pytest.mark.parametrize("cut", [-1, -2, -5, -40])
def test_a_block_cut_short_is_refused(cut: int) -> None:
    ((block, count),) = TsscEncoder().encode(frames_of(next(walk(1, 1))))
    with pytest.raises(SttpError):
        TsscDecoder().decode(block[:cut], count)


def test_garbage_is_refused_or_read_but_does_no_harm() -> None:
    chance = random.Random(5)
    refused = 0
    for size in range(1, 400):
        try:
            TsscDecoder().decode(b"\x55\0\0" + chance.randbytes(size), size)
        except SttpError:
            refused += 1
    assert refused > 390


def test_a_stream_cannot_fill_the_memory_with_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "_MAX_POINTS", 10)
    ((block, count),) = TsscEncoder().encode(
        frames_of([(number, NOON, 0, 1) for number in range(11)])
    )
    with pytest.raises(SttpError, match="More than 10 signals"):
        TsscDecoder().decode(block, count)
