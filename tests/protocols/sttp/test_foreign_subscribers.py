"""What the reference's subscribers send, byte by byte, and what they need to be answered.

Written from the behaviour of sttp/gsfapi (C#: openHistorian, openPDC, SIEGate), sttp/cppapi,
sttp/goapi and sttp/pyapi.
"""

import asyncio
import gzip
import struct
import time
from xml.etree import ElementTree as ET

import pytest

from custom_components.grid_telemetry.protocols.sttp.constants import (
    ServerCommand,
    ServerResponse,
    StateFlags,
)
from custom_components.grid_telemetry.protocols.sttp.metadata import Metadata
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher
from custom_components.grid_telemetry.protocols.sttp.ticks import from_epoch

from .conftest import Serve, Wire
from .samples import ALL, NOON, bits, frame, measurement, metadata
from .wire import WireSubscriber

C_SHARP = (
    "throttled=False;publishInterval=-1;includeTime=True;lagTime=10;leadTime=5;"
    "useLocalClockAsRealTime=False;processingInterval=-1;useMillisecondResolution=False;"
    "requestNaNValueFilter=False;assemblyInfo={source=STTP GSF Library (sttp.gsf.dll); "
    "version=1.0.666; updatedOn=2026-10-28 12:00:00 };filterExpression={HA:1;HA:2};"
)
CPP = (
    "throttled=0;publishInterval=1;includeTime=1;enableTimeReasonabilityCheck=0;lagTime=5;"
    "leadTime=5;useLocalClockAsRealTime=0;processingInterval=-1;useMillisecondResolution=0;"
    "requestNaNValueFilter=0;assemblyInfo={source=STTP C++ Library; version=1.0.0; "
    "updatedOn=2024-01-01};filterExpression={FILTER ActiveMeasurements WHERE True};"
)
GO = (
    "throttled=false;publishInterval=1.000000;includeTime=true;enableTimeReasonabilityCheck=false;"
    "lagTime=5.000000;leadTime=5.000000;useLocalClockAsRealTime=false;processingInterval=-1;"
    "useMillisecondResolution=false;requestNaNValueFilterfalse;assemblyInfo={source=STTP Go "
    "Library;version=0.6.1;updatedOn=2022-05-19};filterExpression={HA:1;HA:2}"
)
PYTHON = (
    "throttled=False;publishInterval=1.000000;includeTime=True;processingInterval=-1;"
    "useMillisecondResolution=False;requestNaNValueFilter=False;assemblyInfo={source=STTP Python "
    "Library;version=0.7.6;updatedOn=2026-07-13};filterExpression={HA:1;HA:2}"
)


async def subscribe(subscriber: WireSubscriber, text: str, flags: int = 0x02) -> None:
    data = text.encode(subscriber.modes.encoding)
    subscriber.send(ServerCommand.SUBSCRIBE, struct.pack(">BI", flags, len(data)) + data)
    await subscriber.take_cache()
    await subscriber.settled()


