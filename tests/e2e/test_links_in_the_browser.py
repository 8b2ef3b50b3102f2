"""Every link, added in a real browser and filled with data from its stand-in."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from simulators.demo import ALARM_CONFIGURATION, DAY_S, FORWARDED, PLATFORMS, SCRIPTS, add_meters
from simulators.home_assistant import Json
from simulators.household import household
from simulators.platforms import Platform
from simulators.programs import until
from tools.browser import open_page
from tools.frontend import DOMAIN, FrontendHome

from ..texts import MENU_TEXTS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.needs("chromium", "libatomic.so.1", "mosquitto"),
    pytest.mark.usefixtures("socket_enabled"),
]


async def add_subscriber(home: FrontendHome) -> None:
    """Subscribe to what this Home Assistant itself publishes."""
    [address] = [
        entry["title"].removeprefix("STTP ")
        for entry in await home.entries()
        if entry["title"].startswith("STTP ")
    ]
    host, port = address.split(":")
    await home.add_entry(
        DOMAIN,
        {
            "user": {"next_step_id": "sttp_subscriber"},
            "sttp_subscriber": {"host": host, "port": int(port), "tls": {}},
        },
    )


async def add_group(home: FrontendHome, devices: list[str]) -> None:
    """Add meters up."""
    entry_id = await home.add_entry(DOMAIN, {"user": {"next_step_id": "group"}})

    def suggested(step: Json) -> Json:
        (field,) = step["data_schema"]
        return {"points": field["description"]["suggested_value"]}

    await home.add_subentry(
        entry_id,
        "group",
        {
            "user": {"group_name": "Both", "devices": devices[:2]},
            "mapping": {"next_step_id": "points"},
            "points": suggested,
        },
    )


async def test_every_link_can_be_added_in_the_browser(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        lines = await stack.enter_async_context(household(DAY_S))
        platforms: dict[str, Platform] = {}
        for name, run in PLATFORMS.items():
            (tmp_path / name).mkdir()
            platforms[name] = await stack.enter_async_context(run(tmp_path / name, False))
        home = FrontendHome(
            tmp_path / "home_assistant", configuration=ALARM_CONFIGURATION + SCRIPTS
        )
        await stack.enter_async_context(home)
        home.page = await stack.enter_async_context(open_page(home))

        devices = await add_meters(home, lines[0])
        for name, platform in platforms.items():
            await platform.configure(home, devices[:FORWARDED])

            async def has_data(platform: Platform = platform) -> bool:
                return bool(platform.received())

            await until(has_data, 60, f"data at {name}")
            assert platform.refused() == []

        await add_subscriber(home)
        await add_group(home, devices)

        # A site needs a centre that signs its file; its own tests have one.
        assert home.chosen == set(MENU_TEXTS["menu_options"]) - {"site"}
