"""Guesses are slowed down, and a log-in that was overheard is good for nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
import json
import logging

import pytest

from custom_components.grid_telemetry.protocols.stomp.server import Guard, StompServer

from .setup_client import LOGIN, SetupClient, login_headers
from .setup_house import House, Start

HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.2")
NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def fail(guard: Guard, times: int, now: float = 0.0) -> float:
    for _ in range(times):
        guard.failed(HERE, known_login=True, now=now)
    return guard.delay_s(HERE, known_login=True, now=now)


def test_the_delay_grows_and_ends_at_five_seconds() -> None:
    guard = Guard()
    assert guard.delay_s(HERE, known_login=True, now=0.0) == 0
    assert [fail(guard, 1) for _ in range(5)] == [1, 2, 4, 5, 5]
    assert fail(guard, 100_000) == 5


def test_the_delay_passes() -> None:
    guard = Guard()
    fail(guard, 3)
    assert guard.delay_s(HERE, known_login=True, now=3.0) == 1
    assert guard.delay_s(HERE, known_login=True, now=60.0) == 0


def test_the_delay_is_for_one_address_and_one_login() -> None:
    guard = Guard()
    fail(guard, 9)
    assert guard.delay_s(THERE, known_login=True, now=0.0) == 0
    assert guard.delay_s(HERE, known_login=False, now=0.0) == 0


def test_hosts_of_one_ipv6_network_are_one() -> None:
    guard = Guard()
    guard.failed(ip_address("2001:db8:1:2::3"), known_login=True, now=0.0)
    assert guard.delay_s(ip_address("2001:db8:1:2:ffff::1"), known_login=True, now=0.0) > 0
    assert guard.delay_s(ip_address("2001:db8:1:3::3"), known_login=True, now=0.0) == 0


def test_failures_are_forgotten() -> None:
    guard = Guard()
    assert guard.failed(HERE, known_login=True, now=0.0)
    assert not guard.failed(HERE, known_login=True, now=1.0)
    assert guard.failed(HERE, known_login=True, now=700.0)
    assert guard.delay_s(HERE, known_login=True, now=700.0) == 1


def test_no_more_than_so_many_places_are_remembered() -> None:
    guard = Guard()
    for number in range(10_000):
        guard.failed(ip_address(number), known_login=True, now=0.0)
    assert len(guard._failures) == 4096


def test_a_signature_may_come_again_only_at_once() -> None:
    guard = Guard()
    assert not guard.is_replay("a", NOW, NOW, HERE)
    assert not guard.is_replay("a", NOW, NOW + timedelta(seconds=2), HERE)
    assert guard.is_replay("a", NOW, NOW + timedelta(seconds=2.1), HERE)
    assert not guard.is_replay("b", NOW, NOW + timedelta(seconds=100), HERE)


def test_a_signature_comes_again_from_the_same_address_only() -> None:
    guard = Guard()
    assert not guard.is_replay("a", NOW, NOW, HERE)
    assert guard.is_replay("a", NOW, NOW, THERE)
    assert not guard.is_replay("a", NOW, NOW, HERE)


def test_a_date_of_the_future_makes_no_difference() -> None:
    guard = Guard()
    date = NOW + timedelta(seconds=200)
    assert not guard.is_replay("a", date, NOW, HERE)
    assert guard.is_replay("a", date, NOW + timedelta(seconds=3), HERE)


def test_signatures_are_forgotten_once_they_are_too_old_anyway() -> None:
    guard = Guard()
    guard.is_replay("a", NOW, NOW, HERE)
    guard.is_replay("b", NOW, NOW + timedelta(seconds=301), HERE)
    assert len(guard.seen()) == 1


def test_signatures_are_remembered_over_a_restart() -> None:
    told: list[bool] = []
    guard = Guard(lambda: told.append(True))
    guard.is_replay("a", NOW, NOW, HERE)
    guard.is_replay("a", NOW, NOW, HERE)
    assert told == [True]
    again = Guard()
    again.remember(json.loads(json.dumps(guard.seen())))
    assert again.is_replay("a", NOW, NOW + timedelta(seconds=9), HERE)
    assert "a" not in guard.seen()


pytestmark = pytest.mark.usefixtures("socket_enabled")


async def guess(server: StompServer, source: str | None = None) -> float:
    """Try a wrong password; return how long the answer took."""
    began = asyncio.get_running_loop().time()
    client = await SetupClient.connect(server.port, source=source)
    client.send("CONNECT", {"login": LOGIN})
    await client.read()
    client.send("SEND", login_headers("$2a$04$another"))
    assert await client.error() == "Authorization deined: invalid signature."
    return asyncio.get_running_loop().time() - began


async def test_guesses_wait_and_others_do_not(
    server: StompServer, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    house.answers(200)
    await guess(server, "127.0.0.2")
    assert await guess(server, "127.0.0.2") >= 0.9
    began = asyncio.get_running_loop().time()
    guesser = asyncio.create_task(guess(server, "127.0.0.2"))
    client = await SetupClient.log_in(server.port)
    assert (await client.ask("/x")).headers["status"] == "200"
    assert not guesser.done()
    await client.close()
    await guesser
    assert asyncio.get_running_loop().time() - began >= 1.5
    (record,) = caplog.records
    assert record.message == "Wrong password in a setup client's log-in from 127.0.0.2"


async def test_unknown_logins_wait_too(server: StompServer) -> None:
    for login in ("a", "b"):
        client = await SetupClient.connect(server.port)
        client.send("CONNECT", {"login": login})
        assert await client.error() == "Unauthorized."
    assert server.guard.delay_s(
        ip_address("127.0.0.1"), known_login=False, now=asyncio.get_running_loop().time()
    )


async def test_who_guesses_does_not_keep_the_right_one_out(
    server: StompServer, house: House
) -> None:
    house.answers(200)
    stop = asyncio.Event()

    async def guess_on() -> None:
        while not stop.is_set():
            await guess(server)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(guess_on())
        await asyncio.sleep(0.5)
        client = await SetupClient.log_in(server.port)
        assert (await client.ask("/x")).headers["status"] == "200"
        stop.set()
    await client.close()


async def test_a_log_in_that_was_overheard_is_refused(start: Start) -> None:
    server = await start()
    headers = login_headers(at=datetime.now(UTC) - timedelta(seconds=3))

    async def use() -> SetupClient:
        client = await SetupClient.connect(server.port)
        client.send("CONNECT", {"login": LOGIN})
        await client.read()
        client.send("SEND", headers)
        return client

    first = await use()
    first.send("SUBSCRIBE", {"id": "0", "destination": "/x", "receipt": "in"})
    assert (await first.read()).command == "RECEIPT"
    assert await (await use()).error() == "Authorization deined: invalid signature."
    await first.close()


async def test_two_log_ins_within_a_second_look_alike(server: StompServer) -> None:
    clients = [await SetupClient.log_in(server.port) for _ in range(3)]
    for client in clients:
        await client.close()