@pytest.mark.parametrize("text", [C_SHARP, CPP, GO, PYTHON], ids=["C#", "C++", "Go", "Python"])
async def test_every_reference_subscriber_can_subscribe(
    serve: Serve, wire: Wire, text: str
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    await subscribe(subscriber, text)
    publisher.publish(frame(2))
    assert len((await subscriber.packet())[1]) == 2
    (info,) = publisher.subscribers()
    assert info.agent.startswith("STTP ")


async def test_a_synchronized_subscription_is_refused_aloud(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    data = CPP.encode()
    subscriber.send(ServerCommand.SUBSCRIBE, struct.pack(">BI", 0x03, len(data)) + data)
    while (answer := await subscriber.next()).code != ServerResponse.FAILED:
        pass
    assert answer.command == ServerCommand.SUBSCRIBE
    assert "Synchronized subscriptions are not offered" in answer.text


@pytest.mark.parametrize(
    ("modes", "compressed"),
    # A C# subscriber by default, with the compress bits and no GZip; then with "compression=true".
    [(0xC400_0002, False), (0xE400_0062, True)],
)
async def test_nothing_is_compressed_without_the_gzip_bit(
    serve: Serve, modes: int, compressed: bool
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    reader, writer = await asyncio.open_connection("127.0.0.1", publisher.port)
    text = C_SHARP.encode("utf-16-le")
    writer.write(
        struct.pack(">IBI", 5, ServerCommand.DEFINE_OPERATIONAL_MODES, modes)
        + struct.pack(">IB", 1, ServerCommand.METADATA_REFRESH)
        + struct.pack(">IBBI", 6 + len(text), ServerCommand.SUBSCRIBE, 0x02, len(text))
        + text
    )
    answers: dict[int, bytes] = {}
    async with asyncio.timeout(10):
        while ServerResponse.UPDATE_SIGNAL_INDEX_CACHE not in answers:
            (length,) = struct.unpack(">I", await reader.readexactly(4))
            code, command, _ = struct.unpack(">BBI", await reader.readexactly(6))
            answers[
                code if code != ServerResponse.SUCCEEDED else command
            ] = await reader.readexactly(length - 6)
    writer.transport.abort()
    document = answers[ServerCommand.METADATA_REFRESH]
    cache = answers[ServerResponse.UPDATE_SIGNAL_INDEX_CACHE][1:]
    if compressed:
        document, cache = gzip.decompress(document), gzip.decompress(cache)
    assert b"<DeviceDetail>" in document
    assert struct.unpack_from(">I", cache) == (len(cache),)


def rows(document: bytes, table: str) -> list[dict[str, str | None]]:
    """Read a data set as .NET does: what is not there is null, what is empty is an empty text."""
    return [
        {field.tag: field.text or "" for field in row}
        for row in ET.fromstring(document).findall(table)
    ]


async def document(publisher: Publisher, wire: Wire) -> bytes:
    subscriber = await wire(publisher, compress_metadata=False)
    subscriber.send(ServerCommand.METADATA_REFRESH)
    return (await subscriber.expect(ServerResponse.SUCCEEDED)).data


async def test_a_null_is_told_from_an_empty_text(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(12))
    received = await document(publisher, wire)
    # What the C# synchronisation selects.
    devices = [row for row in rows(received, "DeviceDetail") if row.get("OriginalSource") is None]
    assert [row["Acronym"] for row in devices] == ["METER"]
    signals = rows(received, "MeasurementDetail")
    indexes = [row.get("PhasorSourceIndex") for row in signals]
    assert indexes == [None, "1", "1", *[None] * 9]
    assert all("AlternateTag" not in row for row in signals)
    # The reference's own data set has these two empty.
    assert (devices[0]["ParentAcronym"], devices[0]["ContactList"]) == ("", "")
    assert Metadata.from_xml(received) == metadata(12)


async def test_metadata_filters_see_a_null_where_the_reference_has_one(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher, compress_metadata=False)
    text = b"FILTER DeviceDetail WHERE OriginalSource IS NULL"
    subscriber.send(ServerCommand.METADATA_REFRESH, struct.pack(">I", len(text)) + text)
    answer = await subscriber.expect(ServerResponse.SUCCEEDED)
    assert len(rows(answer.data, "DeviceDetail")) == 1


async def test_a_device_has_the_rate_of_its_points(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    (device,) = rows(await document(publisher, wire), "DeviceDetail")
    assert device["FramesPerSecond"] == "1"


async def test_a_paused_subscriber_is_kept(
    serve: Serve, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    subscriber.send(ServerCommand.UNSUBSCRIBE)
    await subscriber.expect(ServerResponse.SUCCEEDED)
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + 3_600)
    await subscriber.expect(ServerResponse.NOOP)
    await subscriber.subscribed(ALL)
    assert publisher.health.refused == 0


async def test_the_first_values_come_in_the_form_that_was_asked_for(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    flags = StateFlags.SUSPECT_TIME | StateFlags.WARNING_HIGH
    publisher.publish([measurement(1, 5.0, NOON, int(flags)), measurement(2, 6.0, NOON)])
    publisher.flush()
    first = await wire(publisher)
    first.subscribe(ALL)
    await first.take_cache()
    form, samples = await first.packet()
    assert form == 0x08
    # Compact packets have a byte for the 32 flags, and SUSPECT_TIME would come as all time flags.
    assert samples == [(0, NOON, int(flags), bits(5.0)), (1, NOON, 0, bits(6.0))]
    second = await wire(publisher)
    second.subscribe(ALL)
    await second.take_cache()
    assert await second.packet() == (0x08, samples)
    # They share the state of the compression.
    assert await first.packet() == (0x08, samples)


@pytest.mark.parametrize("unsubscribes", [False, True])
async def test_values_come_once_after_a_change_of_the_configuration(
    serve: Serve, wire: Wire, unsubscribes: bool
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    publisher.publish(frame(2))
    await subscriber.packet()
    publisher.define_metadata(metadata(3))
    await subscriber.expect(ServerResponse.CONFIGURATION_CHANGED)
    await subscriber.take_cache()
    await subscriber.settled()
    # Told of the change it subscribes again: Go unsubscribes first, C# and C++ do not.
    subscriber.seen.clear()
    if unsubscribes:
        subscriber.send(ServerCommand.UNSUBSCRIBE)
    subscriber.subscribe(ALL)
    await subscriber.take_cache()
    await subscriber.settled()
    assert subscriber.seen.count(ServerResponse.DATA_PACKET) == 0
    publisher.publish([measurement(3, 7.0)])
    _, samples = await subscriber.packet()
    assert (2, NOON, 0, bits(7.0)) in samples


@pytest.mark.parametrize(
    ("asked", "received"),
    [
        # As Go and C++ write them.
        ({"lagTime": "5.000000", "leadTime": "2.000000"}, [1, 2]),
        ({"lagTime": "60", "leadTime": "60"}, [0, 1, 2, 3]),
        ({"lagTime": "soon", "leadTime": "nan"}, [1, 2]),
        ({"enableTimeReasonabilityCheck": "0"}, [0, 1, 2, 3]),
    ],
)
async def test_times_are_as_reasonable_as_asked(
    serve: Serve,
    wire: Wire,
    asked: dict[str, str],
    received: list[int],
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(4))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL, **{"enableTimeReasonabilityCheck": "true", **asked})
    publisher.publish(
        [
            measurement(number, 1.0, from_epoch(time.time() + seconds))
            for number, seconds in enumerate((-30, -2, 0, 30), 1)
        ]
    )
    assert [item[0] for item in (await subscriber.packet())[1]] == received
