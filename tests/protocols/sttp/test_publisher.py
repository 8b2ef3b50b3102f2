"""The publisher on the wire."""

import asyncio
from dataclasses import replace
from ipaddress import ip_network
from math import inf, nan
import socket
import struct
from unittest.mock import AsyncMock, Mock
from uuid import UUID, uuid4

import pytest

from custom_components.grid_telemetry.protocols.sttp import frames
from custom_components.grid_telemetry.protocols.sttp.constants import (
    ServerCommand,
    ServerResponse,
    StateFlags,
)
from custom_components.grid_telemetry.protocols.sttp.dataset import Table, to_xml
from custom_components.grid_telemetry.protocols.sttp.metadata import Metadata
from custom_components.grid_telemetry.protocols.sttp.publisher import (
    Limits,
    Publisher,
    catalog,
    server,
)
from custom_components.grid_telemetry.protocols.sttp.publisher.streams import Format, Streams

from .conftest import Serve, Wire
from .samples import ALL, NOON, bits, frame, frames_of, measurement, metadata, signal_id
from .wire import WireSubscriber


async def failed(subscriber: WireSubscriber) -> str:
    """Return the text of the next refusal."""
    while (answer := await subscriber.next()).code != ServerResponse.FAILED:
        pass
    return answer.data.decode(subscriber.modes.encoding)


async def test_modes_are_answered(serve: Serve, wire: Wire) -> None:
    subscriber = await wire(await serve(), handshake=False)
    subscriber.send(ServerCommand.DEFINE_OPERATIONAL_MODES, subscriber.modes.encode())
    answer = await subscriber.next()
    assert (answer.code, answer.command) == (
        ServerResponse.SUCCEEDED,
        ServerCommand.DEFINE_OPERATIONAL_MODES,
    )
    assert answer.text == "STTP v2 connection accepted, operational modes applied"


@pytest.mark.parametrize("version", [0, 4, 31])
async def test_a_version_that_is_not_known_is_refused(
    serve: Serve, wire: Wire, version: int
) -> None:
    publisher = await serve()
    subscriber = await wire(publisher, handshake=False, version=version)
    subscriber.send(ServerCommand.DEFINE_OPERATIONAL_MODES, subscriber.modes.encode())
    assert f"STTP version {version} is not supported" in await failed(subscriber)
    assert await subscriber.closed() == b""
    assert publisher.health.last_refusal is not None
    assert "version" in publisher.health.last_refusal


async def test_modes_come_first(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher, handshake=False)
    subscriber.subscribe(ALL)
    assert "defined first" in await failed(subscriber)
    assert await subscriber.closed() == b""


async def test_modes_are_defined_once(serve: Serve, wire: Wire) -> None:
    subscriber = await wire(await serve())
    subscriber.send(ServerCommand.DEFINE_OPERATIONAL_MODES, subscriber.modes.encode())
    assert "0x06 is not offered" in await failed(subscriber)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("compressed", [True, False])
async def test_metadata_comes_as_asked(
    serve: Serve, wire: Wire, encoding: str, compressed: bool
) -> None:
    publisher = await serve()
    offered = metadata(3)
    publisher.define_metadata(offered)
    subscriber = await wire(publisher, encoding=encoding, compress_metadata=compressed)
    for _ in range(2):
        subscriber.send(ServerCommand.METADATA_REFRESH)
        document = (await subscriber.expect(ServerResponse.SUCCEEDED)).data
        if compressed:
            document = frames.inflate(document, 1_000_000)
        assert Metadata.from_xml(document) == offered


