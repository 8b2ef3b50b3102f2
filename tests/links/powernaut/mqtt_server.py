"""Just enough of an MQTT 5 broker over TLS to say what a real one rarely says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
import ssl

from simulators.certificates import Authority

CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 8, 10, 12, 14


@dataclass(kw_only=True)
class Script:
    """What the broker answers."""

    connack: bytes | None = b"\x20\x03\x00\x00\x00"
    """None says nothing at all."""
    after_connack: bytes = b""
    suback: int = 1
    after_suback: bytes = b""
    puback: int = 0
    got: list[tuple[int, bytes]] = field(default_factory=list)
    """Type and body of each packet."""
    connections: int = 0
    closed: int = 0


def connack(reason: int, properties: bytes = b"") -> bytes:
    return bytes([0x20, 3 + len(properties), 0, reason, len(properties)]) + properties


async def _read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind = (await reader.readexactly(1))[0] >> 4
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return kind, await reader.readexactly(length)


def _publish_id(body: bytes) -> bytes:
    topic_length = int.from_bytes(body[:2])
    return body[2 + topic_length : 4 + topic_length]


@asynccontextmanager
async def serve(folder: Path, script: Script) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """Serve on a free port; yields the port and the context that a client needs."""
    authority = Authority(folder)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(*authority.sign("broker"))
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        script.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                kind, body = await _read_packet(reader)
                script.got.append((kind, body))
                match kind:
                    case 1 if script.connack is not None:
                        writer.write(script.connack + script.after_connack)
                    case 3:
                        writer.write(b"\x40\x03" + _publish_id(body) + bytes([script.puback]))
                    case 8:
                        count = body.count(b"/commands/setpoint")
                        writer.write(
                            bytes([0x90, 3 + count])
                            + body[:2]
                            + b"\x00"
                            + bytes([script.suback] * count)
                            + script.after_suback
                        )
                    case 10:
                        writer.write(b"\xb0\x04" + body[:2] + b"\x00\x00")
                    case 12:
                        writer.write(b"\xd0\x00")
                    case 14:
                        break
                await writer.drain()
        script.closed += 1
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=server_context)
    try:
        yield (
            server.sockets[0].getsockname()[1],
            ssl.create_default_context(cafile=authority.ca_file),
        )
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()
        await server.wait_closed()
