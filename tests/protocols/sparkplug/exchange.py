"""Sessions of an edge node as a host sees them, read by the stand-in's own reader."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from custom_components.grid_telemetry.protocols.sparkplug import (
    DataType,
    EdgeNode,
    MetricDefinition,
    Outgoing,
    Property,
    Reading,
)
from simulators.sparkplug_messages import Ledger, ReceivedMetric, ReceivedPayload, read_payload

GROUP, NODE, HOST = "Plant 1", "Home", "scada"
DEVICE, OTHER = "house", "solar"
VOLTAGE, POWER, MODE = "meter/phase a/voltage", "meter/power", "mode"
START_MS = 1_800_000_000_000

DEFINITIONS = (
    MetricDefinition(
        name=VOLTAGE,
        data_type=DataType.DOUBLE,
        properties={"engUnit": Property(data_type=DataType.STRING, value="V")},
    ),
    MetricDefinition(name=POWER, data_type=DataType.FLOAT),
    MetricDefinition(name=MODE, data_type=DataType.INT32, writable=True),
)


def node(**more: object) -> EdgeNode:
    """Return a node with two devices, of which two metrics have a value."""
    made = EdgeNode(GROUP, NODE, **more)
    for device_id in (DEVICE, OTHER):
        made.define(device_id, DEFINITIONS, timestamp_ms=START_MS)
    made.update(DEVICE, VOLTAGE, Reading(value=230.5, timestamp_ms=START_MS + 7))
    made.update(DEVICE, MODE, Reading(value=-3, timestamp_ms=START_MS + 5))
    return made


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One message."""

    topic: str
    kind: str
    device: str | None
    payload: ReceivedPayload
    qos: int

    def metric(self, name: str) -> ReceivedMetric:
        """Return the metric of a name, of a birth."""
        [found] = [metric for metric in self.payload.metrics if metric.name == name]
        return found


def sent(outgoing: Outgoing) -> Sent:
    """Return a message as it is read by a host."""
    _, _, kind, _, *device = outgoing.topic.split("/")
    return Sent(
        topic=outgoing.topic,
        kind=kind,
        device=device[0] if device else None,
        payload=read_payload(outgoing.payload),
        qos=outgoing.qos,
    )


@dataclass(frozen=True, kw_only=True)
class Session:
    """One session with a broker: its will, and what was published, in order."""

    will: Sent
    messages: Sequence[Sent]

    def of(self, *kinds: str) -> list[Sent]:
        """Return the messages of some kinds."""
        return [message for message in self.messages if message.kind in kinds]


def readings(count: int, start_ms: int) -> list[tuple[str, Reading]]:
    """Return some values of the voltage, the latest first."""
    return [
        (VOLTAGE, Reading(value=230 + number / 10, timestamp_ms=start_ms + number))
        for number in reversed(range(count))
    ]


def run_session(made: EdgeNode, ledger: Ledger, now_ms: int) -> Session:
    """Have a node be born, send, lose a device and get it back, be born again and die."""
    messages: list[Sent] = []

    def publish(outgoing: Iterator[Outgoing]) -> None:
        for each in outgoing:
            messages.append(sent(each))
            ledger.take(each.topic, each.payload, each.qos, retain=False)

    will = made.begin_session()
    publish(made.births(now_ms))
    for number in range(300):
        at_ms = now_ms + 10 * (number + 1)
        publish(made.data(DEVICE, readings(3, at_ms), at_ms, is_historical=False))
    publish(made.data(DEVICE, readings(3, now_ms - 9_000), now_ms, is_historical=True))
    publish(iter([made.device_death(OTHER, now_ms)]))
    publish(iter([made.device_birth(OTHER, now_ms)]))
    publish(made.births(now_ms))
    publish(iter([made.death()]))
    return Session(will=sent(will), messages=messages)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Three sessions of one node; of the last the broker tells the death."""

    sessions: Sequence[Session]
    ledger: Ledger

    @property
    def messages(self) -> list[Sent]:
        """All that was published."""
        return [message for session in self.sessions for message in session.messages]

    def of(self, *kinds: str) -> list[Sent]:
        """Return the messages of some kinds."""
        return [message for message in self.messages if message.kind in kinds]


def exchange(last_bd_seq: int | None = None) -> Exchange:
    """Run the sessions."""
    made = node(last_bd_seq=last_bd_seq)
    ledger = Ledger(GROUP, NODE)
    sessions = [run_session(made, ledger, START_MS + 60_000 * number) for number in range(3)]
    return Exchange(sessions=sessions, ledger=ledger)
