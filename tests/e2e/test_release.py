"""The release, installed as a user would: unpacked into an empty configuration, nothing else."""

import asyncio
from pathlib import Path
from zipfile import ZipFile

import pytest

from simulators.demo import add_meters
from simulators.home_assistant import CHECKOUT, HomeAssistant
from simulators.household import household
from simulators.programs import until

from ..texts import MENU_TEXTS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("panel"),
    pytest.mark.usefixtures("socket_enabled"),
]

FLOWS = "/api/config/config_entries/flow"


async def unpack_release(folder: Path) -> Path:
    release = await asyncio.create_subprocess_exec(CHECKOUT / "script" / "release", folder)
    assert await release.wait() == 0
    unpacked = folder / "grid_telemetry"
    with ZipFile(folder / "grid_telemetry.zip") as archive:
        archive.extractall(unpacked)
    return unpacked


async def test_the_release_works_in_an_empty_home_assistant(tmp_path: Path) -> None:
    unpacked = await unpack_release(tmp_path)
    async with (
        household(day_s=1200) as lines,
        HomeAssistant(tmp_path / "home_assistant", integration=unpacked) as home,
    ):
        for kind in MENU_TEXTS["menu_options"]:
            step = await home.request("POST", FLOWS, {"handler": "grid_telemetry"})
            step = await home.request("POST", f"{FLOWS}/{step['flow_id']}", {"next_step_id": kind})
            assert step["type"] in ("form", "menu", "create_entry"), step

        house, *_ = await add_meters(home, lines[0])

        async def power() -> float | None:
            for entity in await home.entities():
                if entity["device_id"] == house and entity["translation_key"] == "power":
                    state = (await home.states()).get(entity["entity_id"], {}).get("state")
                    return None if state in (None, "unknown", "unavailable") else float(state)
            return None

        assert await until(power, 30, "the power of the meter")
        log = (home.folder / "home-assistant.log").read_text(encoding="utf-8")
    errors = [line for line in log.splitlines() if " ERROR " in line and "grid_telemetry" in line]
    assert errors == []
    manifest = (unpacked / "manifest.json").read_bytes()
    assert manifest == (CHECKOUT / "custom_components/grid_telemetry/manifest.json").read_bytes()
