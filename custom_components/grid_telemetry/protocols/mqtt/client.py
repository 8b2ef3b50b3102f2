"""MQTT client for asyncio: MQTT 5 and 3.1.1, over TCP, TLS or WebSocket, without threads.

What the server says in CONNACK is kept: its keep alive, the highest QoS, the largest packet and how
many messages may be on their way (OASIS MQTT 5.0, 3.2.2.3). Every refusal is told with its reason
code and text. A message that came is acknowledged when its reader says so, not before.

Not done: extended authentication, topic aliases; no message that is sent is retained.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
import random
import socket
import ssl
from typing import Final

from .errors import (
    MqttConnectionLost,
    MqttConnectRefused,
    MqttDisconnected,
    MqttError,
    MqttProtocolError,
    MqttPublishRefused,
    MqttTooLarge,
    MqttTransportError,
    TransportFailure,
)
from .packets import (
    MAX_REMAINING_LENGTH,
    PINGREQ,
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
    Properties,
    Property,
    Publish,
    Version,
    Will,
    encode_ack,
    encode_connect,
    encode_disconnect,
    encode_publish,
    encode_subscribe,
    encode_unsubscribe,
)
from .reasons import FAILURE, PROTOCOL_ERROR, RECEIVE_MAXIMUM_EXCEEDED, SUCCESS, describe
from .websocket import Streams, WebSocket, open_websocket

_READ_BYTES: Final = 65_536
# A server of MQTT 3.1.1 has no way to tell how many it takes. Mosquitto (met with 2.0.11) takes 20
# of QoS 2, and acknowledges what it then drops.
_MQTT_3_WINDOW: Final = 20
_GOODBYE_S: Final = 1.0
_MAX_PACKET_ID: Final = 65_535
_TOPICS_AT_ONCE: Final = 100
# Of the header of a packet: its type, and its length in at most four bytes.
_HEADER_BYTES: Final = 5
# Messages with QoS 0 that wait for their reader; beyond that no more is read.
_MAX_UNREAD: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class MqttParameters:
    """Where, as whom and how to connect."""

    host: str
    port: int
    client_id: str
    version: Version = Version.MQTT_5
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    websocket: WebSocket | None = None
    """Over WebSocket, where it is; None is the socket itself."""
    clean_start: bool = True
    session_expiry_s: int = 0
    """For so long an MQTT 5 server keeps the session; one of MQTT 3.1.1 decides by itself."""
    will: Will | None = None
    keep_alive_s: int = 15
    """After so long without a packet the server is asked for a sign of life; after as long
    without one the connection is lost. A server that wants to hear more often is obeyed."""
    timeout_s: float = 10.0
    """For the connection with its log-in, and for each answer."""
    window: int = 32
    """So many messages are on their way at once at most, fewer if the server says so."""
    receive_maximum: int = 100
    """So many messages may come before they are acknowledged."""
    maximum_packet_size: int = 1_048_576
    """The largest packet that is taken, in bytes."""


@dataclass(slots=True)
class MqttSession:
    """What a client keeps of a session between its connections, as the server keeps its half.

    It begins anywhere among the packet identifiers, for a server may still hold some of the client
    that had the session before a restart.
    """

    last_packet_id: int = field(default_factory=lambda: random.randint(1, _MAX_PACKET_ID))  # noqa: S311
    unreleased: set[int] = field(default_factory=set)
    """Identifiers of QoS 2 that the server may hold until it gets their PUBREL."""
    received: set[int] = field(default_factory=set)
    """Identifiers of QoS 2 messages that were acknowledged and not yet released."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that came; `MqttConnection.acknowledge` takes it off the server."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscribed:
    """What the server says to one subscription."""

    topic: str
    code: int
    text: str = ""

    @property
    def refused(self) -> bool:
        """Whether nothing will come of it."""
        return self.code >= FAILURE

    @property
    def reason(self) -> str:
        """The reason for people."""
        return describe(self.code, self.text)


@dataclass(slots=True)
class _Outgoing:
    """A message that the server has not acknowledged, and how far QoS 2 is."""

    future: asyncio.Future[None]
    qos: int
    released: bool = False


