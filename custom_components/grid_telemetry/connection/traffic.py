"""The last messages of a link, for whoever looks at them: nothing is kept while nobody does."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
import itertools
import time
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN

MAX_MESSAGES: Final = 200
MAX_BODY_CHARS: Final = 4000
"""So much of a body is kept; its size is told all the same."""

_TRAFFIC: Final[HassKey[dict[str, Traffic]]] = HassKey(f"{DOMAIN}.traffic")


class Direction(StrEnum):
    """Which way a message went, as seen from here."""

    IN = "in"
    OUT = "out"


@dataclass(kw_only=True, slots=True)
class Message:
    """One message, in or out."""

    at: float
    """When it went or came, in epoch seconds."""
    direction: Direction
    kind: str
    """What the protocol calls it: a type of message, a topic, a command, a function."""
    about: str
    """What it is for: a device, a unit and its registers, a client."""
    size: int
    """In bytes."""
    body: str
    confirmed_s: float | None = None
    """After how long it was acknowledged or answered; None while it is not."""
    refused: str | None = None
    """The words of whoever did not take it."""


class Traffic:
    """The last messages of one link."""

    def __init__(self) -> None:
        """Begin without anybody who looks."""
        self._watchers = 0
        self._numbers = itertools.count()
        self._messages: deque[tuple[str, Message]] = deque(maxlen=MAX_MESSAGES)

    @property
    def watched(self) -> bool:
        """Whether somebody looks; ask before a message is made for it."""
        return self._watchers > 0

    @property
    def messages(self) -> Mapping[str, Message]:
        """The messages by their numbers, the oldest first."""
        return dict(self._messages)

    @callback
    def watch(self) -> Callable[[], None]:
        """Begin to keep messages; returns what ends that, to be called once."""
        self._watchers += 1

        @callback
        def end() -> None:
            self._watchers -= 1
            if not self._watchers:
                self._messages.clear()

        return end

    @callback
    def note(self, direction: Direction, kind: str, about: str, body: bytes | str) -> Message:
        """Keep a message, if somebody looks; what becomes of it may be set in what is returned."""
        size = len(body.encode() if isinstance(body, str) else body)
        message = Message(
            at=time.time(),
            direction=direction,
            kind=kind,
            about=about,
            size=size,
            body=_readable(body),
        )
        if self.watched:
            self._messages.append((str(next(self._numbers)), message))
        return message

    @callback
    def sent(self, kind: str, about: str, body: bytes, taken: asyncio.Future[None]) -> None:
        """Keep a message that went out, and what becomes of it, if somebody looks."""
        if not self.watched:
            return
        message = self.note(Direction.OUT, kind, about, body)
        began = time.monotonic()

        @callback
        def settle(future: asyncio.Future[None]) -> None:
            if future.cancelled():
                return
            if (error := future.exception()) is None:
                message.confirmed_s = time.monotonic() - began
            else:
                message.refused = str(error)

        taken.add_done_callback(settle)


def _readable(body: bytes | str) -> str:
    if isinstance(body, str):
        return body[:MAX_BODY_CHARS]
    # A character may be cut in two at the end.
    cut = body[:MAX_BODY_CHARS]
    try:
        return cut.decode(errors="strict" if len(cut) == len(body) else "ignore")
    except UnicodeDecodeError:
        return cut[: MAX_BODY_CHARS // 3].hex(" ")


def traffic_of(hass: HomeAssistant, entry_id: str) -> Traffic:
    """Return the traffic of an entry, the same one over its reloads."""
    return hass.data.setdefault(_TRAFFIC, {}).setdefault(entry_id, Traffic())
