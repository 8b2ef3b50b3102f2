"""Packets, held against the standard's own tables and against paho, which nobody here wrote."""

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode
import pytest

from custom_components.grid_telemetry.protocols.mqtt import Will, reasons
from custom_components.grid_telemetry.protocols.mqtt.packets import (
    Ack,
    Answer,
    ConnAck,
    Connect,
    Decoder,
    Disconnect,
    MalformedPacket,
    Packet,
    PacketType,
    PingResp,
    Property,
    Publish,
    Version,
    encode_ack,
    encode_connect,
    encode_disconnect,
    encode_publish,
    encode_subscribe,
    encode_unsubscribe,
)

from .scripted import packet, text


def decode(data: bytes, version: Version = Version.MQTT_5) -> list[Packet]:
    return list(Decoder(version, 100_000).feed(data))


def paho_properties(kind: int, **values: object) -> bytes:
    properties = PahoProperties(kind)
    for name, value in values.items():
        setattr(properties, name, value)
    return bytes(properties.pack())


def test_connect_of_mqtt_5_has_every_field() -> None:
    properties = paho_properties(
        PacketTypes.CONNECT,
        SessionExpiryInterval=60,
        ReceiveMaximum=20,
        MaximumPacketSize=5000,
    )
    request = Connect(
        version=Version.MQTT_5,
        client_id="gateway",
        clean_start=False,
        keep_alive_s=15,
        username="key",
        password="secret",
        session_expiry_s=60,
        receive_maximum=20,
        maximum_packet_size=5000,
        will=Will(topic="a/b", payload=b"\x00gone", qos=1),
    )
    assert encode_connect(request) == packet(
        0x10,
        b"\x00\x04MQTT\x05\xcc\x00\x0f"
        + properties
        + b"\x00\x07gateway\x00\x00\x03a/b\x00\x05\x00gone\x00\x03key\x00\x06secret",
    )
    assert "secret" not in repr(request)


def test_connect_of_mqtt_3_1_1_has_no_properties() -> None:
    request = Connect(version=Version.MQTT_3_1_1, client_id="g", clean_start=True, keep_alive_s=60)
    assert encode_connect(request) == b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01g"


def test_what_a_client_sends_is_as_the_standard_has_it() -> None:
    five, three = Version.MQTT_5, Version.MQTT_3_1_1
    assert encode_publish(five, "t", b"x", 2, 7) == b"\x34\x07\x00\x01t\x00\x07\x00x"
    assert encode_publish(three, "t", b"x", 0, 0) == b"\x30\x04\x00\x01tx"
    assert encode_publish(three, "t", bytes(200), 0, 0)[:3] == b"\x30\xcb\x01"
    assert encode_ack(PacketType.PUBREL, 7) == b"\x62\x02\x00\x07"
    assert encode_subscribe(five, 1, ["a", "b"], 1) == (
        b"\x82\x0b\x00\x01\x00\x00\x01a\x01\x00\x01b\x01"
    )
    assert encode_unsubscribe(three, 1, ["a"]) == b"\xa2\x05\x00\x01\x00\x01a"
    assert encode_disconnect(five, 0) == encode_disconnect(three, 4) == b"\xe0\x00"
    assert encode_disconnect(five, 4) == b"\xe0\x01\x04"


@pytest.mark.parametrize("topic", ["a\0b", "x" * 65_536])
def test_what_mqtt_cannot_carry_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="MQTT"):
        encode_publish(Version.MQTT_5, topic, b"", 0, 0)


def test_the_properties_of_a_connack_are_read_as_paho_writes_them() -> None:
    properties = paho_properties(
        PacketTypes.CONNACK,
        ServerKeepAlive=5,
        MaximumQoS=1,
        MaximumPacketSize=1000,
        ReceiveMaximum=3,
        SessionExpiryInterval=9,
        AssignedClientIdentifier="name",
        ReasonString="come in",
        ServerReference="other.example:8883",
        UserProperty=[("a", "b"), ("c", "d")],
        WildcardSubscriptionAvailable=0,
        AuthenticationData=b"\x00\x01",
        TopicAliasMaximum=2,
    )
    [answer] = decode(packet(0x20, b"\x01\x00" + properties))
    assert isinstance(answer, ConnAck)
    assert answer.session_present
    assert answer.code == 0
    numbers = answer.properties.numbers
    assert (numbers[Property.SERVER_KEEP_ALIVE], numbers[Property.MAXIMUM_QOS]) == (5, 1)
    assert numbers[Property.MAXIMUM_PACKET_SIZE] == 1000
    assert numbers[Property.RECEIVE_MAXIMUM] == 3
    assert answer.properties.reason == "come in; other.example:8883"


def test_every_property_that_paho_knows_is_known() -> None:
    names = PahoProperties(PacketTypes.CONNACK).names
    assert {int(key) for key in Property} == set(names.values())


def test_every_reason_that_paho_knows_has_the_same_name() -> None:
    known = ReasonCode(PacketTypes.CONNACK).names
    for code, by_name in known.items():
        if code < reasons.FAILURE:
            continue
        [name] = by_name
        expected = name.lower().replace("-", " ").replace("subscription not", "subscriptions not")
        assert reasons.describe(code).lower().replace("-", " ").startswith(expected), code


