"""A headless Chromium on Home Assistant's own frontend, kept off every network."""

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import shutil
from urllib.parse import urlsplit

from playwright.async_api import Page, Route, async_playwright, expect

from .home_assistant import HomeAssistant

CHROMIUM = "chromium"
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# One transparent pixel.
NO_LOGO = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR4nGNgAAIAAAUAAXpeqz8AAAAASUVORK5CYII="
)
# Chromium on two busy cores needs its time for the frontend's first page.
TIMEOUT_S = 30


async def _guard(route: Route) -> None:
    """Let through what this machine serves by itself."""
    url = urlsplit(route.request.url)
    if url.hostname != "127.0.0.1":
        await route.abort()
    elif url.path.startswith("/api/brands/") and "/grid_telemetry/" not in url.path:
        # Home Assistant would fetch the logos of others from the internet.
        await route.fulfill(body=NO_LOGO, content_type="image/png")
    else:
        await route.continue_()


@asynccontextmanager
async def open_page(home: HomeAssistant) -> AsyncIterator[Page]:
    """Open the frontend as its owner."""
    executable = shutil.which(CHROMIUM)
    if executable is None:
        raise FileNotFoundError(f"{CHROMIUM} is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(OPTIONS))
        try:
            page = await browser.new_page(
                viewport={"width": 1280, "height": 860}, base_url=home.url, locale="en-GB"
            )
            page.set_default_timeout(TIMEOUT_S * 1000)
            expect.set_options(timeout=TIMEOUT_S * 1000)
            await page.route("**/*", _guard)
            yield page
        finally:
            await browser.close()
