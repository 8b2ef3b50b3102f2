"""The client against Scout's stand-in and against RabbitMQ."""

import asyncio
import json

import aiohttp
import pytest

from custom_components.grid_telemetry.protocols.stomp.client import connect
from custom_components.grid_telemetry.protocols.stomp.errors import (
    StompAuthenticationError,
    StompConnectionLost,
    StompDestinationError,
    StompHostError,
    StompTransportError,
    TransportFailure,
)
from simulators.scout import ScoutServer
from tests.fixtures.scout import (
    CLAIM_ID,
    HEADERS,
    METRICS,
    TOKEN,
    Platform,
    connected,
    metric,
    parameters,
    send_without_end,
)

NO_EVENT_S = 4.0  # RabbitMQ looks for the beats of a client every second, and misses two


async def test_a_message_is_confirmed_and_there(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    async with connected(session, platform.url) as connection:
        receipt = await connection.send(METRICS, HEADERS, metric(1))
        await receipt
        await platform.ledger.wait_for(lambda: platform.ledger.messages == 1, 5)
    assert [(item.device, item.code, item.value) for item in platform.ledger.metrics] == [
        ("MAIN", "V_AN", 1.5)
    ]
    assert not platform.ledger.refusals


async def test_the_server_is_known(platform: Platform, session: aiohttp.ClientSession) -> None:
    async with connected(session, platform.url) as connection:
        assert connection.server.startswith("RabbitMQ/3.")
        assert connection.version == "1.2"
        assert connection.is_open


async def test_headers_and_body_arrive_as_they_were_sent(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    body = json.dumps(
        {"gateway_attributes": {"HW_MODEL": "a:b\\c\n✓ \u2028"}}, ensure_ascii=False
    ).encode()
    headers = HEADERS | {"myc-message-type": "ATTRIBUTE", "myc-serial-number": "a:b\\c"}
    destination = f"/exchange/attributes/gateways.{CLAIM_ID}"
    async with connected(session, platform.url) as connection:
        await (await connection.send(destination, headers, body))
        await platform.ledger.wait_for(lambda: bool(platform.ledger.attributes), 5)
    assert platform.ledger.attributes[0].gateway == {"HW_MODEL": "a:b\\c\n✓ \u2028"}


async def test_more_messages_than_fit_unconfirmed_are_all_confirmed(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    async with connected(session, platform.url) as connection:
        receipts = [await connection.send(METRICS, HEADERS, metric(n)) for n in range(600)]
        await asyncio.gather(*receipts)
        await platform.ledger.wait_for(lambda: platform.ledger.messages == 600, 10)
    assert sorted(item.value for item in platform.ledger.metrics) == [n + 0.5 for n in range(600)]
    assert platform.ledger.duplicates == 0


async def test_closing_waits_for_receipts_and_is_no_failure(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    connection = await connect(session, platform.parameters())
    receipts = [await connection.send(METRICS, HEADERS, metric(n)) for n in range(50)]
    await connection.close()
    assert all(receipt.done() and receipt.exception() is None for receipt in receipts)
    assert await connection.wait_closed() is None
    assert not connection.is_open
    await connection.close()
    with pytest.raises(StompConnectionLost):
        await connection.send(METRICS, HEADERS, metric(1))


async def test_an_idle_connection_stays_open_by_its_beats(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    async with connected(session, platform.url, heartbeat_s=1.0) as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(NO_EVENT_S):
                await connection.wait_closed()
        await (await connection.send(METRICS, HEADERS, metric(1)))


@pytest.mark.parametrize("changes", [{"passcode": "wrong"}, {"login": "nobody"}])
async def test_wrong_credentials_are_told(
    platform: Platform, session: aiohttp.ClientSession, changes: dict[str, str]
) -> None:
    with pytest.raises(StompAuthenticationError) as caught:
        await connect(session, platform.parameters(**changes))
    user = changes.get("login", CLAIM_ID)
    assert str(caught.value) == f"Bad CONNECT: Access refused for user '{user}'"


async def test_a_wrong_host_is_told(platform: Platform, session: aiohttp.ClientSession) -> None:
    with pytest.raises(StompHostError) as caught:
        await connect(session, platform.parameters(host="other"))
    assert str(caught.value) == "Bad CONNECT: Virtual host 'other' access denied"


async def test_a_colon_and_a_backslash_in_a_login_arrive(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(StompAuthenticationError) as caught:
        await connect(session, platform.parameters(login="a:b\\n"))
    assert caught.value.body == "Access refused for user 'a:b\\n'"


async def test_a_wrong_path_is_told_by_its_http_status(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(StompTransportError) as caught:
        await connect(session, parameters(platform.url.removesuffix("/stomp")))
    assert (caught.value.kind, caught.value.status) == (TransportFailure.HTTP_STATUS, 404)


@pytest.mark.parametrize("exchange", ["missing", "amq.topic"])
async def test_an_exchange_that_is_missing_or_forbidden_ends_the_connection(
    platform: Platform, session: aiohttp.ClientSession, exchange: str
) -> None:
    async with connected(session, platform.url) as connection:
        receipt = await connection.send(f"/exchange/{exchange}/x", HEADERS, metric(1))
        with pytest.raises((StompDestinationError, StompConnectionLost)) as caught:
            await receipt
        assert await connection.wait_closed() is caught.value
    if isinstance(caught.value, StompConnectionLost):  # RabbitMQ 3.10 says no more
        assert (caught.value.code, caught.value.reason) == (1000, "STOMP died")
    else:
        assert caught.value.message in {"not_found", "access_refused"}


@pytest.mark.parametrize("destination", ["/nowhere/x", "/exchange/metrics/a/b"])
async def test_a_destination_that_is_none_ends_the_connection(
    platform: Platform, session: aiohttp.ClientSession, destination: str
) -> None:
    async with connected(session, platform.url) as connection:
        receipts = [
            await connection.send(destination, HEADERS, metric(1)),
            await connection.send(METRICS, HEADERS, metric(2)),
        ]
        reason = await connection.wait_closed()
        assert isinstance(reason, StompDestinationError)
        assert reason.message in {"Unknown destination", "Invalid destination"}
        assert "is not a valid" in reason.body
        assert receipts[0].exception() is reason


async def test_headers_that_stomp_cannot_carry_leave_the_connection_alone(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    async with connected(session, platform.url) as connection:
        with pytest.raises(ValueError, match="cannot carry"):
            await connection.send(METRICS, HEADERS | {"x": "\0"}, metric(1))
        with pytest.raises(UnicodeDecodeError):
            await connection.send(METRICS, HEADERS, b"\xff")
        await (await connection.send(METRICS, HEADERS, metric(1)))


@pytest.mark.parametrize(
    "changes",
    [
        {"receipt_delay_s": 0.1},
        {"receipt_batch": 7},
        {"receipt_batch": 7, "receipts_reversed": True},
        {"receipt_batch": 50, "receipt_delay_s": 0.05, "receipts_reversed": True},
    ],
)
async def test_receipts_may_come_late_in_batches_and_in_any_order(
    scout: ScoutServer, session: aiohttp.ClientSession, changes: dict[str, float]
) -> None:
    for name, value in changes.items():
        setattr(scout.behaviour, name, value)
    async with connected(session, scout.url) as connection:
        receipts = [await connection.send(METRICS, HEADERS, metric(n)) for n in range(45)]
        await asyncio.gather(*receipts)
    assert scout.messages == 45


async def test_a_receipt_confirms_its_own_message_only(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    async with connected(session, scout.url) as connection:
        scout.behaviour.receipts_withheld = True
        first = await connection.send(METRICS, HEADERS, metric(1))
        await scout.wait_for(lambda: scout.messages == 1, 5)
        scout.behaviour.receipts_withheld = False
        scout._sessions.copy().pop()._receipts.clear()
        await (await connection.send(METRICS, HEADERS, metric(2)))
        assert not first.done()


async def test_a_drop_before_the_receipt_fails_what_is_not_confirmed(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.drop_after = 3
    async with connected(session, scout.url) as connection:
        receipts = [await connection.send(METRICS, HEADERS, metric(n)) for n in range(3)]
        reason = await connection.wait_closed()
        assert isinstance(reason, StompConnectionLost)
        assert [receipt.exception() for receipt in receipts] == [None, None, reason]
    assert scout.messages == 3


async def test_a_restart_of_the_server_ends_the_connection_and_the_next_one_works(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    async with connected(session, scout.url) as connection:
        await scout.restart()
        assert isinstance(await connection.wait_closed(), StompConnectionLost)
    async with connected(session, scout.url) as connection:
        await (await connection.send(METRICS, HEADERS, metric(1)))
    assert scout.messages == 1


async def test_a_silent_server_is_given_up(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.silent = True
    async with connected(session, scout.url, heartbeat_s=0.1) as connection:
        async with asyncio.timeout(5):
            reason = await connection.wait_closed()
        assert str(reason) == "the server was silent for 0.2 s"
        await scout.wait_for(lambda: not scout.connections, 5)


async def test_a_server_that_does_not_read_stalls_the_sender_and_is_given_up(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    async with connected(session, scout.url, heartbeat_s=0.2) as connection:
        scout.stop_reading()
        async with asyncio.timeout(10):
            with pytest.raises(StompConnectionLost, match="did not read"):
                await send_without_end(connection)
        assert not connection.is_open
        with pytest.raises(StompConnectionLost, match="did not read"):
            await connection.send(METRICS, HEADERS, b"x")


async def test_a_server_that_confirms_nothing_is_given_up(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.receipts_withheld = True
    async with connected(session, scout.url, heartbeat_s=0.5) as connection:
        receipts = [await connection.send(METRICS, HEADERS, metric(n)) for n in range(200)]
        with pytest.raises(StompConnectionLost, match=r"no receipt for 1\.5 s"):
            await connection.send(METRICS, HEADERS, metric(200))
        await connection.wait_closed()
        assert all(isinstance(each.exception(), StompConnectionLost) for each in receipts)


async def test_a_sender_that_waits_for_a_receipt_learns_of_the_end(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.receipts_withheld = True
    async with connected(session, scout.url) as connection:
        for n in range(200):
            await connection.send(METRICS, HEADERS, metric(n))
        sender = asyncio.create_task(connection.send(METRICS, HEADERS, metric(200)))
        await scout.wait_for(lambda: scout.messages == 200, 5)
        scout.drop_connections()
        with pytest.raises(StompConnectionLost):
            await sender


async def test_a_sender_goes_on_with_the_first_receipt(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.receipts_withheld = True
    async with connected(session, scout.url) as connection:
        for n in range(200):
            await connection.send(METRICS, HEADERS, metric(n))
        sender = asyncio.create_task(connection.send(METRICS, HEADERS, metric(200)))
        await scout.wait_for(lambda: scout.messages == 200, 5)
        assert not sender.done()
        await scout.release_receipts()
        await (await sender)
    assert scout.messages == 201


async def test_closing_gives_up_on_receipts_that_do_not_come(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.receipts_withheld = True
    connection = await connect(session, parameters(scout.url))
    receipt = await connection.send(METRICS, HEADERS, metric(1))
    async with asyncio.timeout(3):
        await connection.close()
    with pytest.raises(StompConnectionLost):
        await receipt
    assert await connection.wait_closed() is None


async def test_a_connection_that_is_cut_while_closing_is_closed(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.receipts_withheld = True
    connection = await connect(session, parameters(scout.url))
    receipt = await connection.send(METRICS, HEADERS, metric(1))
    closing = asyncio.create_task(connection.close())
    await scout.wait_for(lambda: scout.messages == 1, 5)
    scout.drop_connections()
    await closing
    assert isinstance(receipt.exception(), StompConnectionLost)
    assert await connection.wait_closed() is None


@pytest.mark.parametrize("end", ["receipt", "drop"])
async def test_nobody_needs_to_wait_for_a_receipt(
    scout: ScoutServer, session: aiohttp.ClientSession, end: str
) -> None:
    scout.behaviour.receipts_withheld = True
    async with connected(session, scout.url) as connection:
        (await connection.send(METRICS, HEADERS, metric(1))).cancel()
        await scout.wait_for(lambda: scout.messages == 1, 5)
        if end == "receipt":
            await scout.release_receipts()
            await (await connection.send(METRICS, HEADERS, metric(2)))
        else:
            scout.drop_connections()
            assert isinstance(await connection.wait_closed(), StompConnectionLost)


async def test_closing_while_the_server_does_not_read_is_bounded_and_leaves_nothing(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    connection = await connect(session, parameters(scout.url))
    scout.stop_reading()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send_without_end(connection), 0.3)
    async with asyncio.timeout(5):
        await connection.close()
    scout.resume_reading()
    await scout.wait_for(lambda: not scout.connections, 5)


async def test_closing_that_is_cancelled_still_ends_everything(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.receipts_withheld = True
    connection = await connect(session, parameters(scout.url))
    await connection.send(METRICS, HEADERS, metric(1))
    closing = asyncio.create_task(connection.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await scout.wait_for(lambda: not scout.connections, 5)
    assert await connection.wait_closed() is None


async def test_waiting_for_the_end_can_be_cancelled(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    async with connected(session, scout.url) as connection:
        waiting = asyncio.create_task(connection.wait_closed())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        await (await connection.send(METRICS, HEADERS, metric(1)))


async def test_secrets_do_not_show(
    platform: Platform, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "custom_components.grid_telemetry")
    secret = "hush-hush"
    wrong = platform.parameters(passcode=secret)
    with pytest.raises(StompAuthenticationError) as caught:
        await connect(session, wrong)
    async with connected(session, platform.url) as connection:
        await (await connection.send(METRICS, HEADERS, metric(1)))
    shown = f"{wrong!r} {caught.value!r} {caught.value} {caught.value.args} {caplog.text}"
    assert secret not in shown
    assert TOKEN not in repr(platform.parameters())
