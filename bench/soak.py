"""The demo for an hour: what Home Assistant's process holds, and whether it grows.

    python -m bench.soak [--minutes 60]

Simulated meters, every link and a stand-in for each platform run as `script/run` has them, for
which its ports have to be free. Memory, file descriptors and threads of Home Assistant are taken
from the kernel six times a minute. Of what comes after the warm-up a straight line is told, by
least squares: what it rises by in an hour, and what the figure was at first and at last.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
import statistics
import sys
from tempfile import TemporaryDirectory
import time
from typing import Final

from simulators.programs import Program, until

EVERY_S: Final = 10.0
START_S: Final = 300.0
# Caches fill, the recorder's database gets its first statistics.
WARM_UP: Final = 1 / 4
# What a figure may rise by in an hour.
GOALS: Final[Mapping[str, float]] = {"memory, MB": 10.0, "descriptors": 2.0, "threads": 2.0}


def home_assistant_below(pid: int) -> int | None:
    """Return the process id of the Home Assistant that a process started, if it runs."""
    for child in _children(pid):
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if b"homeassistant" in words or any(word.endswith(b"/hass") for word in words):
            return child
        if (found := home_assistant_below(child)) is not None:
            return found
    return None


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def held(pid: int) -> dict[str, float]:
    """Return what a process holds."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return {
        "memory, MB": int(status["VmRSS"].split()[0]) / 1024,
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": int(status["Threads"]),
    }


def rise_an_hour(hours: Sequence[float], figures: Sequence[float]) -> float:
    """Return how much a figure rises by in an hour, by least squares."""
    return statistics.linear_regression(hours, figures).slope


async def run(folder: Path, minutes: float) -> bool:
    """Measure, print the lines, and say whether nothing grows."""
    async with Program.module("simulators.demo", log=folder / "demo.log") as demo:

        async def started() -> int | None:
            with suppress(OSError):  # of processes that end meanwhile
                return home_assistant_below(demo.pid)
            return None

        pid = await until(started, START_S, "Home Assistant")
        await asyncio.sleep(minutes * 60 * WARM_UP)
        began = time.monotonic()
        hours: list[float] = []
        samples: list[dict[str, float]] = []
        while (passed := time.monotonic() - began) < minutes * 60 * (1 - WARM_UP):
            hours.append(passed / 3600)
            samples.append(held(pid))
            await asyncio.sleep(EVERY_S)
    flat = True
    for key, goal in GOALS.items():
        figures = [sample[key] for sample in samples]
        rise = rise_an_hour(hours, figures)
        flat = flat and rise <= goal
        print(
            f"soak: {key}: {figures[0]:.0f} at first, {figures[-1]:.0f} at last, most"
            f" {max(figures):.0f}, {rise:+.1f} an hour (goal: at most {goal:+.0f})"
        )
    print(f"soak: {minutes:g} minutes, {len(samples)} samples: {'flat' if flat else 'GROWS'}")
    return flat


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    with TemporaryDirectory(prefix="grid-telemetry-soak-") as folder:
        sys.exit(not asyncio.run(run(Path(folder), parser.parse_args().minutes)))


if __name__ == "__main__":
    main()
