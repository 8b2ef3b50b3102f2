"""Every codec against whatever a peer may send: it reads it, or raises the error that it says.

`script/fuzz` runs them for long.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
import json
import struct
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.grid_telemetry.connection.errors import LinkError
from custom_components.grid_telemetry.links.ardexa import payload as ardexa
from custom_components.grid_telemetry.links.powernaut import activations, rest_payload
from custom_components.grid_telemetry.links.solarnode import payload as solarnode
from custom_components.grid_telemetry.links.solarnode.payload import LiveMessage
from custom_components.grid_telemetry.protocols import mqtt, sparkplug
from custom_components.grid_telemetry.protocols.modbus_server.frames import (
    FramingError,
    Request,
    RtuFramer,
    TcpFramer,
    crc,
)
from custom_components.grid_telemetry.protocols.mqtt import packets as mqtt_packets
from custom_components.grid_telemetry.protocols.stomp import (
    Decoder,
    Frame,
    StompProtocolError,
    encode,
    sns,
)
from custom_components.grid_telemetry.protocols.stomp.frames import undo_escapes
from custom_components.grid_telemetry.protocols.stomp.patterns import matches
from custom_components.grid_telemetry.protocols.stomp.reply import Reply, result_of
from custom_components.grid_telemetry.protocols.sttp import compact
from custom_components.grid_telemetry.protocols.sttp.cache import SignalIndexCache
from custom_components.grid_telemetry.protocols.sttp.compact import BaseTimes
from custom_components.grid_telemetry.protocols.sttp.filter import FilterError, Names, select
from custom_components.grid_telemetry.protocols.sttp.frames import (
    OperationalModes,
    SttpError,
    deflate,
    inflate,
    settings,
)
from custom_components.grid_telemetry.protocols.sttp.metadata import Metadata
from custom_components.grid_telemetry.protocols.sttp.publisher.subscription import (
    read_subscription,
)
from custom_components.grid_telemetry.protocols.sttp.tssc import TsscDecoder
from custom_components.grid_telemetry.vocabulary.datum import Datum, parse_created
from tests.protocols.sttp.samples import metadata

LONGEST_PAST = timedelta(days=30)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
MODES = st.builds(
    OperationalModes,
    version=st.integers(1, 3),
    encoding=st.sampled_from(["utf-8", "utf-16-le"]),
    compress_cache=st.booleans(),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def shaped(*keys: str) -> st.SearchStrategy[Any]:
    """JSON with the names that a codec looks for, and anything below them."""
    inner = st.dictionaries(st.sampled_from(keys), JSON, max_size=6)
    values = JSON | inner | st.lists(inner, max_size=3)
    return values | st.dictionaries(st.sampled_from(keys), values, max_size=8)


def tried(read: Callable[[], object], *errors: type[Exception]) -> None:
    """Read something; any other error than these fails the test."""
    with suppress(*errors):
        read()


# --- MQTT

MQTT_PIECES = st.sampled_from(
    [
        *(b"\x20\x03\x00\x00\x00", b"\x32\x06\x00\x01t\x00\x07\x00", b"\x40\x02\x00\x01"),
        *(b"\x90\x05\x00\x01\x00\x01\x87", b"\xe0\x01\x8e", b"\x30\xff\xff", b"\x1f\x00\x02ab"),
    ]
)


@given(
    pieces=st.lists(MQTT_PIECES | st.binary(max_size=20), max_size=30),
    version=st.sampled_from(list(mqtt.Version)),
)
def test_mqtt_decoder(pieces: list[bytes], version: mqtt.Version) -> None:
    decoder = mqtt_packets.Decoder(version, 200)
    for piece in pieces:
        tried(lambda piece=piece: list(decoder.feed(piece)), mqtt_packets.MalformedPacket)
        assert len(decoder._buffer) <= 20 * 30 + 200


@given(
    topic=st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=50
    ),
    payload=st.binary(max_size=300),
    qos=st.integers(0, 2),
    packet_id=st.integers(1, 65_535),
    version=st.sampled_from(list(mqtt.Version)),
    cut=st.integers(1, 7),
)
def test_mqtt_messages_come_back(
    topic: str, payload: bytes, qos: int, packet_id: int, version: mqtt.Version, cut: int
) -> None:
    data = mqtt_packets.encode_publish(version, topic, payload, qos, packet_id)
    decoder = mqtt_packets.Decoder(version, len(data))
    found = [
        packet for at in range(0, len(data), cut) for packet in decoder.feed(data[at : at + cut])
    ]
    assert found == [
        mqtt_packets.Publish(
            topic, payload, qos, packet_id if qos else 0, retain=False, duplicate=False
        )
    ]


# --- STOMP

STOMP_PIECES = st.sampled_from(
    [
        *(b"\n", b"\r\n", b"\0", b":", b"\\", b"\\c", b"\\t", b"SEND\n", b"CONNECT\n", b"a:b\n"),
        *(b"content-length:3\n", b"content-length:99999\n", b"\n\nabc\0", b"\xff", b"\xc3\xbc"),
    ]
)


@given(pieces=st.lists(STOMP_PIECES | st.binary(max_size=20), max_size=30), lenient=st.booleans())
def test_stomp_decoder(pieces: list[bytes], lenient: bool) -> None:
    decoder = Decoder(max_header_bytes=200, max_headers=5, max_body_bytes=100, lenient=lenient)
    for piece in pieces:
        tried(lambda piece=piece: list(decoder.feed(piece)), StompProtocolError)
        assert len(decoder._buffer) <= 400 + len(piece)


@given(
    headers=st.dictionaries(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        max_size=6,
    ),
    body=st.binary(max_size=200),
    cut=st.integers(1, 7),
    lenient=st.booleans(),
)
def test_stomp_frames_come_back(
    headers: dict[str, str], body: bytes, cut: int, lenient: bool
) -> None:
    headers.pop("content-length", None)
    data = encode(Frame("SEND", headers, body))
    decoder = Decoder(lenient=lenient)
    frames = [
        frame
        for start in range(0, len(data), cut)
        for frame in decoder.feed(data[start : start + cut])
    ]
    (frame,) = frames
    assert isinstance(frame, Frame)
    assert {name: frame.headers[name] for name in headers} == headers
    assert frame.body == body


@given(text=st.text() | st.from_regex(r"(\\[rnc\\]|.)*", fullmatch=True))
def test_stomp_second_round_of_escapes(text: str) -> None:
    assert len(undo_escapes(text)) <= len(text)


@given(text=st.text() | st.from_regex(r"SNS ([A-Z][a-z]+=[^,]*,?)*", fullmatch=True))
def test_sns_authorization(text: str) -> None:
    tried(lambda: sns.Authorization.parse(text), sns.SnsError)
    tried(lambda: sns.parse_http_date(text), sns.SnsError)
    tried(lambda: sns.salt_of(text), ValueError)


@given(
    pattern=st.text(st.sampled_from("/*?ab"), max_size=60),
    text=st.text(st.sampled_from("/ab"), max_size=60),
)
def test_patterns(pattern: str, text: str) -> None:
    assert matches(pattern, text) in (True, False)
    assert matches(text, text)


# --- Modbus


@given(pieces=st.lists(st.binary(max_size=40), max_size=20))
def test_modbus_tcp_framer(pieces: list[bytes]) -> None:
    framer = TcpFramer()
    for piece in pieces:
        try:
            requests = list(framer.feed(piece))
        except FramingError:
            return
        assert all(1 <= len(request.pdu) <= 253 for request in requests)


MODBUS_PIECES = st.sampled_from(
    [b"\x01\x04", b"\x01\x10\x00\x00\x00\x7b\xf6", b"\x01\x0f\x00\x00\x00\x08\x01", b"\x01" * 9]
)


@given(pieces=st.lists(MODBUS_PIECES | st.binary(max_size=40), max_size=20))
def test_rtu_framer(pieces: list[bytes]) -> None:
    """However noise is cut, the same requests are found in it."""
    whole = RtuFramer({1, 2})
    found = list(whole.feed(b"".join(pieces)))
    framer = RtuFramer({1, 2})
    assert [request for piece in pieces for request in framer.feed(piece)] == found
    assert len(framer._buffer) <= 512
    framer.forget()
    asked = bytes.fromhex("01 04 0034 0002")
    (request,) = framer.feed(asked + crc(asked).to_bytes(2, "little"))
    assert request == Request(1, asked[1:])


# --- STTP


@given(data=st.binary(max_size=400), count=st.integers(0, 70_000))
def test_sttp_packets(data: bytes, count: int) -> None:
    tried(lambda: compact.decode(data, count, base_times=BaseTimes()), SttpError)
    tried(lambda: BaseTimes.decode(data), SttpError)
    tried(lambda: OperationalModes.decode(data), SttpError)


@given(blocks=st.lists(st.binary(max_size=200), max_size=5), count=st.integers(0, 300))
def test_tssc_decoder(blocks: list[bytes], count: int) -> None:
    decoder = TsscDecoder()
    for sequence, block in enumerate(blocks):
        data = struct.pack(">BH", 85, sequence) + block
        tried(lambda data=data: decoder.decode(data, count), SttpError)


@given(data=st.binary(max_size=300), modes=MODES, compressed=st.booleans())
def test_sttp_signal_index_cache(data: bytes, modes: OperationalModes, compressed: bool) -> None:
    packed = b"\0" + deflate(data) if compressed else data
    tried(lambda: SignalIndexCache.decode(packed, modes), SttpError)
    tried(lambda: inflate(packed, 1_000), SttpError)


XML = st.recursive(
    st.text(st.characters(codec="utf-8"), max_size=10)
    | st.sampled_from(["&lt;", "&x;", "<!-- -->", "<![CDATA[x]]>", "1e999", "{0}", "2026-13-01"]),
    lambda inner: st.builds(
        lambda name, parts: f"<{name}>{''.join(parts)}</{name}>",
        st.sampled_from(
            [
                *("DeviceDetail", "MeasurementDetail", "PhasorDetail", "SchemaVersion"),
                *("Acronym", "SignalID", "ID", "UpdatedOn", "Longitude", "Enabled"),
                *("VersionNumber", "x"),
            ]
        ),
        st.lists(inner, max_size=4),
    ),
    max_leaves=20,
)


@given(document=XML.map(lambda text: f"<DataSet>{text}</DataSet>".encode()) | st.binary())
def test_sttp_metadata(document: bytes) -> None:
    tried(lambda: Metadata.from_xml(document), SttpError)


WORDS = st.sampled_from(
    [
        *("FILTER", "ActiveMeasurements", "WHERE", "ORDER BY", "TOP", "AND", "OR", "NOT", "IN"),
        *("LIKE", "IS NULL", "True", "(", ")", ",", ";", "=", "<>", "<", "-", "ID", "SignalType"),
        *("UpdatedOn", "DeviceID", "'a%'", "'*'", "HA:1", "1", "1e400", "0xff", "#2026-01-01#"),
        *("LEN", "ISNULL", "{", "}", "'", "--", "/*", "\0", "é"),
    ]
)


@given(words=st.lists(WORDS | st.text(max_size=6), max_size=25))
def test_sttp_filter(words: list[str]) -> None:
    names = Names(metadata(3).active_measurements())

    async def selected() -> None:
        await select(" ".join(words), [names.table], names.table.name, names)

    tried(lambda: asyncio.run(selected()), FilterError)


@given(
    text=st.lists(
        st.sampled_from(
            [
                *("filterExpression=", "{", "}", ";", "throttled=True", "publishInterval="),
                *("dataChannel={localport=", "assemblyInfo={source=", "x=1", "nan", "="),
                *("1e999", "²", "startTimeConstraint=", "stopTimeConstraint=", "*-5m", "*"),
                *("2026-11-01", "2026-13-01T", "processingInterval="),
            ]
        )
        | st.text(max_size=5),
        max_size=20,
    ).map("".join),
    modes=MODES,
)
def test_sttp_subscription(text: str, modes: OperationalModes) -> None:
    tried(lambda: settings(text), SttpError)
    data = text.encode(modes.encoding, "replace")
    tried(
        lambda: read_subscription(b"\0" + struct.pack(">I", len(data)) + data, modes, LONGEST_PAST),
        SttpError,
    )


# --- what platforms answer


@given(data=shaped("timing", "start", "end", "value") | st.binary())
def test_powernaut_activation(data: object) -> None:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    tried(lambda: activations.parse_activation(raw, NOW), activations.ActivationRefused)


@given(
    value=JSON | st.from_regex(r"-?[0-9]{0,40}(\.[0-9]{0,40})?(E[+-]?[0-9]{1,9})?", fullmatch=True)
)
@pytest.mark.parametrize("read", [rest_payload.watts, rest_payload.instant, rest_payload.page])
def test_powernaut_rest(read: Callable[[Any], object], value: object) -> None:
    tried(lambda: read(value), rest_payload.ShapeError)


@given(answer=shaped("id", "cn", "name", "devices", "settings", "meta", "externalMeta", "table"))
def test_ardexa(answer: object) -> None:
    tried(lambda: ardexa.devices_of(answer), ardexa.ShapeError)
    tried(lambda: ardexa.device_of(answer), ardexa.ShapeError)
    assert isinstance(ardexa.rejection_of(answer), str)


@given(answer=shaped("created", "sourceId", "i", "a", "s", "t", "nodeId"))
def test_datum(answer: object) -> None:
    tried(lambda: Datum.from_dict(answer), ValueError)
    tried(lambda: parse_created(answer), ValueError)
    tried(lambda: solarnode.datum_of(Reply(result=answer)), LinkError)  # type: ignore[arg-type]


@given(body=st.text() | shaped("t", "watts").map(json.dumps))
def test_live_datum(body: str) -> None:
    solarnode.live_datum_of(LiveMessage(status=200, message=None, body=body))
    result_of(body)


SPARKPLUG_METRICS = st.builds(
    sparkplug.Metric,
    name=st.none() | st.sampled_from(["m", "Node Control/Rebirth"]),
    alias=st.none() | st.integers(0, 3),
    data_type=st.just(sparkplug.DataType.DOUBLE),
    value=st.none() | st.floats(),
)


@given(
    st.sampled_from(["NCMD/n", "DCMD/n/d", "DCMD/n/x", "STATE/h", "NBIRTH/n", "", "DCMD/n"]),
    st.binary() | st.lists(SPARKPLUG_METRICS, max_size=3),
    st.integers(0, 60),
    st.integers(0, 255),
)
def test_a_sparkplug_node_takes_anything(
    topic: str, given: bytes | list[sparkplug.Metric], at: int, byte: int
) -> None:
    """Whole or with one byte of it damaged: it means something, or is refused, or nothing."""
    node = sparkplug.EdgeNode("g", "n", primary_host="h")
    metric = sparkplug.MetricDefinition(
        name="m", data_type=sparkplug.DataType.DOUBLE, writable=True
    )
    node.define("d", [metric], timestamp_ms=0)
    node.begin_session()
    kind, _, rest = topic.partition("/")
    full = f"spBv1.0/STATE/{rest}" if kind == "STATE" else f"spBv1.0/g/{topic}"
    if isinstance(given, list):
        damaged = bytearray(sparkplug.encode_payload(0, None, map(sparkplug.encode_metric, given)))
        damaged[at % len(damaged)] ^= byte
        given = bytes(damaged)
    for event in node.take(full, given):
        if isinstance(event, sparkplug.CommandReceived):
            assert isinstance(event.value, float)
    list(node.births(1))
