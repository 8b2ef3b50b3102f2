"""A new platform is a folder, a line in the registry, and its texts: the toy is driven whole."""

import asyncio
from collections.abc import AsyncGenerator, Callable
import json
from pathlib import Path
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.links.registry import LINKS

from .texts import ICONS, TEXTS
from .toy_platform import LINK

WITHIN_S = 10


class ToyPlatform:
    """The other end: lets in who has the key, and acknowledges every line."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline() == b"secret\n":
            writer.write(b"welcome\n")
            while line := await reader.readline():
                self.received.append(json.loads(line))
                writer.write(b"taken\n")
        writer.close()


@pytest.fixture
async def platform(socket_enabled: None) -> AsyncGenerator[ToyPlatform]:
    toy = ToyPlatform()
    server = await asyncio.start_server(toy.serve, "127.0.0.1")
    toy.port = server.sockets[0].getsockname()[1]
    yield toy
    server.close()
    await server.wait_closed()


@pytest.fixture(autouse=True)
def registered(
    monkeypatch: pytest.MonkeyPatch,
    enable_custom_integrations: None,
    hass: HomeAssistant,
    tmp_path: Path,
) -> None:
    """Add the line in the registry and the texts."""
    hass.config.config_dir = str(tmp_path)
    monkeypatch.setitem(LINKS, LINK.kind, LINK)
    step = TEXTS["config"]["step"]
    monkeypatch.setitem(step["send"]["menu_options"], "toy", "Toy")
    monkeypatch.setitem(step["send"]["menu_option_descriptions"], "toy", "A toy")
    monkeypatch.setitem(step, "toy", form("port", "key"))
    # What every table of points shows is in the texts of those that there are.
    shared = TEXTS["config_subentries"]["device"]["step"]
    chosen = {"sections": shared["user"]["sections"]}
    steps = {
        **shared,
        "user": form("device_id", "devices", "entities") | chosen,
        "points": form("points"),
    }
    errors = TEXTS["config_subentries"]["device"]["error"]
    monkeypatch.setitem(
        TEXTS["config_subentries"],
        "toy_device",
        {"step": steps, "error": errors, "abort": {}, "entry_type": "Device"},
    )
    columns = ("entity", "name", "unit")
    monkeypatch.setitem(TEXTS["selector"], "toy_point", {"fields": dict.fromkeys(columns, "Text")})
    monkeypatch.setitem(ICONS["services"], "toy_send", {"service": "mdi:send"})


def form(*fields: str) -> dict[str, Any]:
    texts = dict.fromkeys(fields, "Text")
    return {"title": "Toy", "description": "Toy", "data": texts, "data_description": texts}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_platform_is_one_folder(hass: HomeAssistant, platform: ToyPlatform) -> None:
    """Set it up by its forms, see its entities and its samples, call its action, remove it."""
    hass.states.async_set("sensor.roof", "1.5", {"unit_of_measurement": "kW"})
    flows = hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await flows.async_configure(result["flow_id"], {"next_step_id": "send"})
    assert "toy" in result["menu_options"]
    result = await flows.async_configure(result["flow_id"], {"next_step_id": "toy"})
    wrong = {"port": platform.port, "key": "guess"}
    result = await flows.async_configure(result["flow_id"], wrong)
    assert result["errors"] == {"base": "invalid_auth"}
    result = await flows.async_configure(
        result["flow_id"], {"port": platform.port, "key": "secret"}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]

    # The flow goes on with what the entry is of no use without.
    subentries = hass.config_entries.subentries
    flow_id = result["next_flow"][1]
    device = {"device_id": "roof", "entities": ["sensor.roof"]}
    step = await subentries.async_configure(flow_id, device)
    assert step["step_id"] == "mapping"
    step = await subentries.async_configure(flow_id, {"next_step_id": "points"})
    points = [{"entity": "sensor.roof", "name": "P", "unit": "W"}]
    step = await subentries.async_configure(flow_id, {"points": points})
    assert step["type"] is FlowResultType.CREATE_ENTRY

    await until(lambda: any(line["name"] == "P" for line in platform.received))
    assert next(line for line in platform.received if line["name"] == "P")["value"] == 1500
    registry = er.async_get(hass)
    shown = {
        one.translation_key for one in er.async_entries_for_config_entry(registry, entry.entry_id)
    }
    assert {"health_connected", "health_queued", "health_last_error"} <= shown

    await hass.services.async_call(DOMAIN, "toy_send", blocking=True, return_response=True)
    await until(lambda: any(line["name"] == "hello" for line in platform.received))
    diagnostics = await async_get_config_entry_diagnostics(hass, entry)
    assert diagnostics["entry"]["key"] == "**REDACTED**"
    assert diagnostics["link"]["health"]["connected"]

    outboxes = Path(hass.config.config_dir) / DOMAIN
    assert list(outboxes.glob("outbox-*"))
    await hass.config_entries.async_remove(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert not list(outboxes.glob("outbox-*"))
