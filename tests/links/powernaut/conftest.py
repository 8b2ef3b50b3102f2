"""The platform's API and its broker, played by the tests."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from email.utils import format_datetime
import json
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.test_util.aiohttp import (
    AiohttpClientMocker,
    AiohttpClientMockResponse,
)

from custom_components.grid_telemetry.connection.errors import LinkError
from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.powernaut.client import Login
from custom_components.grid_telemetry.protocols.mqtt import (
    Message,
    MqttPublishRefused,
    MqttSession,
    Subscribed,
)

from .samples import BATTERY_ID, METER_ID, SITE_ID, SOLAR_ID, Json, listed, resource, site, solar

API = "https://api.powernaut.io/v1/connect"
PACKAGE = "custom_components.grid_telemetry.links.powernaut"

type AddEntry = Callable[..., MockConfigEntry]
type Request = tuple[str, str, Any]


class FakeApi:
    """Answers requests by method and path; the platform's clock may be wrong."""

    def __init__(self, mocker: AiohttpClientMocker) -> None:
        self._mocker = mocker
        self.clock_ahead_s = 0.0
        self.answers: dict[tuple[str, str], tuple[int, Json | None]] = {}
        self.headers: dict[str, str] = {}
        self.error: Exception | None = None
        self.answer("GET", "sites", listed(site()))
        self.answer("GET", "resources", listed(resource(), solar()))

    def answer(self, method: str, path: str, body: Json | None = None, status: int = 200) -> None:
        url = f"{API}/{path}"
        if (method, path) not in self.answers:
            getattr(self._mocker, method.lower())(url, side_effect=self._respond)
        self.answers[method, path] = status, body

    async def _respond(self, method: str, url: Any, data: Any) -> AiohttpClientMockResponse:
        if self.error is not None:
            raise self.error
        status, body = self.answers[method.upper(), url.path.removeprefix("/v1/connect/")]
        date = dt_util.utcnow() + dt_util.dt.timedelta(seconds=self.clock_ahead_s)
        headers = {"Date": format_datetime(date, usegmt=True), **self.headers}
        if body is not None:
            headers["content-type"] = "application/json"
        return AiohttpClientMockResponse(method, url, status=status, json=body, headers=headers)

    @property
    def requests(self) -> list[Request]:
        return [(method, str(url), data) for method, url, data, _ in self._mocker.mock_calls]


class FakeSession:
    """One connection: what goes out is acknowledged, what comes in the tests say."""

    def __init__(self) -> None:
        self.window = 32
        self.limit: int | None = None
        self.sent: list[tuple[str, Any]] = []
        self.subscribed: list[str] = []
        self.unsubscribed: list[str] = []
        self.acknowledged: list[int] = []
        self.refuses: dict[str, tuple[int, str]] = {}
        """Reason code and text by topic, of messages and of subscriptions."""
        self._received = 0
        self._incoming: asyncio.Queue[Message | LinkError] = asyncio.Queue()

    def payload_limit(self, topic: str) -> int | None:
        return self.limit

    def publish(self, topic: str, body: bytes) -> asyncio.Future[None]:
        self.sent.append((topic, json.loads(body)))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if topic in self.refuses:
            future.set_exception(MqttPublishRefused(*self.refuses[topic]))
        else:
            future.set_result(None)
        return future

    async def subscribe(self, topics: Sequence[str]) -> list[Subscribed]:
        self.subscribed += topics
        return [
            Subscribed(topic=topic, code=self.refuses[topic][0], text=self.refuses[topic][1])
            for topic in topics
            if topic in self.refuses
        ]

    async def unsubscribe(self, topic: str) -> None:
        self.unsubscribed.append(topic)

    async def messages(self) -> AsyncGenerator[Message]:
        while True:
            event = await self._incoming.get()
            if isinstance(event, LinkError):
                raise event
            yield event

    def acknowledge(self, message: Message) -> None:
        self.acknowledged.append(message.packet_id)

    def receive(self, topic: str, payload: bytes | Json) -> None:
        if isinstance(payload, dict):
            payload = json.dumps(payload).encode()
        self._received += 1
        self._incoming.put_nowait(Message(topic, payload, 1, False, self._received))

    def end(self, error: LinkError) -> None:
        self._incoming.put_nowait(error)

    def of(self, topic: str) -> list[Any]:
        return [body for sent_to, body in self.sent if sent_to == topic]


class FakeBroker:
    """Opens sessions, or refuses to."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []
        self.logins: list[tuple[Login, str, int]] = []
        self.error: LinkError | None = None
        self.refuses: dict[str, tuple[int, str]] = {}

    @asynccontextmanager
    async def open(
        self, login: Login, identifier: str, qos: int, state: MqttSession
    ) -> AsyncIterator[FakeSession]:
        self.logins.append((login, identifier, qos))
        if self.error is not None:
            raise self.error
        session = FakeSession()
        session.refuses = self.refuses
        self.sessions.append(session)
        yield session

    @property
    def session(self) -> FakeSession:
        return self.sessions[-1]


@pytest.fixture
def api(aioclient_mock: AiohttpClientMocker) -> FakeApi:
    return FakeApi(aioclient_mock)


@pytest.fixture
def broker() -> Generator[FakeBroker]:
    fake = FakeBroker()
    with patch(f"{PACKAGE}.link.open_session", fake.open):
        yield fake


def site_subentry(**changes: Any) -> ConfigSubentryData:
    return _subentry("site", "Home", SITE_ID, {"power_entity": "sensor.grid", **changes})


def battery_subentry(**changes: Any) -> ConfigSubentryData:
    own = {
        "resource_id": BATTERY_ID,
        "resource_type": "static_battery",
        "power_entity": "sensor.battery",
        "soc_entity": "sensor.charge",
        "soc_unit": "%",
        "capacity_kwh": 10.0,
    }
    return _subentry("resource", "Home battery", BATTERY_ID, own | changes)


def solar_subentry(**changes: Any) -> ConfigSubentryData:
    own = {
        "resource_id": SOLAR_ID,
        "resource_type": "photovoltaic",
        "power_entity": "sensor.solar",
        "invert": True,
    }
    return _subentry("resource", "Solar panels", SOLAR_ID, own | changes)


def meter_subentry() -> ConfigSubentryData:
    own = {
        "resource_id": METER_ID,
        "resource_type": "meter",
        "power_entity": "sensor.grid",
    }
    return _subentry("resource", "Sub meter", METER_ID, own)


def _subentry(kind: str, title: str, unique_id: str, own: Json) -> ConfigSubentryData:
    data = {"invert": False, "max_age_s": 60, **own}
    return ConfigSubentryData(subentry_type=kind, title=title, unique_id=unique_id, data=data)


ENTRY_DATA = {
    CONF_KIND: "powernaut",
    "environment": "production",
    "site_key": "key",
    "secret": "secret",
    "qos": 1,
    "site_id": SITE_ID,
}


@pytest.fixture
def add_entry(hass: HomeAssistant) -> AddEntry:
    def add(*subentries: ConfigSubentryData, **changes: Any) -> MockConfigEntry:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Powernaut Home",
            unique_id=f"api.powernaut.io/{SITE_ID}",
            data={**ENTRY_DATA, **changes},
            subentries_data=subentries,
        )
        entry.add_to_hass(hass)
        return entry

    return add
