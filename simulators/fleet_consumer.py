"""What stands behind a centre's queue: takes every sample, once, and says what it has.

python -m simulators.fleet_consumer --status status.json ws://127.0.0.1:15674/ws/stomp …
"""

import argparse
from array import array
import asyncio
from contextlib import suppress
import json
from pathlib import Path
import time
from typing import Any, Final

import aiohttp

from .rabbitmq_cluster import CONSUMER, CONSUMER_PASSCODE, HOST, QUEUE
from .scout_messages import parse_metrics
from .stomp_wire import WireFrame, put_frame, take_frame

_PREFETCH: Final = 2000
_TOLD_EVERY_S: Final = 0.5
_RETRY_S: Final = 0.5
# A sample that took longer waited in an outbox.
_LIVE_S: Final = 60.0


class Consumer:
    """Counts samples by gateway, device, code and time."""

    def __init__(self, status: Path, arrivals: Path | None) -> None:
        """Begin with none; each message is a line of `arrivals`, if that is given."""
        self._status = status
        self._arrivals = None if arrivals is None else arrivals.open("a", encoding="ascii")
        self._seen: set[int] = set()
        self._gateways: set[str] = set()
        self.duplicates = 0
        self._ages: array[float] = array("d")

    def take(self, frame: WireFrame) -> None:
        """Enter the samples of a message."""
        gateway = frame.headers["destination"].rpartition("/")[2]
        now = time.time()
        self._gateways.add(gateway)
        metrics = list(parse_metrics(frame.body))
        if self._arrivals is not None and metrics:
            oldest, newest = (f(metric.ts for metric in metrics).timestamp() for f in (min, max))
            print(
                f"{now:.3f} {gateway} {len(metrics)} {oldest:.3f} {newest:.3f} {len(frame.body)}",
                file=self._arrivals,
            )
        for metric in metrics:
            key = hash((gateway, metric.device, metric.code, metric.ts))
            if key in self._seen:
                self.duplicates += 1
                continue
            self._seen.add(key)
            age_s = now - metric.ts.timestamp()
            if 0 <= age_s < _LIVE_S:
                self._ages.append(age_s)

    def told(self) -> dict[str, Any]:
        """Return what it has; the ages are those since it was told last."""
        ages = sorted(self._ages)
        self._ages = array("d")
        return {
            "samples": len(self._seen),
            "duplicates": self.duplicates,
            "gateways": len(self._gateways),
            "p50_s": ages[len(ages) // 2] if ages else None,
            "p99_s": ages[int(len(ages) * 0.99)] if ages else None,
            "at": time.time(),
        }

    async def tell(self) -> None:
        """Write it down, a few times a second, whole."""
        while True:
            if self._arrivals is not None:
                self._arrivals.flush()
            new = self._status.with_suffix(".new")
            new.write_text(json.dumps(self.told()))
            new.replace(self._status)
            await asyncio.sleep(_TOLD_EVERY_S)

    async def follow(self, urls: list[str]) -> None:
        """Read the queue, from one node after the other when it goes away."""
        async with aiohttp.ClientSession() as session:
            while True:
                for url in urls:
                    with suppress(aiohttp.ClientError, TimeoutError):
                        async with session.ws_connect(url, heartbeat=10) as websocket:
                            await self._read(websocket)
                    await asyncio.sleep(_RETRY_S)

    async def _read(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        await websocket.send_str(
            put_frame(
                "CONNECT",
                {
                    "accept-version": "1.2",
                    "host": HOST,
                    "login": CONSUMER,
                    "passcode": CONSUMER_PASSCODE,
                },
            )
            + put_frame(
                "SUBSCRIBE",
                {
                    "id": "1",
                    "destination": f"/amq/queue/{QUEUE}",
                    "ack": "client-individual",
                    "prefetch-count": str(_PREFETCH),
                },
            )
        )
        pending = b""
        async for message in websocket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                return  # nothing came for too long: the node is frozen
            pending += message.data.encode()
            acknowledgements = ""
            while True:
                frame, pending = take_frame(pending)
                if frame is None:
                    break
                if frame.command == "MESSAGE":
                    self.take(frame)
                    acknowledgements += put_frame("ACK", {"id": frame.headers["ack"]})
                elif frame.command == "ERROR":
                    return
            if acknowledgements:
                await websocket.send_str(acknowledgements)


async def _run(arguments: argparse.Namespace) -> None:
    consumer = Consumer(arguments.status, arguments.arrivals)
    await asyncio.gather(consumer.tell(), consumer.follow(arguments.urls))


def main() -> None:
    """Consume until stopped."""
    parser = argparse.ArgumentParser(description="Consumer of a centre's queue")
    parser.add_argument("--status", type=Path, required=True)
    parser.add_argument("--arrivals", type=Path)
    parser.add_argument("urls", nargs="+")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
