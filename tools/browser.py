"""A headless Chromium on Home Assistant's own frontend, kept off every network."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import shutil

from playwright.async_api import Page, async_playwright, expect

from simulators.home_assistant import HomeAssistant

CHROMIUM = "chromium"
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# Home Assistant would fetch the logos of others from the internet. Requests that are handled here
# instead would do without Chromium's cache, and take twice the time.
LOGOS = (
    {"urlPattern": "*://*:*/api/brands/*/grid_telemetry/*", "block": False},
    {"urlPattern": "*://*:*/api/brands/*", "block": True},
)
# Chromium on two busy cores needs its time for the frontend's first page.
TIMEOUT_S = 30


@asynccontextmanager
async def open_page(home: HomeAssistant) -> AsyncIterator[Page]:
    """Open the frontend as its owner."""
    executable = shutil.which(CHROMIUM)
    if executable is None:
        raise FileNotFoundError(f"{CHROMIUM} is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(OPTIONS))
        try:
            context = await browser.new_context(
                viewport={"width": 1280, "height": 860},
                base_url=home.url,
                locale="en-GB",
                reduced_motion="reduce",
                service_workers="block",
            )
            page = await context.new_page()
            page.set_default_timeout(TIMEOUT_S * 1000)
            expect.set_options(timeout=TIMEOUT_S * 1000)
            devtools = await context.new_cdp_session(page)
            await devtools.send("Network.enable")
            await devtools.send("Network.setBlockedURLs", {"urlPatterns": list(LOGOS)})
            yield page
        finally:
            await browser.close()
