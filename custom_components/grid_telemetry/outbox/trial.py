"""What is it that the platform ends its sessions over? Found out by sending one packet at a time.

A broker that refuses a message ends the session, and often does not say which message it was.
Guilty is a packet that was alone under way at two such ends. A guilty packet of several records is
taken apart first. Where the platform gave no reason, and nothing else of the same kind has been
confirmed meanwhile, another packet of the kind decides: if it is refused too, it is the kind, which
then pauses, and if it is confirmed, it was the packet.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..connection.errors import Blame, SendingRefused
from .packet import Pack, Packet
from .store import StoredRecord

PAUSE_S: Final = 300.0
"""So long nothing of a kind is sent that the platform refuses."""
_ENDS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found out."""

    kind: str
    refused: tuple[int, ...] = ()
    """Records that the platform refuses, for what they are."""
    paused: bool = False
    """Whether it takes nothing of the kind at present."""
    words: str
    """What the platform said."""


@dataclass
class _Kind:
    """What is known of a kind since something of it was under suspicion."""

    confirmed: bool = False
    paused: bool = False
    until: float = 0.0
    # The first ids of packets that were refused for no reason that was given: their records, and
    # what the platform said.
    convicts: dict[int | str, tuple[tuple[int, ...], str]] = field(default_factory=dict)


