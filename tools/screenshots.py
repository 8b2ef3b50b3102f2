"""The way of a new user through the frontend, from the first click to values at the platform.

The end-to-end tests go it; run as a program it leaves the pictures of the README.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Locator, Page, expect

from simulators.demo import DAY_S
from simulators.home_assistant import CHECKOUT, HomeAssistant
from simulators.meters import MeterServer, demo_meters
from simulators.platforms.scout import CLAIM_ID, TOKEN
from simulators.scout import ScoutServer

from .browser import open_page
from .frontend import button, go, go_to_integration, go_to_integrations, open_menu

IMAGES = CHECKOUT / "docs" / "images"
GATEWAY = "DEMO-GATEWAY"
SCOUT = f"Circutor Scout {GATEWAY}"
DASHBOARD = "energy-live"

type Picture = Callable[[str], Awaitable[None]]


def _field(page: Page, label: str) -> Locator:
    return page.locator("wa-input", has_text=label).locator("input")


async def _press(page: Page, name: str) -> None:
    await button(page, name).click()


async def add_meter(page: Page, port: int, picture: Picture) -> None:
    """Add the integration with a meter behind Modbus TCP."""
    await (await go_to_integrations(page)).click()
    await page.get_by_placeholder("Search for a brand name").fill("Grid Telemetry")
    await page.get_by_text("Grid Telemetry", exact=True).click()
    await expect(page.get_by_text("Serve", exact=True)).to_be_visible()
    await picture("add-integration")
    await page.get_by_text("Read", exact=True).click()
    await page.get_by_text("Modbus meters", exact=True).click()
    await page.get_by_text("Modbus TCP", exact=True).click()
    await _field(page, "Host").fill("127.0.0.1")
    await _field(page, "Port").fill(str(port))
    await _press(page, "Submit")

    await page.get_by_text("Choose the model", exact=True).click()
    await expect(page.get_by_text("Add a meter", exact=True)).to_be_visible()
    await page.get_by_text("Meter model").last.click()
    await expect(page.get_by_text("A register map of my own", exact=True)).to_be_visible()
    await page.wait_for_timeout(1000)  # the field to look through them gets the keys now
    await page.keyboard.insert_text("SDM630")
    await page.get_by_text("Eastron SDM630").last.click()
    await expect(page.get_by_text("eastron_sdm630", exact=True).first).to_be_visible()
    await page.wait_for_timeout(500)  # else the name is typed into the form as it was before
    await _field(page, "Name").fill("House")
    await _press(page, "Submit")
    await expect(page.get_by_text("Serial number: 23120417")).to_be_visible()
    await expect(page.get_by_text("Voltage L1: 2")).to_be_visible()
    await picture("meter-confirm")
    await page.get_by_text("Add this meter", exact=True).click()
    await expect(page.get_by_text("Created configuration for House")).to_be_visible()
    await _press(page, "Finish")


async def add_scout(page: Page, url: str, picture: Picture) -> None:
    """Add the platform and map the meter to its codes."""
    await (await go_to_integration(page)).click()
    await page.get_by_text("Send", exact=True).click()
    await page.get_by_text("Circutor Scout", exact=True).click()
    await _field(page, "Claim id").fill(CLAIM_ID)
    await _field(page, "Token").fill(TOKEN)
    await _field(page, "Address").fill(url)
    await _press(page, "Submit")
    await expect(page.get_by_text("Without TLS only a server in your own network")).to_be_visible()
    await page.locator("ha-switch").click()
    await _press(page, "Submit")
    await expect(page.get_by_text("This gateway", exact=True)).to_be_visible()
    await _field(page, "Serial number").first.fill(GATEWAY)
    await _field(page, "Interval").fill("1")
    await _press(page, "Submit")

    await expect(page.get_by_text("A device of the gateway", exact=True)).to_be_visible()
    await page.get_by_text("Select a device").click()
    await page.get_by_text("House").last.click()
    await _press(page, "Submit")
    await expect(page.get_by_text("Readings of MAIN")).to_be_visible()
    await page.get_by_text("Fill in as a table", exact=True).click()
    await expect(page.get_by_text("Table of MAIN")).to_be_visible()
    await picture("scout-table")
    await _press(page, "Submit")
    await expect(page.get_by_text("Created configuration for MAIN")).to_be_visible()
    await _press(page, "Finish")


async def look_at_devices(page: Page, home: HomeAssistant, picture: Picture) -> None:
    """Open the pages of the meter and of the platform."""
    devices = {device["name"]: device["id"] for device in await home.devices()}
    power = page.get_by_text("Active power", exact=True)
    await go(page, f"/config/devices/device/{devices['House']}", power)
    await picture("device")
    connected = page.get_by_text("Connected", exact=True).first
    await go(page, f"/config/devices/device/{devices[SCOUT]}", connected)
    await picture("scout-device")


async def make_dashboard(page: Page, home: HomeAssistant, picture: Picture) -> None:
    """Have the action fill an empty dashboard, and look at it."""
    await home.command(
        "lovelace/dashboards/create", url_path=DASHBOARD, title="Energy live", icon="mdi:flash"
    )
    await home.call("grid_telemetry.create_dashboard", dashboard=DASHBOARD)
    await go(page, f"/{DASHBOARD}/meters", page.get_by_text("Active power", exact=True).first)
    await picture("dashboard")
    await go(page, f"/{DASHBOARD}/links", page.get_by_text("Last delivery", exact=True))
    await picture("dashboard-links")


async def change_scout(page: Page, picture: Picture) -> None:
    """Reconfigure the platform: a wrong token is told, another interval is taken over."""
    await go_to_integration(page)
    await expect(page.get_by_text("MAIN", exact=True)).to_be_visible()
    await (await open_menu(page, SCOUT, "Reconfigure")).click()
    await page.get_by_text("Connection", exact=True).last.click()
    await _field(page, "Token").fill("not the token")
    await _press(page, "Submit")
    await expect(page.get_by_text("The platform refused the claim id or the token")).to_be_visible()
    await _field(page, "Token").fill(TOKEN)
    await _press(page, "Submit")
    await expect(page.get_by_text("Reconfiguration was successful")).to_be_visible()
    await go_to_integration(page)
    await (await open_menu(page, SCOUT, "Reconfigure")).click()
    await page.get_by_text("Identity and interval", exact=True).click()
    await expect(page.get_by_text("This gateway", exact=True)).to_be_visible()
    await _field(page, "Interval").fill("2")
    await _press(page, "Submit")
    await expect(page.get_by_text("Reconfiguration was successful")).to_be_visible()


async def download_diagnostics(page: Page) -> str:
    """Return the diagnostics of the platform's entry."""
    await go_to_integration(page)
    item = await open_menu(page, SCOUT, "Download diagnostics")
    async with page.expect_download() as coming:
        await item.click()
    file = await (await coming.value).path()
    return file.read_text(encoding="utf-8")


