"""The way through the panel, from an empty installation to messages at a platform.

The end-to-end tests go it; run as a program it leaves the pictures of the panel's page.
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Locator, Page, expect

from simulators.demo import DAY_S
from simulators.home_assistant import CHECKOUT, HomeAssistant
from simulators.meters import MeterServer, demo_meters
from simulators.platforms.scout import CLAIM_ID, TOKEN
from simulators.scout import ScoutServer

from .browser import open_page
from .frontend import button, go

IMAGES = CHECKOUT / "docs" / "images"
AXE = CHECKOUT / "panel" / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = ("pipeline", "points", "traffic", "meters", "plots", "start")
ELEMENT = "grid-telemetry-panel"
_AXE_RUN = """\
async () => (await axe.run(document.querySelector("home-assistant"), {
  runOnly: ["wcag2a", "wcag2aa"],
})).violations
  .filter((violation) => ["serious", "critical"].includes(violation.impact))
  .map((violation) => ({...violation, nodes: violation.nodes.filter(
    (node) => node.target.flat(9).some((part) => String(part).includes("grid-telemetry-panel")))}))
  .filter((violation) => violation.nodes.length)
  .map((violation) => violation.id + ": " + violation.nodes.slice(0, 3).map(
    (node) => node.html.slice(0, 160)).join(" | "))
"""

type Picture = Callable[[str], Awaitable[None]]


async def open_view(page: Page, view: str) -> Locator:
    """Open a view of the panel, and return it once it shows something."""
    found = page.locator(f"gt-{view}")
    await go(page, f"/grid-telemetry/{view}", found)
    await expect(found.locator("[aria-busy=true]")).to_have_count(0)
    return found


async def _fill(page: Page, label: str, value: str) -> None:
    await page.locator("wa-input", has_text=label).locator("input").fill(value)


async def _choose(page: Page, option: str) -> None:
    await page.locator("gt-guide button.choice", has_text=option).first.click()


async def add_meter(page: Page, port: int) -> None:
    """Add a meter behind Modbus TCP by the guide."""
    await button(page, "Add meters or a source").click()
    await _choose(page, "Modbus meters")
    await _choose(page, "Modbus TCP")
    await _fill(page, "Host", "127.0.0.1")
    await _fill(page, "Port", str(port))
    await button(page, "Next").click()
    await _choose(page, "Choose the model")
    await page.locator("ha-select", has_text="Meter model").click()
    await page.get_by_text("Eastron SDM630").last.click()
    await _fill(page, "Name", "House")
    await button(page, "Next").click()
    await expect(page.get_by_text("Serial number: 23120417")).to_be_visible()
    await button(page, "Next").click()
    await expect(button(page, "Add a platform")).to_be_visible()


async def add_scout(page: Page, url: str) -> None:
    """Add the platform by the guide; an error of the form is told in it."""
    await button(page, "Add a platform").click()
    await _choose(page, "Circutor Scout")
    await _fill(page, "Claim id", CLAIM_ID)
    await _fill(page, "Token", TOKEN)
    await _fill(page, "Address", url)
    await button(page, "Next").click()
    await expect(page.get_by_text("Without TLS only a server in your own network")).to_be_visible()
    await page.locator("gt-guide ha-switch").click()
    await button(page, "Next").click()
    await _fill(page, "Serial number", "DEMO-GATEWAY")
    await _fill(page, "Interval", "2")
    await button(page, "Next").click()
    await expect(button(page, "Add a platform")).to_be_visible()


async def map_device(page: Page) -> None:
    """Map the meter to a device of the platform by the guide."""
    await button(page, "Circutor Scout DEMO-GATEWAY: Add device").click()
    await page.get_by_text("Select a device").click()
    await page.get_by_text("House").last.click()
    await button(page, "Next").click()
    await page.locator("gt-guide button.choice").last.click()
    await expect(page.get_by_text("Last confirmed")).to_be_visible()


async def map_many(page: Page) -> None:
    """Give more sensors their codes in the table of points, and have them sent to try it."""
    view = await open_view(page, "points")
    code = view.get_by_label("Code: House Active power", exact=True)
    await code.fill("not a code")
    await code.blur()
    await expect(view.get_by_text("is not a code").first).to_be_visible()
    await code.fill("P_TOTAL")
    await code.blur()
    current = view.get_by_label("Code: House Current L1", exact=True)
    await current.fill("I_AN")
    await current.blur()
    await button(page, "Save: 2 new, 0 changed, 0 removed").click()
    await expect(view.get_by_text("Saved: 2 new")).to_be_visible()
    await button(page, "Test send").click()
    await expect(view.locator(".tried tr", has_text="P_TOTAL")).to_contain_text("Taken")


async def retry_refused(page: Page, home: HomeAssistant, scout: ScoutServer) -> None:
    """Have a message refused that is too large, see why, and send it again."""
    scout.behaviour.max_frame_bytes = 20_000
    samples = [[number, number] for number in range(5000)]
    await home.call(
        "grid_telemetry.scout_send_waveform",
        start_at="2026-10-01T07:00:00+00:00",
        sample_rate=1000,
        channels=[{"name": "V_AN", "sample_factor": 1, "samples": samples}],
    )
    pipeline = await open_view(page, "pipeline")
    await expect(pipeline.get_by_text("1 repairs need you")).to_be_visible()
    await (
        pipeline.get_by_role("row", name="Circutor Scout")
        .get_by_role("button", name="Traffic")
        .click()
    )
    view = page.locator("gt-traffic")
    await expect(view.get_by_text("1 refused messages")).to_be_visible()
    await expect(view.locator("summary.refused")).to_contain_text("1009")
    scout.behaviour.max_frame_bytes = None
    await view.get_by_role("button", name="Send again").click()
    await expect(view.get_by_text("1 refused messages")).to_have_count(0)
    await scout.wait_for(lambda: bool(scout.waveforms), 30)


async def lose_platform(page: Page, scout: ScoutServer) -> None:
    """Take the platform down, and see that and what waits."""
    await scout.stop()
    row = (await open_view(page, "pipeline")).get_by_role("row", name="Circutor Scout")
    await expect(row.get_by_label("does not work")).to_be_visible()
    await expect(row).to_contain_text("Cannot connect: ")


async def look_as_user(page: Page, home: HomeAssistant) -> None:
    """See that a user who is no administrator has no panel, and that no command answers."""
    user = await home.command("config/auth/create", name="Guest", group_ids=["system-users"])
    flow = await home.request(
        "POST",
        "/auth/login_flow",
        {
            "client_id": f"{home.url}/",
            "handler": ["trusted_networks", None],
            "redirect_uri": f"{home.url}/",
        },
    )
    done = await home.request(
        "POST",
        f"/auth/login_flow/{flow['flow_id']}",
        {"client_id": f"{home.url}/", "user": user["user"]["id"]},
    )
    await page.goto(f"/?auth_callback=1&code={done['result']}&state={_state_of(home)}")
    await expect(page.get_by_text("Guest").first).to_be_visible()
    await expect(page.get_by_text("Grid Telemetry", exact=True)).to_have_count(0)
    await page.goto("/grid-telemetry/pipeline")
    await expect(page.locator(ELEMENT)).to_have_count(0)


def _state_of(home: HomeAssistant) -> str:
    """Return what the frontend sends along with a log-in."""
    known = json.dumps({"hassUrl": home.url, "clientId": f"{home.url}/"})
    return b64encode(known.encode()).decode()


async def violations(page: Page) -> list[str]:
    """Return what axe-core finds serious in the panel."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = await page.evaluate(_AXE_RUN)
    return found


