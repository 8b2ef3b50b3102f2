import struct
from uuid import UUID

import pytest

from custom_components.grid_telemetry.protocols.sttp.cache import SignalIndexCache, SignalKey
from custom_components.grid_telemetry.protocols.sttp.frames import OperationalModes, SttpError

from .samples import signal_id

SUBSCRIBER = UUID("00112233-4455-6677-8899-aabbccddeeff")
CACHE = SignalIndexCache(
    subscriber_id=SUBSCRIBER,
    signals={
        0: SignalKey(signal_id=signal_id(1), source="HA", id=1),
        7: SignalKey(signal_id=signal_id(2), source="Zähler", id=2**63),
    },
)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("cache_index", [0, 1])
def test_a_cache_survives(version: int, compress: bool, encoding: str, cache_index: int) -> None:
    modes = OperationalModes(version=version, compress_cache=compress, encoding=encoding)
    index, cache = SignalIndexCache.decode(CACHE.encode(modes, cache_index), modes)
    assert cache == CACHE
    # Version 1 knows one cache only.
    assert index == (cache_index if version > 1 else 0)


def test_a_cache_has_the_layout_of_the_reference() -> None:
    cache = SignalIndexCache(
        subscriber_id=SUBSCRIBER, signals={3: SignalKey(signal_id=signal_id(1), source="HA", id=9)}
    )
    data = cache.encode(OperationalModes(version=1, compress_cache=False), 0)
    assert data == (
        struct.pack(">I", 62)
        + SUBSCRIBER.bytes
        + struct.pack(">Ii", 1, 3)
        + signal_id(1).bytes
        + struct.pack(">I2sQ", 2, b"HA", 9)
        + bytes(4)
    )
    assert len(data) == 62


@pytest.mark.parametrize("cut", [1, 10, 24, 40, 60])
def test_a_cache_cut_short_is_refused(cut: int) -> None:
    modes = OperationalModes(compress_cache=False)
    data = CACHE.encode(modes, 0)
    with pytest.raises(SttpError):
        SignalIndexCache.decode(data[:cut], modes)


def test_a_count_that_promises_too_much_is_refused() -> None:
    modes = OperationalModes(version=1, compress_cache=False)
    data = bytearray(CACHE.encode(modes, 0))
    data[20:24] = b"\xff\xff\xff\xff"
    with pytest.raises(SttpError, match="cut short"):
        SignalIndexCache.decode(bytes(data), modes)
