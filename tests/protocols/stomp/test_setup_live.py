"""Live datum, as newer setup servers stream them."""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
import json
from math import inf
from unittest.mock import patch

import pytest

from custom_components.grid_telemetry.protocols.stomp.server import StompServer, live_datum as live
from custom_components.grid_telemetry.vocabulary.datum import Datum

from .setup_client import SetupClient
from .setup_house import House

pytestmark = pytest.mark.usefixtures("socket_enabled")

AT = datetime(2026, 11, 21, 6, 0, 0, 123_000, tzinfo=UTC)
DATUM = Datum(
    created=AT,
    source_id="M",
    instantaneous={"watts": -1520, "current": 6.4, "t": 1, "odd": inf},
    accumulating={"wattHours": 100},
    status={"opState": 1},
)


@pytest.fixture(autouse=True)
def quick() -> Generator[None]:
    """Have time pass a hundred times as fast."""
    with (
        patch.object(live, "_POLL_S", 0.01),
        patch.object(live, "_WAIT_S", 0.15),
        patch.object(live, "_DURATION_S", 9.0),
        patch.object(live, "_STALE_S", 0.3),
        patch.object(live, "_STALE_INTERVALS", 0.03),
        patch.object(live, "_EARLY", 0.008),
    ):
        yield


async def follow(user: SetupClient, subscription: str = "live", **headers: str) -> None:
    given = {"source-id": "M", **{name.replace("_", "-"): text for name, text in headers.items()}}
    user.send("SUBSCRIBE", {"id": subscription, "destination": "/setup/datum/live", **given})


async def test_the_latest_datum_comes_at_once(house: House, user: SetupClient) -> None:
    house.datum["M"] = DATUM
    await follow(user, receipt="r")
    assert (await user.read()).headers["receipt-id"] == "r"
    await user.read()
    assert user.raw.endswith(
        b"MESSAGE\ndestination:/setup/datum/live\nsource-id:M\nstatus:200\nsubscription:live\n"
        b"message-id:0\ncontent-type:application/json;charset=utf-8\ncontent-length:80\n\n"
        b'{"t":1795240800123,"watts":-1520,"current":6.4,"odd":"Infinity","wattHours":100}\0'
    )


async def test_newer_datum_follow(house: House, user: SetupClient) -> None:
    house.datum["M"] = DATUM
    await follow(user, properties="wattHours, opState,none")
    assert json.loads((await user.read()).body) == {
        "t": 1795240800123,
        "wattHours": 100,
        "opState": 1,
    }
    house.datum["M"] = Datum(
        created=AT + timedelta(seconds=1), source_id="M", accumulating={"wattHours": 101}
    )
    assert json.loads((await user.read()).body) == {"t": 1795240801123, "wattHours": 101}


async def test_between_datum_lies_the_interval(house: House, user: SetupClient) -> None:
    house.datum["M"] = DATUM
    await follow(user, interval="60000")
    began = asyncio.get_running_loop().time()
    await user.read()
    house.datum["M"] = Datum(created=AT + timedelta(seconds=1), source_id="M")
    await user.read()
    assert asyncio.get_running_loop().time() - began >= 0.48


async def status(user: SetupClient) -> tuple[str, str]:
    """Return status and subscription of a message about a stream."""
    message = await user.read()
    assert (message.command, message.body) == ("MESSAGE", b"")
    assert message.headers["destination"] == "/setup/datum/live"
    assert message.headers["message"]
    return message.headers["status"], message.headers["subscription"]


async def test_a_source_without_datum_is_told(user: SetupClient) -> None:
    await follow(user)
    assert await status(user) == ("404", "live")
    await follow(user)
    assert await status(user) == ("404", "live")


async def test_a_source_that_falls_silent_is_told_once(house: House, user: SetupClient) -> None:
    house.datum["M"] = DATUM
    await follow(user)
    await user.read()
    assert await status(user) == ("503", "live")
    house.datum["M"] = Datum(created=AT + timedelta(seconds=9), source_id="M")
    assert (await user.read()).headers["status"] == "200"


async def test_a_stream_ends_after_a_quarter_of_an_hour(house: House, user: SetupClient) -> None:
    house.datum["M"] = DATUM
    with patch.object(live, "_DURATION_S", 0.1):
        await follow(user)
        await user.read()
        assert await status(user) == ("410", "live")


