"""Nothing that was sampled is lost: not by `kill -9`, not by a broker that goes away.

A sample is due for every point and every multiple of the interval from the first one that a run of
Home Assistant takes of that point until it is killed, without the slot in which that happens: it
may not have reached the disk.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
import time

import pytest

from simulators.demo import ALARM_CONFIGURATION, DAY_S, add_meters
from simulators.home_assistant import HomeAssistant
from simulators.household import household
from simulators.platforms.scout import CLAIM_ID, TOKEN, Scout
from simulators.programs import until
from simulators.rabbitmq import Observer, RabbitMq

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.needs("rabbitmq-server"),
    pytest.mark.usefixtures("socket_enabled"),
]

INTERVAL_S = 1
STREAM_S = 3
DELIVERED_WITHIN_S = 60


async def pause_until_phase(phase: float) -> None:
    """Stream for a while, until a fraction of a slot after its begin."""
    now = time.time() + STREAM_S
    await asyncio.sleep(STREAM_S + (phase - now) % 1)


class Clock:
    """When each run of Home Assistant began and ended."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.ended: list[float] = []

    def due(self, taken: set[int]) -> set[int]:
        """Return the slots of a point that are due, from those that were taken of it."""
        due: set[int] = set()
        for began, ended in zip(self.began, self.ended, strict=True):
            first = min(slot for slot in taken if began < slot < ended)
            due.update(range(first, int(ended), INTERVAL_S))
        return due


async def test_kills_and_restarts_lose_no_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    async with (
        household(DAY_S) as lines,
        RabbitMq(folder=tmp_path / "rabbitmq", claim_id=CLAIM_ID, token=TOKEN) as broker,
        Observer(broker=broker) as observer,
        HomeAssistant(tmp_path / "home", configuration=ALARM_CONFIGURATION) as home,
    ):
        scout = Scout(broker.url, observer, INTERVAL_S)
        # The meter of the house has no counter at zero, which would have to be read twice first.
        house, *_ = await add_meters(home, lines[0])
        await scout.configure(home, [house])
        # Home Assistant writes its registries after a while, or when it stops.
        await home.stop()
        clock.began.append(time.time())
        await home.start()

        async def kill_home(phase: float) -> None:
            await pause_until_phase(phase)
            clock.ended.append(time.time())
            await home.kill()
            clock.began.append(time.time())
            await home.start()

        # In the middle of a slot, then just when the next one is written.
        await kill_home(0.5)
        await pause_until_phase(0)
        await broker.restart()
        await kill_home(0.005)
        await pause_until_phase(0)
        await broker.restart()
        # Once more while everything has to wait in the outbox.
        await pause_until_phase(0)
        await broker.stop()
        await kill_home(0.02)
        await broker.start()
        await pause_until_phase(0.9)
        clock.ended.append(time.time())

        def taken() -> dict[tuple[str, str], set[int]]:
            slots = defaultdict(set)
            for metric in observer.metrics:
                slots[metric.device, metric.code].add(int(metric.ts.timestamp()))
            return slots

        async def all_there() -> bool:
            slots = taken()
            return all(max(each) >= clock.ended[-1] - 1 for each in slots.values())

        await until(all_there, DELIVERED_WITHIN_S, "the last samples at the broker")
        slots = taken()

    metric_points = scout.expected - {("MAIN", "ALARM_DEVICE")}
    assert slots.keys() == metric_points
    due = {point: clock.due(each) for point, each in slots.items()}
    missing = {point: sorted(due[point] - slots[point]) for point in slots}
    with capsys.disabled():
        print(
            f"\n{len(clock.began)} runs of Home Assistant, "
            f"{sum(map(len, due.values()))} samples due of {len(due)} points, "
            f"{sum(map(len, missing.values()))} missing, {observer.duplicates} duplicates"
        )
    assert not any(missing.values()), missing
    assert not observer.refusals
