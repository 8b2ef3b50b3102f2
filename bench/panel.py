"""What the panel costs with 1,000 points of 100 devices that change every 4 s.

A real Home Assistant sends them all to the stand-in of Scout, and a real Chromium opens the panel.
Measured are the processor time of the Home Assistant process with the panel closed and open (the
streams of its views of links and points), what comes over the wire for it meanwhile, how long it
takes from the press in the sidebar to the first content of each view, and the size of the bundle.
"""

import asyncio
import gzip
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time
from typing import Final

import aiohttp
from playwright.async_api import Page, expect

from simulators.home_assistant import INTEGRATION, HomeAssistant
from simulators.platforms.scout import CLAIM_ID, TOKEN, Scout
from simulators.scout import ScoutServer
from tools.browser import open_page
from tools.frontend import go

from .points import POINTS, loaded_home, processor_s

INTERVAL_S: Final = 4
WARM_UP_S: Final = 15
MEASURED_S: Final = 30
ROUNDS: Final = 3
GOAL_CPU: Final = 0.02
GOAL_KB_PER_S: Final = 20.0
GOAL_FIRST_S: Final = 1.5
GOAL_BUNDLE_KB: Final = 200.0
# Of each view, what has data first.
FIRST_CONTENT: Final = {
    "pipeline": "gt-pipeline svg .node",
    "points": "gt-points .body .line",
}
STREAMS: Final[tuple[tuple[str, dict[str, bool]], ...]] = (
    ("links", {}),
    ("points", {"values": True}),
)


async def cpu(home: HomeAssistant) -> float:
    """Return the part of one processor that Home Assistant takes."""
    began, before = time.monotonic(), processor_s(home.pid)
    await asyncio.sleep(MEASURED_S)
    return (processor_s(home.pid) - before) / (time.monotonic() - began)


async def watched(home: HomeAssistant) -> tuple[float, float]:
    """Return what Home Assistant takes with the streams open, and their bytes a second."""
    async with (
        aiohttp.ClientSession(home.url) as session,
        session.ws_connect("/api/websocket", max_msg_size=0) as socket,
    ):
        await socket.receive_json()
        await socket.send_json({"type": "auth", "access_token": home.token})
        await socket.receive_json()
        for number, (name, request) in enumerate(STREAMS, 1):
            await socket.send_json({"id": number, "type": f"grid_telemetry/{name}", **request})
        received = 0
        counting = False

        async def read() -> None:
            nonlocal received
            async for message in socket:
                if counting:
                    received += len(message.data)

        reading = asyncio.create_task(read())
        await asyncio.sleep(WARM_UP_S)
        counting = True
        used = await cpu(home)
        reading.cancel()
        return used, received / MEASURED_S


async def first_content_s(page: Page, view: str) -> float:
    """Return how long a view takes to show data, the frontend itself being loaded."""
    shortest = float("inf")
    for _ in range(ROUNDS):
        await go(page, "/profile/general", page.locator("ha-panel-profile"))
        sidebar = page.get_by_role("link", name="Grid Telemetry")
        await expect(sidebar).to_be_visible()
        began = time.monotonic()
        await page.evaluate(
            """(path) => {
                history.pushState(null, "", path);
                window.dispatchEvent(new CustomEvent("location-changed"));
            }""",
            f"/grid-telemetry/{view}",
        )
        await page.locator(FIRST_CONTENT[view]).first.wait_for()
        shortest = min(shortest, time.monotonic() - began)
    return shortest


async def run(folder: Path) -> bool:
    """Measure all, print the line, and say whether the goals were met."""
    [bundle] = (INTEGRATION / "frontend").glob("panel-*.js")
    bundle_kb = len(gzip.compress(bundle.read_bytes())) / 1000
    async with (
        ScoutServer(claim_id=CLAIM_ID, token=TOKEN) as scout,
        loaded_home(folder / "home") as home,
    ):
        devices = [
            device["id"] for device in await home.devices() if device["name"].startswith("Load ")
        ]
        await Scout(scout.url, scout, INTERVAL_S).configure(home, devices)
        await asyncio.sleep(WARM_UP_S)
        closed = await cpu(home)
        opened, bytes_per_s = await watched(home)
        async with open_page(home) as page:
            first = {view: await first_content_s(page, view) for view in FIRST_CONTENT}
    added, kb_per_s = opened - closed, bytes_per_s / 1000
    passed = (
        added < GOAL_CPU
        and kb_per_s < GOAL_KB_PER_S
        and max(first.values()) < GOAL_FIRST_S
        and bundle_kb < GOAL_BUNDLE_KB
    )
    shown = ", ".join(f"{view} {seconds:.2f} s" for view, seconds in first.items())
    print(
        f"panel: {POINTS} points of 100 devices every {INTERVAL_S} s; processor {closed:.1%} closed"
        f" and {opened:.1%} open, which is {added:.1%} more (goal < {GOAL_CPU:.0%}); {kb_per_s:.1f}"
        f" kB/s (goal < {GOAL_KB_PER_S:.0f}); first content {shown} (goal < {GOAL_FIRST_S} s);"
        f" bundle {bundle_kb:.0f} kB compressed (goal < {GOAL_BUNDLE_KB:.0f}):"
        f" {'passed' if passed else 'FAILED'}"
    )
    return passed


def main() -> None:
    """Run from the command line."""
    with TemporaryDirectory(prefix="grid-telemetry-bench-") as folder:
        sys.exit(not asyncio.run(run(Path(folder))))


if __name__ == "__main__":
    main()
