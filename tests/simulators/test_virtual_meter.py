"""The client that reads the virtual meter in the demo."""

import asyncio
from typing import cast

import pytest

from simulators.home_assistant import HomeAssistant, Json
from simulators.platforms.virtual_meter import VirtualMeter

pytestmark = pytest.mark.usefixtures("socket_enabled")


class _Home:
    """A Home Assistant that takes everything; its virtual meter never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def add_entry(self, _domain: str, answers: dict[str, Json]) -> str:
        port = answers["virtual_meter_tcp"]["port"]
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return "entry"

    async def add_subentry(self, _entry_id: str, _kind: str, answers: Json) -> None:
        rows = [{"quantity": "power", "entity": "sensor.power"}]
        answers["points"]({"data_schema": [{"description": {"suggested_value": rows}}]})

    async def states(self) -> Json:
        return {}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        self.asked.set()
        await reader.read()
        writer.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()


async def test_it_ends_in_the_middle_of_a_request() -> None:
    home = _Home()
    platform = VirtualMeter()
    await platform.configure(cast("HomeAssistant", home), ["grid", "solar"])
    await home.asked.wait()
    async with asyncio.timeout(10):
        await platform.stop()
    await home.stop()
