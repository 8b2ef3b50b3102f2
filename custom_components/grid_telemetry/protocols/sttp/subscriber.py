"""The subscriber: an asyncio client for any STTP publisher."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
import logging
import ssl
import struct
from typing import Final, override
from uuid import UUID

from . import compact
from .cache import SignalIndexCache, SignalKey
from .compact import BaseTimes
from .connecting import Streams, connect
from .constants import (
    DEFAULT_PORT,
    USER_COMMANDS,
    DataPacketFlags,
    ServerCommand,
    ServerResponse,
)
from .frames import (
    OperationalModes,
    SttpError,
    command,
    decode_text,
    inflate,
    read_frame,
    subscribe_data,
)
from .measurement import Measurement, Sample
from .metadata import Metadata
from .tssc import TsscDecoder

_LOGGER: Final = logging.getLogger(__name__)

_MAX_FRAME: Final = 16 * 1024 * 1024
_MAX_METADATA: Final = 64 * 1024 * 1024
# Publishers split their data packets at 32 KB.
_MAX_DATA_PACKET: Final = 65_536
_HEADER: Final = struct.Struct(">BBI")
_DATA_PACKET: Final = struct.Struct(">BI")
_TIME: Final = "%Y-%m-%d %H:%M:%S.%f"
# Of the text of a message, in bytes.
_MAX_MESSAGE: Final = 4_096
# Of the number by which a notification is confirmed.
_HASH_SIZE: Final = 4
# Without these there is no subscription.
_ESSENTIAL: Final = frozenset({ServerCommand.DEFINE_OPERATIONAL_MODES, ServerCommand.SUBSCRIBE})


class SttpRefusedError(SttpError):
    """The publisher refused a command; the text is its own."""


@dataclass(frozen=True, kw_only=True)
class SubscriberParameters:
    """Where to connect, and what to ask for."""

    host: str
    port: int = DEFAULT_PORT
    filter_expression: str
    """Such as FILTER ActiveMeasurements WHERE SignalType = 'FREQ', or PPA:1;PPA:2."""
    tls: ssl.SSLContext | None = None
    tssc: bool = True
    """Ask for compression. The reference's Python publisher sends nothing readable without."""
    udp: bool = False
    """Ask for the data, uncompressed, by datagrams."""
    interval_s: float | None = None
    """Ask for only the latest values so often; not every publisher does that."""
    internal_metadata: bool = True
    """Ask for the metadata of signals that the publisher measures itself."""
    external_metadata: bool = True
    """Ask for the metadata of signals that it relays."""
    past: tuple[datetime, datetime] | None = None
    """Ask for what was between two times instead of live data; not every publisher has it."""
    silence_s: float = 20.0
    """Publishers send something every 5 s; after so long without, the connection is lost."""

    @property
    def modes(self) -> OperationalModes:
        """What a connection begins with."""
        return OperationalModes(
            tssc=self.tssc and not self.udp,
            internal_metadata=self.internal_metadata,
            external_metadata=self.external_metadata,
        )


