"""The private RabbitMQ: that it keeps what it confirmed, and leaves nothing behind."""

import asyncio
from pathlib import Path

import aiohttp

from custom_components.grid_telemetry.protocols.stomp.errors import StompConnectionLost
from simulators.rabbitmq import Observer, RabbitMq
from tests.fixtures.scout import (
    CLAIM_ID,
    HEADERS,
    METRICS,
    NEEDS_RABBITMQ,
    TOKEN,
    connected,
    metric,
)

pytestmark = NEEDS_RABBITMQ


def _processes(folder: Path) -> list[str]:
    """Return the processes that have something of a broker in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append((process / "comm").read_text().strip())
        except OSError:
            continue
    return found


async def test_what_was_confirmed_survives_a_restart_and_power_cuts(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    broker = RabbitMq(folder=tmp_path, claim_id=CLAIM_ID, token=TOKEN)
    async with broker:
        async with connected(session, broker.url) as connection:
            await asyncio.gather(
                *[await connection.send(METRICS, HEADERS, metric(n)) for n in range(100)]
            )
            await broker.restart()
            assert isinstance(await connection.wait_closed(), StompConnectionLost)
        async with connected(session, broker.url) as connection:
            await asyncio.gather(
                *[await connection.send(METRICS, HEADERS, metric(n)) for n in range(100, 200)]
            )
            await broker.kill()
            assert isinstance(await connection.wait_closed(), StompConnectionLost)
        await broker.start()
        async with Observer(broker=broker) as observer:
            await observer.wait_for(lambda: observer.messages >= 200, 20)
            async with connected(session, broker.url) as connection:
                await (await connection.send(METRICS, HEADERS, metric(50)))
                await (await connection.send(METRICS, HEADERS, "{}"))
                await (await connection.send(f"{METRICS}X", HEADERS, metric(1)))
            await observer.wait_for(lambda: len(observer.refusals) == 2, 20)
            await broker.kill()
            await broker.start()
            async with connected(session, broker.url) as connection:
                await (await connection.send(METRICS, HEADERS, metric(200)))
            await observer.wait_for(lambda: observer.messages == 202, 20)
        assert sorted({item.value for item in observer.metrics}) == [n + 0.5 for n in range(201)]
        assert observer.duplicates == 1
        assert observer.refusals == [
            "METRIC: without gateway_device_id, metrics",
            f"gateways.{CLAIM_ID}X is not the routing key of the gateway",
        ]
    assert _processes(tmp_path) == []
