"""The subscriber listens for publishers that dial in."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
import ssl

import pytest

from custom_components.grid_telemetry.protocols.sttp import (
    Dialing,
    Measurement,
    PublisherListener,
    Subscriber,
    SubscriberParameters,
    Target,
)
from custom_components.grid_telemetry.protocols.sttp.constants import ServerCommand, ServerResponse
from custom_components.grid_telemetry.protocols.sttp.frames import NOOP, response
from custom_components.grid_telemetry.protocols.sttp.waiting import WaitingLimits

from .conftest import Serve
from .samples import ALL, frame, metadata
from .test_tls import certificate, client, server

__all__ = ["certificate", "client", "server"]

TIMEOUT_S = 10.0
PARAMETERS = SubscriberParameters(host="", filter_expression=ALL)
MODES = ServerCommand.DEFINE_OPERATIONAL_MODES

type Listen = Callable[..., Awaitable[PublisherListener]]


@pytest.fixture
async def listen(socket_enabled: None) -> AsyncGenerator[Listen]:
    """Return a function that listens for publishers."""
    async with AsyncExitStack() as stack:

        async def start(**more: object) -> PublisherListener:
            listener = PublisherListener(PARAMETERS.modes, port=0, **more)
            listener.start()
            stack.push_async_callback(listener.stop)
            return listener

        yield start


def to(listener: PublisherListener, **more: object) -> Dialing:
    target = Target(host="127.0.0.1", port=listener.port)
    return Dialing(targets=(target,), first_wait_s=0.01, longest_wait_s=0.02, **more)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.001)


async def next_of(
    listener: PublisherListener,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(TIMEOUT_S):
        return await listener.next()


async def receive(listener: PublisherListener, stack: AsyncExitStack) -> list[Measurement]:
    """Subscribe to the next publisher; what it sends is in the list."""
    got: list[Measurement] = []
    subscribed = asyncio.Event()
    subscriber = Subscriber(
        PARAMETERS, on_measurements=got.extend, on_signals=lambda _: subscribed.set()
    )
    running = asyncio.create_task(subscriber.run(await next_of(listener)))
    stack.callback(running.cancel)
    async with asyncio.timeout(TIMEOUT_S):
        await subscribed.wait()
    return got


async def test_a_publisher_that_dials_in_is_subscribed_to(
    serve: Serve, listen: Listen, stack: AsyncExitStack
) -> None:
    listener = await listen()
    publisher = await serve(dialing=to(listener))
    publisher.define_metadata(metadata(3))
    got = await receive(listener, stack)
    publisher.publish(frame(3))
    await until(lambda: len(got) == 3)


async def test_a_publisher_that_was_lost_dials_in_again(
    serve: Serve, listen: Listen, stack: AsyncExitStack
) -> None:
    listener = await listen()
    publisher = await serve(dialing=to(listener))
    publisher.define_metadata(metadata(1))
    await receive(listener, stack)
    publisher.disconnect(publisher.subscribers()[0].id)
    got = await receive(listener, stack)
    publisher.publish(frame(1))
    await until(lambda: got)


async def test_the_port_is_free_at_once(listen: Listen) -> None:
    listener = await listen()
    port = listener.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await listener.stop()
    again = PublisherListener(PARAMETERS.modes, port=port)
    again.start()
    await again.stop()
    writer.close()
    assert reader is not None


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "is the limit"),
        (b"\x00\x00\x00\x02\x80\x06", "Response cut short"),
        (response(ServerResponse.DATA_PACKET, 0, bytes(20)), "before the operational modes"),
        (response(ServerResponse.FAILED, MODES, b"Version 2 is not known"), "Version 2 is not"),
    ],
)
async def test_who_is_no_publisher_gets_no_turn(
    serve: Serve, listen: Listen, stack: AsyncExitStack, said: bytes, refusal: str
) -> None:
    listener = await listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    stack.callback(writer.close)
    writer.write(said)
    async with asyncio.timeout(TIMEOUT_S):
        with suppress(ConnectionResetError):
            await reader.read()
    assert refusal in (listener.refusals.last_refusal or "")
    publisher = await serve(dialing=to(listener))
    publisher.define_metadata(metadata(1))
    await receive(listener, stack)


async def test_who_says_nothing_holds_up_nobody_and_is_dropped(
    serve: Serve, listen: Listen, stack: AsyncExitStack
) -> None:
    listener = await listen(limits=WaitingLimits(greeting_s=0.2))
    silent = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(20)]
    for _, writer in silent:
        stack.callback(writer.close)
    publisher = await serve(dialing=to(listener))
    publisher.define_metadata(metadata(1))
    await receive(listener, stack)
    await until(lambda: "Nothing came in time" in (listener.refusals.last_refusal or ""))


async def test_a_crowd_does_not_end_the_subscription(
    serve: Serve, listen: Listen, stack: AsyncExitStack
) -> None:
    listener = await listen(limits=WaitingLimits(connections=2, connections_per_address=2))
    publisher = await serve(dialing=to(listener))
    publisher.define_metadata(metadata(1))
    got = await receive(listener, stack)
    for _ in range(10):
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        stack.callback(writer.close)
    await until(lambda: listener.refusals.refused >= 8)
    publisher.publish(frame(1))
    await until(lambda: got)
    assert len(publisher.subscribers()) == 1


async def test_keep_alives_may_come_before_the_answer_and_who_came_last_is_next(
    listen: Listen, stack: AsyncExitStack
) -> None:
    listener = await listen()
    accepted = NOOP + response(ServerResponse.SUCCEEDED, MODES, b"")
    ports = []
    for gone in (False, False, True):
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        stack.callback(writer.close)
        ports.append(writer.get_extra_info("sockname")[1])
        writer.write(accepted)
        await until(lambda: len(listener._arrived) == len(ports))
        if gone:
            writer.close()
            await until(listener._arrived[-1][1][0].at_eof)
    for port in reversed(ports[:2]):
        _, taken = await next_of(listener)
        assert taken.get_extra_info("peername")[1] == port


async def test_only_allowed_networks_may_dial_in(listen: Listen) -> None:
    listener = await listen(allowed_networks=(ip_network("10.0.0.0/8"),))
    _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    await until(lambda: listener.refusals.refused)
    assert listener.refusals.last_refusal == "127.0.0.1: Not in an allowed network"
    writer.close()


@pytest.mark.parametrize("known", [True, False])
async def test_tls_both_ways_and_only_known_certificates(
    serve: Serve,
    listen: Listen,
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    certificate: Path,
    known: bool,
    stack: AsyncExitStack,
) -> None:
    server.load_verify_locations(certificate)
    server.verify_mode = ssl.CERT_REQUIRED
    client.load_cert_chain(certificate)
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text().split("-----BEGIN PRIVATE")[0])
    allowed = frozenset({sha256(der).hexdigest() if known else "00" * 32})
    listener = await listen(tls=server, fingerprints=allowed)
    publisher = await serve(dialing=to(listener, tls=client))
    publisher.define_metadata(metadata(1))
    if known:
        got = await receive(listener, stack)
        publisher.publish(frame(1))
        await until(lambda: got)
        assert publisher.subscribers()[0].address == "127.0.0.1"
    else:
        await until(lambda: "is not allowed" in (listener.refusals.last_refusal or ""))


async def test_a_publisher_without_a_certificate_is_turned_away(
    serve: Serve,
    listen: Listen,
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    certificate: Path,
) -> None:
    server.load_verify_locations(certificate)
    server.verify_mode = ssl.CERT_REQUIRED
    listener = await listen(tls=server)
    await serve(dialing=to(listener, tls=client))
    await until(lambda: "No TLS" in (listener.refusals.last_refusal or ""))
