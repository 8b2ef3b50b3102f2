"""Data packets, encoded once for all subscribers who want the same signals in the same form."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import struct
from typing import Final, Protocol

from .. import compact
from ..compact import BaseTimes
from ..constants import MAX_PACKET, DataPacketFlags, ServerCommand, ServerResponse
from ..frames import response
from ..measurement import Frame, Sample
from ..tssc import TsscEncoder

_PACKET: Final = struct.Struct(">IBBIBI")
# A datagram with its headers fits an Ethernet frame; a larger one would be lost with any of its
# fragments.
_MAX_DATAGRAM: Final = 1_400
# So many samples are kept in frames before the latest of each signal are looked for.
_MANY: Final = 10_000
_INFINITY: Final = 0x7F80_0000


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a subscriber wants its data packets."""

    tssc: bool
    include_time: bool = True
    milliseconds: bool = False
    skip_nan: bool = False
    interval_s: float | None = None
    """Only the latest values, so often (a throttled subscription)."""
    datagrams: bool = False


class Packets:
    """Data packets of one encoding, in the forms that differ between subscribers."""

    def __init__(self, flags: int, bodies: Iterable[tuple[bytes, int]]) -> None:
        self._flags = flags
        self._bodies = list(bodies)
        self._frames: dict[int, list[bytes]] = {}
        self._joined: dict[int, bytes] = {}
        self.measurements = sum(count for _, count in self._bodies)

    def frames(self, cache_index: int) -> list[bytes]:
        """Return a frame for each packet."""
        if (frames := self._frames.get(cache_index)) is None:
            flags = self._flags | (DataPacketFlags.CACHE_INDEX if cache_index else 0)
            code, command = ServerResponse.DATA_PACKET, ServerCommand.SUBSCRIBE
            frames = self._frames[cache_index] = [
                _PACKET.pack(11 + len(body), code, command, 5 + len(body), flags, count) + body
                for body, count in self._bodies
            ]
        return frames

    def joined(self, cache_index: int) -> bytes:
        """Return all frames in one piece."""
        if (joined := self._joined.get(cache_index)) is None:
            joined = self._joined[cache_index] = b"".join(self.frames(cache_index))
        return joined


class Member(Protocol):
    """A subscriber, as far as a stream knows it."""

    def deliver(self, packets: Packets) -> None:
        """Send data packets."""

    def send(self, frame: bytes) -> None:
        """Send another frame."""


class Stream:
    """The subscribers to the same signals in the same form, and what encodes for them."""

    def __init__(self, signals: frozenset[int], form: Format) -> None:
        self.signals = signals
        self.form = form
        self.members: set[Member] = set()
        self._tssc = TsscEncoder() if form.tssc else None
        # Base times must not be overtaken by data, which happens to datagrams.
        with_base = form.include_time and not form.tssc and not form.datagrams
        self._base = BaseTimes() if with_base else None
        self._held = _Latest()
        self._timer: asyncio.TimerHandle | None = None
        if form.interval_s is not None:
            self._wait(form.interval_s)

    def _wait(self, interval_s: float) -> None:
        """Send the latest values when the interval is over, and so on."""
        # First the timer: to send may drop the last subscriber, and that stops it.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(interval_s, self._wait, interval_s)
        held = self._held.frames()
        self._held.clear()
        self._send(held)

    def close(self) -> None:
        """Stop the timer of a throttled stream."""
        if self._timer is not None:
            self._timer.cancel()

    def add(self, member: Member) -> None:
        """Take in a subscriber.

        With TSSC it can only start at sequence number 0, so all of the stream start there again,
        as the protocol has it.
        """
        self.members.add(member)
        if self._tssc is not None:
            self._tssc.reset()
        elif self._base is not None and any(self._base.offsets):
            member.send(_base_times(self._base))

    def publish(self, frames: Iterable[Frame]) -> None:
        """Send what belongs here of some measurements."""
        mine = self._own(frames)
        if self.form.interval_s is None:
            self._send(mine)
        else:
            for frame in mine:
                self._held.add(frame)

    def welcome(self, member: Member, samples: Sequence[Sample]) -> None:
        """Send a subscriber what it has not got yet.

        With TSSC it comes to all, for they share the state: to the others it is a repetition.
        """
        if not samples or not (mine := self._own([Frame.of(samples)])):
            return
        if self._tssc is None:
            # The full time needs no base time, which others may be far from.
            member.deliver(self._compact(mine, None))
        else:
            self._send(mine)

    def _own(self, frames: Iterable[Frame]) -> list[Frame]:
        """Return what the subscribers want of some measurements."""
        signals = self.signals
        mine: list[Frame] = []
        for frame in frames:
            if not self.form.skip_nan and signals.issuperset(frame.indexes):
                mine.append(frame)
                continue
            wanted = [at for at, index in enumerate(frame.indexes) if index in signals]
            if self.form.skip_nan:
                bits = frame.bits
                wanted = [at for at in wanted if bits[at] & 0x7FFF_FFFF <= _INFINITY]
            if wanted:
                mine.append(frame.part(wanted))
        return mine

    def _compact(self, frames: Sequence[Frame], base: BaseTimes | None) -> Packets:
        form = self.form
        bodies = compact.encode(
            frames,
            include_time=form.include_time,
            milliseconds=form.milliseconds,
            base_times=base,
            limit=_MAX_DATAGRAM - _PACKET.size if form.datagrams else MAX_PACKET,
        )
        return Packets(DataPacketFlags.COMPACT, bodies)

    def _send(self, frames: Sequence[Frame]) -> None:
        if not frames:
            return
        if self._tssc is not None:
            packets = Packets(DataPacketFlags.COMPRESSED, self._tssc.encode(frames))
        else:
            base = self._base
            if base is not None and base.follow(frames, milliseconds=self.form.milliseconds):
                for member in tuple(self.members):
                    member.send(_base_times(base))
            packets = self._compact(frames, base)
        for member in tuple(self.members):
            member.deliver(packets)


