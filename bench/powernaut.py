"""200 resources of one Powernaut entry, against a bare aiomqtt loop with the same payloads.

Both send in the same process to the stand-in (Mosquitto with TLS, and an observer that writes down
when each message came), which runs in a process of its own. A slot of the bare loop is a `publish`
after the other. The processor time of the sensors' states alone is taken off both.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
import json
import math
from pathlib import Path
import ssl
import statistics
import sys
import tempfile
import time
from typing import Any, Final
from unittest.mock import patch

import aiomqtt
from homeassistant import loader
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_test_home_assistant,
)

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.powernaut.client import PowernautSession
from simulators.powernaut import identifier
from simulators.programs import Program, until

RESOURCES: Final = 200
INTERVAL_S: Final = 4
ROUNDS: Final = 3
SLOTS: Final = 8
"""Of each kind in a round."""
GOAL_RATIO: Final = 1.5
GOAL_JITTER_S: Final = 0.100
MEASURE_BEFORE_S: Final = 0.3

type Sent = tuple[str, bytes]


@dataclass(kw_only=True)
class Site:
    """Home Assistant with an entry for the stand-in, and sensors that this bench moves."""

    hass: HomeAssistant
    entry: MockConfigEntry

    def measure(self, number: int) -> None:
        """Have every sensor report."""
        for index in range(1, RESOURCES + 1):
            self.hass.states.async_set(
                f"sensor.power_{index}",
                str((index * 17 + number) % 5000 - 2500),
                {"unit_of_measurement": "W"},
            )
            if index % 2:
                self.hass.states.async_set(
                    f"sensor.charge_{index}",
                    str(round((index + number / 10) % 100, 1)),
                    {"unit_of_measurement": "%"},
                )


def resource(index: int) -> ConfigSubentryData:
    """Return the subentry of a resource: batteries and solar inverters in turn."""
    battery = index % 2
    name = f"{'Battery' if battery else 'Solar'} {index}"
    data: dict[str, Any] = {
        "resource_id": identifier(name),
        "resource_type": "static_battery" if battery else "photovoltaic",
        "power_entity": f"sensor.power_{index}",
        "invert": False,
        "max_age_s": 60,
    }
    if battery:
        data |= {"soc_entity": f"sensor.charge_{index}", "soc_unit": "%", "capacity_kwh": 10.0}
    return ConfigSubentryData(
        subentry_type="resource", title=name, unique_id=data["resource_id"], data=data
    )


@asynccontextmanager
async def run_site(
    folder: Path, connection: dict[str, Any], subentries: list[ConfigSubentryData]
) -> AsyncIterator[Site]:
    """Run Home Assistant with the entry added and not set up."""
    async with async_test_home_assistant(config_dir=str(folder)) as hass:
        hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
        assert await async_setup_component(hass, "network", {})  # Home Assistant's session wants it
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Powernaut",
            data={
                CONF_KIND: "powernaut",
                "environment": "custom",
                **connection,
                "qos": 1,
                "site_id": identifier("site"),
            },
            subentries_data=subentries,
        )
        entry.add_to_hass(hass)
        yield Site(hass=hass, entry=entry)
        await hass.async_stop(force=True)


@asynccontextmanager
async def run_stand_in(folder: Path) -> AsyncIterator[tuple[dict[str, Any], Path]]:
    """Run the stand-in in a process; yields what a config flow asks for, and its records."""
    record = folder / "record.jsonl"
    log = folder / "stand_in.log"
    program = Program.module(
        "simulators.powernaut",
        "--folder", str(folder / "stand_in"),
        "--resources", str(RESOURCES),
        "--record", str(record),
        log=log,
    )  # fmt: skip

    async def ready() -> dict[str, Any] | None:
        program.check()
        for line in log.read_text().splitlines():
            if line.startswith("{"):
                connection: dict[str, Any] = json.loads(line)
                return connection
        return None

    async with program:
        yield await until(ready, 30, "the stand-in"), record


async def until_after_slot(seconds: float) -> float:
    """Wait until so long after the next slot, before which the sensors reported; return it."""
    now = time.time()
    slot = (now // INTERVAL_S + 1) * INTERVAL_S
    await asyncio.sleep(slot + seconds - now)
    return slot


@dataclass(frozen=True, kw_only=True)
class Run:
    """Some slots, in each of which the sensors reported first."""

    processor_s: float
    began: float
    ended: float


async def measured_slots(site: Site, work: Callable[[], Awaitable[None]] | None = None) -> Run:
    """Measure some slots."""
    await until_after_slot(1)
    began, processor_s = time.time(), time.process_time()
    for number in range(SLOTS):
        now = time.time()
        slot = (now // INTERVAL_S + 1) * INTERVAL_S
        await asyncio.sleep(slot - MEASURE_BEFORE_S - now)
        site.measure(number)
        await asyncio.sleep(slot - time.time())
        if work is not None:
            await work()
        await asyncio.sleep(slot + 1 - time.time())
    return Run(processor_s=time.process_time() - processor_s, began=began, ended=time.time())


@asynccontextmanager
async def bare_client(connection: dict[str, Any]) -> AsyncIterator[aiomqtt.Client]:
    """Connect as a plain program would."""
    async with aiomqtt.Client(
        connection["broker_host"],
        connection["broker_port"],
        username=connection["site_key"],
        password=connection["secret"],
        identifier="bare",
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=ssl.create_default_context(cafile=connection["ca_file"]),
    ) as client:
        yield client


@contextmanager
def taken_payloads() -> Iterator[list[Sent]]:
    """Yield a list that fills with what the link publishes."""
    payloads: list[Sent] = []
    publish = PowernautSession.publish

    def spy(session: PowernautSession, topic: str, body: bytes) -> asyncio.Future[None]:
        payloads.append((topic, body))
        return publish(session, topic, body)

    with patch.object(PowernautSession, "publish", spy):
        yield payloads


async def main() -> int:
    """Print the ratio and the jitter; return the exit code."""
    alone: list[Run] = []
    ours: list[Run] = []
    bare: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="grid-telemetry-") as temporary:
        folder = Path(temporary)
        home = folder / "home"
        home.mkdir()
        subentries = [resource(index) for index in range(1, RESOURCES + 1)]
        async with (
            run_stand_in(folder) as (connection, record),
            run_site(home, connection, subentries) as site,
        ):
            entries = site.hass.config_entries
            assert await entries.async_setup(site.entry.entry_id)
            await until_after_slot(1)
            site.measure(0)
            with taken_payloads() as payloads:
                await until_after_slot(1)
            assert len(payloads) == RESOURCES, len(payloads)
            await entries.async_unload(site.entry.entry_id)
            for number in range(ROUNDS):
                alone.append(await measured_slots(site))
                async with bare_client(connection) as client:

                    async def publish_all(client: aiomqtt.Client = client) -> None:
                        for topic, body in payloads:
                            await client.publish(topic, body, qos=1)

                    bare.append(await measured_slots(site, publish_all))
                await entries.async_setup(site.entry.entry_id)
                await until_after_slot(1)
                ours.append(await measured_slots(site))
                await entries.async_unload(site.entry.entry_id)
                print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
        offsets = list(arrivals(record, ours))
    messages = SLOTS * RESOURCES
    base, sent, bare_sent = (min(run.processor_s for run in runs) for runs in (alone, ours, bare))
    our_us, bare_us = ((used - base) / messages * 1e6 for used in (sent, bare_sent))
    ratio = our_us / bare_us
    p50, p99 = statistics.median(offsets), percentile(offsets, 0.99)
    print(
        f"powernaut, {RESOURCES} resources every {INTERVAL_S} s: {our_us:.0f} µs a message, a bare "
        f"aiomqtt loop {bare_us:.0f} µs: {ratio:.2f} times (goal: at most {GOAL_RATIO})"
    )
    print(
        f"powernaut, arrival after the slot: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, "
        f"longest {max(offsets) * 1000:.1f} ms of {len(offsets)} messages "
        f"(goal: p99 below {GOAL_JITTER_S * 1000:.0f} ms)"
    )
    expected = ROUNDS * messages
    if len(offsets) != expected:
        print(f"powernaut: {len(offsets)} messages arrived, {expected} were due")
        return 1
    return 0 if ratio <= GOAL_RATIO and p99 < GOAL_JITTER_S else 1


def arrivals(record: Path, runs: list[Run]) -> Iterator[float]:
    """Yield how long after its slot each message of the link came that was not refused."""
    for line in record.read_text().splitlines():
        reading = json.loads(line)
        # What the bare loop sends again and again grows old, and is refused.
        if any(run.began <= reading.get("arrived_at", 0) <= run.ended for run in runs):
            yield reading["arrived_at"] % INTERVAL_S


def percentile(values: list[float], share: float) -> float:
    """Return the value that a share of all is not above."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
