"""The setup server under Home Assistant, against a bare asyncio echo of the same frames.

Clients in a process of their own send commands one after the other, each as soon as the last was
answered, to the server and to the echo in turn; the two run in one process, one at a time. Then
enemies come, and it is seen how long the event loop was held up and how a client was served.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
import gc
import json
from pathlib import Path
import statistics
import sys
import tempfile
import time
from typing import Final

from homeassistant import loader
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_test_home_assistant,
)

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.protocols.stomp import sns
from simulators.programs import Program, free_port
from simulators.setup_load import LOGIN

CLIENTS: Final = (1, 10, 50)
ROUND_S: Final = 2.0
ROUNDS: Final = 3
ENEMIES: Final = 500
HOSTILE_S: Final = 15.0
GOAL_RATIO: Final = 0.3
GOAL_STALL_S: Final = 0.020
PASSWORD: Final = "bench"  # noqa: S105
# What is measured.


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send every frame back as it came."""
    with suppress(asyncio.IncompleteReadError, OSError):
        while True:
            writer.write(await reader.readuntil(b"\0"))
            await writer.drain()


@asynccontextmanager
async def run_home(folder: Path, port: int, password_hash: str) -> AsyncIterator[HomeAssistant]:
    """Run Home Assistant with a setup server."""
    async with async_test_home_assistant(config_dir=str(folder)) as hass:
        hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
        assert await async_setup_component(hass, "network", {})
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Setup",
            data={
                CONF_KIND: "setup_server",
                "host": "127.0.0.1",
                "port": port,
                "allowed_networks": ["127.0.0.0/8"],
                "login": LOGIN,
                "password_hash": password_hash,
                "allow_restart": False,
                "allow_reboot": False,
                "max_connections": 100,
                "max_body_bytes": 4096,
                "sources": [],
            },
        )
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        yield hass
        await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_stop(force=True)


async def clients(folder: Path, *arguments: str) -> dict[str, float]:
    """Run clients in a process of their own and return what they measured."""
    log = folder / f"clients-{time.monotonic_ns()}.log"
    async with Program.module("simulators.setup_load", *arguments, log=log) as program:
        while True:
            await asyncio.sleep(0.1)
            for line in log.read_text().splitlines():
                if line.startswith("{"):
                    measured: dict[str, float] = json.loads(line)
                    return measured
            program.check()


async def stall_while(work: Awaitable[None]) -> tuple[float, float]:
    """Return for how long the event loop was held up at most, in seconds, during some work.

    The second figure is the most processor time of this thread between two looks: what the loop
    itself did, whatever else the machine was busy with.
    """
    longest_s = busiest_s = 0.0

    async def watch() -> None:
        nonlocal longest_s, busiest_s
        while True:
            before, spent = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            longest_s = max(longest_s, time.perf_counter() - before - 0.001)
            busiest_s = max(busiest_s, time.thread_time() - spent)

    task = asyncio.create_task(watch())
    await work
    task.cancel()
    return longest_s, busiest_s


async def keep[T](work: Awaitable[T], results: list[T]) -> None:
    """Keep the result of some work."""
    results.append(await work)


async def measure(rounds: int) -> bool:
    """Print the results; return whether the goals are met."""
    password_hash = sns.hash_password(PASSWORD)
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        port = free_port()
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        echo_port: int = server.sockets[0].getsockname()[1]
        async with run_home(folder, port, password_hash):
            for count in CLIENTS:
                ours: list[dict[str, float]] = []
                bare: list[dict[str, float]] = []
                for _ in range(rounds):
                    for results, where, known in (
                        (bare, echo_port, ""),
                        (ours, port, password_hash),
                    ):
                        results.append(
                            await clients(
                                folder, "clients", str(where), str(count), known, str(ROUND_S)
                            )
                        )
                ratio = middle(ours, "rate") / middle(bare, "rate")
                good &= ratio >= GOAL_RATIO
                print(
                    f"{count:>2} clients: {middle(ours, 'rate'):,.0f} commands/s, "
                    f"p99 {middle(ours, 'p99_s') * 1000:.1f} ms; echo "
                    f"{middle(bare, 'rate'):,.0f}/s, p99 {middle(bare, 'p99_s') * 1000:.1f} ms; "
                    f"ratio {ratio:.2f} (goal {GOAL_RATIO})"
                )
            # A full collection of what Home Assistant consists of is not what is measured here.
            gc.collect()
            gc.freeze()
            quiet_s, _ = await stall_while(asyncio.sleep(HOSTILE_S / 3))
            attack = clients(
                folder, "enemies", str(port), str(ENEMIES), password_hash, str(HOSTILE_S)
            )
            attacked: list[dict[str, float]] = []
            stall_s, busy_s = await stall_while(keep(attack, attacked))
            good &= stall_s < GOAL_STALL_S
            print(
                f"{ENEMIES} enemies: longest stall {stall_s * 1000:.1f} ms, "
                f"{busy_s * 1000:.1f} ms of processor time, without them "
                f"{quiet_s * 1000:.1f} ms (goal {GOAL_STALL_S * 1000:.0f}); a client logged in "
                f"and got {attacked[0]['rate']:,.0f} answers/s, p99 "
                f"{attacked[0]['p99_s'] * 1000:.1f} ms"
            )
        server.close()
    return good


def middle(results: list[dict[str, float]], key: str) -> float:
    """Return the median."""
    return statistics.median(result[key] for result in results)


def main() -> int:
    """Measure and tell whether the goals are met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    return 0 if asyncio.run(measure(parser.parse_args().rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
