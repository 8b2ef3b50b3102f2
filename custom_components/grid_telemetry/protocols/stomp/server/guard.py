"""Against guessed passwords and against log-ins that were overheard."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
import hashlib
from typing import Final

from ...listener import Address, Origin, origin_of
from ..sns import MAX_SKEW_S

_FIRST_DELAY_S: Final = 0.5
_LONGEST_DELAY_S: Final = 5.0
_FORGET_S: Final = 600.0
_MAX_ORIGINS: Final = 4096
# Dates are whole seconds: so long two honest log-ins may look alike.
_ALIKE_S: Final = 2.0


@dataclass(kw_only=True, slots=True)
class _Failures:
    count: int
    until: float


class Guard:
    """What is remembered of log-ins; it should outlive the server.

    `now` is always a clock in seconds, `date` the one of a log-in.
    """

    def __init__(self, on_seen: Callable[[], None] = lambda: None) -> None:
        """Take what is told whenever there is more to remember."""
        self._on_seen = on_seen
        self._failures: OrderedDict[tuple[Origin, bool], _Failures] = OrderedDict()
        # The date of each signature and when it was first seen, in seconds of the epoch, until
        # the date is too old anyway.
        self._seen: dict[str, tuple[float, float]] = {}
        # Who sent it first, as far as that was since the start.
        self._sender: dict[str, Address] = {}

    def seen(self) -> dict[str, tuple[float, float]]:
        """Return what has to be remembered of signatures, which themselves are not in it."""
        return dict(self._seen)

    def remember(self, seen: Mapping[str, Sequence[float]]) -> None:
        """Remember what `seen` returned earlier."""
        for digest, (date, first) in seen.items():
            self._seen.setdefault(digest, (date, first))

    def delay_s(self, address: Address, *, known_login: bool, now: float) -> float:
        """Return how long the next guess has to wait."""
        failures = self._failures.get((origin_of(address), known_login))
        return 0.0 if failures is None else max(0.0, failures.until - now)

    def failed(self, address: Address, *, known_login: bool, now: float) -> bool:
        """Remember a wrong guess; return whether it is the first one from there.

        All unknown logins count as one: who tries many is not to get a fresh start with each.
        """
        key = (origin_of(address), known_login)
        failures = self._failures.pop(key, None)
        if first := failures is None or now - failures.until > _FORGET_S:
            failures = _Failures(count=0, until=now)
        failures.count += 1
        failures.until = now + min(_FIRST_DELAY_S * 2 ** min(failures.count, 16), _LONGEST_DELAY_S)
        self._failures[key] = failures
        if len(self._failures) > _MAX_ORIGINS:
            self._failures.popitem(last=False)
        return first

    def is_replay(self, signature: str, date: datetime, now: datetime, address: Address) -> bool:
        """Return whether a valid signature was seen before, and not by chance.

        By chance it comes from the same address within two seconds: dates are whole seconds.
        """
        at, present = date.timestamp(), now.timestamp()
        self._seen = {
            known: times for known, times in self._seen.items() if present - times[0] <= MAX_SKEW_S
        }
        self._sender = {
            known: sender for known, sender in self._sender.items() if known in self._seen
        }
        digest = hashlib.sha256(signature.encode()).hexdigest()
        if (times := self._seen.get(digest)) is not None:
            late = present - at > _ALIKE_S or present - times[1] > _ALIKE_S
            return late or self._sender.get(digest) != address
        self._seen[digest] = at, present
        self._sender[digest] = address
        self._on_seen()
        return False