async def test_metadata_is_filtered_as_asked(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(9))
    subscriber = await wire(publisher, compress_metadata=False)
    filters = b"FILTER MeasurementDetail WHERE SignalAcronym = 'FREQ'"
    subscriber.send(ServerCommand.METADATA_REFRESH, struct.pack(">I", len(filters)) + filters)
    received = Metadata.from_xml((await subscriber.expect(ServerResponse.SUCCEEDED)).data)
    assert [signal.id for signal in received.measurements] == ["HA:1"]
    assert len(received.devices) == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (struct.pack(">I", 100) + b"short", "shorter than their length"),
        (struct.pack(">I", 7) + b"Foo = 1", "Not a column"),
        (struct.pack(">I", 1) + b"\xff", "Not utf-8"),
    ],
)
async def test_broken_filters_of_metadata_are_refused(
    serve: Serve, wire: Wire, data: bytes, why: str
) -> None:
    subscriber = await wire(await serve())
    subscriber.send(ServerCommand.METADATA_REFRESH, data)
    assert why in await failed(subscriber)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("tssc", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
async def test_data_flows_as_asked(
    serve: Serve, wire: Wire, version: int, tssc: bool, encoding: str
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher, version=version, tssc=tssc, encoding=encoding)
    await subscriber.subscribed(ALL)
    assert subscriber.cache is not None
    assert [(key.source, key.id) for key in subscriber.cache.signals.values()] == [
        ("HA", 1),
        ("HA", 2),
        ("HA", 3),
    ]
    for count in range(3):
        publisher.publish(frame(3, count, NOON + count))
        flags, samples = await subscriber.packet()
        assert flags == (0x08 if tssc else 0x02)
        assert samples == [
            (index, NOON + count, 0, bits(count + index + 1.0)) for index in range(3)
        ]


async def test_a_subscriber_of_data_is_known(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    assert publisher.subscribers() == []
    subscriber = await wire(publisher)
    (info,) = publisher.subscribers()
    assert (info.form, info.signals, info.version) == ("", 0, 2)
    await subscriber.subscribed("HA:1;HA:2", assemblyInfo="source=Test;version=1.2")
    publisher.publish(frame(3))
    await subscriber.packet()
    (info,) = publisher.subscribers()
    assert info.address == "127.0.0.1"
    assert info.port == subscriber.writer.get_extra_info("sockname")[1]
    assert (info.agent, info.filter_expression) == ("Test 1.2", "HA:1;HA:2")
    assert (info.form, info.signals, info.measurements) == ("TSSC over TCP", 2, 2)
    assert publisher.health.measurements == 2
    assert publisher.health.bytes == info.bytes > 100


async def test_a_subscriber_can_be_disconnected(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    subscriber = await wire(publisher)
    assert not publisher.disconnect(uuid4())
    assert publisher.disconnect(publisher.subscribers()[0].id)
    await subscriber.closed()


async def test_an_empty_expression_selects_nothing(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher)
    subscriber.subscribe("")
    await subscriber.take_cache()
    assert subscriber.cache is not None
    assert subscriber.cache.signals == {}
    assert (await subscriber.expect(ServerResponse.SUCCEEDED)).text.startswith(
        "Subscribed to 0 signals"
    )


@pytest.mark.parametrize(
    ("expression", "settings", "why"),
    [
        ("Foo = 1", {}, "Not a column: 'Foo'"),
        ("RegExMatch('^(a+)+$', PointTag)", {}, "Regular expressions are refused"),
        (ALL, {"startTimeConstraint": "*-5M"}, "no history"),
        (ALL, {"stopTimeConstraint": "*"}, "no history"),
        (ALL, {"dataChannel": "interface=0.0.0.0"}, "needs a port"),
        (ALL, {"dataChannel": "localport=70000"}, "needs a port"),
    ],
)
async def test_a_subscription_that_cannot_be_is_refused_with_a_reason(
    serve: Serve, wire: Wire, expression: str, settings: dict[str, str], why: str
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher, encoding="utf-16-le")
    subscriber.subscribe(expression, **settings)
    assert why in await failed(subscriber)
    assert why in str(publisher.health.last_refusal)
    # The connection is as good as before.
    await subscriber.subscribed("HA:1")


async def test_a_refused_subscription_leaves_the_one_before(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher)
    await subscriber.subscribed("HA:1")
    subscriber.subscribe("Foo = 1")
    await failed(subscriber)
    publisher.publish(frame(3))
    assert len((await subscriber.packet())[1]) == 1


@pytest.mark.parametrize("tssc", [True, False])
async def test_a_new_subscription_takes_over_without_a_gap(
    serve: Serve, wire: Wire, tssc: bool
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(4))
    subscriber = await wire(publisher, tssc=tssc)
    await subscriber.subscribed("HA:1;HA:2")
    assert subscriber.cache_index == 0
    publisher.publish(frame(4, 10))
    assert [item[0] for item in (await subscriber.packet())[1]] == [0, 1]

    subscriber.subscribe("HA:3;HA:4")
    await subscriber.take_cache(confirm=False)
    assert subscriber.cache_index == 1
    # Not confirmed: the old signals still come, for the old cache.
    publisher.publish(frame(4, 20))
    flags, samples = await subscriber.packet()
    assert flags & 0x10 == 0
    assert [item[0] for item in samples] == [0, 1]

    subscriber.send(ServerCommand.CONFIRM_UPDATE_SIGNAL_INDEX_CACHE)
    # What is known of the new ones comes at once, in the form that was asked for.
    flags, samples = await subscriber.packet()
    assert flags == (0x18 if tssc else 0x12)
    assert [item[3] for item in samples] == [bits(23.0), bits(24.0)]
    publisher.publish(frame(4, 30))
    flags, samples = await subscriber.packet()
    assert flags == (0x18 if tssc else 0x12)
    assert [item[3] for item in samples] == [bits(33.0), bits(34.0)]

    await subscriber.subscribed("HA:1")
    assert subscriber.cache_index == 0


async def test_subscriptions_in_quick_succession_end_with_the_last(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(4))
    subscriber = await wire(publisher)
    for expression in ("HA:1", "HA:2", "HA:3"):
        subscriber.subscribe(expression)
    await subscriber.take_cache()
    await subscriber.take_cache()
    await subscriber.settled()
    publisher.publish(frame(4))
    flags, samples = await subscriber.packet()
    assert [item[0] for item in samples] == [2]
    assert flags & 0x10 == subscriber.cache_index << 4
    assert subscriber.seen.count(ServerResponse.UPDATE_SIGNAL_INDEX_CACHE) == 2


async def test_version_1_changes_over_at_once(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(4))
    subscriber = await wire(publisher, version=1)
    for expression, index in (("HA:1", 0), ("HA:2", 1)):
        await subscriber.subscribed(expression)
        publisher.publish(frame(4))
        flags, samples = await subscriber.packet()
        assert flags in {0x08, 0x02}
        assert [item[0] for item in samples] == [index]


async def test_no_data_comes_after_unsubscribe_until_the_next_subscription(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    subscriber.send(ServerCommand.UNSUBSCRIBE)
    assert (await subscriber.expect(ServerResponse.SUCCEEDED)).command == ServerCommand.UNSUBSCRIBE
    publisher.publish(frame(2))
    publisher.flush()
    await subscriber.settled()
    assert ServerResponse.DATA_PACKET not in subscriber.seen
    await subscriber.subscribed(ALL)
    publisher.publish(frame(2, 5))
    assert (await subscriber.packet())[1]


async def test_a_confirmation_after_unsubscribe_starts_nothing(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    subscriber.subscribe(ALL)
    await subscriber.take_cache(confirm=False)
    subscriber.send(ServerCommand.UNSUBSCRIBE)
    subscriber.send(ServerCommand.CONFIRM_UPDATE_SIGNAL_INDEX_CACHE)
    subscriber.send(ServerCommand.CONFIRM_UPDATE_SIGNAL_INDEX_CACHE)
    await subscriber.settled()
    publisher.publish(frame(2))
    publisher.flush()
    await subscriber.settled()
    assert ServerResponse.DATA_PACKET not in subscriber.seen
    await subscriber.subscribed(ALL)


async def test_values_are_sent_as_they_are(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(4))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    bad = StateFlags.BAD_DATA | StateFlags.MEASUREMENT_ERROR
    publisher.publish(
        [
            measurement(1, nan, NOON, bad),
            measurement(2, 1e39),
            measurement(3, -1e39),
            measurement(4, 16_777_217),
        ]
    )
    _, samples = await subscriber.packet()
    assert samples == [
        (0, NOON, bad, bits(nan)),
        (1, NOON, 0, bits(inf)),
        (2, NOON, 0, bits(-inf)),
        (3, NOON, 0, bits(16_777_216.0)),
    ]


async def test_nan_is_left_out_where_asked(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL, requestNaNValueFilter="True")
    publisher.publish([measurement(1, nan), measurement(2, inf), measurement(3, 3.0)])
    assert [item[0] for item in (await subscriber.packet())[1]] == [1, 2]


async def test_time_is_left_out_where_asked(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher, tssc=False)
    await subscriber.subscribed(ALL, includeTime="False")
    publisher.publish(frame(3))
    assert len((await subscriber.expect(ServerResponse.DATA_PACKET)).data) == 5 + 3 * 9


@pytest.mark.parametrize(("milliseconds", "size"), [("False", 13), ("True", 11)])
async def test_base_times_are_sent_before_they_are_used(
    serve: Serve, wire: Wire, milliseconds: str, size: int
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher, tssc=False)
    await subscriber.subscribed(ALL, useMillisecondResolution=milliseconds)
    publisher.publish(frame(3))
    assert len((await subscriber.expect(ServerResponse.DATA_PACKET)).data) == 5 + 3 * size
    assert subscriber.seen[-2:] == [ServerResponse.UPDATE_BASE_TIMES, ServerResponse.DATA_PACKET]
    assert NOON - 100_000_000 in subscriber.base_times.offsets
    # Who comes later gets to know them too.
    second = await wire(publisher, tssc=False)
    second.subscribe(ALL, useMillisecondResolution=milliseconds)
    await second.take_cache()
    await second.expect(ServerResponse.DATA_PACKET)
    assert second.base_times == subscriber.base_times


async def test_a_throttled_subscription_gets_the_latest_only(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL, throttled="True", publishInterval="0.05")
    for value in range(10):
        publisher.publish(frame(2, value))
        publisher.flush()
    _, samples = await subscriber.packet()
    assert [item[3] for item in samples] == [bits(10.0), bits(11.0)]
    # And again, for as long as nothing else is known.
    assert (await subscriber.packet())[1] == samples


async def test_a_throttled_subscriber_that_is_dropped_leaves_no_timer() -> None:
    """It is dropped in the middle of what the timer sends."""
    streams = Streams()
    member = Mock()
    streams.publish(frames_of([(0, NOON, 0, 0)]))
    stream = streams.join(member, frozenset({0}), Format(tssc=False, interval_s=0.01), {})
    member.deliver.side_effect = lambda _: streams.leave(member, stream)
    streams.publish(frames_of([(0, NOON, 0, 1)]))
    async with asyncio.timeout(10):
        while member.deliver.call_count < 2:
            await asyncio.sleep(0.001)
    assert stream._timer is not None
    assert stream._timer.cancelled()


@pytest.mark.parametrize("interval", ["", "0", "-1", "nan", "soon", "1e-9", "1e300"])
async def test_any_publish_interval_is_taken_within_reason(
    serve: Serve, wire: Wire, interval: str
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL, throttled="True", publishInterval=interval)
    assert publisher.subscribers()[0].signals == 2


async def test_data_goes_by_datagrams_where_asked(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(200))
    subscriber = await wire(publisher)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind(("127.0.0.1", 0))
        channel.setblocking(False)
        port = channel.getsockname()[1]
        await subscriber.subscribed(ALL, dataChannel=f"localport={port}; interface=")
        publisher.publish(frame(200))
        loop = asyncio.get_running_loop()
        samples = []
        async with asyncio.timeout(10):
            while len(samples) < 200:
                datagram = await loop.sock_recv(channel, 65_536)
                assert len(datagram) <= 1_400
                assert datagram[:2] == bytes((ServerResponse.DATA_PACKET, ServerCommand.SUBSCRIBE))
                samples += subscriber.decode(datagram[6:])[1]
        assert samples[199] == (199, NOON, 0, bits(200.0))
    (info,) = publisher.subscribers()
    assert (info.form, info.measurements) == ("compact over UDP", 200)
    # Another subscription without a data channel goes back to the connection.
    await subscriber.subscribed("HA:1")
    publisher.publish(frame(200))
    assert len((await subscriber.packet())[1]) == 1


async def test_datagrams_that_do_not_get_away_are_not_kept(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as socket_:
        socket_.bind(("127.0.0.1", 0))
        await subscriber.subscribed(ALL, dataChannel=f"port={socket_.getsockname()[1]}")
        (connection,) = publisher._connections
        assert connection._data_channel is not None
        # As the event loop does when the kernel takes no more.
        connection._data_channel._pressure.pause_writing()
        publisher.publish(frame(2))
        publisher.flush()
        (info,) = publisher.subscribers()
        assert info.measurements == 0
        connection._data_channel._pressure.resume_writing()
        publisher.publish(frame(2))
        publisher.flush()
        (info,) = publisher.subscribers()
        assert info.measurements == 2
        assert publisher.health.dropped == 0


async def test_a_port_where_nobody_listens_does_no_harm(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind(("127.0.0.1", 0))
        port = channel.getsockname()[1]
    await subscriber.subscribed(ALL, dataChannel=f"port={port}")
    for _ in range(5):
        publisher.publish(frame(2))
        publisher.flush()
        await subscriber.settled()
    await subscriber.subscribed("HA:1", dataChannel=f"port={port + 1 if port < 65_535 else 1024}")


async def test_the_last_values_come_again(serve: Serve, wire: Wire) -> None:
    publisher = await serve(repeat_s=0.05)
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    publisher.publish(frame(2))
    first = await subscriber.packet()
    for _ in range(3):
        assert (await subscriber.packet())[1] == first[1]


async def test_what_is_published_together_goes_out_together(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    for number in (1, 2, 3, 1):
        publisher.publish([measurement(number, number)])
    assert [item[0] for item in (await subscriber.packet())[1]] == [0, 1, 2, 0]


async def test_what_was_published_before_the_start_is_known(serve: Serve, wire: Wire) -> None:
    publisher = Publisher(port=0)
    publisher.define_metadata(metadata(2))
    publisher.publish(frame(2))
    await publisher.start()
    try:
        subscriber = await wire(publisher)
        await subscriber.subscribed(ALL)
        assert ServerResponse.DATA_PACKET in subscriber.seen
    finally:
        await publisher.stop()


async def test_a_change_of_the_metadata_is_announced_and_followed(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    idle = await wire(publisher)
    await subscriber.subscribed(ALL)
    publisher.define_metadata(metadata(3))
    await idle.expect(ServerResponse.CONFIGURATION_CHANGED)
    await subscriber.expect(ServerResponse.CONFIGURATION_CHANGED)
    # The subscriber need not ask: its filter expression selects one more signal now.
    await subscriber.take_cache()
    await subscriber.settled()
    publisher.publish(frame(3))
    assert len((await subscriber.packet())[1]) == 3


async def test_a_change_that_selects_the_same_changes_nothing(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher)
    await subscriber.subscribed("HA:1")
    publisher.define_metadata(metadata(2))
    await subscriber.expect(ServerResponse.CONFIGURATION_CHANGED)
    await subscriber.settled()
    publisher.publish(frame(2))
    assert len((await subscriber.packet())[1]) == 1
    assert subscriber.seen.count(ServerResponse.UPDATE_SIGNAL_INDEX_CACHE) == 1


async def test_a_signal_that_has_gone_is_neither_published_nor_repeated(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve(repeat_s=0.05)
    offered = metadata(2)
    publisher.define_metadata(offered)
    publisher.publish(frame(2))
    publisher.flush()
    publisher.define_metadata(replace(offered, measurements=offered.measurements[1:]))
    with pytest.raises(KeyError):
        publisher.publish([measurement(1)])
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    assert subscriber.cache is not None
    # It keeps its index, should it come back.
    assert list(subscriber.cache.signals) == [1]
    assert [item[0] for item in (await subscriber.packet())[1]] == [1]


async def test_what_waits_while_its_signal_goes_is_sent_once_and_not_repeated(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve(repeat_s=0.05)
    offered = metadata(2)
    publisher.define_metadata(offered)
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    publisher.publish(frame(2))
    publisher.define_metadata(replace(offered, measurements=offered.measurements[1:]))
    # The subscriber never confirms the cache that follows, so it is sent what it knows.
    packets = [[item[0] for item in (await subscriber.packet())[1]] for _ in range(4)]
    assert packets == [[0, 1], [1], [1], [1]]


async def test_a_change_that_breaks_a_filter_leaves_its_subscription(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve()
    offered = metadata(1)
    publisher.define_metadata(offered)
    subscriber = await wire(publisher)
    await subscriber.subscribed("ISNULL(DeviceID, 'x') = 0 AND LEN(ISNULL(PhasorID, ID)) = 4")
    publisher.define_metadata(metadata(2))
    await subscriber.expect(ServerResponse.CONFIGURATION_CHANGED)
    publisher.publish(frame(2))
    assert len((await subscriber.packet())[1]) == 1


async def test_what_cannot_be_sent_reaches_nobody_and_harms_nobody(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    with pytest.raises(ValueError, match="Not a measurement"):
        publisher.publish([measurement(1), measurement(2, None)])
    with pytest.raises(KeyError):
        publisher.publish([measurement(1), measurement(9)])
    publisher.publish(frame(2, 7))
    assert (await subscriber.packet())[1] == [(0, NOON, 0, bits(8.0)), (1, NOON, 0, bits(9.0))]


async def test_subscribers_to_the_same_share_one_encoding(
    serve: Serve, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    first = await wire(publisher)
    await first.subscribed(ALL)
    publisher.publish(frame(2))
    await first.packet()
    second = await wire(publisher)
    await second.subscribed("HA:2;HA:1")
    other = await wire(publisher)
    await other.subscribed("HA:1")
    encodings = []
    streams = publisher._streams._streams.values()
    for stream in streams:
        encode = stream._tssc.encode
        monkeypatch.setattr(
            stream._tssc,
            "encode",
            lambda items, encode=encode: encodings.append(1) or encode(items),
        )
    publisher.publish(frame(2, 5))
    for subscriber in (first, second):
        while (packet := await subscriber.packet())[0] != 0x08 or packet[1][0][3] != bits(6.0):
            pass
        assert len(packet[1]) == 2
    assert len(encodings) == 2


async def test_keep_alives_come_to_whoever_has_said_hello(
    serve: Serve, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "NOOP_INTERVAL_S", 0.02)
    publisher = await serve()
    silent = await wire(publisher, handshake=False)
    subscriber = await wire(publisher)
    await subscriber.expect(ServerResponse.NOOP)
    assert silent.reader._buffer == b""


async def test_whoever_is_not_allowed_is_sent_away(serve: Serve, wire: Wire) -> None:
    publisher = await serve(allowed_networks=[ip_network("192.0.2.0/24"), ip_network("::1/128")])
    stranger = await wire(publisher, handshake=False)
    assert await stranger.closed() == b""
    assert publisher.health.last_refusal == "127.0.0.1: Not in an allowed network"
    assert publisher.health.refused == 1


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(connections=2), "More than 2 connections"),
        (Limits(connections_per_address=2), "More than 2 connections from there"),
    ],
)
async def test_connections_have_a_limit(serve: Serve, wire: Wire, limits: Limits, why: str) -> None:
    publisher = await serve(limits=limits)
    publisher.define_metadata(metadata(1))
    first, second = await wire(publisher), await wire(publisher)
    for subscriber in (first, second):
        await subscriber.subscribed(ALL)
    third = await wire(publisher, handshake=False)
    assert await third.closed() == b""
    assert publisher.health.last_refusal == f"127.0.0.1: {why}"
    await first.close()
    async with asyncio.timeout(10):
        while len(publisher.subscribers()) > 1:
            await asyncio.sleep(0)
    await wire(publisher)


async def test_whoever_says_nothing_is_sent_away(serve: Serve, wire: Wire) -> None:
    publisher = await serve(limits=Limits(handshake_s=0.05))
    silent = await wire(publisher, handshake=False)
    assert await silent.closed() == b""
    assert publisher.health.last_refusal == "127.0.0.1: Nothing came in time"


async def test_a_promise_that_is_not_kept_ends_the_connection(serve: Serve, wire: Wire) -> None:
    publisher = await serve(limits=Limits(frame_s=0.05))
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    subscriber.writer.write(struct.pack(">I", 30_000) + b"\x02")
    await subscriber.closed()
    assert publisher.health.last_refusal == "127.0.0.1: Nothing came in time"


async def test_stop_frees_the_port_at_once(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    publisher.publish(frame(1))
    port = publisher.port
    for _ in range(3):
        await publisher.stop()
        publisher = Publisher(port=port)
        await publisher.start()
    await publisher.stop()
    await subscriber.closed()
    assert publisher.port == port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_port_in_use_is_an_error(serve: Serve) -> None:
    publisher = await serve()
    second = Publisher(port=publisher.port)
    with pytest.raises(OSError, match="in use"):
        await second.start()
    await second.stop()


async def test_a_signal_keeps_its_id_over_the_wire(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher, compress_cache=False)
    await subscriber.subscribed(str(signal_id(2)))
    assert subscriber.cache is not None
    assert [key.signal_id for key in subscriber.cache.signals.values()] == [signal_id(2)]


async def test_a_data_channel_that_cannot_be_opened_is_refused(
    serve: Serve, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    await subscriber.subscribed("HA:1")
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "create_datagram_endpoint", AsyncMock(side_effect=OSError("no room")))
    subscriber.subscribe(ALL, dataChannel="localport=5000")
    assert await failed(subscriber) == "The UDP data channel cannot be opened: no room"
    # What it had goes on.
    publisher.publish(frame(2))
    assert [item[0] for item in (await subscriber.packet())[1]] == [0]


async def test_a_key_without_a_number_has_the_number_0(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    offered = metadata(3)
    keys = ("meter", "HA:x", f"HA:{'9' * 30}")
    signals = [
        replace(signal, id=key) for signal, key in zip(offered.measurements, keys, strict=True)
    ]
    publisher.define_metadata(replace(offered, measurements=tuple(signals)))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    assert subscriber.cache is not None
    assert [(key.source, key.id) for key in subscriber.cache.signals.values()] == [
        ("", 0),
        ("HA", 0),
        ("HA", 0),
    ]


async def test_metadata_may_change_while_a_filter_is_worked_on(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3_000))
    subscriber = await wire(publisher)
    subscriber.subscribe(ALL)
    answer = asyncio.create_task(subscriber.take_cache())
    while not answer.done():
        publisher.define_metadata(metadata(1))
        await asyncio.sleep(0.001)
    await answer


async def test_metadata_is_written_once_for_all_who_ask_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = []

    def write(tables: list[Table], compressed: bool) -> bytes:
        written.append(compressed)
        return to_xml(tables)

    monkeypatch.setattr(catalog, "_write", write)
    offered = catalog.Catalog()
    offered.define(metadata(3))
    first, *others = await asyncio.gather(*(offered.document(compressed=True) for _ in range(5)))
    assert set(others) == {first}
    assert written == [True]
    offered.define(metadata(4))
    assert await offered.document(compressed=True) != first


# --- user commands


async def test_a_user_command_is_handed_on_and_answered(serve: Serve, wire: Wire) -> None:
    taken: list[tuple[UUID, int, bytes]] = []
    publisher = await serve(
        on_user_command=lambda sender, number, data: taken.append((sender.id, number, data))
    )
    subscriber = await wire(publisher)
    for code, data in ((0xD0, b"on"), (0xDF, b"\0\xff"), (0xD5, b"")):
        subscriber.send(code, data)
        answer = await subscriber.expect(ServerResponse.SUCCEEDED)
        assert (answer.command, answer.text) == (code, "User command taken")
    [info] = publisher.subscribers()
    assert taken == [(info.id, 0, b"on"), (info.id, 15, b"\0\xff"), (info.id, 5, b"")]


async def test_user_commands_are_bounded(serve: Serve, wire: Wire) -> None:
    taken: list[int] = []
    publisher = await serve(
        limits=Limits(user_commands=3, user_command_bytes=10),
        on_user_command=lambda sender, number, data: taken.append(number),
    )
    subscriber = await wire(publisher)
    subscriber.send(0xD0, bytes(11))
    assert await failed(subscriber) == "A user command has 10 bytes at the most"
    for _ in range(3):
        subscriber.send(0xD1)
        await subscriber.expect(ServerResponse.SUCCEEDED)
    subscriber.send(0xD1)
    assert await failed(subscriber) == "No more than 3 user commands a second are taken"
    assert taken == [1, 1, 1]


@pytest.mark.parametrize("code", [0xD0, 0xDF])
async def test_user_commands_that_nobody_takes_are_refused(
    serve: Serve, wire: Wire, code: int
) -> None:
    subscriber = await wire(await serve())
    subscriber.send(code)
    assert await failed(subscriber) == f"The command 0x{code:02X} is not offered"