def test_packets_that_come_in_pieces_are_put_together() -> None:
    whole = packet(0x32, b"\x00\x01t\x00\x07\x00" + b"x" * 300) + b"\xd0\x00\x40\x02\x00\x07"
    decoder = Decoder(Version.MQTT_5, 1000)
    found = [each for byte in whole for each in decoder.feed(bytes((byte,)))]
    assert found == [
        Publish("t", b"x" * 300, 1, 7, retain=False, duplicate=False),
        PingResp(),
        Ack(PacketType.PUBACK, 7),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xe0\x00", Disconnect(0)),
        (b"\xe0\x01\x8e", Disconnect(0x8E)),
        (b"\xe0\x02\x8e\x00", Disconnect(0x8E)),
        (packet(0xE0, b"\x98\x07" + text(0x1F, "work")), Disconnect(0x98, "work")),
        (b"\x40\x02\x00\x01", Ack(PacketType.PUBACK, 1)),
        (b"\x40\x03\x00\x01\x10", Ack(PacketType.PUBACK, 1, 0x10)),
        (
            packet(0x50, b"\x00\x01\x97\x07" + text(0x1F, "full")),
            Ack(PacketType.PUBREC, 1, 0x97, "full"),
        ),
        (b"\x62\x02\x00\x01", Ack(PacketType.PUBREL, 1)),
        (b"\x90\x05\x00\x01\x00\x01\x87", Answer(1, b"\x01\x87")),
        (packet(0x90, b"\x00\x01\x07" + text(0x1F, "acls") + b"\x87"), Answer(1, b"\x87", "acls")),
        (b"\xb0\x04\x00\x01\x00\x11", Answer(1, b"\x11")),
        (b"\x20\x02\x00\x01", ConnAck(False, 0x84)),  # from a server of MQTT 3.1.1
    ],
)
def test_what_a_server_sends_is_understood(data: bytes, expected: Packet) -> None:
    assert decode(data) == [expected]


@pytest.mark.parametrize(
    ("code", "reason"), [(0, 0), (1, 0x84), (2, 0x85), (3, 0x88), (4, 0x86), (5, 0x87), (9, 0x80)]
)
def test_a_connack_of_mqtt_3_1_1_has_the_reason_of_mqtt_5(code: int, reason: int) -> None:
    assert decode(bytes((0x20, 2, 0, code)), Version.MQTT_3_1_1) == [ConnAck(False, reason)]


def test_mqtt_3_1_1_has_neither_properties_nor_reasons() -> None:
    data = b"\x32\x06\x00\x01t\x00\x07x" + b"\x40\x02\x00\x07" + b"\x90\x04\x00\x01\x01\x80"
    assert decode(data + b"\xb0\x02\x00\x01", Version.MQTT_3_1_1) == [
        Publish("t", b"x", 1, 7, retain=False, duplicate=False),
        Ack(PacketType.PUBACK, 7),
        Answer(1, b"\x01\x80"),
        Answer(1, b""),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x30\xff\xff\xff\xff\x01", 0x81),  # a length of more than four bytes
        (packet(0x30, bytes(200_000)), 0x95),
        (b"\x36\x06\x00\x01t\x00\x07\x00", 0x81),  # QoS 3
        (b"\x32\x06\x00\x01t\x00\x00\x00", 0x82),  # packet identifier 0
        (b"\x30\x03\x00\x00\x00", 0x94),  # no topic
        (b"\x30\x07\x00\x01t\x03\x23\x00\x01", 0x94),  # a topic alias
        (b"\x30\x02\x00\x09", 0x81),  # a text beyond the end
        (b"\x30\x04\x00\x01\xff\x00", 0x81),  # no UTF-8
        (b"\x30\x04\x00\x01\x00\x00", 0x81),  # a null character
        (b"\x41\x02\x00\x01", 0x81),  # flags
        (b"\x60\x02\x00\x01", 0x81),  # PUBREL without its flag
        (b"\x20\x03\x02\x00\x00", 0x81),  # flags of CONNACK
        (b"\xd0\x01\x00", 0x81),  # a PINGRESP with a body
        (b"\xf0\x00", 0x82),  # AUTH
        (b"\x82\x00", 0x81),
        (b"\xc0\x00", 0x82),  # PINGREQ is not a server's
        (b"\x20\x05\x00\x00\x02\x7f\x00", 0x81),  # no property
        (b"\x20\x09\x00\x00\x06\x21\x00\x01\x21\x00\x01", 0x82),  # twice
        (b"\x20\x06\x00\x00\x03\x21\x00\x00", 0x82),  # Receive Maximum 0
        (b"\x20\x07\x00\x00\x04\xff\xff\xff\xff", 0x81),  # a property's number too long
    ],
)
def test_what_is_no_packet_is_told_by_its_reason(data: bytes, code: int) -> None:
    with pytest.raises(MalformedPacket) as error:
        decode(data)
    assert error.value.code == code


def test_mqtt_3_1_1_has_no_disconnect_from_a_server() -> None:
    with pytest.raises(MalformedPacket):
        decode(b"\xe0\x00", Version.MQTT_3_1_1)


def test_a_reason_without_a_name_is_shown_by_its_number() -> None:
    assert reasons.describe(0x77, "sorry") == "unknown reason (0x77): sorry"
