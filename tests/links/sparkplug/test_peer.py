"""The node against a host that others wrote: sparkplug-payload and mqtt, from npm.

Opt-in, for neither is installed with this checkout: `npm install sparkplug-payload mqtt` in a
folder of your own, then `SPARKPLUG_PEER=<folder> pytest tests/links/sparkplug/test_peer.py`.
"""

import asyncio
from collections.abc import AsyncIterator
import json
import os
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest

from simulators.sparkplug import GROUP, NODE, NODE_PASSWORD, NODE_USER, Sparkplug

from .conftest import AddEntry, command, device, point

FOLDER = os.environ.get("SPARKPLUG_PEER")

pytestmark = [
    pytest.mark.needs("mosquitto"),
    pytest.mark.skipif(FOLDER is None, reason="SPARKPLUG_PEER names no folder with npm packages"),
]


@pytest.fixture
async def said(scada: Sparkplug) -> AsyncIterator[list[dict[str, Any]]]:
    """Run the peer, and return what it has decoded so far."""
    assert FOLDER is not None
    script = Path(__file__).with_name("peer.js")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(script),
        str(scada.broker.plain_port),
        NODE_USER,
        NODE_PASSWORD,
        "peer",
        GROUP,
        NODE,
        "meter",
        "limit",
        "7.5",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_PATH": f"{FOLDER}/node_modules"},
    )
    lines: list[dict[str, Any]] = []

    async def read() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            lines.append(json.loads(line))

    reading = asyncio.create_task(read())
    try:
        yield lines
    finally:
        process.terminate()
        await process.wait()
        await reading


def metrics(said: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [
        metric
        for each in said
        if each["topic"].split("/")[2] == kind
        for metric in each["payload"].get("metrics", ())
    ]


async def test_a_host_that_others_wrote_reads_and_writes(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry, said: list[dict[str, Any]]
) -> None:
    """Births, data with its types, what waited as historical, and a command that is answered."""
    assert await async_setup_component(
        hass, "input_number", {"input_number": {"limit": {"min": 0, "max": 10, "initial": 3}}}
    )
    unit = {"unit_of_measurement": "W"}
    hass.states.async_set("sensor.power", "-230.5", unit)
    hass.states.async_set("sensor.state", "-3")
    entry = add_entry(
        device(
            "meter",
            point("sensor.power", "meter/phase a/power"),
            point("sensor.state", "state", "int32"),
            point("sensor.state", "count", "int64"),
            point("sensor.power", "float", "float"),
            point("sensor.absent", "absent"),
        ),
        command("meter", "limit", "double", entity="input_number.limit"),
        primary_host="peer",
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await scada.until(lambda: metrics(said, "DBIRTH"), "the birth")
    node_birth = {each["name"]: each for each in metrics(said, "NBIRTH")}
    assert node_birth["bdSeq"]["type"] == "Int64"
    assert node_birth["Node Control/Rebirth"] | {"timestamp": 0} == {
        "name": "Node Control/Rebirth",
        "type": "Boolean",
        "value": False,
        "timestamp": 0,
    }
    birth = {each["name"]: each for each in metrics(said, "DBIRTH")}
    assert (birth["state"]["type"], birth["state"]["value"]) == ("Int32", -3)
    assert (birth["count"]["type"], birth["count"]["value"]) == ("Int64", -3)
    assert (birth["float"]["type"], birth["float"]["value"]) == ("Float", -230.5)
    power = birth["meter/phase a/power"]
    assert (power["type"], power["value"]) == ("Double", -230.5)
    assert power["properties"]["engUnit"] == {"type": "String", "value": "W"}
    assert power["properties"]["Quality"] == {"type": "Int32", "value": 192}
    assert birth["absent"]["value"] is None
    await scada.until(lambda: hass.states.get("input_number.limit").state == "7.5", "the command")
    by_alias = {each["alias"]: name for name, each in birth.items()}

    def data() -> list[tuple[str, Any, bool]]:
        return [
            (
                by_alias[each["alias"]],
                # Its decoder looks for a value by its type, which the standard leaves to the birth.
                each.get("value"),
                each.get("isHistorical", False),
            )
            for each in metrics(said, "DDATA")
        ]

    await scada.until(lambda: "limit" in [name for name, *_ in data()], "the answer")
    await hass.config_entries.async_unload(entry.entry_id)
    await scada.until(lambda: said[-1]["topic"].split("/")[2] == "NDEATH", "the death")
    assert [each["name"] for each in said[-1]["payload"]["metrics"]] == ["bdSeq"]
    assert not any(each["retain"] for each in said)
