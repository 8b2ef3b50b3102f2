from datetime import UTC, datetime
import re
import ssl
from unittest.mock import Mock, patch
from urllib.parse import unquote

import aiohttp
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
import pytest
from pytest_homeassistant_custom_component.test_util.aiohttp import AiohttpClientMocker

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    LinkError,
)
from custom_components.grid_telemetry.links.powernaut.api import (
    Forbidden,
    PowernautApi,
    RateLimited,
    RequestRefused,
)

from .conftest import API, FakeApi
from .samples import BATTERY_ID, SITE_ID, activation, bid, listed, site
from .schemas import ERROR

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def client(hass: HomeAssistant, api: FakeApi) -> PowernautApi:
    return PowernautApi(
        async_get_clientsession(hass),
        "https://api.powernaut.io/",
        key="key",
        secret="sécret",
        context=ssl.create_default_context(),
    )


async def test_the_login_goes_along_as_basic_auth(
    client: PowernautApi, aioclient_mock: AiohttpClientMocker
) -> None:
    await client.sites()
    headers = aioclient_mock.mock_calls[-1][3]
    assert headers == {"Authorization": "Basic a2V5OnPDqWNyZXQ="}


async def test_every_page_of_a_list_is_fetched(client: PowernautApi, api: FakeApi) -> None:
    api.answer("GET", "sites", listed(site(), total=3))
    assert len(await client.sites()) == 3
    assert [url.partition("?")[2] for _, url, _ in api.requests] == [
        f"page={number}&page_size=100" for number in (1, 2, 3)
    ]


async def test_a_list_that_says_to_be_longer_than_it_is_ends(
    client: PowernautApi, api: FakeApi
) -> None:
    api.answer("GET", "bids", listed(total=5))
    assert await client.bids(None) == []


async def test_a_list_that_is_too_long_is_told_and_not_cut(
    client: PowernautApi, api: FakeApi
) -> None:
    api.answer("GET", "bids", listed(bid(), total=1_000_000))
    with (
        patch(f"{PowernautApi.__module__}._MAX_PAGES", 3),
        pytest.raises(ConnectionFailed) as raised,
    ):
        await client.bids("accepted")
    assert (raised.value.reason, raised.value.detail) == (
        "unexpected_answer",
        "bids: 1000000 items",
    )
    assert len(api.requests) == 3


async def test_resources_are_asked_for_by_their_site(client: PowernautApi, api: FakeApi) -> None:
    assert [resource.name for resource in await client.resources(SITE_ID)] == [
        "Home battery",
        "Solar panels",
    ]
    assert api.requests[-1][1] == f"{API}/resources?site_id={SITE_ID}"


async def test_activations_may_be_of_a_period(client: PowernautApi, api: FakeApi) -> None:
    api.answer("GET", f"resources/{BATTERY_ID}/activations", listed(activation()))
    found = await client.activations(BATTERY_ID, NOON, None)
    assert [item["watts"] for item in found] == [-2500]
    assert "start=2026-03-01T12:00:00Z&page=1" in api.requests[-1][1].replace("%3A", ":")
    assert "end=" not in api.requests[-1][1]


async def test_a_bid_is_placed_listed_and_cancelled(client: PowernautApi, api: FakeApi) -> None:
    api.answer("POST", f"resources/{BATTERY_ID}/bid", bid(), status=201)
    api.answer("GET", "bids", listed(bid()))
    api.answer("DELETE", "bids/one", status=204)
    assert (await client.place_bid(BATTERY_ID, {"x": 1}))["status"] == "open"
    assert api.requests[-1][2] == {"x": 1}
    assert len(await client.bids("open")) == 1
    assert "status=open" in api.requests[-1][1]
    await client.cancel_bid("one")


async def test_a_baseline_is_answered_by_nothing(client: PowernautApi, api: FakeApi) -> None:
    api.answer("POST", f"sites/{SITE_ID}/baseline", status=201)
    await client.set_baseline("sites", SITE_ID, {"values": []})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, CredentialsRefused("invalid_auth")),
        (429, RateLimited("", 1)),
        (302, ConnectionFailed("server_error")),
        (500, ConnectionFailed("server_error")),
        (503, ConnectionFailed("server_error")),
    ],
)
async def test_a_status_says_what_went_wrong(
    client: PowernautApi, api: FakeApi, status: int, error: LinkError
) -> None:
    api.answer("GET", "sites", status=status)
    with pytest.raises(LinkError) as failure:
        await client.sites()
    assert (type(failure.value), failure.value.reason) == (type(error), error.reason)


