"""What an edge node says when its points change, and what it makes of what it is told."""

import pytest

from custom_components.grid_telemetry.protocols.sparkplug import (
    CommandReceived,
    CommandRefused,
    DataType,
    EdgeNode,
    Event,
    HostChanged,
    Metric,
    MetricDefinition,
    PayloadTooLarge,
    Quality,
    Reading,
    RebirthRequested,
    encode_metric,
    encode_payload,
)
from simulators.sparkplug_messages import Ledger

from .exchange import (
    DEFINITIONS,
    DEVICE,
    GROUP,
    HOST,
    MODE,
    NODE,
    OTHER,
    POWER,
    START_MS,
    VOLTAGE,
    node,
    readings,
    sent,
)

STATE, OLD_STATE = f"spBv1.0/STATE/{HOST}", f"STATE/{HOST}"
NCMD, DCMD = f"spBv1.0/{GROUP}/NCMD/{NODE}", f"spBv1.0/{GROUP}/DCMD/{NODE}/{DEVICE}"


def born(**more: object) -> tuple[EdgeNode, Ledger]:
    """Return a node that is born, and the host that took its births."""
    made, ledger = node(**more), Ledger(GROUP, NODE)
    made.begin_session()
    for each in made.births(START_MS + 1_000):
        ledger.take(each.topic, each.payload, each.qos, retain=False)
    return made, ledger


def command(metric: Metric) -> bytes:
    return encode_payload(START_MS, None, [encode_metric(metric)])


def test_a_new_point_has_its_device_born_again() -> None:
    """The aliases that the host knows stay what they are."""
    made, ledger = born()
    before = ledger.alias_of(DEVICE, VOLTAGE)
    more = MetricDefinition(name="meter/frequency", data_type=DataType.DOUBLE)
    made.define(DEVICE, [*DEFINITIONS, more], timestamp_ms=START_MS)
    assert not made.is_born(DEVICE)
    birth = made.device_birth(DEVICE, START_MS + 2_000)
    ledger.take(birth.topic, birth.payload, birth.qos, retain=False)
    assert ledger.alias_of(DEVICE, VOLTAGE) == before
    assert set(ledger.declared[DEVICE]) == {VOLTAGE, POWER, MODE, "meter/frequency"}
    assert made.present(DEVICE, VOLTAGE).value == 230.5
    assert not ledger.refused


def test_a_point_of_another_type_gets_another_alias() -> None:
    made, _ = born()
    before = sent(made.device_birth(DEVICE, START_MS)).metric(VOLTAGE).alias
    made.define(
        DEVICE, [MetricDefinition(name=VOLTAGE, data_type=DataType.INT32)], timestamp_ms=START_MS
    )
    after = sent(made.device_birth(DEVICE, START_MS)).metric(VOLTAGE).alias
    assert after not in (None, before)
    assert made.devices == (DEVICE, OTHER)


def test_quality_is_told_when_it_changes() -> None:
    made, ledger = born()
    for number, quality in enumerate([Quality.STALE, Quality.STALE, Quality.GOOD, Quality.GOOD]):
        reading = Reading(value=1.0, timestamp_ms=START_MS + 2_000 + number, quality=quality)
        [message] = made.data(DEVICE, [(VOLTAGE, reading)], START_MS, is_historical=False)
        assert bool(sent(message).payload.metrics[0].properties) == (number in (0, 2))
        ledger.take(message.topic, message.payload, message.qos, retain=False)
    assert [each.quality for each in ledger.samples(DEVICE, VOLTAGE)] == [500, 500, 192, 192]


def test_what_a_device_has_no_metric_for_is_left_out() -> None:
    made, _ = born()
    gone = ("gone", Reading(value=1.0, timestamp_ms=START_MS))
    assert not made.knows(DEVICE, "gone")
    assert list(made.data(DEVICE, [gone], START_MS, is_historical=True)) == []


def test_messages_are_as_large_as_the_server_takes() -> None:
    made, ledger = born()
    made.payload_limit = 200
    messages = list(
        made.data(DEVICE, readings(50, START_MS + 2_000), START_MS, is_historical=False)
    )
    assert len(messages) > 2
    for each in messages:
        assert len(each.payload) <= 200
        ledger.take(each.topic, each.payload, each.qos, retain=False)
    assert len(ledger.samples(DEVICE, VOLTAGE)) == 50
    assert not ledger.refused


def test_what_is_too_large_leaves_no_gap() -> None:
    """A birth that the server does not take is no message, so `seq` goes on without it."""
    made, ledger = born()
    made.payload_limit = 60
    with pytest.raises(PayloadTooLarge, match="60"):
        made.device_birth(DEVICE, START_MS)
    made.payload_limit = None
    birth = made.device_birth(DEVICE, START_MS)
    ledger.take(birth.topic, birth.payload, birth.qos, retain=False)
    assert not ledger.refused