def _base_times(base: BaseTimes) -> bytes:
    return response(ServerResponse.UPDATE_BASE_TIMES, ServerCommand.SUBSCRIBE, base.encode())


class _Latest:
    """The latest sample of every signal.

    Frames are kept as they come, and looked into when somebody asks or when they become many.
    """

    def __init__(self) -> None:
        self._samples: dict[int, Sample] = {}
        self._frames: list[Frame] = []
        self._waiting = 0

    def add(self, frame: Frame) -> None:
        """Take newer measurements."""
        if self._frames and self._frames[-1].indexes is frame.indexes:
            # Those before are out of date, one and all.
            self._frames[-1] = frame
            return
        self._frames.append(frame)
        self._waiting += len(frame)
        if self._waiting > _MANY:
            self.samples()

    def samples(self) -> dict[int, Sample]:
        """Return them by signal index."""
        for frame in self._frames:
            self._samples.update(zip(frame.indexes, frame.samples(), strict=True))
        self._frames.clear()
        self._waiting = 0
        return self._samples

    def frames(self) -> list[Frame]:
        """Return them as a frame, if there are any."""
        samples = self.samples()
        return [Frame.of([*samples.values()])] if samples else []

    def keep(self, indexes: Iterable[int]) -> None:
        """Forget all others."""
        kept = set(indexes)
        self._samples = {index: item for index, item in self.samples().items() if index in kept}

    def clear(self) -> None:
        """Forget all."""
        self.keep(())


class Streams:
    """All streams of a publisher, and the latest sample of every signal."""

    def __init__(self) -> None:
        self._streams: dict[tuple[frozenset[int], Format], Stream] = {}
        self._latest = _Latest()

    def publish(self, frames: Sequence[Frame]) -> None:
        """Send measurements to whom they concern, and remember them."""
        for frame in frames:
            self._latest.add(frame)
        for stream in tuple(self._streams.values()):
            stream.publish(frames)

    def repeat(self) -> None:
        """Send the last value of every signal again."""
        frames = self._latest.frames()
        for stream in tuple(self._streams.values()):
            stream.publish(frames)

    def keep(self, indexes: Iterable[int]) -> None:
        """Repeat these signals only."""
        self._latest.keep(indexes)

    def latest(self, signals: Iterable[int]) -> dict[int, Sample]:
        """Return the last sample of each of some signals that has one."""
        latest = self._latest.samples()
        return {index: latest[index] for index in signals if index in latest}

    def join(
        self, member: Member, signals: frozenset[int], form: Format, known: Mapping[int, Sample]
    ) -> Stream:
        """Take a subscriber in and send it the last samples of its signals but what it knows."""
        if (stream := self._streams.get((signals, form))) is None:
            stream = self._streams[signals, form] = Stream(signals, form)
        stream.add(member)
        latest = self.latest(signals)
        stream.welcome(member, [item for index, item in latest.items() if known.get(index) != item])
        return stream

    def leave(self, member: Member, stream: Stream) -> None:
        """Let a subscriber go, and its stream with the last one."""
        stream.members.discard(member)
        if not stream.members:
            stream.close()
            self._streams.pop((stream.signals, stream.form), None)
