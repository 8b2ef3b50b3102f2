"""Live datum, as the newer setup server of SolarNode streams them."""

import asyncio
from collections.abc import Mapping
import json
import time
from typing import Any, Final, Protocol

LIVE: Final = "/setup/datum/live"
MAX_PER_SESSION: Final = 2
MAX_IN_ALL: Final = 4
MAX_PROPERTIES: Final = 32


class Behaviour(Protocol):
    """What of the node's behaviour counts here."""

    live_duration_s: float
    live_grace_s: float


class Node(Protocol):
    """What the subscriptions need of their node."""

    live_count: int

    @property
    def behaviour(self) -> Behaviour:
        """How long things last."""

    def latest_of(self, source: str) -> dict[str, Any] | None:
        """Return the latest datum of a source."""


class Send(Protocol):
    """Sends a frame."""

    def __call__(
        self, command: str, headers: dict[str, str], body: bytes = b"", *, live: bool = False
    ) -> None:
        """Send it."""


class LiveSubscriptions:
    """Those of one session."""

    def __init__(self, node: Node, send: Send) -> None:
        """Take what sends."""
        self._node = node
        self._send = send
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._messages = 0

    def add(self, key: str, headers: Mapping[str, str]) -> None:
        """Begin to stream, or say in a MESSAGE why not."""
        source = headers.get("source-id", "").strip()
        properties = [
            name.strip() for name in headers.get("properties", "").split(",") if name.strip()
        ]
        interval = headers.get("interval", "1000")
        if not source:
            self._status(key, source, 422, "Missing source-id header.")
        elif not interval.isdecimal():
            self._status(key, source, 422, "Invalid interval header.")
        elif len(properties) > MAX_PROPERTIES:
            self._status(key, source, 422, "Too many properties; at most 32 allowed.")
        elif key in self._tasks:
            self.remove(key)
            self._status(key, source, 422, "Subscription ID already in use.")
        elif self._node.live_count >= MAX_IN_ALL:
            self._status(key, source, 429, "Too many live subscriptions.")
        elif len(self._tasks) >= MAX_PER_SESSION:
            self._status(key, source, 429, "Too many live subscriptions for this session.")
        else:
            self._node.live_count += 1
            interval_s = min(max(int(interval), 1000), 60_000) / 1000
            self._tasks[key] = asyncio.create_task(
                self._stream(key, source, properties, interval_s)
            )

    def remove(self, key: str) -> None:
        """End one; an unknown key is passed over."""
        if (task := self._tasks.pop(key, None)) is not None:
            self._node.live_count -= 1
            task.cancel()

    async def close(self) -> None:
        """End all."""
        tasks = list(self._tasks.values())
        for key in list(self._tasks):
            self.remove(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stream(
        self, key: str, source: str, properties: list[str], interval_s: float
    ) -> None:
        began = time.monotonic()
        seen = False
        while True:
            elapsed = time.monotonic() - began
            if elapsed >= self._node.behaviour.live_duration_s:
                return self._end(key, source, 410, "Live subscription expired.")
            datum = self._node.latest_of(source)
            if datum is not None:
                seen = True
                self._publish(key, source, properties, datum)
            elif not seen and elapsed >= self._node.behaviour.live_grace_s:
                return self._end(key, source, 404, "No datum available for source.")
            await asyncio.sleep(
                min(interval_s, self._node.behaviour.live_duration_s)
                if seen
                else self._node.behaviour.live_grace_s / 10
            )

    def _end(self, key: str, source: str, status: int, message: str) -> None:
        self._tasks.pop(key, None)
        self._node.live_count -= 1
        self._status(key, source, status, message)

    def _publish(
        self, key: str, source: str, properties: list[str], datum: Mapping[str, Any]
    ) -> None:
        values = {**datum.get("i", {}), **datum.get("a", {})}
        body = json.dumps(
            {
                "t": int(time.time() * 1000),
                **{
                    name: value
                    for name, value in values.items()
                    if not properties or name in properties
                },
            },
            separators=(",", ":"),
        ).encode()
        self._message(
            key,
            source,
            200,
            {"content-type": "application/json;charset=utf-8", "content-length": str(len(body))},
            body,
        )

    def _status(self, key: str, source: str, status: int, message: str) -> None:
        self._message(key, source, status, {"message": message}, b"")

    def _message(
        self, key: str, source: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        self._messages += 1
        self._send(
            "MESSAGE",
            {
                "destination": LIVE,
                "subscription": key,
                "message-id": f"live-{self._messages}",
                "source-id": source,
                "status": str(status),
                **headers,
            },
            body,
            live=True,
        )