@pytest.mark.parametrize(
    ("said", "online"),
    [
        pytest.param([(STATE, b'{"online": true, "timestamp": 1}')], True, id="3.0"),
        pytest.param([(OLD_STATE, b"ONLINE")], True, id="2.2"),
        pytest.param([(OLD_STATE, b"OFFLINE")], False, id="2.2 offline"),
        pytest.param([(STATE, b"ONLINE")], True, id="2.2 on the new topic"),
        pytest.param(
            [(STATE, b'{"online": true, "timestamp": 1}'), (OLD_STATE, b"OFFLINE")],
            True,
            id="left behind by an older host",
        ),
        pytest.param(
            [
                (STATE, b'{"online": true, "timestamp": 5}'),
                (STATE, b'{"online": false, "timestamp": 4}'),
            ],
            True,
            id="a will of an earlier session",
        ),
        pytest.param(
            [
                (STATE, b'{"online": true, "timestamp": 5}'),
                (STATE, b'{"online": false, "timestamp": 5}'),
            ],
            False,
            id="a will of this session",
        ),
        pytest.param([(STATE, b"[1]")], False, id="no object"),
        pytest.param([(STATE, b'{"online": "true", "timestamp": 5}')], False, id="no boolean"),
        pytest.param([(STATE, b'{"online": true, "timestamp": true}')], False, id="no time"),
        pytest.param([(STATE, b"\xff")], False, id="no text"),
    ],
)
def test_the_primary_host_is_understood(said: list[tuple[str, bytes]], online: bool) -> None:
    made = node(primary_host=HOST)
    made.begin_session()
    events = [event for topic, payload in said for event in made.take(topic, payload)]
    assert made.may_be_born is online
    assert all(isinstance(event, HostChanged) for event in events)


def test_each_session_waits_for_the_host_anew() -> None:
    made = node(primary_host=HOST)
    made.begin_session()
    made.take(STATE, b'{"online": true, "timestamp": 9}')
    made.begin_session()
    assert not made.may_be_born
    made.take(STATE, b'{"online": true, "timestamp": 3}')  # its clock was set back meanwhile
    assert made.may_be_born


@pytest.mark.parametrize(
    ("topic", "metric", "expected"),
    [
        (
            NCMD,
            Metric(name="Node Control/Rebirth", data_type=DataType.BOOLEAN, value=True),
            RebirthRequested(),
        ),
        (
            NCMD,
            Metric(name="Node Control/Rebirth", data_type=DataType.BOOLEAN, value=False),
            CommandRefused(target=f"{NODE}/Node Control/Rebirth", reason="not true"),
        ),
        (
            NCMD,
            Metric(name="Node Control/Reboot", data_type=DataType.BOOLEAN, value=True),
            CommandRefused(target=f"{NODE}/Node Control/Reboot", reason="unknown"),
        ),
        (
            DCMD,
            Metric(name=MODE, data_type=DataType.INT32, value=-1),
            CommandReceived(device_id=DEVICE, name=MODE, data_type=DataType.INT32, value=-1),
        ),
        (
            DCMD,
            Metric(alias=3, data_type=DataType.INT32, value=5),
            CommandReceived(device_id=DEVICE, name=MODE, data_type=DataType.INT32, value=5),
        ),
        (
            DCMD,
            Metric(alias=6, data_type=DataType.INT32, value=5),  # of the other device
            CommandRefused(target=f"{DEVICE}/alias 6", reason="unknown"),
        ),
        (
            DCMD,
            Metric(data_type=DataType.INT32, value=5),
            CommandRefused(target=f"{DEVICE}/?", reason="unknown"),
        ),
        (
            DCMD,
            Metric(name=VOLTAGE, data_type=DataType.DOUBLE, value=5.0),
            CommandRefused(target=f"{DEVICE}/{VOLTAGE}", reason="not writable"),
        ),
        (
            DCMD,
            Metric(name=MODE),
            CommandRefused(target=f"{DEVICE}/{MODE}", reason="null"),
        ),
        (
            DCMD,
            Metric(name=MODE, data_type=DataType.STRING, value="on"),
            CommandRefused(target=f"{DEVICE}/{MODE}", reason="'on' is no INT32"),
        ),
        (
            DCMD.replace(DEVICE, "nobody"),
            Metric(name=MODE, data_type=DataType.INT32, value=1),
            CommandRefused(target=f"nobody/{MODE}", reason="unknown"),
        ),
    ],
)
def test_a_command_is_taken_or_refused(topic: str, metric: Metric, expected: Event) -> None:
    made, _ = born()
    assert made.take(topic, command(metric)) == [expected]


def test_what_is_no_payload_is_refused() -> None:
    made, _ = born()
    [event] = made.take(DCMD, b"\x0a")
    assert isinstance(event, CommandRefused)
    assert event.target == DEVICE


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0/another/NCMD/Home",
        f"spBv1.0/{GROUP}/NDATA/{NODE}",
        f"spBv1.0/{GROUP}/NCMD/{NODE}/device",
        f"spBv1.0/{GROUP}/DCMD/{NODE}",
        f"spBv1.0/{GROUP}/OTHER/{NODE}",
        "spBv1.0/STATE/scada",
        "spAv1.0/a/NCMD/b",
    ],
)
def test_what_is_for_others_is_passed_over(topic: str) -> None:
    made, _ = born()
    assert made.take(topic, b"") == []