@pytest.mark.parametrize(
    "headers",
    [
        {"source_id": ""},
        {"interval": "soon"},
        {"interval": "-1"},
        {"interval": "9" * 400},
        {"properties": ",".join(str(number) for number in range(33))},
    ],
)
async def test_what_cannot_be_followed_is_told(user: SetupClient, headers: dict[str, str]) -> None:
    await follow(user, **headers)
    assert await status(user) == ("422", "live")


async def test_an_id_that_is_in_use_ends_its_stream(house: House, user: SetupClient) -> None:
    house.datum["M"] = DATUM
    await follow(user)
    await user.read()
    await follow(user)
    assert await status(user) == ("422", "live")
    house.answers(200)
    house.datum["M"] = Datum(created=AT + timedelta(seconds=9), source_id="M")
    await asyncio.sleep(0.1)
    assert (await user.ask("/x")).headers["destination"] == "/x"


async def test_there_are_two_streams_of_a_client_and_four_in_all(
    house: House, server: StompServer, user: SetupClient
) -> None:
    house.datum["M"] = DATUM
    others = [await SetupClient.log_in(server.port) for _ in range(2)]
    for client in (user, others[0]):
        for subscription in ("1", "2"):
            await follow(client, subscription)
            assert (await client.read()).headers["status"] == "200"
    await follow(user, "3")
    assert await status(user) == ("429", "3")
    await follow(others[1], "1")
    assert await status(others[1]) == ("429", "1")
    user.send("UNSUBSCRIBE", {"id": "1", "receipt": "out"})
    assert (await user.read()).command == "RECEIPT"
    await follow(others[1], "1")
    assert (await others[1].read()).headers["status"] == "200"
    for client in others:
        await client.close()


async def test_a_stream_that_breaks_off_is_told_and_gives_its_place_back(
    house: House, user: SetupClient, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        created = DATUM.created

        def select(self, _: object) -> dict[str, float]:
            raise RuntimeError("no such unit")

    house.datum["broken"] = Broken()  # type: ignore[assignment]
    house.datum["M"] = DATUM
    for _ in range(3):
        user.send(
            "SUBSCRIBE", {"id": "1", "destination": "/setup/datum/live", "source-id": "broken"}
        )
        told = await user.read()
        assert told.headers["status"] == "503"
        assert told.headers["message"] == "The datum of this source broke off."
    assert "no such unit" in caplog.text
    await follow(user)
    assert (await user.read()).headers["status"] == "200"


async def test_streams_end_with_their_client(
    house: House, server: StompServer, user: SetupClient
) -> None:
    house.datum["M"] = DATUM
    await follow(user)
    await user.read()
    assert server.streams() == 1
    user.send("DISCONNECT")
    await user.closed()
    async with asyncio.timeout(10):
        while server.clients:
            await asyncio.sleep(0.01)
    assert server.streams() == 0


async def test_streams_are_told_of_the_end_of_the_server(
    house: House, server: StompServer, user: SetupClient
) -> None:
    house.datum["M"] = DATUM
    await follow(user)
    await user.read()
    await server.stop()
    assert await status(user) == ("503", "live")
    await user.closed()


async def test_live_datum_are_for_who_asked_only(house: House, user: SetupClient) -> None:
    house.answers(200)
    house.datum["M"] = DATUM
    user.send("SUBSCRIBE", {"id": "all", "destination": "/setup/**"})
    await follow(user)
    assert (await user.read()).headers["subscription"] == "live"
    user.send("SEND", {"destination": "/x"})
    assert (await user.read()).headers["destination"] == "/x"


async def test_who_does_not_read_gets_no_live_datum(
    house: House, server: StompServer, user: SetupClient
) -> None:
    house.datum["M"] = DATUM
    house.answers(200, result="x" * 8_000_000)
    user.send("SEND", {"destination": "/x"})
    async with asyncio.timeout(10):
        while not server.health.commands:
            await asyncio.sleep(0.01)
    await follow(user)
    await asyncio.sleep(0.1)
    assert len((await user.read()).body) > 8_000_000
    assert json.loads((await user.read()).body)["watts"] == -1520