async def connect(parameters: MqttParameters, session: MqttSession | None = None) -> MqttConnection:
    """Connect and log in; the caller owns what is returned and must close it.

    `session` is the one to go on with, for a connection that does not start clean. Raises
    `MqttTransportError`, `MqttConnectRefused`, `MqttProtocolError` or `MqttConnectionLost`, and
    ValueError for parameters that MQTT cannot carry.
    """
    request = encode_connect(
        Connect(
            version=parameters.version,
            client_id=parameters.client_id,
            clean_start=parameters.clean_start,
            keep_alive_s=parameters.keep_alive_s,
            username=parameters.username,
            password=parameters.password,
            session_expiry_s=parameters.session_expiry_s,
            receive_maximum=parameters.receive_maximum,
            maximum_packet_size=parameters.maximum_packet_size,
            will=parameters.will,
        )
    )
    decoder = Decoder(parameters.version, parameters.maximum_packet_size)
    streams: Streams | None = None
    try:
        async with asyncio.timeout(parameters.timeout_s):
            streams = await _open(parameters)
            streams[1].write(request)
            connack = await _log_in(streams[0], decoder, clean_start=parameters.clean_start)
    except TimeoutError as err:
        _abort(streams)
        raise MqttTransportError(
            TransportFailure.TIMEOUT, f"no answer within {parameters.timeout_s:g} s"
        ) from err
    except BaseException:
        _abort(streams)
        raise
    connection = MqttConnection(parameters, session or MqttSession(), connack, streams)
    connection.start(decoder)
    return connection


async def _open(parameters: MqttParameters) -> Streams:
    if parameters.websocket is not None:
        return await open_websocket(
            parameters.websocket, parameters.host, parameters.port, parameters.tls
        )
    try:
        return await asyncio.open_connection(parameters.host, parameters.port, ssl=parameters.tls)
    except ssl.SSLError as err:
        raise MqttTransportError(TransportFailure.TLS, str(err)) from err
    except socket.gaierror as err:
        raise MqttTransportError(TransportFailure.UNKNOWN_SERVER, str(err)) from err
    except UnicodeError as err:  # no name that a host can have
        raise MqttTransportError(TransportFailure.UNKNOWN_SERVER, str(err)) from err
    except TimeoutError:
        raise
    except OSError as err:
        raise MqttTransportError(TransportFailure.CANNOT_CONNECT, str(err)) from err


def _abort(streams: Streams | None) -> None:
    if streams is not None:
        streams[1].transport.abort()


async def _log_in(reader: asyncio.StreamReader, decoder: Decoder, *, clean_start: bool) -> ConnAck:
    """Return the server's consent; what came behind it stays in the decoder."""
    connack: Packet | None = None
    while connack is None:
        try:
            connack = next(decoder.feed(await _read(reader)), None)
        except MalformedPacket as err:
            raise MqttProtocolError(str(err)) from err
    if not isinstance(connack, ConnAck):
        raise MqttProtocolError(f"{type(connack).__name__} in answer to CONNECT")
    if connack.code != SUCCESS:
        raise MqttConnectRefused(connack.code, connack.properties.reason)
    if clean_start and connack.session_present:  # [3.2.2-4]
        raise MqttProtocolError("a session is there after a clean start")
    return connack


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        data = await reader.read(_READ_BYTES)
    except OSError as err:  # ssl.SSLError is one
        raise MqttConnectionLost(str(err) or type(err).__name__) from err
    if not data:
        raise MqttConnectionLost("the server closed the connection")
    return data