class Trial:
    """Decides what may be sent now, what alone, and what the platform refuses."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Begin without a suspicion."""
        self._monotonic = monotonic
        self._kinds: dict[str, _Kind] = {}
        self._suspects: dict[int | str, str] = {}  # what was under way at such an end → its kind
        self._ends: Counter[int | str] = Counter()  # by the first id
        self._singly: set[int] = set()
        self._held: dict[int | str, float] = {}  # until when

    def pack(self, records: Sequence[StoredRecord], pack: Pack) -> list[Packet]:
        """Join those of the records that may go out now."""
        if not (self._kinds or self._singly or self._held):
            return list(pack(records))
        joined: list[StoredRecord] = []
        packets: list[Packet] = []
        for record in records:
            if not self._admits(record.id, record.destination.kind):
                continue
            if record.id in self._singly:
                packets += pack(joined)
                joined = []
                packets += pack([record])
            else:
                joined.append(record)
        return [*packets, *pack(joined)]

    def admits(self, packet: Packet) -> bool:
        """Return whether a packet may go out now."""
        return self._admits(_key(packet), packet.destination.kind)

    def _admits(self, key: int | str, kind: str) -> bool:
        now = self._monotonic()
        known = self._kinds.get(kind)
        return self._held.get(key, 0) <= now and (known is None or known.until <= now)

    def alone(self, packet: Packet) -> bool:
        """Return whether nothing else may be under way with a packet."""
        known = self._kinds.get(packet.destination.kind)
        return (
            bool(self._suspects)
            or (known is not None and known.paused)
            or _key(packet) in self._ends
            or not self._singly.isdisjoint(packet.ids)
        )

    def next_release_s(self) -> float | None:
        """Return in how many seconds something may go out again, None if nothing waits for it."""
        now = self._monotonic()
        self._held = {key: until for key, until in self._held.items() if until > now}
        times = [*self._held.values(), *(kind.until for kind in self._kinds.values())]
        return min((each - now for each in times if each > now), default=None)

    def release(self) -> None:
        """Let everything be tried again at once."""
        self._held.clear()
        for kind in self._kinds.values():
            kind.until = 0.0

    def exhausted(self) -> None:
        """Note that all that can be sent was sent: what is still suspected is gone."""
        self._suspects.clear()
        for name, kind in list(self._kinds.items()):
            if not kind.paused and not kind.convicts:
                del self._kinds[name]

    def ended(self, under_way: Sequence[Packet], error: SendingRefused) -> Verdict | None:
        """Judge the end of a session, from what was unconfirmed in it."""
        if not self._suspects:
            for packet in under_way:
                self._kind(packet).confirmed = False
        for packet in under_way:
            for key in packet.ids or (_key(packet),):
                self._suspects[key] = packet.destination.kind
        return self._ended_alone(under_way[0], error) if len(under_way) == 1 else None

    def _ended_alone(self, packet: Packet, error: SendingRefused) -> Verdict | None:
        key, kind = _key(packet), self._kind(packet)
        self._ends[key] += 1
        unknown = error.blame is Blame.UNKNOWN and not kind.confirmed
        if kind.paused or (unknown and kind.convicts.keys() - {key}):
            return self._pause(packet, error)
        if self._ends[key] < _ENDS:
            return None
        if error.blame is Blame.KIND:
            return self._pause(packet, error)
        if len(packet.ids) > 1:
            self._take_apart(packet.ids, ends=_ENDS - 1 if unknown else 0)
            return None
        words = error.detail or error.reason
        if unknown:
            kind.convicts[key] = (packet.ids, words)
            self._hold(packet, PAUSE_S)
            return None
        return self._refuse(packet.destination.kind, packet.ids, key, words)

    def confirmed(self, packet: Packet) -> tuple[str | None, list[Verdict]]:
        """Judge a confirmation: the kind that is taken again, if any, and what is refused then."""
        key = _key(packet)
        self._acquit(packet.ids or (key,))
        self._singly.difference_update(packet.ids)
        for each in packet.ids:
            self._held.pop(each, None)
        del self._ends[key]
        if (kind := self._kinds.get(packet.destination.kind)) is None:
            return None, []
        was_paused, kind.confirmed, kind.paused = kind.paused, True, False
        kind.convicts.pop(key, None)
        verdicts: list[Verdict] = []
        for convict, (ids, words) in kind.convicts.items():
            keys: Sequence[int | str] = ids or (convict,)
            for held in keys:
                self._held.pop(held, None)
            if was_paused:
                del self._ends[convict]  # it may have been the kind; it is tried anew
            else:
                verdicts.append(self._refuse(packet.destination.kind, ids, convict, words))
        kind.convicts.clear()
        return packet.destination.kind if was_paused else None, verdicts

    def _kind(self, packet: Packet) -> _Kind:
        return self._kinds.setdefault(packet.destination.kind, _Kind())

    def _take_apart(self, ids: tuple[int, ...], *, ends: int) -> None:
        """Have each record of a packet go out by itself."""
        del self._ends[ids[0]]
        self._singly.update(ids)
        if ends:
            self._ends.update(dict.fromkeys(ids, ends))

    def _refuse(self, kind: str, ids: tuple[int, ...], key: int | str, words: str) -> Verdict:
        del self._ends[key]
        self._acquit(ids or (key,))
        return Verdict(kind=kind, refused=ids, words=words)

    def _pause(self, packet: Packet, error: SendingRefused) -> Verdict:
        kind = self._kind(packet)
        kind.paused, kind.until = True, self._monotonic() + PAUSE_S
        if error.blame is Blame.UNKNOWN:
            # When the pause is over it is another packet's turn: these may be to blame themselves.
            self._hold(packet, 2 * PAUSE_S)
            for convict, (ids, _) in kind.convicts.items():
                for each in ids or (convict,):
                    self._held[each] = self._monotonic() + 2 * PAUSE_S
        name = packet.destination.kind
        self._acquit([key for key, each in self._suspects.items() if each == name])
        return Verdict(kind=name, paused=True, words=error.detail or error.reason)

    def _hold(self, packet: Packet, seconds: float) -> None:
        keys = packet.ids or (_key(packet),)
        for key in keys:
            self._held[key] = self._monotonic() + seconds
        self._acquit(keys)

    def _acquit(self, keys: Sequence[int | str]) -> None:
        for key in keys:
            self._suspects.pop(key, None)


def _key(packet: Packet) -> int | str:
    """Return what a packet is known by from session to session; it may grow behind its first."""
    return packet.ids[0] if packet.ids else packet.destination.kind
