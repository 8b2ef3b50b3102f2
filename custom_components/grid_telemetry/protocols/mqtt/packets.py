"""Packets of MQTT 5 and 3.1.1 as bytes, for a client: what it sends and what it receives.

Pure translation, no I/O. Sources: OASIS MQTT 5.0 (2019) and MQTT 3.1.1 (2014); section numbers are
those of MQTT 5. Extended authentication, topic aliases and retained messages are not used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from .reasons import (
    FAILURE,
    MALFORMED_PACKET,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    SUCCESS,
    TOPIC_ALIAS_NOT_VALID,
    reason_of_mqtt_3,
)

MAX_REMAINING_LENGTH: Final = 268_435_455
MAX_STRING_BYTES: Final = 65_535


class Version(IntEnum):
    """The protocol's version as CONNECT has it."""

    MQTT_3_1_1 = 4
    MQTT_5 = 5


class PacketType(IntEnum):
    """The upper half of a packet's first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Property(IntEnum):
    """Properties (section 2.2.2.2)."""

    PAYLOAD_FORMAT_INDICATOR = 0x01
    MESSAGE_EXPIRY_INTERVAL = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY_INTERVAL = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY_INTERVAL = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


_ONE_BYTE: Final = frozenset(
    {
        Property.PAYLOAD_FORMAT_INDICATOR,
        Property.REQUEST_PROBLEM_INFORMATION,
        Property.REQUEST_RESPONSE_INFORMATION,
        Property.MAXIMUM_QOS,
        Property.RETAIN_AVAILABLE,
        Property.WILDCARD_SUBSCRIPTION_AVAILABLE,
        Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE,
        Property.SHARED_SUBSCRIPTION_AVAILABLE,
    }
)
_TWO_BYTES: Final = frozenset(
    {
        Property.SERVER_KEEP_ALIVE,
        Property.RECEIVE_MAXIMUM,
        Property.TOPIC_ALIAS_MAXIMUM,
        Property.TOPIC_ALIAS,
    }
)
_FOUR_BYTES: Final = frozenset(
    {
        Property.MESSAGE_EXPIRY_INTERVAL,
        Property.SESSION_EXPIRY_INTERVAL,
        Property.WILL_DELAY_INTERVAL,
        Property.MAXIMUM_PACKET_SIZE,
    }
)
_BINARY: Final = frozenset({Property.CORRELATION_DATA, Property.AUTHENTICATION_DATA})
_MAY_REPEAT: Final = frozenset({Property.USER_PROPERTY, Property.SUBSCRIPTION_IDENTIFIER})
_NOT_ZERO: Final = frozenset({Property.RECEIVE_MAXIMUM, Property.MAXIMUM_PACKET_SIZE})


class MalformedPacket(Exception):  # noqa: N818 - named after what happened
    """What came is no packet, or none that may come; `code` is what to end the connection with."""

    def __init__(self, detail: str, code: int = MALFORMED_PACKET) -> None:
        """Take what is wrong, and the reason code for it."""
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties of a packet that a client has a use for."""

    numbers: Mapping[Property, int] = field(default_factory=dict)
    texts: Mapping[Property, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """What the server says of its reason code, and where else to go."""
        parts = (
            self.texts.get(Property.REASON_STRING, ""),
            self.texts.get(Property.SERVER_REFERENCE, ""),
        )
        return "; ".join(part for part in parts if part)


_NONE: Final = Properties()


@dataclass(frozen=True, slots=True)
class ConnAck:
    """The answer to CONNECT."""

    session_present: bool
    code: int
    properties: Properties = _NONE


@dataclass(frozen=True, slots=True)
class Publish:
    """A message."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int
    """0 with QoS 0, which has none."""
    retain: bool
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Ack:
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""

    type: PacketType
    packet_id: int
    code: int = SUCCESS
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """SUBACK or UNSUBACK; an UNSUBACK of MQTT 3.1.1 has no codes."""

    packet_id: int
    codes: Sequence[int]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PingResp:
    """The answer to PINGREQ."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The server ends the connection."""

    code: int
    reason: str = ""


type Packet = ConnAck | Publish | Ack | Answer | PingResp | Disconnect


@dataclass(frozen=True, kw_only=True)
class Will:
    """What the server publishes, not retained, when the connection is lost."""

    topic: str
    payload: bytes
    qos: int = 1


@dataclass(frozen=True, kw_only=True)
class Connect:
    """How to begin."""

    version: Version
    client_id: str
    clean_start: bool
    keep_alive_s: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    session_expiry_s: int = 0
    receive_maximum: int = 65_535
    maximum_packet_size: int | None = None
    will: Will | None = None


# --- what a client sends


def _variable_number(number: int) -> bytes:
    encoded = bytearray()
    while True:
        number, seven_bits = divmod(number, 128)
        if not number:
            encoded.append(seven_bits)
            return bytes(encoded)
        encoded.append(seven_bits | 0x80)


def _binary(data: bytes) -> bytes:
    if len(data) > MAX_STRING_BYTES:
        raise ValueError(f"{len(data)} bytes are more than MQTT can carry in one field")
    return len(data).to_bytes(2) + data


def _string(text: str) -> bytes:
    """Encode a text; the standard forbids the null character and what is no UTF-8."""
    if "\0" in text:
        raise ValueError("a null character is not allowed in MQTT")
    return _binary(text.encode())


def _packet(first_byte: int, body: bytes) -> bytes:
    if len(body) > MAX_REMAINING_LENGTH:
        raise ValueError(f"{len(body)} bytes are more than an MQTT packet can carry")
    return bytes((first_byte,)) + _variable_number(len(body)) + body


def _properties(properties: Mapping[Property, int]) -> bytes:
    encoded = bytearray()
    for key, number in properties.items():
        encoded.append(key)
        encoded += number.to_bytes(2 if key in _TWO_BYTES else 4)
    return _variable_number(len(encoded)) + encoded


def encode_connect(connect: Connect) -> bytes:
    """Return CONNECT; raises ValueError for a field that MQTT cannot carry."""
    will = connect.will
    flags = (
        (connect.clean_start << 1)
        | ((will is not None) << 2)
        | ((0 if will is None else will.qos) << 3)
        | ((connect.password is not None) << 6)
        | ((connect.username is not None) << 7)
    )
    body = bytearray(_string("MQTT"))
    body += bytes((connect.version, flags))
    body += connect.keep_alive_s.to_bytes(2)
    version_5 = connect.version is Version.MQTT_5
    if version_5:
        properties = {
            Property.SESSION_EXPIRY_INTERVAL: connect.session_expiry_s,
            Property.RECEIVE_MAXIMUM: connect.receive_maximum,
        }
        if connect.maximum_packet_size is not None:
            properties[Property.MAXIMUM_PACKET_SIZE] = connect.maximum_packet_size
        body += _properties(properties)
    body += _string(connect.client_id)
    if will is not None:
        if version_5:
            body += _properties({})
        body += _string(will.topic) + _binary(will.payload)
    if connect.username is not None:
        body += _string(connect.username)
    if connect.password is not None:
        body += _string(connect.password)
    return _packet(PacketType.CONNECT << 4, bytes(body))


def encode_publish(version: Version, topic: str, payload: bytes, qos: int, packet_id: int) -> bytes:
    """Return a PUBLISH that is neither retained nor a duplicate; raises ValueError."""
    head = _string(topic)
    if qos:
        head += packet_id.to_bytes(2)
    if version is Version.MQTT_5:
        head += b"\0"
    return _packet(PacketType.PUBLISH << 4 | qos << 1, head + payload)


def encode_ack(kind: PacketType, packet_id: int) -> bytes:
    """Return PUBACK, PUBREC, PUBREL or PUBCOMP without a reason, which is success."""
    reserved = 0b10 if kind is PacketType.PUBREL else 0
    return bytes((kind << 4 | reserved, 2)) + packet_id.to_bytes(2)


def encode_subscribe(version: Version, packet_id: int, topics: Sequence[str], qos: int) -> bytes:
    """Return SUBSCRIBE for topics with one QoS; raises ValueError."""
    body = packet_id.to_bytes(2) + (b"\0" if version is Version.MQTT_5 else b"")
    body += b"".join(_string(topic) + bytes((qos,)) for topic in topics)
    return _packet(PacketType.SUBSCRIBE << 4 | 0b10, body)


def encode_unsubscribe(version: Version, packet_id: int, topics: Sequence[str]) -> bytes:
    """Return UNSUBSCRIBE; raises ValueError."""
    body = packet_id.to_bytes(2) + (b"\0" if version is Version.MQTT_5 else b"")
    body += b"".join(map(_string, topics))
    return _packet(PacketType.UNSUBSCRIBE << 4 | 0b10, body)


PINGREQ: Final = bytes((PacketType.PINGREQ << 4, 0))


def encode_disconnect(version: Version, code: int) -> bytes:
    """Return DISCONNECT; MQTT 3.1.1 has no reason in it."""
    if version is Version.MQTT_5 and code != SUCCESS:
        return bytes((PacketType.DISCONNECT << 4, 1, code))
    return bytes((PacketType.DISCONNECT << 4, 0))


# --- what a client receives


class _Reader:
    """Reads the fields of a packet's body one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise MalformedPacket("a field goes beyond the end of the packet")
        self._at += count
        return self._body[self._at - count : self._at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count))

    def variable_number(self) -> int:
        number = 0
        for shift in (0, 7, 14, 21):
            byte = self.number(1)
            number |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return number
        raise MalformedPacket("a number has more than four bytes")

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def string(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as err:
            raise MalformedPacket("a text is not UTF-8") from err
        if "\0" in text:
            raise MalformedPacket("a text has a null character")
        return text

    def rest(self) -> bytes:
        return self.take(self.left)

    def properties(self) -> Properties:
        """Read the properties; a packet that ends before them has none."""
        if not self.left or not (length := self.variable_number()):
            return _NONE
        reader = _Reader(self.take(length))
        numbers: dict[Property, int] = {}
        texts: dict[Property, str] = {}
        while reader.left:
            key = _property(reader.variable_number())
            if key not in _MAY_REPEAT and (key in numbers or key in texts):
                raise MalformedPacket(f"{key.name} comes twice", PROTOCOL_ERROR)
            if key is Property.USER_PROPERTY:
                reader.string()
                reader.string()
            elif key in _BINARY:
                reader.binary()
            elif (number := reader.number_of(key)) is not None:
                if not number and key in _NOT_ZERO:
                    raise MalformedPacket(f"{key.name} is 0", PROTOCOL_ERROR)
                numbers[key] = number
            else:
                texts[key] = reader.string()
        return Properties(numbers, texts)

    def number_of(self, key: Property) -> int | None:
        """Read the value of a property that is a number; None for one that is not."""
        if key is Property.SUBSCRIPTION_IDENTIFIER:
            return self.variable_number()
        for width, keys in ((1, _ONE_BYTE), (2, _TWO_BYTES), (4, _FOUR_BYTES)):
            if key in keys:
                return self.number(width)
        return None


def _property(key: int) -> Property:
    try:
        return Property(key)
    except ValueError as err:
        raise MalformedPacket(f"0x{key:02X} is no property") from err


class Decoder:
    """Cuts what was received into packets; what is left of one waits for the rest."""

    def __init__(self, version: Version, maximum_packet_size: int) -> None:
        """Take the version that is spoken and the largest packet that is taken."""
        self._version = version
        self._maximum = maximum_packet_size
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that are complete; raises `MalformedPacket`."""
        self._buffer += data
        while (bounds := self._next()) is not None:
            start, end = bounds
            first_byte, body = self._buffer[0], bytes(self._buffer[start:end])
            del self._buffer[:end]
            yield _decode(self._version, first_byte, body)

    def _next(self) -> tuple[int, int] | None:
        """Return where the body of the first packet is, None until it is complete."""
        buffer = self._buffer
        if buffer:
            _check_flags(buffer[0])  # at once: what is no MQTT server may say no more
        length = 0
        for index in range(1, min(len(buffer), 5)):
            length |= (buffer[index] & 0x7F) << 7 * (index - 1)
            if not buffer[index] & 0x80:
                start, end = index + 1, index + 1 + length
                if end > self._maximum:
                    raise MalformedPacket(f"a packet of {end} bytes", PACKET_TOO_LARGE)
                return (start, end) if len(buffer) >= end else None
        if len(buffer) >= 5:
            raise MalformedPacket("the length of a packet has more than four bytes")
        return None


def _check_flags(first_byte: int) -> None:
    kind, flags = first_byte >> 4, first_byte & 0x0F
    if kind != PacketType.PUBLISH and flags != (0b10 if kind == PacketType.PUBREL else 0):
        raise MalformedPacket(f"flags {flags:04b} in a packet of type {kind}")


def _decode(version: Version, first_byte: int, body: bytes) -> Packet:
    kind, flags = first_byte >> 4, first_byte & 0x0F
    reader = _Reader(body)
    if kind == PacketType.PUBLISH:
        return _publish(version, flags, reader)
    match kind:
        case PacketType.PUBACK | PacketType.PUBREC | PacketType.PUBREL | PacketType.PUBCOMP:
            packet: Packet = _ack(version, PacketType(kind), reader)
        case PacketType.CONNACK:
            packet = _connack(version, reader)
        case PacketType.SUBACK | PacketType.UNSUBACK:
            packet_id = _packet_id(reader)
            properties = reader.properties() if version is Version.MQTT_5 else _NONE
            return Answer(packet_id, reader.rest(), properties.reason)
        case PacketType.PINGRESP:
            packet = PingResp()
        case PacketType.DISCONNECT if version is Version.MQTT_5:
            code = reader.number(1) if reader.left else SUCCESS
            packet = Disconnect(code, reader.properties().reason)
        case _:
            raise MalformedPacket(f"a packet of type {kind} came", PROTOCOL_ERROR)
    if reader.left:
        raise MalformedPacket(f"{reader.left} bytes too many in a packet of type {kind}")
    return packet


def _packet_id(reader: _Reader) -> int:
    if not (packet_id := reader.number(2)):
        raise MalformedPacket("packet identifier 0", PROTOCOL_ERROR)
    return packet_id


def _connack(version: Version, reader: _Reader) -> ConnAck:
    flags, code = reader.number(1), reader.number(1)
    if flags > 1:
        raise MalformedPacket(f"flags {flags:08b} in CONNACK")
    if version is Version.MQTT_3_1_1:
        return ConnAck(bool(flags), reason_of_mqtt_3(code))
    if not reader.left and 0 < code < FAILURE:
        # An answer of MQTT 3.1.1, from a server that does not know MQTT 5.
        return ConnAck(bool(flags), reason_of_mqtt_3(code))
    return ConnAck(bool(flags), code, reader.properties())


def _publish(version: Version, flags: int, reader: _Reader) -> Publish:
    qos = flags >> 1 & 0b11
    if qos == 3:
        raise MalformedPacket("QoS 3")
    topic = reader.string()
    packet_id = _packet_id(reader) if qos else 0
    properties = reader.properties() if version is Version.MQTT_5 else _NONE
    if not topic or Property.TOPIC_ALIAS in properties.numbers:
        # None was offered, so none may come (section 3.3.2.3.4).
        raise MalformedPacket("a topic alias came, or no topic", TOPIC_ALIAS_NOT_VALID)
    return Publish(
        topic, reader.rest(), qos, packet_id, retain=bool(flags & 1), duplicate=bool(flags & 0b1000)
    )


def _ack(version: Version, kind: PacketType, reader: _Reader) -> Ack:
    packet_id = _packet_id(reader)
    if version is Version.MQTT_3_1_1 or not reader.left:
        return Ack(kind, packet_id)
    code = reader.number(1)
    return Ack(kind, packet_id, code, reader.properties().reason)