async def test_what_is_forbidden_is_no_wrong_password(client: PowernautApi, api: FakeApi) -> None:
    answer = ERROR({"message": "forecasting is off", "error": "Forbidden", "status_code": 403})
    api.answer("GET", "sites", answer, status=403)
    with pytest.raises(Forbidden) as refusal:
        await client.sites()
    assert (refusal.value.status, refusal.value.message) == (403, "forecasting is off")


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("120", 120),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 1),
        ("0", 1),
        ("1000000", 3600),
        ("soon", 60),
        (None, 60),
    ],
)
async def test_a_platform_that_wants_fewer_requests_gets_none_for_so_long(
    client: PowernautApi,
    api: FakeApi,
    freezer: FrozenDateTimeFactory,
    header: str | None,
    wait_s: int,
) -> None:
    freezer.move_to("2026-03-01T12:00:00Z")
    api.answer("GET", "sites", status=429)
    api.headers = {} if header is None else {"Retry-After": header}
    with pytest.raises(RateLimited) as limit:
        await client.sites()
    assert limit.value.retry_after_s == wait_s
    api.answer("GET", "sites", listed(site()))
    count = len(api.requests)
    with pytest.raises(RateLimited):
        await client.sites()
    freezer.tick(wait_s - 0.5)
    with pytest.raises(RateLimited, match="another 1 s"):
        await client.resources(SITE_ID)
    assert len(api.requests) == count
    freezer.tick(1)
    assert len(await client.sites()) == 1


@pytest.mark.parametrize(
    "identifier", ["../resources/x", "a/b", "x?y=1", "x#y", "%2e%2e", "x\r\nHost: y"]
)
async def test_no_id_leaves_its_place_in_the_path(
    client: PowernautApi, aioclient_mock: AiohttpClientMocker, identifier: str
) -> None:
    aioclient_mock.clear_requests()
    aioclient_mock.delete(re.compile(".*"), status=204)
    aioclient_mock.post(re.compile(".*"), status=201)
    await client.cancel_bid(identifier)
    await client.set_baseline("resources", identifier, {})
    for (_, url, _, _), depth in zip(aioclient_mock.mock_calls, (5, 6), strict=True):
        assert len(url.raw_path.split("/")) == depth
        assert unquote(url.raw_path.split("/")[4]) == identifier
        assert not url.query_string
        assert not url.fragment


@pytest.mark.parametrize("identifier", ["", ".", ".."])
async def test_what_means_another_folder_is_no_id(client: PowernautApi, identifier: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        await client.cancel_bid(identifier)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Bid not found", "Bid not found"),
        (["Invalid datetime", "Invalid page size"], "Invalid datetime; Invalid page size"),
    ],
)
async def test_a_refusal_carries_the_platforms_own_words(
    client: PowernautApi, api: FakeApi, message: str | list[str], told: str
) -> None:
    answer = ERROR({"message": message, "error": "Not Found", "status_code": 404})
    api.answer("DELETE", "bids/one", answer, status=404)
    with pytest.raises(RequestRefused) as refusal:
        await client.cancel_bid("one")
    assert (refusal.value.status, refusal.value.message) == (404, told)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "timeout_connect"),
        (
            aiohttp.ClientConnectorCertificateError(
                None,  # type: ignore[arg-type]
                ssl.SSLCertVerificationError("certificate has expired"),
            ),
            "tls_failed",
        ),
        (aiohttp.ClientConnectorSSLError(Mock(), OSError(1, "wrong version")), "tls_failed"),
        (aiohttp.ClientConnectorDNSError(Mock(), OSError(1, "no such name")), "unknown_server"),
        (aiohttp.ServerDisconnectedError(), "cannot_connect"),
    ],
)
async def test_a_connection_that_fails_is_told_by_its_reason(
    client: PowernautApi, api: FakeApi, error: Exception, reason: str
) -> None:
    api.error = error
    with pytest.raises(ConnectionFailed) as failure:
        await client.sites()
    assert failure.value.reason == reason


@pytest.mark.parametrize("answer", [{"hello": "world"}, {"total": 1, "items": [{"id": 1}]}])
async def test_something_else_at_the_address_is_told(
    client: PowernautApi, api: FakeApi, answer: dict[str, object]
) -> None:
    for path in ("sites", "resources", "bids"):
        api.answer("GET", path, answer)
    for request in (client.resources(SITE_ID), client.bids(None)):
        with pytest.raises(ConnectionFailed) as failure:
            await request
        assert failure.value.reason == "unexpected_answer"


@pytest.mark.parametrize("ahead_s", [0, 90, -90])
async def test_the_clocks_are_compared(
    client: PowernautApi, api: FakeApi, freezer: FrozenDateTimeFactory, ahead_s: int
) -> None:
    freezer.move_to("2026-03-01T12:00:00.5Z")
    api.clock_ahead_s = -ahead_s
    await client.sites()
    assert client.clock_ahead_s == ahead_s


async def test_without_a_date_nothing_is_known_of_the_clock(
    client: PowernautApi, aioclient_mock: AiohttpClientMocker
) -> None:
    aioclient_mock.clear_requests()
    aioclient_mock.get(f"{API}/sites", json=listed(site()))
    await client.sites()
    assert client.clock_ahead_s is None
