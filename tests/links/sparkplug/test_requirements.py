"""The standard's requirements that show on the wire of a running node, or in its forms.

Their ids, and which are checked elsewhere, are in `tests/protocols/sparkplug/requirements.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from custom_components.grid_telemetry.links.sparkplug.mapping import check_rows
from custom_components.grid_telemetry.points.table import MappingError
from custom_components.grid_telemetry.protocols.sparkplug import ID_PATTERN
from simulators.sparkplug_messages import read_payload
from tests.protocols.mqtt.scripted import CONNECT, DISCONNECT, PUBLISH, SUBSCRIBE
from tests.protocols.sparkplug.requirements import OF_THE_LINK

from .played import GROUP, HOST, NODE, POWER, STATE, Node, read_connect, running, text


@pytest.fixture(params=[5, 4], ids=["MQTT 5", "MQTT 3.1.1"])
def version(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
async def node(
    hass: HomeAssistant, socket_enabled: None, version: int, tmp_path: Any
) -> AsyncIterator[Node]:
    """A node without a primary host."""
    async with running(hass, version, tmp_path) as found:
        yield found


@pytest.fixture
async def waiting(
    hass: HomeAssistant, socket_enabled: None, version: int, tmp_path: Any
) -> AsyncIterator[Node]:
    """A node that waits for a primary host."""
    async with running(hass, version, tmp_path, primary_host=HOST) as found:
        yield found


def of(*requirements: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say which requirements a test is about."""

    def mark(test: Callable[..., Any]) -> Callable[..., Any]:
        CHECKED.extend(requirements)
        return test

    return mark


CHECKED: list[str] = []


@of(
    "principles-persistence-clean-session-311",
    "principles-persistence-clean-session-50",
    "message-flow-edge-node-birth-publish-will-message",
    "message-flow-edge-node-birth-publish-will-message-qos",
    "message-flow-edge-node-birth-publish-will-message-will-retained",
    "payloads-ndeath-will-message",
    "payloads-ndeath-will-message-qos",
    "payloads-ndeath-will-message-retain",
)
async def test_the_session_is_clean_and_has_a_will(node: Node) -> None:
    await node.until_sent("NBIRTH")
    connect = read_connect(node.script.of(CONNECT)[0])
    assert connect.level == node.script.version
    assert connect.clean
    assert connect.session_expiry_s == 0
    assert (connect.has_will, connect.will_qos, connect.will_retain) == (True, 1, False)
    assert connect.will_topic == f"spBv1.0/{GROUP}/NDEATH/{NODE}"
    [metric] = read_payload(connect.will_payload).metrics
    assert (metric.name, metric.raw) == ("bdSeq", 0)


@of(
    "message-flow-edge-node-ncmd-subscribe",
    "message-flow-device-dcmd-subscribe",
    "message-flow-edge-node-birth-publish-connect",
    "principles-birth-certificates-order",
)
async def test_it_subscribes_and_then_is_born(node: Node) -> None:
    """With QoS 1, one topic for the node and one for each device."""
    await node.until_sent("NBIRTH")
    kinds = [kind for kind, _ in node.script.got]
    assert kinds[:3] == [CONNECT, SUBSCRIBE, PUBLISH]
    assert node.kinds()[:2] == ["NBIRTH", "DBIRTH"]
    [body] = node.script.of(SUBSCRIBE)
    at = 3 if node.script.version == 5 else 2
    topics = {}
    while at < len(body):
        topic, at = text(body, at)
        topics[topic.decode()] = body[at] & 3
        at += 1
    assert topics == {
        f"spBv1.0/{GROUP}/NCMD/{NODE}": 1,
        f"spBv1.0/{GROUP}/DCMD/{NODE}/meter": 1,
    }


@of(
    "principles-rbe-recommended",
    "operational-behavior-data-publish-dbirth-change",
    "topics-ddata-payload",
)
async def test_only_what_has_changed_is_sent(hass: HomeAssistant, node: Node) -> None:
    await node.until_sent("DDATA")
    hass.states.async_set(POWER, "2", {"unit_of_measurement": "W"})
    await node.script.until(lambda: node.kinds().count("DDATA") == 2)
    await asyncio.sleep(1.2)
    assert node.kinds().count("DDATA") == 2