class MqttConnection:
    """A connection that is logged in, until it is closed or lost."""

    def __init__(
        self,
        parameters: MqttParameters,
        session: MqttSession,
        connack: ConnAck,
        streams: Streams,
    ) -> None:
        """Take over a connection right after CONNACK; see `connect`."""
        numbers = connack.properties.numbers
        self.session_present = connack.session_present
        """Whether the server went on with a session that it had kept."""
        self.maximum_qos = numbers.get(Property.MAXIMUM_QOS, 2)
        """A message with more goes out with this [3.2.2-11]."""
        self.maximum_packet_size = numbers.get(Property.MAXIMUM_PACKET_SIZE)
        """In bytes; a larger packet is never sent [3.2.2-15]. None is no limit."""
        # So many messages may be on their way.
        self.window = min(parameters.window, numbers.get(Property.RECEIVE_MAXIMUM, 65_535))
        if parameters.version is Version.MQTT_3_1_1:
            self.window = min(self.window, _MQTT_3_WINDOW)
        self.keep_alive_s = _keep_alive(parameters.keep_alive_s, connack.properties)
        """The server hears something at least so often [3.2.2-21]."""
        self._version = parameters.version
        self._timeout_s = parameters.timeout_s
        # MQTT 3.1.1 has no way to tell it to the server.
        self._receive_maximum = (
            parameters.receive_maximum if self._version is Version.MQTT_5 else _MAX_PACKET_ID
        )
        self._session = session
        self._reader, self._writer = streams
        self._loop = asyncio.get_running_loop()
        self._heard = self._sent = self._loop.time()
        self._buffer: list[bytes] = []
        self._outgoing: dict[int, _Outgoing] = {}
        self._requests: dict[int, asyncio.Future[Answer]] = {}
        self._releasing: set[int] = set()
        self._pings: list[asyncio.Future[None]] = []
        self._unacknowledged: set[int] = set()
        self._inbox: deque[Message] = deque()
        self._inbox_changed = asyncio.Event()
        self._end: asyncio.Future[MqttError | None] = self._loop.create_future()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, decoder: Decoder) -> None:
        """Begin to read, with what came behind CONNACK; called once, by `connect`."""
        if self.session_present:
            # Of messages that were on their way the server may hold the identifiers still; it
            # would take a new message under one of them for a duplicate (section 4.3.3).
            self._releasing = set(self._session.unreleased)
            for packet_id in sorted(self._releasing):
                self._send(encode_ack(PacketType.PUBREL, packet_id))
        else:
            self._session.unreleased.clear()
            self._session.received.clear()
        self._tasks = [
            self._loop.create_task(self._receive(decoder), name="MQTT reader"),
            self._loop.create_task(self._keep_alive(), name="MQTT keep alive"),
        ]

    # --- what can be asked of it

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return not self._end.done()

    def take_unread(self) -> list[Message]:
        """Return the messages that have come and wait for the reader of `messages`, at once."""
        taken = list(self._inbox)
        self._inbox.clear()
        self._inbox_changed.set()
        return taken

    async def wait_closed(self) -> MqttError | None:
        """Wait for the end and return why; None when it was `close`. Safe to cancel."""
        return await asyncio.shield(self._end)

    def payload_limit(self, topic: str) -> int | None:
        """Return how long a message on a topic may be, in bytes; None is no limit of the server."""
        if self.maximum_packet_size is None:
            return None
        return self.maximum_packet_size - _HEADER_BYTES - 2 - len(topic.encode()) - 2 - 1

    def publish(self, topic: str, payload: bytes, qos: int) -> asyncio.Future[None]:
        """Send a message, not retained; the future resolves when the server has it.

        With QoS 0 that is at once. The future fails with `MqttPublishRefused`, or with what ended
        the connection. Raises that too, `MqttTooLarge`, and ValueError for a topic that MQTT cannot
        carry or a window that is full.
        """
        self._check_open()
        qos = min(qos, self.maximum_qos)
        future: asyncio.Future[None] = self._loop.create_future()
        if not qos:
            self._send_limited(encode_publish(self._version, topic, payload, 0, 0))
            future.set_result(None)
            return future
        if len(self._outgoing) >= self.window:
            raise ValueError(f"{self.window} messages are on their way already")
        packet_id = self._next_packet_id()
        self._send_limited(encode_publish(self._version, topic, payload, qos, packet_id))
        self._outgoing[packet_id] = _Outgoing(future, qos)
        return future

    async def subscribe(self, topics: Sequence[str], qos: int) -> list[Subscribed]:
        """Subscribe and return what the server says to each topic.

        Raises what ended the connection, `MqttTooLarge` for a topic that the server cannot take,
        and ValueError for one that MQTT cannot carry.
        """
        results: list[Subscribed] = []
        for some in self._batches(topics):
            packet_id = self._next_packet_id()
            answer = await self._request(
                packet_id, encode_subscribe(self._version, packet_id, some, qos)
            )
            if len(answer.codes) != len(some):
                error = MqttProtocolError(f"{len(answer.codes)} answers to {len(some)} topics")
                self._finish(error, PROTOCOL_ERROR)
                raise error
            results += [
                Subscribed(topic=topic, code=code, text=answer.reason)
                for topic, code in zip(some, answer.codes, strict=True)
            ]
        return results

    def _batches(self, topics: Sequence[str]) -> Iterator[list[str]]:
        """Yield topics as one packet takes them."""
        limit = self.maximum_packet_size or MAX_REMAINING_LENGTH
        batch: list[str] = []
        size = 0
        for topic in topics:
            needed = 2 + len(topic.encode()) + 1
            if batch and (
                len(batch) == _TOPICS_AT_ONCE or _HEADER_BYTES + 3 + size + needed > limit
            ):
                yield batch
                batch, size = [], 0
            batch.append(topic)
            size += needed
        if batch:
            yield batch

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Have the server forget subscriptions; raises what ended the connection."""
        packet_id = self._next_packet_id()
        await self._request(packet_id, encode_unsubscribe(self._version, packet_id, topics))

    async def messages(self) -> AsyncGenerator[Message]:
        """Yield each message as it comes; raises what ended the connection, returns if `close`."""
        while True:
            while self._inbox:
                self._inbox_changed.set()
                yield self._inbox.popleft()
            if self._end.done():
                if (error := self._end.result()) is not None:
                    raise error
                return
            self._inbox_changed.clear()
            await self._inbox_changed.wait()

    def acknowledge(self, message: Message) -> None:
        """Tell the server that a message is taken; until then it comes again after a reconnect."""
        if message.packet_id not in self._unacknowledged or not self.is_open:
            return
        self._unacknowledged.discard(message.packet_id)
        if message.qos == 1:
            self._send(encode_ack(PacketType.PUBACK, message.packet_id))
        else:
            self._session.received.add(message.packet_id)
            self._send(encode_ack(PacketType.PUBREC, message.packet_id))

    async def ping(self) -> None:
        """Return when the server has answered a PINGREQ that is sent now.

        Whatever was sent before it has then been read by the server. Raises what ended the
        connection.
        """
        self._check_open()
        # Cancelled it stays in the line, for the answer to it comes all the same.
        await self._ping()

    async def close(self, code: int = SUCCESS) -> None:
        """Say goodbye and close; an MQTT 5 server publishes the will for any code but 0.

        May be called again, and after the connection has ended by itself.
        """
        self._finish(None, code)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await self._writer.wait_closed()
        self._writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what goes out

    def _check_open(self) -> None:
        if self._end.done():
            raise self._end.result() or MqttConnectionLost("the connection was closed")

    def _next_packet_id(self) -> int:
        packet_id = self._session.last_packet_id
        while True:
            packet_id = packet_id % _MAX_PACKET_ID + 1
            if not (
                packet_id in self._outgoing
                or packet_id in self._requests
                or packet_id in self._releasing
            ):
                self._session.last_packet_id = packet_id
                return packet_id

    def _send_limited(self, packet: bytes) -> None:
        if self.maximum_packet_size is not None and len(packet) > self.maximum_packet_size:
            raise MqttTooLarge(len(packet), self.maximum_packet_size)
        self._send(packet)

    def _send(self, packet: bytes) -> None:
        """Have a packet written with all others of this turn of the event loop."""
        if not self._buffer:
            self._loop.call_soon(self._flush)
        self._buffer.append(packet)

    def _flush(self) -> None:
        if self._buffer and not self._writer.is_closing():
            self._writer.write(b"".join(self._buffer))
            self._sent = self._loop.time()
        self._buffer.clear()

    async def _request(self, packet_id: int, packet: bytes) -> Answer:
        self._check_open()
        self._send_limited(packet)
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._requests[packet_id] = future
        try:
            async with asyncio.timeout(self._timeout_s):
                return await future
        except TimeoutError as err:
            error = MqttConnectionLost(f"no answer for {self._timeout_s:g} s")
            self._finish(error)
            raise error from err
        finally:
            self._requests.pop(packet_id, None)

    def _ping(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        self._pings.append(future)
        self._send(PINGREQ)
        return future

    async def _keep_alive(self) -> None:
        """Show life where nothing else was sent, and ask for it where nothing was heard."""
        while True:
            due = min(self._heard, self._sent) + self.keep_alive_s
            if (wait_s := due - self._loop.time()) > 0:
                await asyncio.sleep(wait_s)
                continue
            try:
                async with asyncio.timeout(max(self.keep_alive_s, 1)):
                    await self._ping()
            except TimeoutError:
                self._finish(MqttConnectionLost(f"silent for {2 * self.keep_alive_s:g} s"))
                return
            except MqttError:
                return

    # --- what comes in

    async def _receive(self, decoder: Decoder) -> None:
        data = b""
        try:
            while True:
                for packet in decoder.feed(data):
                    await self._handle(packet)
                data = await _read(self._reader)
                self._heard = self._loop.time()
        except MalformedPacket as err:
            self._finish(MqttProtocolError(str(err)), err.code)
        except MqttError as err:
            self._finish(err)

    async def _handle(self, packet: Packet) -> None:
        match packet:
            case Ack():
                self._acknowledged(packet)
            case Publish():
                await self._published(packet)
            case Answer():
                if (request := self._requests.get(packet.packet_id)) and not request.done():
                    request.set_result(packet)
            case PingResp():
                if self._pings and not (ping := self._pings.pop(0)).done():
                    ping.set_result(None)
            case Disconnect():
                raise MqttDisconnected(packet.code, packet.reason)
            case ConnAck():
                raise MalformedPacket("a second CONNACK", PROTOCOL_ERROR)

    async def _published(self, packet: Publish) -> None:
        session = self._session
        if packet.qos == 2 and packet.packet_id in session.received:
            self._send(encode_ack(PacketType.PUBREC, packet.packet_id))  # it was taken already
            return
        if packet.qos:
            if packet.packet_id in self._unacknowledged:
                raise MalformedPacket("a packet identifier in use comes again", PROTOCOL_ERROR)
            self._unacknowledged.add(packet.packet_id)
            if len(self._unacknowledged) > self._receive_maximum:
                raise MalformedPacket("too many at once", RECEIVE_MAXIMUM_EXCEEDED)
        self._inbox.append(
            Message(packet.topic, packet.payload, packet.qos, packet.retain, packet.packet_id)
        )
        self._inbox_changed.set()
        while len(self._inbox) > _MAX_UNREAD:  # of QoS 0; the others have their own limit
            self._inbox_changed.clear()
            await self._inbox_changed.wait()

    def _acknowledged(self, ack: Ack) -> None:
        """Act on PUBACK, PUBREC, PUBREL or PUBCOMP; sections 4.3.2 and 4.3.3."""
        packet_id = ack.packet_id
        if ack.type is PacketType.PUBREL:
            self._session.received.discard(packet_id)
            self._send(encode_ack(PacketType.PUBCOMP, packet_id))
            return
        if ack.type is PacketType.PUBCOMP:
            self._session.unreleased.discard(packet_id)
            self._releasing.discard(packet_id)
        outgoing = self._outgoing.get(packet_id)
        if outgoing is None:
            if ack.type is PacketType.PUBREC and ack.code < FAILURE:  # of an earlier connection
                self._send(encode_ack(PacketType.PUBREL, packet_id))
            return
        if ack.type is PacketType.PUBREC and ack.code < FAILURE:
            outgoing.released = True
            self._session.unreleased.add(packet_id)
            self._send(encode_ack(PacketType.PUBREL, packet_id))
            return
        del self._outgoing[packet_id]
        if outgoing.future.done():
            return
        if ack.code >= FAILURE and ack.type is not PacketType.PUBCOMP:
            outgoing.future.set_exception(MqttPublishRefused(ack.code, ack.reason))
        else:
            outgoing.future.set_result(None)

    # --- how it ends

    def _finish(self, error: MqttError | None, code: int | None = None) -> None:
        """End the connection, with a goodbye where there is a code; only the first end counts."""
        if self._end.done():
            return
        if code is not None:
            self._send(encode_disconnect(self._version, code))
        self._flush()
        self._end.set_result(error)
        self._inbox_changed.set()
        lost = error or MqttConnectionLost("the connection was closed")
        for packet_id, outgoing in self._outgoing.items():
            if outgoing.qos == 2:
                self._session.unreleased.add(packet_id)
            _settle(outgoing.future, None if outgoing.released else lost)
        self._outgoing.clear()
        for request in self._requests.values():
            _settle(request, lost)
        for ping in self._pings:
            _settle(ping, lost)
        self._pings.clear()
        self._writer.close()


def _settle(future: asyncio.Future[None] | asyncio.Future[Answer], error: MqttError | None) -> None:
    """End what somebody may wait for; nobody has to."""
    if future.done():
        return
    if error is None:
        future.set_result(None)  # type: ignore[arg-type]
    else:
        future.set_exception(error)
        future.exception()


def _keep_alive(wanted_s: int, properties: Properties) -> float:
    """Return after how long without a packet one is sent: well before the server gives up.

    A server that wants none, which is 0, is asked for life all the same.
    """
    server_s = properties.numbers.get(Property.SERVER_KEEP_ALIVE, 0) or wanted_s
    return min(wanted_s, server_s) * 0.75