async def remove_scout(page: Page) -> None:
    """Delete the platform's entry."""
    await go_to_integration(page)
    await (await open_menu(page, SCOUT, "Delete")).click()
    await _press(page, "Delete")
    await expect(page.get_by_text(SCOUT, exact=True)).to_have_count(0)


@dataclass(frozen=True, kw_only=True)
class Walked:
    """What is left of the way."""

    scout: ScoutServer
    """The platform with what it received."""
    diagnostics: str
    outboxes: list[Path]
    """The files that are left after the platform was removed."""


async def walk(folder: Path, picture: Callable[[Page, str], Awaitable[None]]) -> Walked:
    """Go all the way, from adding a meter to removing the platform."""
    async with (
        MeterServer(demo_meters(day_s=DAY_S)) as meters,
        ScoutServer(claim_id=CLAIM_ID, token=TOKEN) as scout,
        HomeAssistant(folder / "home_assistant") as home,
        open_page(home) as page,
    ):

        async def take(name: str) -> None:
            await picture(page, name)

        await add_meter(page, meters.port, take)
        await add_scout(page, scout.url, take)
        await scout.wait_for(lambda: len(scout.metrics) > 100, 30)
        await look_at_devices(page, home, take)
        await make_dashboard(page, home, take)
        await change_scout(page, take)
        diagnostics = await download_diagnostics(page)
        await remove_scout(page)
        return Walked(
            scout=scout,
            diagnostics=diagnostics,
            outboxes=list((home.folder / "grid_telemetry").glob("outbox-*")),
        )


async def save(page: Page, name: str) -> None:
    """Save what the page shows, once nothing moves any more."""
    await page.wait_for_timeout(1000)
    await page.screenshot(path=IMAGES / f"{name}.png", animations="disabled", caret="hide")
    print(f"docs/images/{name}.png")


async def main() -> None:
    """Take all pictures."""
    with TemporaryDirectory(prefix="grid-telemetry-") as folder:
        await walk(Path(folder), save)


if __name__ == "__main__":
    asyncio.run(main())
