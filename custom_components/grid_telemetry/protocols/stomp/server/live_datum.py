"""Live datum: the readings of one source as they come, as newer setup servers stream them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
import json
import logging
from math import inf
from typing import Final, Protocol, Self

_LOGGER = logging.getLogger(__name__)

DESTINATION: Final = "/setup/datum/live"
MAX_STREAMS: Final = 2
"""Of one client."""
MAX_ALL_STREAMS: Final = 4
"""Of all clients."""

_POLL_S: Final = 1.0
_WAIT_S: Final = 15.0
_DURATION_S: Final = 900.0
_STALE_S: Final = 30.0
_STALE_INTERVALS: Final = 3
_MAX_PROPERTIES: Final = 32
_INTERVAL_MS: Final = (1000, 60_000)
# A reading may come so much earlier than the interval asks for.
_EARLY: Final = 0.8


class Reading(Protocol):
    """The readings of a source at one time."""

    @property
    def created(self) -> datetime:
        """When they were taken."""

    def select(self, names: tuple[str, ...] | None) -> Mapping[str, float | str]:
        """Return properties, ready for JSON; None asks for all but those of the status."""


class RequestError(ValueError):
    """What a client asked for cannot be; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a client asked for."""

    source_id: str
    properties: tuple[str, ...] | None
    interval_s: float

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """Read the headers of a SUBSCRIBE; raises RequestError."""
        if not (source_id := headers.get("source-id")):
            raise RequestError("Missing source-id header.")
        names = tuple(
            stripped
            for name in headers.get("properties", "").split(",")
            if (stripped := name.strip())
        )
        if len(names) > _MAX_PROPERTIES:
            raise RequestError(f"More than {_MAX_PROPERTIES} properties.")
        low, high = _INTERVAL_MS
        text = headers.get("interval", str(low)).strip()
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise RequestError("Invalid interval header.")
        return cls(
            source_id=source_id,
            properties=tuple(dict.fromkeys(names)) or None,
            interval_s=min(max(int(text), low), high) / 1000,
        )


async def stream(
    request: Request,
    latest: Callable[[str], Reading | None],
    send: Callable[[bytes], bool],
    tell: Callable[[int, str], None],
) -> None:
    """Send readings until it ends by itself.

    `send` returns whether it took a body; `tell` is for a status and its message.
    """
    now = asyncio.get_running_loop().time
    started = heard = now()
    sent, newest, stale = -inf, None, False
    stale_s = max(_STALE_S, _STALE_INTERVALS * request.interval_s)
    while now() - started < _DURATION_S:
        reading = latest(request.source_id)
        if reading is not None and (newest is None or reading.created > newest):
            heard, stale = now(), False
            if now() - sent >= _EARLY * request.interval_s and send(_body(reading, request)):
                sent, newest = now(), reading.created
        elif newest is None and now() - started >= _WAIT_S:
            tell(404, "No datum of this source.")
            return
        elif not stale and newest is not None and now() - heard >= stale_s:
            stale = True
            tell(503, f"No datum for {stale_s:g} s.")
        await asyncio.sleep(_POLL_S)
    tell(410, "The subscription has reached its longest duration.")


def _body(reading: Reading, request: Request) -> bytes:
    """Return the body of a message; a property named `t` would hide the time."""
    values = reading.select(request.properties)
    body = {
        "t": int(reading.created.timestamp() * 1000),
        **{name: value for name, value in values.items() if name != "t"},
    }
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


type Send = Callable[[str, Mapping[str, str], bytes], bool]
"""Sends a message to a subscription and returns whether it was taken, as one without body is."""


class Streams:
    """The streams of one client."""

    def __init__(
        self, latest: Callable[[str], Reading | None], all_streams: Callable[[], int]
    ) -> None:
        """Take what counts those of all clients; nothing that refers back to this client."""
        self._latest = latest
        self._all_streams = all_streams
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """Return how many streams there are."""
        return len(self._tasks)

    def start(self, subscription: str, headers: Mapping[str, str], send: Send) -> None:
        """Begin what the headers of a SUBSCRIBE ask for, or say why not."""
        if self.stop(subscription):
            _tell(send, subscription, 422, "There was a live subscription with this id.")
            return
        try:
            request = Request.of(headers)
        except RequestError as err:
            _tell(send, subscription, 422, str(err))
            return
        if len(self) >= MAX_STREAMS or self._all_streams() >= MAX_ALL_STREAMS:
            _tell(send, subscription, 429, "Too many live subscriptions.")
            return
        self._tasks[subscription] = asyncio.create_task(self._run(subscription, request, send))

    def stop(self, subscription: str) -> bool:
        """End a stream; return whether there was one."""
        if (task := self._tasks.pop(subscription, None)) is None:
            return False
        task.cancel()
        return True

    def stop_all(self) -> None:
        """End every stream without a word."""
        for subscription in tuple(self._tasks):
            self.stop(subscription)

    def close(self, send: Send) -> None:
        """End every stream, and tell why."""
        for subscription in tuple(self._tasks):
            self.stop(subscription)
            _tell(send, subscription, 503, "The server is shutting down.")

    async def _run(self, subscription: str, request: Request, send: Send) -> None:
        headers = {"destination": DESTINATION, "source-id": request.source_id, "status": "200"}
        try:
            await stream(
                request,
                self._latest,
                lambda body: send(subscription, headers, body),
                lambda status, text: _tell(send, subscription, status, text),
            )
        except Exception:
            # Whatever the source has, the client hears of it and its place is free.
            _LOGGER.exception("The live datum of %s broke off", request.source_id)
            _tell(send, subscription, 503, "The datum of this source broke off.")
        self._tasks.pop(subscription, None)


def _tell(send: Send, subscription: str, status: int, text: str) -> None:
    headers = {"destination": DESTINATION, "status": str(status), "message": text}
    send(subscription, headers, b"")
