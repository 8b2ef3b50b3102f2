"""STTP in a real Home Assistant, with the reference, sttpapi, at the other end."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from simulators.demo import run_check
from simulators.home_assistant import HomeAssistant, Json
from simulators.programs import until
from tests.protocols.sttp.peer import Peer
from tests.protocols.sttp.samples import NOON, metadata, signal_id

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("socket_enabled")]

WITHIN_S = 60


async def publish(peer: Peer, signals: int, value: float) -> None:
    """Have the reference publish 20 times a second; to be cancelled."""
    step = 0
    while True:
        step += 1
        items = [
            [str(signal_id(number)), value + number, NOON + step * 500_000, 0]
            for number in range(1, signals + 1)
        ]
        await peer.do("publish", items=items)
        await asyncio.sleep(0.05)


async def shown(home: HomeAssistant, expected: dict[str, str]) -> dict[str, Json]:
    """Wait until sensors show what they should, by their names; return their states."""

    async def there() -> dict[str, Json] | None:
        states = {
            state["attributes"].get("friendly_name"): state
            for state in (await home.states()).values()
        }
        right = all(
            name in states and states[name]["state"] == value for name, value in expected.items()
        )
        return states if right else None

    return await until(there, WITHIN_S, f"{expected}")


async def test_what_the_reference_publishes_is_shown(tmp_path: Path, stack: AsyncExitStack) -> None:
    peer = await Peer.start("publisher", {})
    stack.push_async_callback(peer.stop)
    await peer.define(metadata(6))
    port = (await peer.event("started"))["port"]
    home = await stack.enter_async_context(HomeAssistant(tmp_path / "home"))
    await home.add_entry(
        "grid_telemetry",
        {
            "user": {"next_step_id": "sttp_subscriber"},
            "sttp_subscriber": {
                "host": "127.0.0.1",
                "port": port,
                "filter_expression": "FILTER ActiveMeasurements WHERE SignalType <> 'STAT'",
                "interval_s": 0.5,
                "use_tls": False,
                "tls": {},
            },
        },
    )
    publishing = asyncio.create_task(publish(peer, 6, 0.5))
    states = await shown(home, {f"M Signal {number}": f"{number}.5" for number in range(1, 7)})
    assert states["M Signal 1"]["attributes"]["unit_of_measurement"] == "Hz"
    assert states["M Signal 2"]["attributes"]["device_class"] == "voltage"

    # The reference announces its new signal, and goes on with its compression (P4).
    publishing.cancel()
    await peer.define(metadata(7))
    publishing = asyncio.create_task(publish(peer, 7, 10.5))
    await shown(home, {f"M Signal {number}": f"{10 + number}.5" for number in (1, 6, 7)})

    publishing.cancel()
    await peer.stop()
    await shown(home, {f"M Signal {number}": "unavailable" for number in range(1, 8)})


async def test_every_published_point_arrives_at_the_reference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await run_check(["sttp"], real_brokers=False) == 0
    assert "points received and valid in" in capsys.readouterr().out
