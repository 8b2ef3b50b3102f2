"""Nothing that was sampled for Sparkplug is lost: a real Home Assistant is killed, its broker too.

A sensor counts the seconds, so that every slot has a value of its own. Due is each second from the
first one that a run of Home Assistant takes until it is killed, without the last two: they may not
have reached the disk. `SPARKPLUG_KILLS=10` kills Home Assistant so often.
"""

import asyncio
import os
from pathlib import Path
import time

import pytest

from simulators.home_assistant import HomeAssistant
from simulators.platforms.sparkplug import SparkplugPlatform
from simulators.programs import until
from simulators.sparkplug import Sparkplug
from simulators.sparkplug_messages import Arrival

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.needs("mosquitto"),
    pytest.mark.usefixtures("socket_enabled"),
]

KILLS = int(os.environ.get("SPARKPLUG_KILLS", "2"))
STREAM_S = 4
DELIVERED_WITHIN_S = 90
SECONDS = """\
template:
  - triggers:
      - trigger: time_pattern
        seconds: "/1"
    sensor:
      - name: Seconds
        unique_id: seconds
        unit_of_measurement: s
        state_class: measurement
        state: "{{ now().timestamp() | int }}"
"""


def device(step: dict[str, object]) -> dict[str, object]:
    """Take the row that the form suggests."""
    (field,) = step["data_schema"]
    return {
        "points": [{**row, "name": "seconds"} for row in field["description"]["suggested_value"]]
    }


def in_order(arrivals: list[Arrival]) -> bool:
    times = [each.timestamp_ms for each in arrivals]
    return times == sorted(times)


class Runs:
    """Each run of Home Assistant, and what it owes."""

    def __init__(self, home: HomeAssistant) -> None:
        self.home = home
        self.began: list[float] = []
        self.ended: list[float] = []

    async def begin(self) -> None:
        self.began.append(time.time())
        await self.home.start()

    async def kill(self) -> None:
        self.ended.append(time.time())
        await self.home.kill()
        await self.begin()

    def due(self, taken: set[int]) -> set[int]:
        """Return the seconds that are due, from those that were taken."""
        due: set[int] = set()
        for start, end in zip(self.began, self.ended, strict=True):
            if of_run := [value for value in taken if start < value < end]:
                due.update(range(min(of_run), int(end) - 2))
        return due


async def harm(scada: Sparkplug, runs: Runs, number: int) -> None:
    """Have the broker away, the host away, the host crash, or nothing; and kill Home Assistant."""
    await asyncio.sleep(STREAM_S)
    if number % 4 == 0:
        await scada.broker.kill()
        await asyncio.sleep(STREAM_S)
        await scada.broker.start()
    elif number % 4 == 1:
        await scada.host.go_offline()
        await asyncio.sleep(STREAM_S)
    elif number % 4 == 2:
        await scada.host.crash()
    await runs.kill()
    if number % 4 in (1, 2):
        await asyncio.sleep(STREAM_S)
        await scada.host.go_online()


async def test_kills_and_outages_lose_no_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broker").mkdir()
    async with (
        Sparkplug(tmp_path / "broker") as scada,
        HomeAssistant(tmp_path / "home", configuration=SECONDS) as home,
    ):
        ledger = scada.ledger
        await scada.host.go_online()
        entry_id = await SparkplugPlatform(scada, 1).add_entry(home)
        await home.add_subentry(
            entry_id,
            "sparkplug_device",
            {
                "user": {"device_id": "clock", "devices": [], "entities": ["sensor.seconds"]},
                "mapping": {"next_step_id": "points"},
                "points": device,
            },
        )
        runs = Runs(home)
        await home.stop()  # its registries are written then
        await runs.begin()
        for number in range(KILLS):
            await harm(scada, runs, number)
        await asyncio.sleep(STREAM_S)
        runs.ended.append(time.time())

        def values(*, historical: bool | None = None) -> list[Arrival]:
            found = ledger.samples("clock", "seconds", historical=historical)
            return [each for each in found if each.value is not None]

        def taken() -> set[int]:
            return {int(each.value or 0) for each in values()}

        async def all_there() -> bool:
            arrived = taken()
            return int(runs.ended[-1]) in arrived and not runs.due(arrived) - arrived

        try:
            await until(all_there, DELIVERED_WITHIN_S, "the last samples at the host")
        finally:
            arrived, refused = taken(), list(ledger.refused)
            live, past = values(historical=False), values(historical=True)
            due = runs.due(arrived)
            with capsys.disabled():
                print(
                    f"\nSparkplug: {len(runs.began)} runs of Home Assistant, {len(due)} samples"
                    f" due, {len(due - arrived)} missing, {len(past)} historical,"
                    f" {len(live) + len(past) - len(arrived)} duplicates, {ledger.births} births,"
                    f" {len(refused)} refused"
                )
    assert refused == []
    assert in_order(live)
    assert past
