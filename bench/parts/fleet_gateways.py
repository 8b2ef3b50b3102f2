"""Some gateways of the fleet in a process of their own, driven by lines of JSON on standard input.

Each is the real client, outbox and delivery of the Scout link. It samples 20 points at every
multiple of 10 s on the wall clock, as the link does, whatever else it is told to do meanwhile.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
import logging
from pathlib import Path
import sys
import time
from types import MappingProxyType
from typing import Any, Final, override

import aiohttp
from homeassistant.config_entries import SOURCE_USER, ConfigEntries, ConfigEntry
from homeassistant.core import HomeAssistant

from custom_components.grid_telemetry.connection.errors import ConnectionFailed, CredentialsRefused
from custom_components.grid_telemetry.connection.health import Health
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.scout.client import ScoutSession
from custom_components.grid_telemetry.links.scout.payload import Gateway, metric_records, pack
from custom_components.grid_telemetry.outbox.delivery import Delivery
from custom_components.grid_telemetry.outbox.store import Limits, Outbox
from custom_components.grid_telemetry.protocols.stomp.client import StompParameters, connect
from custom_components.grid_telemetry.protocols.stomp.errors import (
    StompAuthenticationError,
    StompError,
)
from simulators.rabbitmq_cluster import HOST

POINTS: Final = 20
INTERVAL_S: Final = 10
_INTERVALS_PER_PUT: Final = 30
_FILLED_AT_ONCE: Final = 8
# As many failed attempts as a long outage brings: the waits have grown to their longest.
_MANY_ATTEMPTS: Final = 16


def claim_id_of(number: int) -> str:
    """Return the claim id of a gateway."""
    return f"GW{number:06}"


class _Entry(ConfigEntry[Any]):
    """An entry that counts how often its user is asked for another token."""

    asked = 0

    @override
    def async_start_reauth(
        self,
        hass: HomeAssistant,
        context: Any = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        _Entry.asked += 1


@dataclass(kw_only=True)
class OneGateway:
    """One gateway."""

    number: int
    outbox: Outbox
    delivery: Delivery


@dataclass(kw_only=True)
class Gateways:
    """Those of this process, and when each of them connected."""

    urls: list[str]
    hass: HomeAssistant
    http: aiohttp.ClientSession
    folder: Path
    token: str
    all: dict[int, OneGateway] = field(default_factory=dict)
    connected_at: list[tuple[float, int]] = field(default_factory=list)
    put: int = 0
    skipped: int = 0
    longest_put_s: float = 0.0

    def _delivery(self, number: int, outbox: Outbox) -> Delivery:
        claim_id, token = claim_id_of(number), self.token
        entry = _Entry(
            data={},
            discovery_keys=MappingProxyType({}),
            domain=DOMAIN,
            minor_version=1,
            options={},
            source=SOURCE_USER,
            subentries_data=None,
            title=claim_id,
            unique_id=None,
            version=1,
        )
        gateway = Gateway(
            claim_id=claim_id,
            serial_number=str(number),
            gateway_type="BENCH",
            firmware_version="1",
            hardware_version="1",
        )
        turns = number

        @asynccontextmanager
        async def session() -> AsyncIterator[ScoutSession]:
            # In place of a load balancer: another node each time.
            nonlocal turns
            turns += 1
            url = self.urls[turns % len(self.urls)]
            parameters = StompParameters(url=url, host=HOST, login=claim_id, passcode=token)
            try:
                connection = await connect(self.http, parameters)
            except StompAuthenticationError as err:
                raise CredentialsRefused("invalid_auth", str(err)) from err
            except StompError as err:
                raise ConnectionFailed("connection_lost", str(err)) from err
            self.connected_at.append((time.time(), number))
            try:
                yield ScoutSession(connection, gateway)
            finally:
                await connection.close()

        return Delivery(
            self.hass, entry, outbox=outbox, health=Health(), connect=session, pack=pack
        )

    async def add(self, number: int) -> None:
        """Add a gateway, which connects at once."""
        outbox = Outbox(
            self.folder / f"{claim_id_of(number)}.db",
            limits=Limits(max_age_s=1e9, max_samples=10**7),
            on_trouble=lambda *_: None,
        )
        await outbox.open()
        delivery = self._delivery(number, outbox)
        self.all[number] = OneGateway(number=number, outbox=outbox, delivery=delivery)
        delivery.start()

    async def new_token(self, token: str) -> None:
        """Begin anew with another token, as an entry does after its user gave one."""
        self.token = token
        for gateway in self.all.values():
            await gateway.delivery.stop()
            gateway.delivery = self._delivery(gateway.number, gateway.outbox)
            gateway.delivery.start()

    async def _put(self, gateway: OneGateway, instants_s: list[float]) -> None:
        records = [
            record
            for at_s in instants_s
            for record in metric_records(
                "MAIN",
                int(at_s * 1000),
                {f"C{code}": (gateway.number + code) / 8 for code in range(POINTS)},
            )
        ]
        began = time.monotonic()
        await gateway.outbox.put(records)
        self.longest_put_s = max(self.longest_put_s, time.monotonic() - began)
        gateway.delivery.wake()
        self.put += POINTS * len(instants_s)

    async def sample(self) -> None:
        """Sample at every multiple of the interval, for ever."""
        at = time.time() // INTERVAL_S * INTERVAL_S
        while True:
            at += INTERVAL_S
            await asyncio.sleep(max(0.0, at - time.time()))
            async with asyncio.TaskGroup() as group:
                for gateway in list(self.all.values()):
                    group.create_task(self._put(gateway, [at]))
            late = int((time.time() - at) // INTERVAL_S)
            self.skipped += late * len(self.all)
            at += late * INTERVAL_S

    async def fill(self, start_s: float, intervals: int) -> None:
        """Queue what was sampled at so many instants of the past."""
        turn = asyncio.Semaphore(_FILLED_AT_ONCE)

        async def one(gateway: OneGateway) -> None:
            async with turn:
                for first in range(0, intervals, _INTERVALS_PER_PUT):
                    last = min(first + _INTERVALS_PER_PUT, intervals)
                    await self._put(
                        gateway, [start_s + each * INTERVAL_S for each in range(first, last)]
                    )

        async with asyncio.TaskGroup() as group:
            for gateway in self.all.values():
                group.create_task(one(gateway))

    def as_after_hours(self) -> None:
        """Have the next waits be as long as those of an outage that lasts for hours."""
        for gateway in self.all.values():
            gateway.delivery._connection._attempts = _MANY_ATTEMPTS  # noqa: SLF001 (hours are too long)

    def told(self) -> dict[str, Any]:
        """Return where all of them are; what was connected is told once."""
        connected, self.connected_at = self.connected_at, []
        longest, self.longest_put_s = self.longest_put_s, 0.0
        return {
            "put": self.put,
            "queued": sum(each.outbox.queued_samples for each in self.all.values()),
            "dropped": sum(each.outbox.dropped_samples for each in self.all.values()),
            "connected": connected,
            "asked": _Entry.asked,
            "skipped": self.skipped,
            "longest_put_s": longest,
        }

    async def stop(self) -> None:
        """End all of them."""
        for gateway in self.all.values():
            await gateway.delivery.stop()
            await gateway.outbox.close()


async def _obey(gateways: Gateways, order: dict[str, Any]) -> dict[str, Any]:
    """Do what a line says, and return what to answer."""
    match order["do"]:
        case "add":
            for number in order["numbers"]:
                await gateways.add(number)
                await asyncio.sleep(order["every_s"])
        case "fill":
            await gateways.fill(order["start_s"], order["intervals"])
        case "hours":
            gateways.as_after_hours()
        case "token":
            await gateways.new_token(order["token"])
        case "tell":
            return gateways.told()
        case other:
            raise ValueError(other)
    return {}


async def _serve(gateways: Gateways) -> None:
    """Do what the lines of standard input say, and answer each with a line."""
    loop = asyncio.get_running_loop()
    sampling: asyncio.Task[None] | None = None
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order: dict[str, Any] = json.loads(line)
        answer: dict[str, Any] = {}
        if order["do"] == "sample":
            sampling = asyncio.create_task(gateways.sample())
        elif order["do"] == "quiet" and sampling is not None:
            # Not in the middle of an instant, of which all would be put and not all counted.
            await asyncio.sleep((INTERVAL_S * 1.5 - time.time() % INTERVAL_S) % INTERVAL_S)
            sampling.cancel()
            await asyncio.wait({sampling})
        else:
            answer = await _obey(gateways, order)
        if sampling is not None and sampling.done() and not sampling.cancelled():
            sampling.result()
        print(json.dumps(answer), flush=True)
    if sampling is not None:
        sampling.cancel()


async def _run(arguments: argparse.Namespace) -> None:
    logging.disable(logging.CRITICAL)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        hass = HomeAssistant(str(arguments.folder))
        hass.config_entries = ConfigEntries(hass, {})
        gateways = Gateways(
            urls=arguments.urls,
            hass=hass,
            http=http,
            folder=arguments.folder,
            token=arguments.token,
        )
        try:
            await _serve(gateways)
        finally:
            await gateways.stop()
            await hass.async_stop(force=True)


def main() -> None:
    """Run until standard input ends."""
    parser = argparse.ArgumentParser(description="Some gateways of the fleet")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("urls", nargs="+")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
