"""The stand-in for Powernaut is as strict as the platform's own page says."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
import json
from typing import Any

from aiohttp import encode_basic_auth
from aiohttp.test_utils import TestClient, TestServer
import pytest

from simulators.powernaut_api import Api, Book, resource
from simulators.powernaut_messages import RefusedError, read
from tests.links.powernaut import schemas
from tests.links.powernaut.samples import BATTERY_ID, SITE_ID, activation

NOW = 1_772_366_400.5
TOPICS = {"site/1/data", "resource/2/data"}


def take(
    payload: object, topic: str = "resource/2/data", *, qos: int = 1, retained: bool = False
) -> list[tuple[int, int | None, int]]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return [
        (reading.value, reading.soc, reading.time)
        for reading in read(
            topic, raw, qos=qos, retained=retained, known_topics=TOPICS, arrived_at=NOW
        )
    ]


@pytest.mark.parametrize("qos", [1, 2])
def test_what_the_platform_takes_is_taken(qos: int) -> None:
    at = int(NOW)
    assert take({"value": -2500, "soc": 8150, "time": at - 60 + 1}, qos=qos) == [
        (-2500, 8150, at - 59)
    ]
    assert take({"value": 1}) == [(1, None, at)]
    assert take([{"value": 1, "time": at - 4}, {"value": 2, "time": at}]) == [
        (1, None, at - 4),
        (2, None, at),
    ]


@pytest.mark.parametrize(
    ("payload", "more"),
    [
        ({"value": 1}, {"qos": 0}),
        ({"value": 1}, {"retained": True}),
        ({"value": 1}, {"topic": "resource/3/data"}),
        ({"value": 1}, {"topic": "resource/2/commands/setpoint"}),
        ({"value": 1.0}, {}),
        ({"value": "1"}, {}),
        ({"value": True}, {}),
        ({"value": None}, {}),
        ({"value": 1, "soc": 1.5}, {}),
        ({"value": 1, "soc": -1}, {}),
        ({"value": 1, "time": NOW}, {}),
        ({"value": 1, "time": int(NOW) - 60}, {}),
        ({"value": 1, "time": int(NOW) + 10}, {}),
        ({"value": 1, "unit": "W"}, {}),
        ({"soc": 1}, {}),
        ({"value": 1, "soc": 5}, {"topic": "site/1/data"}),
        ([], {}),
        ([{"value": 1}, {"value": 1.5}], {}),
        ("1", {}),
        (b"{", {}),
    ],
)
def test_what_the_platform_discards_is_refused(payload: object, more: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        take(payload, **more)


class Ears:
    def last_seen(self, platform_id: str) -> float | None:
        return NOW if platform_id == BATTERY_ID else None


type Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def book() -> Book:
    return Book(
        site_id=SITE_ID,
        site_name="Home",
        key="key",
        secret="secret",
        resources={BATTERY_ID: resource(SITE_ID, BATTERY_ID, "static_battery", "Battery", "10.0")},
    )


@pytest.fixture
async def ask(book: Book, socket_enabled: None) -> AsyncGenerator[Ask]:
    async with TestClient(TestServer(Api(book, Ears()).application())) as client:

        async def ask(
            method: str, path: str, body: object = None, *, secret: str = "secret"
        ) -> tuple[int, Any]:
            headers = {"Authorization": encode_basic_auth("key", secret)}
            async with client.request(
                method, f"/v1/connect/{path}", json=body, headers=headers
            ) as response:
                answer = await response.json() if response.content_length else None
                if response.status >= 400:
                    schemas.ERROR(answer)
                return response.status, answer

        yield ask


def quarter(ahead: int = 4) -> datetime:
    now = datetime.now(UTC).timestamp()
    return datetime.fromtimestamp((now // 900 + ahead) * 900, UTC)


def bid(**changes: Any) -> dict[str, Any]:
    start = quarter()
    return {
        "timing": {"start": start.isoformat(), "end": (start + timedelta(minutes=15)).isoformat()},
        "curve": [{"value": "5.0"}],
        **changes,
    }


async def test_the_answers_have_the_published_shapes(book: Book, ask: Ask) -> None:
    status, sites = await ask("GET", "sites?page=1&page_size=100")
    assert status == 200
    schemas.list_of(schemas.SITE)(sites)
    status, resources = await ask("GET", f"resources?site_id={SITE_ID}")
    assert status == 200
    schemas.list_of(schemas.RESOURCE)(resources)
    status, placed = await ask("POST", f"resources/{BATTERY_ID}/bid", bid())
    assert status == 201
    schemas.BID(placed)
    status, bids = await ask("GET", "bids?status=open")
    schemas.list_of(schemas.BID)(bids)
    book.activations.append(activation())
    status, activations = await ask("GET", f"resources/{BATTERY_ID}/activations")
    schemas.list_of(schemas.ACTIVATION)(activations)
    assert activations["total"] == 1


async def test_a_bid_for_the_same_window_replaces_the_open_one(book: Book, ask: Ask) -> None:
    _, first = await ask("POST", f"resources/{BATTERY_ID}/bid", bid())
    status, again = await ask("POST", f"resources/{BATTERY_ID}/bid", bid(curve=[{"value": "1.0"}]))
    assert (status, again["id"]) == (201, first["id"])
    book.bids[first["id"]]["status"] = "accepted"
    assert (await ask("POST", f"resources/{BATTERY_ID}/bid", bid()))[0] == 409
    assert (await ask("DELETE", f"bids/{first['id']}"))[0] == 409
    book.bids[first["id"]]["status"] = "open"
    assert (await ask("DELETE", f"bids/{first['id']}"))[0] == 204
    assert (await ask("DELETE", f"bids/{first['id']}"))[0] == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"timing": {"start": "2026-03-01T12:00:00Z", "end": "2026-03-01T12:15:00Z"}},
        {"timing": {"start": "2099-03-01T12:01:00Z", "end": "2099-03-01T12:16:00Z"}},
        {"timing": {"start": "2099-03-01T12:00:00Z", "end": "2099-03-01T12:30:00Z"}},
        {"timing": {"start": "2099-03-01T12:00:00", "end": "2099-03-01T12:15:00"}},
        {"curve": []},
        {"curve": [{"value": 5}]},
        {"curve": [{"value": "5"}]},
        {"curve": [{"value": "5.0", "price": 1}]},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"watts": 5},
    ],
)
async def test_a_bid_that_the_platform_would_refuse_is_refused(
    ask: Ask, changes: dict[str, Any]
) -> None:
    assert (await ask("POST", f"resources/{BATTERY_ID}/bid", bid(**changes)))[0] == 400


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 201),
        ({"values": [1.5]}, 400),
        ({"values": []}, 400),
        ({"values": ["1.5"] * 193}, 400),
        ({"start": "2099-03-01T12:00:00Z"}, 400),
        ({"start": "2026-03-01T12:00:00Z"}, 400),
        ({"start": 5}, 400),
        ({"watts": [1]}, 400),
    ],
)
async def test_a_baseline_has_to_be_one(ask: Ask, changes: dict[str, Any], status: int) -> None:
    body = {"start": quarter().isoformat(), "values": ["1.5"], **changes}
    assert (await ask("POST", f"resources/{BATTERY_ID}/baseline", body))[0] == status
    assert (await ask("POST", f"sites/{SITE_ID}/baseline", body))[0] == status


async def test_a_baseline_leaves_activated_windows_alone(book: Book, ask: Ask) -> None:
    start = quarter()
    book.activations.append(
        activation(start=start.isoformat(), end=(start + timedelta(minutes=15)).isoformat())
    )
    body = {"start": start.isoformat(), "values": ["1.5"]}
    assert (await ask("POST", f"resources/{BATTERY_ID}/baseline", body))[0] == 409
    body["skip_activated_windows"] = True  # type: ignore[assignment]
    assert (await ask("POST", f"resources/{BATTERY_ID}/baseline", body))[0] == 201


async def test_nothing_is_told_without_the_login_or_about_others(book: Book, ask: Ask) -> None:
    assert (await ask("GET", "sites", secret="wrong"))[0] == 401
    assert (await ask("GET", "resources/other/activations"))[0] == 404
    assert (await ask("POST", "resources/other/bid", bid()))[0] == 404
    assert (await ask("POST", "resources/other/baseline", {}))[0] == 404
    assert (await ask("GET", "resources?site_id=other"))[0] == 404
    assert (await ask("GET", "bids?status=expired"))[0] == 400
    assert (await ask("GET", "sites?page=0"))[0] == 400
    assert (await ask("GET", "sites?page=one"))[0] == 400
    book.fails = True
    assert (await ask("GET", "sites"))[0] == 500
