"""The standard's requirements of an edge node, id by id, held against what a host would read."""

from collections.abc import Callable, Iterable
import re

import pytest

from custom_components.grid_telemetry.protocols.sparkplug import ID_PATTERN, EdgeNode
from simulators.sparkplug_messages import BOOLEAN, INT64, REBIRTH, ReceivedMetric

from .exchange import (
    DEVICE,
    GROUP,
    HOST,
    NODE,
    OTHER,
    START_MS,
    VOLTAGE,
    Exchange,
    exchange,
    node,
    sent,
)
from .requirements import NOT_OURS, OF_THE_LINK

DATA_TYPES = range(1, 35)
BASIC_TYPES = range(1, 16)

type Check = Callable[[Exchange], None]


@pytest.fixture(scope="module")
def done() -> Exchange:
    return exchange()


def metrics_of(done: Exchange, *kinds: str) -> list[ReceivedMetric]:
    return [metric for message in done.of(*kinds) for metric in message.payload.metrics]


def topic_is(kind: str, *device: str) -> Check:
    def check(done: Exchange) -> None:
        devices = [*device] or ([DEVICE, OTHER] if kind.startswith("D") else [])
        allowed = {
            "/".join(("spBv1.0", GROUP, kind, NODE, *([each] if each else [])))
            for each in (devices or [""])
        }
        assert {message.topic for message in done.of(kind)} <= allowed
        assert done.of(kind)

    return check


def at_most_once(*kinds: str) -> Check:
    """QoS 0; that nothing can be retained is what `Outgoing` says, and what the host is told."""

    def check(done: Exchange) -> None:
        assert {message.qos for message in done.of(*kinds)} == {0}

    return check


def has_timestamp(*kinds: str) -> Check:
    def check(done: Exchange) -> None:
        assert all(
            message.payload.timestamp_ms is not None and message.payload.timestamp_ms >= START_MS
            for message in done.of(*kinds)
        )

    return check


def seq_counts(*kinds: str) -> Check:
    """In each session it begins with a birth of the node, and wraps at 255."""

    def check(done: Exchange) -> None:
        for session in done.sessions:
            last: int | None = None
            numbers = [each.payload.seq for each in session.messages if each.kind != "NDEATH"]
            assert set(numbers) == set(range(256))
            for message in session.messages:
                if message.kind == "NDEATH":
                    continue
                expected = 0 if message.kind == "NBIRTH" or last is None else (last + 1) % 256
                if message.kind in kinds:
                    assert message.payload.seq == expected
                last = message.payload.seq

    return check


def nbirth_seq_is_zero(done: Exchange) -> None:
    assert {message.payload.seq for message in done.of("NBIRTH")} == {0}


def ndeath_has_no_seq(done: Exchange) -> None:
    assert {message.payload.seq for message in done.of("NDEATH")} == {None}
    assert {session.will.payload.seq for session in done.sessions} == {None}


def bd_seq_is_in_the_births(done: Exchange) -> None:
    for message in done.of("NBIRTH"):
        assert message.metric("bdSeq").data_type == INT64


def bd_seq_matches_the_will(done: Exchange) -> None:
    for session in done.sessions:
        wanted = session.will.metric("bdSeq").raw
        assert {message.metric("bdSeq").raw for message in session.of("NBIRTH", "NDEATH")} == {
            wanted
        }


def bd_seq_counts(done: Exchange) -> None:
    assert [session.will.metric("bdSeq").raw for session in done.sessions] == [0, 1, 2]
    again = exchange(last_bd_seq=254)
    assert [session.will.metric("bdSeq").raw for session in again.sessions] == [255, 0, 1]
    assert not again.ledger.refused


def ndeath_is_bd_seq_alone(done: Exchange) -> None:
    for message in [*done.of("NDEATH"), *(session.will for session in done.sessions)]:
        assert [metric.name for metric in message.payload.metrics] == ["bdSeq"]
        assert message.metric("bdSeq").data_type == INT64


def will_is_an_ndeath(done: Exchange) -> None:
    assert {session.will.topic for session in done.sessions} == {f"spBv1.0/{GROUP}/NDEATH/{NODE}"}


def rebirth_can_be_asked_for(done: Exchange) -> None:
    for message in done.of("NBIRTH"):
        metric = message.metric(REBIRTH)
        assert (metric.data_type, metric.raw, metric.alias) == (BOOLEAN, False, None)


