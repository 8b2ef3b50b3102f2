"""An edge node of Sparkplug B: births, deaths, data and commands, without I/O.

`EdgeNode` makes the messages of a node and its devices and reads those to it. Whoever carries them
publishes each as soon as it is made: `seq` is counted when a message is made, and a gap in it
would have every host ask for births again.

Source: Eclipse Sparkplug 3.0.0 (ISO/IEC 20237:2023), chapters 4 to 6.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .host_state import HostState
from .payload import (
    QUALITY,
    DataType,
    MalformedPayload,
    Metric,
    Property,
    Quality,
    Value,
    decode_payload,
    encode_data_metric,
    encode_metric,
    encode_payload,
    interpreted,
)
from .topics import MessageType, Topic, parse_topic, state_topics

REBIRTH: Final = "Node Control/Rebirth"
BD_SEQ: Final = "bdSeq"
WILL_QOS: Final = 1
SUBSCRIBE_QOS: Final = 1

_COUNT: Final = 256
"""bdSeq and seq count from 0 to 255, and begin again."""


class PayloadTooLarge(Exception):  # noqa: N818 - named after what happened
    """A message is larger than the server takes; nothing of it was counted."""

    def __init__(self, topic: Topic, size: int, limit: int) -> None:
        """Take the topic, and the sizes in bytes."""
        super().__init__(f"{topic}: {size} bytes, and the server takes {limit}")
        self.topic = topic


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a metric is worth."""

    value: Value | None
    """None is null."""
    timestamp_ms: int
    """When it was measured, in epoch milliseconds."""
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricDefinition:
    """A metric as its birth declares it."""

    name: str
    data_type: DataType
    properties: Mapping[str, Property] = field(default_factory=dict)
    writable: bool = False
    """Whether commands may write it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """A message to be published at once; none is ever retained."""

    topic: str
    payload: bytes
    qos: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RebirthRequested:
    """A host asks for the births again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostChanged:
    """The primary host has said whether it is online."""

    online: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandReceived:
    """A host writes a metric of a device."""

    device_id: str
    name: str
    data_type: DataType
    value: Value


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandRefused:
    """A host writes what cannot be written."""

    target: str
    """The device, or the node, and the metric as far as it is known."""
    reason: str


type Event = RebirthRequested | HostChanged | CommandReceived | CommandRefused


@dataclass(slots=True)
class _Metric:
    definition: MetricDefinition
    alias: int
    present: Reading
    told_quality: Quality = Quality.GOOD
    """What the host has been told last of its quality."""


class _Device:
    def __init__(self, metrics: Mapping[str, _Metric]) -> None:
        self.metrics = metrics
        self.born = False