async def look_around(page: Page, picture: Picture) -> dict[str, list[str]]:
    """Open each view, wide and narrow, light and dark; return what axe-core finds in each."""
    found: dict[str, list[str]] = {}
    for view in VIEWS:
        await open_view(page, view)
        if view == "meters":
            await button(page, "Read").click()
            await expect(page.get_by_text("Voltage L1").first).to_be_visible()
        if view == "traffic":
            await page.get_by_label("Link", exact=True).select_option(
                label="Circutor Scout DEMO-GATEWAY"
            )
            await page.locator("gt-traffic tbody button.link").first.click()
        await picture(f"panel-{view}")
        found[view] = await violations(page)
        await page.set_viewport_size({"width": 400, "height": 800})
        await page.emulate_media(color_scheme="dark")
        await page.wait_for_timeout(500)
        await picture(f"panel-{view}-narrow")
        found[f"{view}, narrow and dark"] = await violations(page)
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size({"width": 1280, "height": 860})
    return {view: found[view] for view in found if found[view]}


@dataclass(frozen=True, kw_only=True)
class Walked:
    """What came of the walk."""

    scout: ScoutServer
    """The platform with what it took."""
    violations: dict[str, list[str]]
    """What axe-core finds serious, by view."""


async def walk(folder: Path, picture: Callable[[Page, str], Awaitable[None]]) -> Walked:
    """Go all the way in an empty Home Assistant."""
    async with (
        MeterServer(demo_meters(day_s=DAY_S)) as meters,
        ScoutServer(claim_id=CLAIM_ID, token=TOKEN) as scout,
        HomeAssistant(folder / "home_assistant") as home,
        open_page(home) as page,
    ):

        async def take(name: str) -> None:
            await picture(page, name)

        # Home Assistant does not load an integration without entries before its first flow.
        flows = "/api/config/config_entries/flow"
        flow = await home.request("POST", flows, {"handler": "grid_telemetry"})
        await home.request("DELETE", f"{flows}/{flow['flow_id']}")
        await open_view(page, "pipeline")
        await button(page, "Add a link").click()
        await add_meter(page, meters.port)
        await add_scout(page, scout.url)
        await map_device(page)
        await map_many(page)
        await scout.wait_for(
            lambda: {"P_TOTAL", "I_AN"} <= {metric.code for metric in scout.metrics}, 30
        )
        found = await look_around(page, take)
        await retry_refused(page, home, scout)
        await lose_platform(page, scout)
        await look_as_user(page, home)
        return Walked(scout=scout, violations=found)


async def save(page: Page, name: str) -> None:
    """Save what the page shows; of the narrow ones only that of the pipeline."""
    if name.endswith("-narrow") and name != "panel-pipeline-narrow":
        return
    await page.wait_for_timeout(1000)
    await page.screenshot(path=IMAGES / f"{name}.png", animations="disabled", caret="hide")
    print(f"docs/images/{name}.png")


async def main() -> None:
    """Take all pictures."""
    with TemporaryDirectory(prefix="grid-telemetry-") as folder:
        await walk(Path(folder), save)


if __name__ == "__main__":
    asyncio.run(main())
