"""A node at a broker that is played, and writes down what it is sent."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.protocols.mqtt.scripted import PUBLISH, Script, message, serve

from .conftest import device, point

GROUP, NODE, HOST = "Plant 1", "Home", "scada"
STATE = f"spBv1.0/STATE/{HOST}"
POWER = "sensor.power"


@dataclass(frozen=True, kw_only=True)
class Connect:
    """What a CONNECT says."""

    level: int
    clean: bool
    will_qos: int
    will_retain: bool
    has_will: bool
    session_expiry_s: int
    will_topic: str
    will_payload: bytes


def text(data: bytes, at: int) -> tuple[bytes, int]:
    length = int.from_bytes(data[at : at + 2])
    return data[at + 2 : at + 2 + length], at + 2 + length


def read_connect(body: bytes) -> Connect:
    name, at = text(body, 0)
    assert name == b"MQTT"
    level, flags, at = body[at], body[at + 1], at + 4
    expiry = 0
    if level == 5:
        properties = body[at + 1 : at + 1 + body[at]]
        assert properties[0] == 0x11  # Session Expiry Interval comes first
        expiry = int.from_bytes(properties[1:5])
        at += 1 + body[at]
    _, at = text(body, at)
    topic = payload = b""
    if flags & 4:
        at += level == 5  # the will has no properties
        topic, at = text(body, at)
        payload, at = text(body, at)
    return Connect(
        level=level,
        clean=bool(flags & 2),
        has_will=bool(flags & 4),
        will_qos=flags >> 3 & 3,
        will_retain=bool(flags & 0x20),
        session_expiry_s=expiry,
        will_topic=topic.decode(),
        will_payload=payload,
    )


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node at a broker that writes down what it is sent."""

    script: Script
    link: Any
    stop: Callable[[], Awaitable[object]]

    def say(self, payload: bytes, topic: str = STATE) -> None:
        """Have a host speak."""
        packet = message(topic, payload)
        if self.script.version == 4:  # without properties
            end = len(packet) - len(payload)
            packet = bytes((packet[0], packet[1] - 1)) + packet[2 : end - 1] + payload
        self.script.say(packet)

    def published(self) -> list[tuple[str, bytes, int]]:
        """Return topic, payload, and first byte of what was published."""
        found = []
        for raw in self.script.raw:
            if raw[0] >> 4 != PUBLISH:
                continue
            at = 1
            while raw[at] & 0x80:
                at += 1
            topic, after = text(raw, at + 1)
            after += 2 * bool(raw[0] & 6)
            after += self.script.version == 5
            found.append((topic.decode(), raw[after:], raw[0]))
        return found

    def kinds(self) -> list[str]:
        return [topic.split("/")[2] for topic, *_ in self.published()]

    async def until_sent(self, kind: str) -> None:
        await self.script.until(lambda: kind in self.kinds())


@asynccontextmanager
async def running(
    hass: HomeAssistant,
    version: int,
    tmp_path: Any,
    *,
    connack: bytes | None = None,
    suback: int = 1,
    **more: Any,
) -> AsyncIterator[Node]:
    """Run a node with one meter at a broker of a version, 5 or 4 (which is 3.1.1)."""
    hass.config.config_dir = str(tmp_path)
    hass.states.async_set(POWER, "1", {"unit_of_measurement": "W"})
    script = Script(version=version, suback=suback)
    if connack is not None:
        script.connack = connack
    if version == 4:
        script.connack = b"\x20\x02\x00\x00"
    async with serve(None, script) as (port, _):
        entry = MockConfigEntry(
            domain="grid_telemetry",
            title="Sparkplug",
            data={
                "kind": "sparkplug",
                "host": "127.0.0.1",
                "port": port,
                "transport": "tcp",
                "mqtt_version": "5" if version == 5 else "3.1.1",
                "path": "/mqtt",
                "group_id": GROUP,
                "node_id": NODE,
                "interval_s": 1,
                "max_age_days": 30,
                "max_samples": 1_000_000,
                **more,
            },
            subentries_data=[device("meter", point(POWER, "power"))],
        )
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        link = entry.runtime_data
        try:
            yield Node(
                script=script,
                link=link,
                stop=lambda: hass.config_entries.async_unload(entry.entry_id),
            )
        finally:
            await link.async_stop()
