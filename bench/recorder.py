"""Rows a day that Home Assistant's recorder writes for a meter at the defaults.

A real Home Assistant reads three simulated meters in a house at ten in the morning, when sun and
loads change most. The rows of some minutes are counted in its database and extrapolated to a day.
`--integration` names the integration's folder in another checkout, to compare the two.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import sqlite3
import sys
from tempfile import TemporaryDirectory
import time
from typing import Final

from simulators.home_assistant import INTEGRATION, HomeAssistant
from simulators.house import House
from simulators.meters import MeterServer, SimulatedMeter

GOAL_ROWS: Final = 60_000
DAY_S: Final = 86_400
WARM_UP_S: Final = 30
# The recorder commits every 5 seconds.
COMMITTED_S: Final = 7
JUDGED: Final = "SDM630"
MODELS: Final[Mapping[str, str]] = {
    JUDGED: "eastron_sdm630",
    "PAC2200": "siemens_pac2200",
    "B21": "abb_ab_series",
}


@dataclass(frozen=True, kw_only=True)
class Written:
    """What is in the database at a time."""

    rows: Counter[str]
    """By entity id."""
    size: int
    """In bytes."""


def written(folder: Path) -> Written:
    """Look into the database of a Home Assistant that runs."""
    with sqlite3.connect(f"file:{folder / 'home-assistant_v2.db'}?mode=ro", uri=True) as database:
        rows = database.execute(
            "SELECT meta.entity_id, COUNT(*) FROM states"
            " JOIN states_meta AS meta USING (metadata_id) GROUP BY meta.entity_id"
        ).fetchall()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        (page_size,) = database.execute("PRAGMA page_size").fetchone()
    return Written(rows=Counter(dict(rows)), size=pages * page_size)


async def run(integration: Path, minutes: float, *, each: bool) -> bool:
    """Measure, print, and return whether the goal is met."""
    meters = [
        SimulatedMeter(unit_id, key, House().grid) for unit_id, key in enumerate(MODELS.values(), 1)
    ]
    with TemporaryDirectory() as name:
        home = HomeAssistant(Path(name) / "home", integration=integration)
        async with MeterServer(meters) as server, home:
            entry_id = await home.add_entry(
                "grid_telemetry",
                {
                    "user": {"next_step_id": "modbus"},
                    "modbus": {"next_step_id": "modbus_tcp"},
                    "modbus_tcp": {"host": "127.0.0.1", "port": server.port},
                },
            )
            for unit_id, (model, key) in enumerate(MODELS.items(), 1):
                await home.add_subentry(
                    entry_id,
                    "meter",
                    {
                        "user": {"next_step_id": "model"},
                        "model": {"unit_id": unit_id, "register_map": key, "meter_name": model},
                        "confirm": {},
                    },
                )
            await asyncio.sleep(WARM_UP_S)
            before, began = written(home.folder), time.monotonic()
            await asyncio.sleep(minutes * 60)
            await asyncio.sleep(COMMITTED_S)
            after, took = written(home.folder), time.monotonic() - began
            names = {device["id"]: device["name"] for device in await home.devices()}
            device_of = {
                entity["entity_id"]: names.get(entity["device_id"])
                for entity in await home.entities()
            }
    a_day = DAY_S / took
    rows = after.rows - before.rows
    total: Counter[str | None] = Counter()
    for entity_id, count in sorted(rows.items(), key=lambda item: -item[1]):
        total[device_of.get(entity_id)] += count
        if each:
            print(f"  {count * a_day:7,.0f}  {entity_id}")
    growth = (after.size - before.size) / max(1, rows.total())
    for model in MODELS:
        daily = total[model] * a_day
        print(
            f"{model}: {daily:,.0f} rows a day, {daily * growth / 1e6:.0f} MB"
            + (f" (goal < {GOAL_ROWS:,} rows)" if model == JUDGED else "")
        )
    print(f"Counted over {took:.0f} s, {growth:.0f} bytes a row")
    return total[JUDGED] * a_day < GOAL_ROWS


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="bench.recorder")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--each", action="store_true", help="print the rows of each entity too")
    parser.add_argument("--integration", type=Path, default=INTEGRATION)
    options = parser.parse_args()
    met = asyncio.run(run(options.integration, options.minutes, each=options.each))
    sys.exit(not met)


if __name__ == "__main__":
    main()
