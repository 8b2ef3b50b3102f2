"""One subscriber's connection to the publisher: its commands, and what it is sent."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
import logging
from math import inf
import struct
from typing import Final, override
from uuid import UUID, uuid4

from ...listener import Peer
from ..cache import SignalIndexCache, SignalKey
from ..constants import USER_COMMANDS, VERSIONS, ServerCommand, ServerResponse
from ..filter import FilterError
from ..frames import OperationalModes, SttpError, decode_text, read_frame, response
from ..measurement import Sample
from .catalog import Catalog
from .channel import DataChannel
from .dialing import Dialled
from .limits import Limits, PublisherHealth, SubscriberInfo
from .past import History, Past, pause_of, replay
from .streams import Format, Member, Packets, Stream, Streams
from .subscription import Subscription, read_subscription

_LOGGER = logging.getLogger(__name__)

_LENGTH: Final = struct.Struct(">I")
# Before a peer has shown that it speaks STTP it gets room for no more than the reference gives.
_MAX_FIRST_FRAME: Final = 8_197
_CONFIRMATIONS: Final = frozenset(
    {
        ServerCommand.CONFIRM_NOTIFICATION,
        ServerCommand.CONFIRM_BUFFER_BLOCK,
        ServerCommand.CONFIRM_UPDATE_BASE_TIMES,
        ServerCommand.CONFIRM_UPDATE_CIPHER_KEYS,
    }
)


type OnUserCommand = Callable[[SubscriberInfo, int, bytes], None]
"""Takes a user command: who sent it, its number (0 to 15) and its data."""


@dataclass(frozen=True, kw_only=True)
class _Offer:
    """A signal index cache on its way to a subscriber, and the form its data will have."""

    cache_index: int
    signals: frozenset[int]
    form: Format
    past: Past | None
    ids: Mapping[int, UUID]


type OnCommand = Callable[[str, str, int], None]
"""Hears of each command of a subscriber: its address, what it is, and its size in bytes."""


class Connection(Member):
    """Serves one subscriber."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        peer: Peer | Dialled,
        catalog: Catalog,
        streams: Streams,
        limits: Limits,
        health: PublisherHealth,
        secure: bool,
        history: History | None,
        replays: asyncio.Semaphore,
        on_user_command: OnUserCommand | None,
        on_command: OnCommand,
    ) -> None:
        self._on_command = on_command
        self.id = uuid4()
        self._peer = peer
        self._reader, self._writer = reader, writer
        self._catalog, self._streams = catalog, streams
        self._limits, self._health = limits, health
        self._secure = secure
        self._since = datetime.now(UTC)
        self._modes = OperationalModes()
        self._greeted = False
        self._subscription: Subscription | None = None
        self._wanted: frozenset[int] = frozenset()
        self._waiting: Mapping[int, SignalKey] | None = None
        self._offered: _Offer | None = None
        self._cache_index = 1
        self._stream: Stream | None = None
        # What it has got of the values that it would get when it subscribes again, which the
        # reference's subscribers do when they are told that the configuration has changed.
        self._known: Mapping[int, Sample] = {}
        self._told_of_change = False
        self._history, self._replays = history, replays
        self._on_user_command = on_user_command
        # When the last user commands were taken, by the loop's clock.
        self._user_commands: deque[float] = deque(maxlen=limits.user_commands)
        self._replaying: asyncio.Task[None] | None = None
        self._pause_s = 0.0
        self._interval_changed = asyncio.Event()
        self._data_channel: DataChannel | None = None
        self._closed = False
        self._measurements = self._bytes = 0

    @property
    def info(self) -> SubscriberInfo | None:
        """Return what is known of the subscriber; nothing before the handshake is over."""
        if not self._greeted:
            return None
        stream, subscription = self._stream, self._subscription
        form = ""
        if stream is not None:
            form = f"{'TSSC' if stream.form.tssc else 'compact'} over "
            form += "UDP" if stream.form.datagrams else "TCP"
        return SubscriberInfo(
            id=self.id,
            address=str(self._peer.address),
            port=self._peer.port,
            since=self._since,
            version=self._modes.version,
            agent=subscription.agent if subscription else "",
            filter_expression=subscription.expression if subscription else "",
            form=form,
            signals=len(stream.signals) if stream else 0,
            measurements=self._measurements,
            bytes=self._bytes,
            waiting_bytes=self._writer.transport.get_write_buffer_size(),
        )

    async def handshake(self) -> None:
        """Receive the operational modes; raises SttpError where they do not come first."""
        try:
            modes = _operational_modes(await read_frame(self._reader, _MAX_FIRST_FRAME))
        except SttpError as err:
            self._answer(ServerResponse.FAILED, ServerCommand.DEFINE_OPERATIONAL_MODES, str(err))
            raise
        self._modes = modes
        self._greeted = True
        self._peer.standing = 1
        self._answer(
            ServerResponse.SUCCEEDED,
            ServerCommand.DEFINE_OPERATIONAL_MODES,
            f"STTP v{modes.version} connection accepted, operational modes applied",
        )

    async def serve(self) -> None:
        """Answer commands for as long as the connection lasts.

        Raises SttpError, TimeoutError, OSError or IncompleteReadError when it ends.
        """
        limits = self._limits
        while True:
            # A subscriber need not say anything, with a subscription or without: one that is gone
            # does not acknowledge the keep-alives any more, and TCP ends the connection.
            frame = await read_frame(self._reader, limits.frame_bytes, within_s=limits.frame_s)
            self._peer.heard()
            await self._command(frame[0], frame[1:])
            await self._writer.drain()
            # Commands may come faster than others should have to wait for.
            await asyncio.sleep(0)

    def close(self) -> None:
        """Take part in nothing any more."""
        self._closed = True
        self._subscription = None
        self._leave()
        self._open_channel(None)

    def drop(self) -> None:
        """End the connection at once."""
        self.close()
        self._writer.transport.abort()

    async def configuration_changed(self) -> None:
        """Tell of other metadata, and look again at what the filter expression selects."""
        self.send(response(ServerResponse.CONFIGURATION_CHANGED, ServerCommand.SUBSCRIBE))
        self._told_of_change = True
        if (subscription := self._subscription) is None:
            return
        try:
            signals = await self._catalog.select(subscription.expression)
        except FilterError:
            # What it was understood to say with the old values it does not with the new ones.
            return
        if subscription is self._subscription and signals.keys() != self._wanted:
            await self._offer(signals)

    @override
    def send(self, frame: bytes) -> None:
        self._write(frame)

    @override
    def deliver(self, packets: Packets) -> None:
        if self._data_channel is not None:
            # The length is there for the command channel's sake.
            datagrams = [memoryview(item)[4:] for item in packets.frames(self._cache_index)]
            if not all(self._data_channel.send(item) for item in datagrams):
                return
            self._count(sum(map(len, datagrams)))
        elif not self._write(packets.joined(self._cache_index)):
            return
        self._measurements += packets.measurements
        self._health.measurements += packets.measurements

    def _write(self, data: bytes) -> bool:
        """Send bytes, or drop a subscriber that leaves too many of them unread."""
        transport = self._writer.transport
        if self._closed or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > self._limits.buffer_bytes:
            self._health.drop(self._peer.address)
            self.drop()
            return False
        transport.write(data)
        self._count(len(data))
        return True

    def _count(self, size: int) -> None:
        self._bytes += size
        self._health.bytes += size

    def _answer(self, code: ServerResponse, command: int, text: str) -> None:
        self._write(response(code, command, text.encode(self._modes.encoding)))

    def _refuse(self, code: int, why: str) -> None:
        self._health.refuse(self._peer.address, why)
        self._answer(ServerResponse.FAILED, code, why)

    async def _command(self, code: int, data: bytes) -> None:
        """Answer one command."""
        known = code in ServerCommand
        self._on_command(
            f"{self._peer.address}:{self._peer.port}",
            ServerCommand(code).name if known else f"0x{code:02X}",
            len(data),
        )
        try:
            match code:
                case ServerCommand.METADATA_REFRESH:
                    await self._metadata_refresh(data)
                case ServerCommand.SUBSCRIBE:
                    await self._subscribe(data)
                case ServerCommand.UNSUBSCRIBE:
                    self._unsubscribe()
                case ServerCommand.UPDATE_PROCESSING_INTERVAL:
                    self._processing_interval(data)
                case ServerCommand.CONFIRM_UPDATE_SIGNAL_INDEX_CACHE:
                    await self._cache_confirmed()
                case _ if code in USER_COMMANDS and self._on_user_command is not None:
                    self._user_command(code, data, self._on_user_command)
                case _:
                    if code not in _CONFIRMATIONS:
                        self._refuse(code, f"The command 0x{code:02X} is not offered")
        except (SttpError, FilterError) as err:
            self._refuse(code, str(err))

    async def _metadata_refresh(self, data: bytes) -> None:
        filters = ""
        if len(data) > _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data)
            if length > len(data) - _LENGTH.size:
                raise SttpError("The metadata filters are shorter than their length says")
            filters = decode_text(data[_LENGTH.size :][:length], self._modes.encoding)
        document = await self._catalog.document(
            compressed=self._modes.compress_metadata, filters=filters.strip()
        )
        self.send(response(ServerResponse.SUCCEEDED, ServerCommand.METADATA_REFRESH, document))

    def _user_command(self, code: int, data: bytes, take: OnUserCommand) -> None:
        """Hand a user command on, and say so; raises SttpError for too many and too long ones."""
        limits, now = self._limits, asyncio.get_running_loop().time()
        if len(data) > limits.user_command_bytes:
            raise SttpError(f"A user command has {limits.user_command_bytes} bytes at the most")
        if len(self._user_commands) == limits.user_commands and now < self._user_commands[0] + 1:
            raise SttpError(f"No more than {limits.user_commands} user commands a second are taken")
        self._user_commands.append(now)
        if (info := self.info) is not None:
            take(info, code - USER_COMMANDS.start, data)
        self._answer(ServerResponse.SUCCEEDED, code, "User command taken")

    def _processing_interval(self, data: bytes) -> None:
        if len(data) < 4:
            raise SttpError("A processing interval needs four bytes")
        (interval,) = struct.unpack_from(">i", data)
        self._pause_s = pause_of(interval)
        self._interval_changed.set()
        self._answer(
            ServerResponse.SUCCEEDED,
            ServerCommand.UPDATE_PROCESSING_INTERVAL,
            f"Processing interval of {interval} ms noted, for the past; live data has none",
        )

    async def _subscribe(self, data: bytes) -> None:
        subscription = read_subscription(data, self._modes, self._limits.past)
        if subscription.past is not None and self._history is None:
            raise SttpError("Only live data is published, no history")
        if subscription.udp_port is not None and self._secure:
            raise SttpError("No UDP data channel is offered beside TLS, it would not be secret")
        signals = await self._catalog.select(subscription.expression)
        before = self._subscription
        moved = before is None or before.udp_port != subscription.udp_port
        channel = None
        if moved and subscription.udp_port is not None:
            channel = await DataChannel.open(
                self._peer.local_address, str(self._peer.address), subscription.udp_port
            )
        self._subscription = subscription
        if not self._told_of_change:
            self._known = {}
        self._told_of_change = False
        if before is not None and before.form != subscription.form:
            # The subscriber reads by its new form from now on.
            self._leave()
        if moved:
            self._open_channel(channel)
        await self._offer(signals)
        form = subscription.form
        self._answer(
            ServerResponse.SUCCEEDED,
            ServerCommand.SUBSCRIBE,
            f"Subscribed to {len(signals)} signals, {'TSSC' if form.tssc else 'compact'} over"
            f" {'UDP' if form.datagrams else 'TCP'}",
        )

    def _unsubscribe(self) -> None:
        self._subscription = None
        self._leave()
        self._open_channel(None)
        self._answer(ServerResponse.SUCCEEDED, ServerCommand.UNSUBSCRIBE, "Unsubscribed")

    async def _offer(self, signals: Mapping[int, SignalKey]) -> None:
        """Offer signals to the subscriber, after what it was offered before is confirmed."""
        self._wanted = frozenset(signals)
        self._waiting = signals
        if self._offered is None:
            await self._send_cache()

    async def _send_cache(self) -> None:
        """Send the signal index cache that waits; from version 2 its data waits to be confirmed."""
        modes = self._modes
        while self._waiting is not None and self._subscription is not None:
            signals, self._waiting = self._waiting, None
            offer = self._offered = _Offer(
                cache_index=self._cache_index ^ 1 if modes.version > 1 else 0,
                signals=frozenset(signals),
                form=self._subscription.form,
                past=self._subscription.past,
                ids={index: key.signal_id for index, key in signals.items()},
            )
            cache = SignalIndexCache(subscriber_id=self.id, signals=signals)
            data = await asyncio.to_thread(cache.encode, modes, offer.cache_index)
            self.send(
                response(ServerResponse.UPDATE_SIGNAL_INDEX_CACHE, ServerCommand.SUBSCRIBE, data)
            )
            if modes.version > 1:
                break
            self._take_over(offer)

    async def _cache_confirmed(self) -> None:
        if self._offered is not None:
            self._take_over(self._offered)
            await self._send_cache()

    def _take_over(self, offer: _Offer) -> None:
        """Send what was offered from now on, unless something else is wanted meanwhile."""
        self._offered = None
        if self._closed or self._subscription is None or self._waiting is not None:
            return
        self._leave()
        self._cache_index = offer.cache_index
        if offer.past is not None:
            self._replaying = asyncio.create_task(self._replay(offer, offer.past))
            return
        self._stream = self._streams.join(self, offer.signals, offer.form, self._known)
        # Whoever receives data need not say anything, and is not put out for that.
        self._peer.kept_until = inf
        if self._closed:
            self._leave()

    async def _pause(self) -> None:
        """Wait between two seconds of the past, or until the interval becomes another one."""
        self._interval_changed.clear()
        if not self._pause_s:
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_s):
                await self._interval_changed.wait()

    async def _replay(self, offer: _Offer, past: Past) -> None:
        """Send the past; it ends with the subscription."""
        if self._history is None:
            return
        stream = Stream(offer.signals, offer.form)
        stream.add(self)
        self._pause_s = past.pause_s
        try:
            async with self._replays:
                await replay(
                    self._history,
                    past,
                    offer.ids,
                    stream=stream,
                    member=self,
                    ready=self._writer.drain,
                    pause=self._pause,
                    encoding=self._modes.encoding,
                )
        except SttpError as err:
            self._refuse(ServerCommand.SUBSCRIBE, str(err))
        except OSError:
            # It has gone, and its connection ends by itself.
            pass
        except Exception:
            # The subscriber waits for the end of the past, and has to hear that none will come.
            _LOGGER.exception("Unexpected error while sending the past to %s", self._peer.address)
            self._refuse(ServerCommand.SUBSCRIBE, "The past could not be read")

    def _leave(self) -> None:
        """Receive no more data."""
        if self._replaying is not None:
            self._replaying.cancel()
            self._replaying = None
        if (stream := self._stream) is not None:
            self._stream = None
            self._peer.kept_until = -inf
            self._known = self._streams.latest(stream.signals)
            self._streams.leave(self, stream)

    def _open_channel(self, channel: DataChannel | None) -> None:
        """Use another data channel, or none."""
        if self._data_channel is not None:
            self._data_channel.close()
        self._data_channel = channel


def _operational_modes(frame: bytes) -> OperationalModes:
    """Read the first frame of a subscriber; raises SttpError where it says something else."""
    if frame[0] != ServerCommand.DEFINE_OPERATIONAL_MODES:
        raise SttpError("Operational modes have to be defined first")
    modes = OperationalModes.decode(frame[1:])
    if modes.version not in VERSIONS:
        raise SttpError(f"STTP version {modes.version} is not supported, only 1 to 3 are")
    return modes
