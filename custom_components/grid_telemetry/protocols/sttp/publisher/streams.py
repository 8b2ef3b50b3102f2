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
from ..measurement import Sample
from ..tssc import TsscEncoder

_PACKET: Final = struct.Struct(">IBBIBI")
# A datagram with its headers fits an Ethernet frame; a larger one would be lost with any of its
# fragments.
_MAX_DATAGRAM: Final = 1_400
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
        self._held: dict[int, Sample] = {}
        self._timer: asyncio.TimerHandle | None = None
        if form.interval_s is not None:
            self._wait(form.interval_s)

    def _wait(self, interval_s: float) -> None:
        """Send the latest values when the interval is over, and so on."""
        # First the timer: to send may drop the last subscriber, and that stops it.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(interval_s, self._wait, interval_s)
        self._send([*self._held.values()])

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

    def publish(self, samples: Sequence[Sample]) -> None:
        """Send what belongs here of some samples."""
        mine = self.own(samples)
        if self.form.interval_s is None:
            self._send(mine)
        else:
            self._held.update({sample[0]: sample for sample in mine})

    def welcome(self, member: Member, samples: Iterable[Sample]) -> None:
        """Send a subscriber what it has not got yet.

        With TSSC it comes to all, for they share the state: to the others it is a repetition.
        """
        if not (mine := self.own(samples)):
            return
        if self._tssc is None:
            # The full time needs no base time, which others may be far from.
            member.deliver(self._compact(mine, None))
        else:
            self._send(mine)

    def own(self, samples: Iterable[Sample]) -> list[Sample]:
        """Return what the subscribers want of some samples."""
        signals = self.signals
        if self.form.skip_nan:
            return [
                sample
                for sample in samples
                if sample[0] in signals and sample[3] & 0x7FFF_FFFF <= _INFINITY
            ]
        return [sample for sample in samples if sample[0] in signals]

    def _compact(self, samples: Sequence[Sample], base: BaseTimes | None) -> Packets:
        form = self.form
        bodies = compact.encode(
            samples,
            include_time=form.include_time,
            milliseconds=form.milliseconds,
            base_times=base,
            limit=_MAX_DATAGRAM - _PACKET.size if form.datagrams else MAX_PACKET,
        )
        return Packets(DataPacketFlags.COMPACT, bodies)

    def _send(self, samples: Sequence[Sample]) -> None:
        if not samples:
            return
        if self._tssc is not None:
            packets = Packets(DataPacketFlags.COMPRESSED, self._tssc.encode(samples))
        else:
            base = self._base
            if base is not None and base.follow(samples, milliseconds=self.form.milliseconds):
                for member in tuple(self.members):
                    member.send(_base_times(base))
            packets = self._compact(samples, base)
        for member in tuple(self.members):
            member.deliver(packets)


def _base_times(base: BaseTimes) -> bytes:
    return response(ServerResponse.UPDATE_BASE_TIMES, ServerCommand.SUBSCRIBE, base.encode())


class Streams:
    """All streams of a publisher, and the latest sample of every signal."""

    def __init__(self) -> None:
        self._streams: dict[tuple[frozenset[int], Format], Stream] = {}
        self._latest: dict[int, Sample] = {}

    def publish(self, samples: Sequence[Sample]) -> None:
        """Send samples to whom they concern, and remember them."""
        self._latest.update({sample[0]: sample for sample in samples})
        for stream in tuple(self._streams.values()):
            stream.publish(samples)

    def repeat(self) -> None:
        """Send the last value of every signal again."""
        for stream in tuple(self._streams.values()):
            stream.publish([*self._latest.values()])

    def keep(self, indexes: Iterable[int]) -> None:
        """Repeat these signals only."""
        kept = set(indexes)
        self._latest = {index: item for index, item in self._latest.items() if index in kept}

    def latest(self, signals: Iterable[int]) -> dict[int, Sample]:
        """Return the last sample of each of some signals that has one."""
        latest = self._latest
        return {index: latest[index] for index in signals if index in latest}

    def join(
        self, member: Member, signals: frozenset[int], form: Format, known: Mapping[int, Sample]
    ) -> Stream:
        """Take a subscriber in and send it the last samples of its signals but what it knows."""
        if (stream := self._streams.get((signals, form))) is None:
            stream = self._streams[signals, form] = Stream(signals, form)
        stream.add(member)
        stream.welcome(
            member, [item for index, item in self._latest.items() if known.get(index) != item]
        )
        return stream

    def leave(self, member: Member, stream: Stream) -> None:
        """Let a subscriber go, and its stream with the last one."""
        stream.members.discard(member)
        if not stream.members:
            stream.close()
            self._streams.pop((stream.signals, stream.form), None)
