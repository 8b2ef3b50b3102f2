"""How long Home Assistant takes to initialise, and what it holds, with this integration.

Three homes start in turn, several times each, every one a Home Assistant of its own process: one
with core's `modbus` reading three meters by YAML, one with the same three meters as links of this
integration, and one with a link of every kind besides. What they connect to is on this machine, or
refuses the connection. Memory is the resident set once Home Assistant has started.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
import json
from pathlib import Path
import re
import statistics
import sys
import tempfile
from typing import Any, Final

from simulators.home_assistant import HomeAssistant
from simulators.programs import Program, free_port

ROUNDS: Final = 5
METERS: Final = 3
GOAL_METERS_S: Final = 0.5
GOAL_METERS_MB: Final = 10.0
GOAL_ALL_S: Final = 1.0
SETTLED_S: Final = 3.0
_INITIALIZED: Final = re.compile(r"Home Assistant initialized in ([\d.]+)s")
_WHEN: Final = "2026-11-01T00:00:00+00:00"

type Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of a home."""

    seconds: float
    megabytes: float


def entry(number: int, data: Json, subentries: Sequence[Json] = ()) -> Json:
    """Return a config entry as Home Assistant stores it."""
    return {
        "created_at": _WHEN,
        "data": data,
        "disabled_by": None,
        "discovery_keys": {},
        "domain": "grid_telemetry",
        "entry_id": f"01BENCHSTART{number:014}",
        "minor_version": 1,
        "modified_at": _WHEN,
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [
            {"subentry_id": f"01BENCHSUB{number:08}{index:08}", "unique_id": None, **subentry}
            for index, subentry in enumerate(subentries)
        ],
        "title": f"{data['kind']} {number}",
        "unique_id": None,
        "version": 1,
    }


def meter_entries(ports: Sequence[int]) -> list[Json]:
    """Return a Modbus link for each port, with one SDM630."""
    meter = {
        "subentry_type": "meter",
        "title": "SDM630",
        "data": {
            "unit_id": 1,
            "register_map": "eastron_sdm630",
            "fast_interval_s": 4,
            "slow_interval_s": 30,
        },
    }
    return [
        entry(
            number,
            {"kind": "modbus", "transport": "tcp", "host": "127.0.0.1", "port": port},
            [meter],
        )
        for number, port in enumerate(ports)
    ]


def other_entries() -> list[Json]:
    """Return a link of every other kind; nothing answers those that connect."""
    nobody = free_port()
    served = {"host": "127.0.0.1", "allowed_networks": ["127.0.0.0/8"]}
    kinds: tuple[Json, ...] = (
        {
            "kind": "scout",
            "url": f"ws://127.0.0.1:{nobody}/ws",
            "host": "pro",
            "claim_id": "000001-0000-0000",
            "token": "token",
            "allow_plain": True,
            "serial_number": "HA-1",
            "gateway_type": "HOME_ASSISTANT",
            "hardware_version": "1.0",
            "interval_s": 10,
            "max_age_days": 30,
            "max_samples": 1_000_000,
        },
        {
            "kind": "powernaut",
            "environment": "custom",
            "api_url": f"https://127.0.0.1:{nobody}",
            "broker_host": "127.0.0.1",
            "broker_port": nobody,
            "site_key": "key",
            "secret": "secret",
            "qos": 1,
            "site_id": "0b0c5b9e-6f0e-4d5e-9a53-2b4b1a5f6a01",
        },
        {"kind": "sttp_publisher", **served, "port": free_port(), "max_subscribers": 8},
        {
            "kind": "sttp_subscriber",
            "host": "127.0.0.1",
            "port": nobody,
            "filter_expression": "FILTER ActiveMeasurements WHERE True",
            "interval_s": 1,
            "use_tls": False,
        },
        {
            "kind": "setup_server",
            **served,
            "port": free_port(),
            "login": "installer",
            "password_hash": "$2b$12$abcdefghijklmnopqrstuuGhijklmnopqrstuvwxyz012345678901",
            "allow_restart": False,
            "allow_reboot": False,
            "max_connections": 8,
            "max_body_bytes": 4096,
            "sources": [],
        },
        {
            "kind": "solarnode",
            "host": "127.0.0.1",
            "port": nobody,
            "login": "installer",
            "password": "password",
            "sources": [],
            "interval_s": 10,
            "live_sources": [],
        },
        {
            "kind": "virtual_meter",
            **served,
            "transport": "tcp",
            "port": free_port(),
            "max_clients": 8,
        },
        {"kind": "group"},
        {
            "kind": "ardexa",
            "url": f"http://127.0.0.1:{nobody}",
            "workgroup": "bench",
            "token": "token",
            "allow_operations": False,
        },
    )
    return [entry(METERS + number, data) for number, data in enumerate(kinds)]