def rebirth_is_complete(done: Exchange) -> None:
    """Nothing else is between the birth of the node and those of its devices, bdSeq is the same."""
    for session in done.sessions:
        kinds = [message.kind for message in session.messages]
        births = [at for at, kind in enumerate(kinds) if kind == "NBIRTH"]
        assert len(births) == 2
        for at in births:
            assert kinds[at : at + 3] == ["NBIRTH", "DBIRTH", "DBIRTH"]
            assert {message.device for message in session.messages[at + 1 : at + 3]} == {
                DEVICE,
                OTHER,
            }


def births_come_first(done: Exchange) -> None:
    rebirth_is_complete(done)
    assert all(session.messages[0].kind == "NBIRTH" for session in done.sessions)


def births_are_whole(done: Exchange) -> None:
    """What data ever tells of was declared, with name, alias, type, time and value or null."""
    for message in done.of("DBIRTH"):
        assert len(message.payload.metrics) == 3
        assert {VOLTAGE} < {metric.name for metric in message.payload.metrics}
    for metric in metrics_of(done, "DBIRTH"):
        assert metric.name
        assert metric.alias is not None
        assert metric.data_type in DATA_TYPES
        assert metric.timestamp_ms is not None
        assert metric.is_null == (metric.raw is None)


def node_births_are_whole(done: Exchange) -> None:
    for metric in metrics_of(done, "NBIRTH"):
        assert metric.name
        assert metric.data_type in DATA_TYPES
        assert metric.timestamp_ms is not None
        assert metric.raw is not None


def births_have_present_values(done: Exchange) -> None:
    first, other = done.sessions[0].of("DBIRTH")[:2]
    assert first.metric(VOLTAGE).raw == 230.5
    assert other.metric(VOLTAGE).is_null


def metrics_keep_their_time(done: Exchange) -> None:
    for message in done.of("NBIRTH", "DBIRTH", "DDATA"):
        times = [
            metric.timestamp_ms
            for metric in message.payload.metrics
            if not metric.is_historical and metric.timestamp_ms is not None
        ]
        assert times == sorted(times)
    assert any(metric.is_historical for metric in metrics_of(done, "DDATA"))


def aliases_are_unique(done: Exchange) -> None:
    for session in done.sessions:
        for births in (session.of("DBIRTH")[:2], session.of("DBIRTH")[-2:]):
            aliases = [metric.alias for each in births for metric in each.payload.metrics]
            assert len(set(aliases)) == len(aliases) == 6


def data_has_aliases_alone(done: Exchange) -> None:
    for metric in metrics_of(done, "DDATA"):
        assert metric.alias is not None
        assert metric.name is None
        assert metric.timestamp_ms is not None
        assert metric.data_type is None


def properties_are_typed(done: Exchange) -> None:
    """The stand-in's reader refuses as many values as keys, and a value in another type's field."""
    properties = [metric.properties for metric in metrics_of(done, "DBIRTH")]
    assert all("Quality" in each for each in properties)
    for each in properties:
        assert {data_type for data_type, _ in each.values()} <= set(BASIC_TYPES)


def quality_is_one_of_three(done: Exchange) -> None:
    for metric in metrics_of(done, "DBIRTH"):
        data_type, value = metric.properties["Quality"]
        assert data_type == 3
        assert value == (0 if metric.is_null else 192)


def waits_for_the_host(_: Exchange) -> None:
    made = node(primary_host=HOST)
    made.begin_session()
    assert f"spBv1.0/STATE/{HOST}" in made.subscriptions()
    assert not made.may_be_born
    made.take("spBv1.0/STATE/another", b'{"online": true, "timestamp": 1}')
    made.take(f"spBv1.0/STATE/{HOST}", b'{"online": false, "timestamp": 1}')
    made.take(f"spBv1.0/STATE/{HOST}", b'{"timestamp": 2}')
    assert not made.may_be_born
    made.take(f"spBv1.0/STATE/{HOST}", b'{"online": true, "timestamp": 2}')
    assert made.may_be_born


def passes_an_old_state_over(_: Exchange) -> None:
    made = node(primary_host=HOST)
    made.begin_session()
    made.take(f"spBv1.0/STATE/{HOST}", b'{"online": false, "timestamp": 5}')
    made.take(f"spBv1.0/STATE/{HOST}", b'{"online": true, "timestamp": 4}')
    assert not made.may_be_born
    made.take(f"spBv1.0/STATE/{HOST}", b'{"online": true, "timestamp": 5}')
    assert made.may_be_born


def same_device_on_two_nodes(_: Exchange) -> None:
    one, two = node(), EdgeNode(GROUP, "Other")
    two.define(DEVICE, (), timestamp_ms=START_MS)
    for made in (one, two):
        made.begin_session()
        births = [sent(each) for each in made.births(START_MS)]
        assert births[1].device == DEVICE