class Subscriber:
    """One subscription; run it again after it ended to have it back.

    Follows changes of the publisher's configuration: asks for the metadata again and subscribes
    anew. The callbacks are called in the event loop.
    """

    def __init__(
        self,
        parameters: SubscriberParameters,
        *,
        on_measurements: Callable[[list[Measurement]], None],
        on_metadata: Callable[[Metadata], None] | None = None,
        on_signals: Callable[[Mapping[int, SignalKey]], None] | None = None,
    ) -> None:
        self.parameters = parameters
        self._on_measurements = on_measurements
        self._on_metadata = on_metadata
        self._on_signals = on_signals
        self._modes = parameters.modes
        self._writer: asyncio.StreamWriter | None = None
        # User commands that wait for an answer, by their code, the oldest first.
        self._asked: dict[int, deque[asyncio.Future[str]]] = {}
        self._data_channel: asyncio.DatagramTransport | None = None
        self._start_over()
        self.measurements = 0
        """Received since it was made."""
        self.bytes = 0

    def _start_over(self) -> None:
        """Forget what belongs to a connection."""
        self._past_complete = False
        self._caches: list[dict[int, UUID]] = [{}, {}]
        self._base_times = BaseTimes()
        self._tssc = TsscDecoder()

    async def run(self, dialled_in: Streams | None = None) -> None:
        """Connect, subscribe and receive, until the connection ends, or all of the past has come.

        Takes the connection of a publisher that has dialled in, where one has: it has taken our
        operational modes already.

        Raises SttpRefusedError where the publisher will not have it, SttpError where it breaks
        the protocol, and OSError where there is no connection (any more); a TimeoutError is one
        for silence.
        """
        parameters = self.parameters
        reader, writer = dialled_in or await connect(
            parameters.host, parameters.port, parameters.tls
        )
        self._start_over()
        self._writer = writer
        try:
            if dialled_in is None:
                self._send(ServerCommand.DEFINE_OPERATIONAL_MODES, self._modes.encode())
            self.refresh_metadata()
            while not self._past_complete:
                # What it takes to read what was said is no silence.
                async with asyncio.timeout(parameters.silence_s):
                    frame = await read_frame(reader, _MAX_FRAME)
                self.bytes += len(frame) + 4
                await self._response(frame)
                async with asyncio.timeout(parameters.silence_s):
                    await writer.drain()
                # A publisher may send faster than others in the event loop should have to wait.
                await asyncio.sleep(0)
        except asyncio.IncompleteReadError as err:
            raise ConnectionResetError("The publisher ended the connection") from err
        finally:
            self._writer = None
            for asked in chain.from_iterable(self._asked.values()):
                asked.cancel()
            self._asked.clear()
            if self._data_channel is not None:
                self._data_channel.close()
                self._data_channel = None
            writer.transport.abort()

    def refresh_metadata(self) -> None:
        """Ask for the metadata, and subscribe anew when it is there; needs a connection."""
        self._send(ServerCommand.METADATA_REFRESH)

    async def user_command(self, number: int, data: bytes, *, within_s: float) -> str | None:
        """Send a user command (0 to 15), and return what the publisher answers.

        None where it does not answer in time, which many do not. Raises SttpRefusedError where it
        refuses, and ConnectionResetError where there is no connection, or none any more.
        """
        if self._writer is None:
            raise ConnectionResetError("There is no connection")
        code = USER_COMMANDS[number]
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waiting = self._asked.setdefault(code, deque())
        waiting.append(answer)
        self._send(code, data)
        try:
            await asyncio.wait({answer}, timeout=within_s)
        finally:
            with suppress(ValueError):  # it was answered
                waiting.remove(answer)
        if answer.cancelled():
            raise ConnectionResetError("The connection ended before the answer")
        return answer.result() if answer.done() else None

    def _send(self, code: int, data: bytes = b"") -> None:
        if self._writer is not None:
            self._writer.write(command(code, data))

    async def _response(self, frame: bytes) -> None:
        """Act on a response."""
        if len(frame) < _HEADER.size:
            raise SttpError("Response cut short")
        code, in_response_to, _length = _HEADER.unpack_from(frame)
        data = frame[_HEADER.size :]
        match code:
            case ServerResponse.DATA_PACKET:
                self._data_packet(data)
            case ServerResponse.SUCCEEDED | ServerResponse.FAILED:
                await self._answer(code, in_response_to, data)
            case ServerResponse.UPDATE_SIGNAL_INDEX_CACHE:
                await self._signal_index_cache(data)
            case ServerResponse.UPDATE_BASE_TIMES:
                # Not to be answered: to a C# publisher 0x09 is the publication of a measurement.
                self._base_times = BaseTimes.decode(data)
            case ServerResponse.PROCESSING_COMPLETE:
                self._past_complete = self.parameters.past is not None
            case ServerResponse.CONFIGURATION_CHANGED:
                self.refresh_metadata()
            case ServerResponse.NOTIFY:
                # Unconfirmed it would be sent again at every connection.
                self._send(ServerCommand.CONFIRM_NOTIFICATION, data[:_HASH_SIZE])
                _LOGGER.info("The publisher says: %s", self._text(data[_HASH_SIZE:]))
            case ServerResponse.BUFFER_BLOCK:
                # Not for us; unconfirmed it would be sent again and again.
                self._send(ServerCommand.CONFIRM_BUFFER_BLOCK, data[:4])
            case _:
                # Success of another command, keep-alive, notices: nothing to do.
                pass

    async def _answer(self, code: int, answered: int, data: bytes) -> None:
        """Act on the answer to a command; raises SttpRefusedError where nothing goes without."""
        if answered == ServerCommand.METADATA_REFRESH:
            # A publisher may keep its metadata to itself.
            if code == ServerResponse.SUCCEEDED:
                await self._metadata(data)
            await self._subscribe()
        elif asked := self._asked.get(answered):
            self._answer_to(asked.popleft(), code, self._text(data))
        elif code == ServerResponse.FAILED:
            text = self._text(data)
            if answered in _ESSENTIAL:
                raise SttpRefusedError(text or f"The publisher refused command {answered}")
            _LOGGER.info("The publisher refused command %s: %s", answered, text)

    @staticmethod
    def _answer_to(asked: asyncio.Future[str], code: int, text: str) -> None:
        if code == ServerResponse.SUCCEEDED:
            asked.set_result(text)
        else:
            asked.set_exception(SttpRefusedError(text or "The publisher refused it"))

    def _text(self, data: bytes) -> str:
        """Return a message of the publisher, as much of it as anybody reads."""
        return decode_text(data[:_MAX_MESSAGE], self._modes.encoding).strip()

    async def _metadata(self, data: bytes) -> None:
        """Pass the metadata on; it is worked out beside the event loop, for it may be large."""
        metadata = await asyncio.to_thread(_read_metadata, data, self._modes.compress_metadata)
        if self._on_metadata is not None:
            self._on_metadata(metadata)

    async def _subscribe(self) -> None:
        parameters = self.parameters
        asked = {
            "throttled": str(parameters.interval_s is not None),
            "publishInterval": f"{parameters.interval_s or 1.0:.6f}",
            "includeTime": "True",
            "useMillisecondResolution": "False",
            "enableTimeReasonabilityCheck": "False",
            "assemblyInfo": "source=Grid Telemetry;version=1.0;updatedOn=2026-01-01",
            "filterExpression": parameters.filter_expression,
        }
        if parameters.past is not None:
            start, stop = (time.astimezone(UTC) for time in parameters.past)
            asked |= {
                "throttled": "False",
                "startTimeConstraint": f"{start:{_TIME}}",
                "stopTimeConstraint": f"{stop:{_TIME}}",
                "processingInterval": "0",
            }
        if parameters.udp:
            asked["dataChannel"] = f"localport={await self._data_channel_port()}"
        self._send(ServerCommand.SUBSCRIBE, subscribe_data(asked, self._modes.encoding))

    async def _data_channel_port(self) -> int:
        """Return the port where datagrams are received, at the address of the connection."""
        if self._writer is None:
            return 0
        if self._data_channel is None:
            host = self._writer.get_extra_info("sockname")[0]
            publisher: str = self._writer.get_extra_info("peername")[0]
            loop = asyncio.get_running_loop()
            self._data_channel, _ = await loop.create_datagram_endpoint(
                lambda: _DataChannel(publisher, self._datagram), local_addr=(host, 0)
            )
        port: int = self._data_channel.get_extra_info("sockname")[1]
        return port

    async def _signal_index_cache(self, data: bytes) -> None:
        cache_index, cache = await asyncio.to_thread(SignalIndexCache.decode, data, self._modes)
        self._caches[cache_index] = {index: key.signal_id for index, key in cache.signals.items()}
        if self._modes.version > 1:
            self._send(ServerCommand.CONFIRM_UPDATE_SIGNAL_INDEX_CACHE)
        if self._on_signals is not None:
            self._on_signals(cache.signals)

    def _datagram(self, data: bytes) -> None:
        """Act on a datagram; one that makes no sense is passed over, as a lost one would be."""
        self.bytes += len(data)
        if data[:1] == bytes((ServerResponse.DATA_PACKET,)):
            with suppress(SttpError):
                self._data_packet(data[_HEADER.size :])

    def _data_packet(self, data: bytes) -> None:
        """Read measurements and pass them on."""
        if not _DATA_PACKET.size <= len(data) <= _MAX_DATA_PACKET:
            raise SttpError(f"Data packet of {len(data)} bytes")
        flags, count = _DATA_PACKET.unpack_from(data)
        body = data[_DATA_PACKET.size :]
        if flags & DataPacketFlags.COMPRESSED:
            samples = self._tssc.decode(body, count)
        else:
            samples = compact.decode(body, count, base_times=self._base_times)
        signals = self._caches[1 if flags & DataPacketFlags.CACHE_INDEX else 0]
        if measurements := _measurements(samples, signals):
            self.measurements += len(measurements)
            self._on_measurements(measurements)


class _DataChannel(asyncio.DatagramProtocol):
    """Takes datagrams of the publisher and of nobody else."""

    def __init__(self, publisher: str, receive: Callable[[bytes], None]) -> None:
        self._publisher = publisher
        self._receive = receive

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr[0] == self._publisher:
            self._receive(data)


def _read_metadata(data: bytes, compressed: bool) -> Metadata:
    """Read metadata; a publisher that has none may send nothing."""
    if not data:
        return Metadata()
    return Metadata.from_xml(inflate(data, _MAX_METADATA) if compressed else data)


def _measurements(samples: list[Sample], signals: Mapping[int, UUID]) -> list[Measurement]:
    """Name the signals of samples; one that the signal index cache does not have is left out."""
    count = len(samples)
    values = struct.unpack(f"<{count}f", struct.pack(f"<{count}I", *[item[3] for item in samples]))
    return [
        Measurement(signal_id, value, time, flags)
        for (index, time, flags, _), value in zip(samples, values, strict=True)
        if (signal_id := signals.get(index)) is not None
    ]
