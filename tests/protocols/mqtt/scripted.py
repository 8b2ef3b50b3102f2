"""Just enough of an MQTT broker to say what a real one rarely says; written from the standard."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
import ssl

from simulators.certificates import Authority

CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 3, 4, 5, 6, 7
SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 8, 10, 12, 14


@dataclass(kw_only=True)
class Script:
    """What the broker answers."""

    connack: bytes | None = b"\x20\x03\x00\x00\x00"
    """None says nothing at all."""
    after_connack: bytes = b""
    version: int = 5
    suback: int | Callable[[str], int] = 1
    """A code for every topic, or by topic."""
    suback_properties: bytes = b""
    after_suback: bytes = b""
    puback: bytes = b"\x00"
    """What follows the packet identifier: nothing, a reason, or a reason and properties."""
    pubrec: bytes = b"\x00"
    silent: set[int] = field(default_factory=set)
    """Packets that have no answer."""
    got: list[tuple[int, bytes]] = field(default_factory=list)
    """Type and body of each packet."""
    raw: list[bytes] = field(default_factory=list)
    """Each packet as it came."""
    connections: int = 0
    closed: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def of(self, kind: int) -> list[bytes]:
        """Return the bodies of the packets of a type."""
        return [body for type_, body in self.got if type_ == kind]

    def say(self, packet: bytes) -> None:
        """Send something over the latest connection."""
        self.writers[-1].write(packet)

    def hang_up(self) -> None:
        """Close the latest connection without a word."""
        self.writers[-1].close()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is true."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    async def until_got(self, kind: int, count: int = 1) -> None:
        """Wait for packets of a type."""
        await self.until(lambda: len(self.of(kind)) >= count)

    def answer(self, kind: int, flags: int, body: bytes) -> bytes:
        """Return the answer to a packet."""
        if kind in self.silent:
            return b""
        match kind:
            case 1 if self.connack is not None:
                return self.connack + self.after_connack
            case 3 if flags & 0b110 == 0b010:
                return packet(0x40, _publish_id(body) + self._reason(self.puback))
            case 3 if flags & 0b110 == 0b100:
                return packet(0x50, _publish_id(body) + self._reason(self.pubrec))
            case 5:
                return packet(0x62, body[:2])
            case 6:
                return packet(0x70, body[:2])
            case 8:
                return self._suback(body) + self.after_suback
            case 10:
                return packet(0xB0, body[:2] + (b"\x00\x00" if self.version == 5 else b""))
            case 12:
                return b"\xd0\x00"
        return b""

    def _reason(self, reason: bytes) -> bytes:
        return reason if self.version == 5 else b""

    def _suback(self, body: bytes) -> bytes:
        at = 3 if self.version == 5 else 2
        codes = bytearray()
        while at < len(body):
            length = int.from_bytes(body[at : at + 2])
            topic = body[at + 2 : at + 2 + length].decode()
            codes.append(self.suback if isinstance(self.suback, int) else self.suback(topic))
            at += 3 + length
        properties = self.suback_properties
        head = bytes((len(properties),)) + properties if self.version == 5 else b""
        return packet(0x90, body[:2] + head + codes)


def packet(first_byte: int, body: bytes) -> bytes:
    """Return a packet."""
    length, left = bytearray(), len(body)
    while True:
        left, low = divmod(left, 128)
        length.append(low | (0x80 if left else 0))
        if not left:
            return bytes((first_byte,)) + length + body


def connack(reason: int, properties: bytes = b"", *, present: bool = False) -> bytes:
    """Return a CONNACK of MQTT 5."""
    return packet(0x20, bytes((present, reason, len(properties))) + properties)


def text(key: int, value: str) -> bytes:
    """Return a property that is a text."""
    return bytes((key,)) + len(value).to_bytes(2) + value.encode()


def message(topic: str, payload: bytes, *, qos: int = 0, packet_id: int = 0) -> bytes:
    """Return a PUBLISH of MQTT 5."""
    identifier = packet_id.to_bytes(2) if qos else b""
    body = len(topic).to_bytes(2) + topic.encode() + identifier + b"\x00" + payload
    return packet(0x30 | qos << 1, body)


async def _read_packet(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return first >> 4, first & 0x0F, await reader.readexactly(length)


def _publish_id(body: bytes) -> bytes:
    topic_length = int.from_bytes(body[:2])
    return body[2 + topic_length : 4 + topic_length]


@asynccontextmanager
async def serve(
    folder: Path | None, script: Script
) -> AsyncIterator[tuple[int, ssl.SSLContext | None]]:
    """Serve on a free port, with TLS where there is a folder for its certificate.

    Yields the port and the context that a client needs.
    """
    client_context = server_context = None
    if folder is not None:
        authority = Authority(folder)
        server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_context.load_cert_chain(*authority.sign("broker"))
        client_context = ssl.create_default_context(cafile=authority.ca_file)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script.writers.append(writer)
        script.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                kind, flags, body = await _read_packet(reader)
                script.got.append((kind, body))
                script.raw.append(packet(kind << 4 | flags, body))
                writer.write(script.answer(kind, flags, body))
                if kind == DISCONNECT:
                    break
                await writer.drain()
        script.closed += 1
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=server_context)
    try:
        yield server.sockets[0].getsockname()[1], client_context
    finally:
        server.close()
        for writer in script.writers:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()
        await server.wait_closed()