def texts_are_utf_8(_: Exchange) -> None:
    made = EdgeNode("Süd", "Zähler 1")
    made.define("Straße", (), timestamp_ms=START_MS)
    made.begin_session()
    assert [each.topic for each in made.births(START_MS)] == [
        "spBv1.0/Süd/NBIRTH/Zähler 1",
        "spBv1.0/Süd/DBIRTH/Zähler 1/Straße",
    ]
    assert not any(ID_PATTERN.fullmatch(bad) for bad in ("", "a/b", "a+", "#", "\0", "\ud800"))


def topics_are_of_the_namespace(done: Exchange) -> None:
    of_node = re.compile(rf"spBv1\.0/{GROUP}/(NBIRTH|NDEATH)/{NODE}")
    of_device = re.compile(rf"spBv1\.0/{GROUP}/(DBIRTH|DDEATH|DDATA)/{NODE}/({DEVICE}|{OTHER})")
    for message in done.messages:
        assert (of_device if message.device else of_node).fullmatch(message.topic)


def nothing_is_refused(done: Exchange) -> None:
    """The strict host takes all of it, which it would not if it could not be read."""
    assert done.ledger.refused == []


CHECKS: dict[Check, Iterable[str]] = {
    topics_are_of_the_namespace: [
        "topic-structure",
        "topic-structure-namespace-a",
        "topic-structure-namespace-device-id-associated-message-types",
        "topic-structure-namespace-device-id-non-associated-message-types",
        "message-flow-device-birth-publish-dbirth-match-edge-node-topic",
    ],
    same_device_on_two_nodes: [
        "topic-structure-namespace-duplicate-device-id-across-edge-node",
    ],
    texts_are_utf_8: [
        "intro-group-id-string",
        "intro-edge-node-id-string",
        "intro-device-id-string",
    ],
    topic_is("NBIRTH"): [
        "topics-nbirth-topic",
        "message-flow-edge-node-birth-publish-nbirth-topic",
    ],
    topic_is("DBIRTH"): [
        "topics-dbirth-topic",
        "message-flow-device-birth-publish-dbirth-topic",
    ],
    topic_is("DDATA"): ["topics-ddata-topic"],
    topic_is("DDEATH"): ["topics-ddeath-topic"],
    topic_is("NDEATH"): ["topics-ndeath-topic"],
    will_is_an_ndeath: ["message-flow-edge-node-birth-publish-will-message-topic"],
    at_most_once("NBIRTH"): [
        "topics-nbirth-mqtt",
        "payloads-nbirth-qos",
        "payloads-nbirth-retain",
        "message-flow-edge-node-birth-publish-nbirth-qos",
        "message-flow-edge-node-birth-publish-nbirth-retained",
    ],
    at_most_once("DBIRTH"): [
        "topics-dbirth-mqtt",
        "payloads-dbirth-qos",
        "payloads-dbirth-retain",
        "message-flow-device-birth-publish-dbirth-qos",
        "message-flow-device-birth-publish-dbirth-retained",
    ],
    at_most_once("DDATA"): ["topics-ddata-mqtt", "payloads-ddata-qos", "payloads-ddata-retain"],
    at_most_once("DDEATH"): ["topics-ddeath-mqtt"],
    has_timestamp("NBIRTH"): ["topics-nbirth-timestamp", "payloads-nbirth-timestamp"],
    has_timestamp("DBIRTH"): ["topics-dbirth-timestamp", "payloads-dbirth-timestamp"],
    has_timestamp("DDATA"): ["topics-ddata-timestamp", "payloads-ddata-timestamp"],
    has_timestamp("DDEATH"): ["payloads-ddeath-timestamp"],
    has_timestamp("NBIRTH", "DBIRTH", "DDATA", "DDEATH"): ["payloads-timestamp-in-UTC"],
    nbirth_seq_is_zero: [
        "topics-nbirth-seq-num",
        "payloads-nbirth-seq",
        "payloads-sequence-num-req-nbirth",
        "message-flow-edge-node-birth-publish-nbirth-payload-seq",
    ],
    seq_counts("DBIRTH"): [
        "topics-dbirth-seq",
        "payloads-dbirth-seq",
        "payloads-dbirth-seq-inc",
        "message-flow-device-birth-publish-dbirth-payload-seq",
    ],
    seq_counts("DDATA"): ["topics-ddata-seq-num", "payloads-ddata-seq", "payloads-ddata-seq-inc"],
    seq_counts("DDEATH"): [
        "topics-ddeath-seq-num",
        "payloads-ddeath-seq",
        "payloads-ddeath-seq-inc",
        "payloads-ddeath-seq-number",
    ],
    seq_counts("NBIRTH", "DBIRTH", "DDATA", "DDEATH"): [
        "payloads-sequence-num-always-included",
        "payloads-sequence-num-incrementing",
    ],
    ndeath_has_no_seq: ["topics-ndeath-seq", "payloads-ndeath-seq"],
    bd_seq_is_in_the_births: ["topics-nbirth-bdseq-included", "payloads-nbirth-bdseq"],
    bd_seq_matches_the_will: [
        "topics-nbirth-bdseq-matching",
        "payloads-nbirth-bdseq-repeat",
        "payloads-ndeath-bdseq",
        "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq",
        "operational-behavior-data-commands-rebirth-action-3",
    ],
    bd_seq_counts: [
        "topics-nbirth-bdseq-increment",
        "message-flow-edge-node-birth-publish-will-message-payload-bdSeq",
    ],
    ndeath_is_bd_seq_alone: [
        "topics-ndeath-payload",
        "message-flow-edge-node-birth-publish-will-message-payload",
    ],
    rebirth_can_be_asked_for: [
        "topics-nbirth-rebirth-metric",
        "payloads-nbirth-rebirth-req",
        "operational-behavior-data-commands-rebirth-name",
        "operational-behavior-data-commands-rebirth-name-aliases",
        "operational-behavior-data-commands-rebirth-datatype",
        "operational-behavior-data-commands-rebirth-value",
    ],
    rebirth_is_complete: [
        "operational-behavior-data-commands-rebirth-action-1",
        "operational-behavior-data-commands-rebirth-action-2",
        "payloads-dbirth-order",
    ],
    births_come_first: [
        "payloads-ddata-order",
        "message-flow-device-birth-publish-nbirth-wait",
    ],
    births_are_whole: [
        "topics-dbirth-metric-reqs",
        "topics-dbirth-metrics",
        "operational-behavior-data-publish-dbirth",
        "payloads-name-requirement",
        "payloads-alias-birth-requirement",
        "payloads-name-birth-data-requirement",
        "payloads-metric-datatype-req",
        "payloads-metric-datatype-value",
        "payloads-metric-datatype-value-type",
    ],
    node_births_are_whole: [
        "topics-nbirth-metric-reqs",
        "topics-nbirth-metrics",
        "operational-behavior-data-publish-nbirth",
        "operational-behavior-data-publish-nbirth-values",
    ],
    births_have_present_values: ["operational-behavior-data-publish-dbirth-values"],
    metrics_keep_their_time: [
        "operational-behavior-data-publish-nbirth-order",
        "operational-behavior-data-publish-dbirth-order",
        "payloads-metric-timestamp-in-UTC",
    ],
    aliases_are_unique: ["payloads-alias-uniqueness"],
    data_has_aliases_alone: [
        "payloads-alias-data-cmd-requirement",
        "payloads-metric-datatype-not-req",
    ],
    properties_are_typed: [
        "payloads-metric-propertyvalue-type-req",
        "payloads-metric-propertyvalue-type-type",
        "payloads-metric-propertyvalue-type-value",
        "payloads-propertyset-keys-array-size",
        "payloads-propertyset-values-array-size",
    ],
    quality_is_one_of_three: [
        "payloads-propertyset-quality-value-type",
        "payloads-propertyset-quality-value-value",
    ],
    waits_for_the_host: [
        "message-flow-edge-node-birth-publish-phid-wait",
        "message-flow-edge-node-birth-publish-phid-wait-id",
        "message-flow-edge-node-birth-publish-phid-wait-online",
    ],
    passes_an_old_state_over: ["message-flow-edge-node-birth-publish-phid-wait-timestamp"],
    nothing_is_refused: [
        "message-flow-edge-node-birth-publish-nbirth-payload",
        "message-flow-device-birth-publish-dbirth-payload",
    ],
}


@pytest.mark.parametrize(
    ("check", "requirement"),
    [
        pytest.param(check, requirement, id=requirement)
        for check, requirements in CHECKS.items()
        for requirement in requirements
    ],
)
def test_the_requirement_holds(done: Exchange, check: Check, requirement: str) -> None:
    check(done)


def test_every_requirement_is_in_one_place() -> None:
    """Checked here, asked of the link, or not an edge node's; 299 in all."""
    places = [
        *(requirement for requirements in CHECKS.values() for requirement in requirements),
        *OF_THE_LINK,
        *(requirement for requirements in NOT_OURS.values() for requirement in requirements),
    ]
    assert len(places) == len(set(places)) == 299