class EdgeNode:
    """One node with its devices, in one session with a broker after the other."""

    def __init__(
        self,
        group_id: str,
        node_id: str,
        *,
        primary_host: str | None = None,
        last_bd_seq: int | None = None,
    ) -> None:
        """Begin unborn; `last_bd_seq` is that of the last session of an earlier run."""
        self.group_id = group_id
        self.node_id = node_id
        self.primary_host = primary_host
        self.host = HostState()
        self.born = False
        self.payload_limit: int | None = None
        """So many bytes of payload the server of this session takes; None is no limit."""
        self.bd_seq = _COUNT - 1 if last_bd_seq is None else last_bd_seq
        """That of the present session, which its will and its births tell."""
        self._seq = 0
        self._next_alias = 1
        self._devices: dict[str, _Device] = {}
        self._by_alias: dict[int, tuple[str, _Metric]] = {}

    # --- what it consists of

    @property
    def devices(self) -> Sequence[str]:
        """The ids of its devices."""
        return tuple(self._devices)

    def define(
        self, device_id: str, metrics: Sequence[MetricDefinition], *, timestamp_ms: int
    ) -> None:
        """Have a device with these metrics, in place of what it had; it is to be born again.

        A metric that is new is null until `update`. An alias is never given to another metric.
        """
        known = {} if (device := self._devices.get(device_id)) is None else device.metrics
        defined: dict[str, _Metric] = {}
        for definition in metrics:
            if (before := known.get(definition.name)) is not None and (
                before.definition.data_type is definition.data_type
            ):
                before.definition = definition
                defined[definition.name] = before
                continue
            nothing = Reading(value=None, timestamp_ms=timestamp_ms, quality=Quality.BAD)
            defined[definition.name] = _Metric(definition, self._next_alias, nothing)
            self._next_alias += 1
        self._devices[device_id] = _Device(defined)
        self._by_alias = {
            metric.alias: (device_id, metric)
            for device_id, device in self._devices.items()
            for metric in device.metrics.values()
        }

    def update(self, device_id: str, name: str, reading: Reading) -> None:
        """Take over what a metric is worth now, for its next birth."""
        self._devices[device_id].metrics[name].present = reading

    def present(self, device_id: str, name: str) -> Reading:
        """Return what a metric was worth last."""
        return self._devices[device_id].metrics[name].present

    def knows(self, device_id: str, name: str) -> bool:
        """Return whether a device has a metric."""
        device = self._devices.get(device_id)
        return device is not None and name in device.metrics

    def is_born(self, device_id: str) -> bool:
        """Return whether a device was born in this session, and has not died since."""
        return self.born and self._devices[device_id].born

    # --- a session

    def begin_session(self) -> Outgoing:
        """Return the will of the session that is opened now; with it bdSeq counts on."""
        self.bd_seq = (self.bd_seq + 1) % _COUNT
        self.host = HostState()
        self.payload_limit = None
        self._unborn()
        return self._death()

    def subscriptions(self) -> list[str]:
        """Return the topics to subscribe to, with QoS 1, before the births."""
        topics = [str(self._topic(MessageType.NCMD))]
        topics += [str(self._topic(MessageType.DCMD, device_id)) for device_id in self._devices]
        if self.primary_host is not None:
            topics += state_topics(self.primary_host)
        return topics

    @property
    def longest_topic(self) -> str:
        """The longest topic that it publishes to, for the limit of what else a packet holds."""
        birth = MessageType.DBIRTH
        topics = [str(self._topic(birth, device_id)) for device_id in self._devices]
        return max(
            [str(self._topic(MessageType.NBIRTH)), *topics], key=lambda each: len(each.encode())
        )

    @property
    def may_be_born(self) -> bool:
        """Whether births may be published: with a primary host, only while it is online."""
        return self.primary_host is None or self.host.online

    def births(self, now_ms: int, *, without: Sequence[str] = ()) -> Iterator[Outgoing]:
        """Yield the births of the node and of its devices, but those without.

        Nothing else may be published before the last of them. Raises `PayloadTooLarge`.
        """
        self._unborn()
        control = (
            Metric(name=BD_SEQ, timestamp_ms=now_ms, data_type=DataType.INT64, value=self.bd_seq),
            Metric(
                name=REBIRTH, timestamp_ms=now_ms, data_type=DataType.BOOLEAN, value=False
            ),  # without an alias, so that every host can write it
        )
        yield self._message(self._topic(MessageType.NBIRTH), now_ms, map(encode_metric, control))
        self.born = True
        for device_id in self._devices:
            if device_id not in without:
                yield self.device_birth(device_id, now_ms)

    def device_birth(self, device_id: str, now_ms: int) -> Outgoing:
        """Return the birth of a device, with what its metrics are worth; `PayloadTooLarge`."""
        device = self._devices[device_id]
        # What is not historical keeps the order of time within a message.
        metrics = sorted(device.metrics.values(), key=lambda each: each.present.timestamp_ms)
        message = self._message(
            self._topic(MessageType.DBIRTH, device_id),
            now_ms,
            (encode_metric(_birth_of(metric)) for metric in metrics),
        )
        device.born = True
        for metric in metrics:
            metric.told_quality = metric.present.quality
        return message

    def device_death(self, device_id: str, now_ms: int) -> Outgoing:
        """Return the death of a device whose meter is silent."""
        self._devices[device_id].born = False
        return self._message(self._topic(MessageType.DDEATH, device_id), now_ms, ())

    def death(self) -> Outgoing:
        """Return the death of the node and its devices, said before it disconnects."""
        self.end_session()
        return self._death()

    def end_session(self) -> None:
        """Note that the session has ended; nothing is born any more."""
        self._unborn()

    def data(
        self,
        device_id: str,
        readings: Sequence[tuple[str, Reading]],
        now_ms: int,
        *,
        is_historical: bool,
    ) -> Iterator[Outgoing]:
        """Yield the messages with readings of a device that is born, each as large as may be.

        What it has no metric for is left out. Raises `PayloadTooLarge` for a reading that fits
        into no message.
        """
        known = self._devices[device_id].metrics
        if not is_historical:
            readings = sorted(readings, key=lambda each: each[1].timestamp_ms)
        metrics = [
            _data_of(metric, reading, is_historical=is_historical)
            for name, reading in readings
            if (metric := known.get(name)) is not None
        ]
        topic = self._topic(MessageType.DDATA, device_id)
        for some in self._fitting(metrics):
            yield self._message(topic, now_ms, some)

    # --- what comes in

    def take(self, topic: str, payload: bytes) -> list[Event]:
        """Return what a message means; what is none of ours, or outdated, means nothing."""
        if self.primary_host is not None and topic in state_topics(self.primary_host):
            return [HostChanged(online=self.host.online)] if self.host.take(payload) else []
        parsed = parse_topic(topic)
        if (
            parsed is None
            or (parsed.group_id, parsed.node_id) != (self.group_id, self.node_id)
            or parsed.message_type not in (MessageType.NCMD, MessageType.DCMD)
        ):
            return []
        try:
            metrics = decode_payload(payload).metrics
        except MalformedPayload as err:
            return [CommandRefused(target=parsed.device_id or self.node_id, reason=str(err))]
        if parsed.device_id is None:
            return [self._node_command(metric) for metric in metrics]
        return [self._device_command(parsed.device_id, metric) for metric in metrics]

    def _node_command(self, metric: Metric) -> Event:
        if metric.name != REBIRTH:
            return CommandRefused(target=f"{self.node_id}/{_called(metric)}", reason="unknown")
        if metric.value is not True:
            return CommandRefused(target=f"{self.node_id}/{REBIRTH}", reason="not true")
        return RebirthRequested()

    def _device_command(self, device_id: str, metric: Metric) -> Event:
        target = f"{device_id}/{_called(metric)}"
        found = self._written(device_id, metric)
        if found is None:
            return CommandRefused(target=target, reason="unknown")
        definition = found.definition
        target = f"{device_id}/{definition.name}"
        if not definition.writable:
            return CommandRefused(target=target, reason="not writable")
        if metric.value is None:
            return CommandRefused(target=target, reason="null")
        try:
            value = interpreted(definition.data_type, metric.value)
        except ValueError as err:
            return CommandRefused(target=target, reason=str(err))
        return CommandReceived(
            device_id=device_id,
            name=definition.name,
            data_type=definition.data_type,
            value=value,
        )

    def _written(self, device_id: str, metric: Metric) -> _Metric | None:
        """Return the metric that a command is for: by its name, or by its alias."""
        device = self._devices.get(device_id)
        if device is None:
            return None
        if metric.name:
            return device.metrics.get(metric.name)
        owner, found = self._by_alias.get(metric.alias or 0, (None, None))
        return found if owner == device_id else None

    # --- how messages are made

    def _unborn(self) -> None:
        self.born = False
        self._seq = 0
        for device in self._devices.values():
            device.born = False

    def _topic(self, message_type: MessageType, device_id: str | None = None) -> Topic:
        return Topic(
            group_id=self.group_id,
            message_type=message_type,
            node_id=self.node_id,
            device_id=device_id,
        )

    def _death(self) -> Outgoing:
        metric = Metric(name=BD_SEQ, data_type=DataType.INT64, value=self.bd_seq)
        return Outgoing(
            topic=str(self._topic(MessageType.NDEATH)),
            payload=encode_payload(None, None, [encode_metric(metric)]),
            qos=WILL_QOS,
        )

    def _message(
        self, topic: Topic, now_ms: int, metrics: Iterator[bytes] | Sequence[bytes]
    ) -> Outgoing:
        payload = encode_payload(now_ms, self._seq, metrics)
        if self.payload_limit is not None and len(payload) > self.payload_limit:
            raise PayloadTooLarge(topic, len(payload), self.payload_limit)
        self._seq = (self._seq + 1) % _COUNT
        return Outgoing(topic=str(topic), payload=payload)

    def _fitting(self, metrics: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """Yield metrics as one message takes them."""
        if self.payload_limit is None:
            if metrics:
                yield metrics
            return
        room = self.payload_limit - _PAYLOAD_BYTES
        some: list[bytes] = []
        size = 0
        for metric in metrics:
            if some and size + len(metric) > room:
                yield some
                some, size = [], 0
            some.append(metric)
            size += len(metric)
        if some:
            yield some


# Of a payload besides its metrics: timestamp and seq.
_PAYLOAD_BYTES: Final = 16


def _birth_of(metric: _Metric) -> Metric:
    definition, present = metric.definition, metric.present
    return Metric(
        name=definition.name,
        alias=metric.alias,
        timestamp_ms=present.timestamp_ms,
        data_type=definition.data_type,
        value=present.value,
        properties={
            **definition.properties,
            QUALITY: Property(data_type=DataType.INT32, value=int(present.quality)),
        },
    )


def _data_of(metric: _Metric, reading: Reading, *, is_historical: bool) -> bytes:
    """Return a reading for DDATA; what the host knows of its quality is not said again."""
    quality: Quality | None = reading.quality
    if is_historical:
        quality = None if quality is Quality.GOOD else quality
    elif quality is metric.told_quality:
        quality = None
    else:
        metric.told_quality = reading.quality
    return encode_data_metric(
        metric.alias,
        metric.definition.data_type,
        reading.value,
        reading.timestamp_ms,
        is_historical=is_historical,
        quality=quality,
    )


def _called(metric: Metric) -> str:
    """Return what a metric is called by who writes it, as far as it says so."""
    return metric.name or ("?" if metric.alias is None else f"alias {metric.alias}")