def core_configuration(ports: Sequence[int]) -> str:
    """Return core's `modbus` for the meters, by YAML: the voltages of each."""
    sensors = [
        {
            "name": f"meter {number} voltage {phase}",
            "slave": 1,
            "address": 2 * phase,
            "input_type": "input",
            "data_type": "float32",
            "scan_interval": 4,
        }
        for number in range(len(ports))
        for phase in range(3)
    ]
    hubs = [
        {
            "name": f"line {number}",
            "type": "tcp",
            "host": "127.0.0.1",
            "port": port,
            "sensors": sensors[3 * number : 3 * number + 3],
        }
        for number, port in enumerate(ports)
    ]
    return f"modbus: {json.dumps(hubs)}\n"


def resident_mb(pid: int) -> float:
    """Return the memory that a process holds."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1000


async def start_once(home: HomeAssistant) -> Start:
    """Start a home that was started before, and measure."""
    log = home.folder / "home-assistant.log"
    await home.start()
    await asyncio.sleep(SETTLED_S)
    found = _INITIALIZED.findall(log.read_text(errors="replace"))
    measured = Start(seconds=float(found[-1]), megabytes=resident_mb(home.pid))
    await home.stop()
    return measured


async def prepare(home: HomeAssistant, entries: Sequence[Json]) -> None:
    """Start a home for the first time, then lay its entries where Home Assistant keeps them."""
    await home.start()
    await home.stop()
    path = home.folder / ".storage" / "core.config_entries"
    stored = json.loads(path.read_text())
    stored["data"]["entries"] += entries
    path.write_text(json.dumps(stored))
    await start_once(home)


def report(name: str, starts: Sequence[Start]) -> Start:
    """Print and return the medians of a home."""
    seconds = statistics.median(start.seconds for start in starts)
    megabytes = statistics.median(start.megabytes for start in starts)
    spread = ", ".join(f"{start.seconds:.2f}" for start in starts)
    print(f"start: {name}: initialised in {seconds:.2f} s ({spread}), {megabytes:.0f} MB")
    return Start(seconds=seconds, megabytes=megabytes)


async def run() -> bool:
    """Print the comparison; return whether the goals are met."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = [free_port() for _ in range(METERS)]
        for port in ports:
            program = await stack.enter_async_context(
                Program.module(
                    "simulators.meters",
                    *("--port", str(port), "--meter=1:eastron_sdm630"),
                    log=folder / f"meters-{port}.log",
                )
            )
            await program.until_it_listens(port)
        logger = "logger:\n  default: info\n"
        modbus = meter_entries(ports)
        homes: Mapping[str, tuple[HomeAssistant, list[Json]]] = {
            "core's modbus": (
                HomeAssistant(folder / "core", configuration=logger + core_configuration(ports)),
                [],
            ),
            "meters only": (HomeAssistant(folder / "meters", configuration=logger), modbus),
            "all kinds": (
                HomeAssistant(folder / "all", configuration=logger),
                modbus + other_entries(),
            ),
        }
        for home, entries in homes.values():
            await prepare(home, entries)
        starts: dict[str, list[Start]] = {name: [] for name in homes}
        for _ in range(ROUNDS):
            for name, (home, _entries) in homes.items():
                starts[name].append(await start_once(home))
    core, meters, every = (report(name, starts[name]) for name in homes)
    more_s, more_mb = meters.seconds - core.seconds, meters.megabytes - core.megabytes
    all_s = every.seconds - core.seconds
    met = more_s < GOAL_METERS_S and more_mb < GOAL_METERS_MB and all_s < GOAL_ALL_S
    print(
        f"start: meters only {more_s:+.2f} s (goal {GOAL_METERS_S}) and {more_mb:+.1f} MB"
        f" (goal {GOAL_METERS_MB:.0f}), all kinds {all_s:+.2f} s (goal {GOAL_ALL_S:.0f}):"
        f" {'met' if met else 'NOT met'}"
    )
    return met


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(run()) else 1)