@of(
    "operational-behavior-edge-node-intentional-disconnect-ndeath",
    "operational-behavior-edge-node-intentional-disconnect-packet",
    "payloads-ndeath-will-message-publisher",
    "payloads-ndeath-will-message-publisher-disconnect-mqtt311",
    "payloads-ndeath-will-message-publisher-disconnect-mqtt50",
)
async def test_it_says_that_it_goes(node: Node) -> None:
    await node.until_sent("NBIRTH")
    await node.stop()
    await node.script.until(lambda: node.script.of(DISCONNECT))
    assert node.kinds()[-1] == "NDEATH"
    [goodbye] = node.script.of(DISCONNECT)
    assert goodbye == (b"\x04" if node.script.version == 5 else b"")


@of("operational-behavior-device-ddeath")
async def test_a_silent_device_dies(hass: HomeAssistant, node: Node) -> None:
    await node.until_sent("DDATA")
    hass.states.async_set(POWER, "unavailable")
    await node.until_sent("DDEATH")


@of(
    "operational-behavior-edge-node-birth-sequence-wait",
    "operational-behavior-primary-application-state-with-multiple-servers-state-subs",
)
async def test_nothing_is_published_before_the_host_is_online(waiting: Node) -> None:
    await waiting.script.until_got(SUBSCRIBE)
    [body] = waiting.script.of(SUBSCRIBE)
    assert STATE.encode() in body
    await asyncio.sleep(0.1)
    assert not waiting.published()
    waiting.say(b'{"online": true, "timestamp": 1}')
    await waiting.until_sent("DBIRTH")


@of(
    "message-flow-edge-node-birth-publish-phid-offline",
    "operational-behavior-edge-node-termination-host-offline",
    "operational-behavior-edge-node-termination-host-offline-reconnect",
    "operational-behavior-edge-node-termination-host-offline-timestamp",
    "operational-behavior-primary-application-state-with-multiple-servers-single-server",
)
async def test_it_goes_with_its_host_and_connects_again(waiting: Node) -> None:
    """But not for a word that is older than the last; one connection at a time."""
    await waiting.script.until_got(SUBSCRIBE)
    waiting.say(b'{"online": true, "timestamp": 5}')
    await waiting.until_sent("DBIRTH")
    waiting.say(b'{"online": false, "timestamp": 4}')
    await asyncio.sleep(0.1)
    assert not waiting.script.of(DISCONNECT)
    waiting.say(b'{"online": false, "timestamp": 5}')
    await waiting.script.until(lambda: waiting.script.of(DISCONNECT))
    assert waiting.kinds()[-1] == "NDEATH"
    await waiting.script.until_got(CONNECT, 2)
    assert waiting.script.closed == 1
    wills = [read_connect(body).will_payload for body in waiting.script.of(CONNECT)]
    assert [read_payload(will).metrics[0].raw for will in wills] == [0, 1]


FORMS = (
    "intro-group-id-chars",
    "intro-edge-node-id-chars",
    "intro-device-id-chars",
    "topic-structure-namespace-valid-group-id",
    "topic-structure-namespace-valid-edge-node-id",
    "topic-structure-namespace-valid-device-id",
    # One entry is one node, and `test_flow.py` has it that a second one cannot be made.
    "intro-edge-node-id-uniqueness",
    "payloads-nbirth-edge-node-descriptor",
    "topic-structure-namespace-unique-edge-node-descriptor",
    "topic-structure-namespace-unique-device-id",
    "case-sensitivity-sparkplug-ids",
)
CHECKED.extend(FORMS)


def test_an_id_can_be_in_a_topic() -> None:
    """The forms ask for it, and for ids that no other has: see `test_flow.py`."""
    assert ID_PATTERN.fullmatch("Zähler 1")
    assert not any(map(ID_PATTERN.fullmatch, ("", "a/b", "a+b", "#", "a\0")))


@of("case-sensitivity-metric-names")
async def test_capitals_make_no_difference(hass: HomeAssistant) -> None:
    hass.states.async_set(POWER, "1")
    rows = [{"entity": POWER, "name": name} for name in ("Power", "power")]
    with pytest.raises(MappingError, match="duplicate_metric_name"):
        check_rows(hass, rows, frozenset())


def test_all_of_them_are_checked() -> None:
    assert sorted(CHECKED) == sorted(OF_THE_LINK)
