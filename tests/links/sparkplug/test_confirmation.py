"""When a value counts as delivered: a broker that is played says what a real one rarely says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from simulators.sparkplug_messages import read_payload
from tests.protocols.mqtt.scripted import CONNECT, PINGREQ, SUBSCRIBE, connack

from .played import HOST, POWER, Node, running

pytestmark = pytest.mark.usefixtures("socket_enabled")

PINGRESP = b"\xd0\x00"


@pytest.fixture
async def node(hass: HomeAssistant, tmp_path: Any) -> AsyncIterator[Node]:
    async with running(hass, 5, tmp_path) as found:
        yield found


@pytest.fixture
async def waiting(hass: HomeAssistant, tmp_path: Any) -> AsyncIterator[Node]:
    async with running(hass, 5, tmp_path, primary_host=HOST) as found:
        yield found


async def emptied(node: Node) -> None:
    async with asyncio.timeout(5):
        while node.link.outbox.queued_samples:
            await asyncio.sleep(0.02)


async def test_a_value_waits_for_the_answer_to_a_ping_behind_it(node: Node) -> None:
    node.script.silent.add(PINGREQ)
    await node.until_sent("DDATA")
    await node.script.until_got(PINGREQ)
    kinds = [kind for kind, _ in node.script.got]
    assert kinds[-1] == PINGREQ
    await asyncio.sleep(0.2)
    assert node.link.outbox.queued_samples == 1
    node.script.say(PINGRESP)
    await emptied(node)
    assert node.link.health.delivered == 1


async def test_what_was_not_confirmed_goes_out_again_as_historical(node: Node) -> None:
    node.script.silent.add(PINGREQ)
    await node.script.until_got(PINGREQ)
    first = [payload for topic, payload, _ in node.published() if "/DDATA/" in topic]
    node.script.silent.clear()
    node.script.hang_up()
    await node.script.until_got(CONNECT, 2)
    await emptied(node)
    both = [payload for topic, payload, _ in node.published() if "/DDATA/" in topic]
    assert len(first) == 1
    assert len(both) == 2
    metrics = [read_payload(payload).metrics[0] for payload in both]
    assert [each.is_historical for each in metrics] == [False, True]
    assert metrics[0].timestamp_ms == metrics[1].timestamp_ms
    assert metrics[0].raw == metrics[1].raw
    assert node.link.figures.sent_again == 1
    assert node.link.outbox.dropped_samples == 0


async def test_a_host_that_goes_in_front_of_the_answer_has_not_got_it(waiting: Node) -> None:
    await waiting.script.until_got(SUBSCRIBE)
    waiting.script.silent.add(PINGREQ)
    waiting.say(b'{"online": true, "timestamp": 1}')
    await waiting.until_sent("DDATA")
    await waiting.script.until_got(PINGREQ)
    waiting.say(b'{"online": false, "timestamp": 2}')
    waiting.script.say(PINGRESP)
    await waiting.until_sent("NDEATH")
    await waiting.script.until_got(CONNECT, 2)
    assert waiting.link.outbox.queued_samples == 1


async def test_births_are_not_answered_before_the_host_is_there(
    hass: HomeAssistant, waiting: Node
) -> None:
    """What a host writes to a node that is not born is passed over."""
    await waiting.script.until_got(SUBSCRIBE)
    rebirth = bytes.fromhex("12 1a 0a 14") + b"Node Control/Rebirth" + bytes.fromhex("20 0b 70 01")
    waiting.say(rebirth, "spBv1.0/Plant 1/NCMD/Home")
    await asyncio.sleep(0.1)
    assert not waiting.published()


async def test_a_birth_that_is_too_large_is_told(hass: HomeAssistant, tmp_path: Any) -> None:
    async with running(hass, 5, tmp_path, connack=connack(0, b"\x27\x00\x00\x00\x6c")) as node:
        async with asyncio.timeout(5):
            while node.link.health.last_error != "birth_too_large":
                await asyncio.sleep(0.02)
        assert "DBIRTH" in node.link.health.last_error_detail
        assert "DBIRTH" not in node.kinds()


async def test_a_subscription_that_is_refused_is_told(hass: HomeAssistant, tmp_path: Any) -> None:
    async with running(hass, 5, tmp_path, suback=0x87) as node:
        async with asyncio.timeout(5):
            while node.link.health.last_error != "subscription_refused":
                await asyncio.sleep(0.02)
        assert "not authorized" in node.link.health.last_error_detail


async def test_the_backlog_goes_behind_the_present(hass: HomeAssistant, node: Node) -> None:
    """While it is sent the next live value goes before what is left of it."""
    await node.until_sent("DDATA")
    await emptied(node)
    node.script.silent.add(PINGREQ)
    hass.states.async_set(POWER, "2", {"unit_of_measurement": "W"})
    await node.script.until(lambda: node.kinds().count("DDATA") == 2)
    node.script.silent.clear()
    node.script.hang_up()
    await emptied(node)
    hass.states.async_set(POWER, "3", {"unit_of_measurement": "W"})
    await node.script.until(lambda: node.kinds().count("DDATA") == 4)
    metrics = [
        read_payload(payload).metrics[0]
        for topic, payload, _ in node.published()
        if "/DDATA/" in topic
    ]
    assert [(each.raw, each.is_historical) for each in metrics[1:]] == [
        (2, False),
        (2, True),
        (3, False),
    ]
