"""What the tests of STTP share: a publisher on loopback, and peers that speak to it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any

import pytest

from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher

from .peer import Peer
from .samples import metadata
from .wire import WireSubscriber

type Serve = Callable[..., Awaitable[Publisher]]
type Wire = Callable[..., Awaitable[WireSubscriber]]
type StartPeer = Callable[..., Awaitable[Peer]]


@pytest.fixture
def serve(stack: AsyncExitStack) -> Serve:
    """Start a publisher on a free port."""

    async def start(**settings: Any) -> Publisher:
        publisher = Publisher(**{"port": 0, "batch_s": 0.0, "repeat_s": 60.0, **settings})
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        return publisher

    return start


@pytest.fixture
def wire(stack: AsyncExitStack) -> Wire:
    """Connect a subscriber that shows every frame."""

    async def connect(publisher: Publisher, **settings: Any) -> WireSubscriber:
        subscriber = await WireSubscriber.connect(publisher.port, **settings)
        stack.push_async_callback(subscriber.close)
        return subscriber

    return connect


@pytest.fixture
def start_peer(stack: AsyncExitStack) -> StartPeer:
    """Start the reference in a process of its own."""

    async def start(role: str, **settings: Any) -> Peer:
        peer = await Peer.start(role, settings)
        stack.push_async_callback(peer.stop)
        return peer

    return start


@pytest.fixture
async def reference(start_peer: StartPeer) -> tuple[Peer, int]:
    """The reference as publisher of six signals, and its port."""
    peer = await start_peer("publisher")
    port = (await peer.event("started"))["port"]
    await peer.define(metadata(6))
    return peer, port


@pytest.fixture
async def stalls() -> AsyncGenerator[list[float]]:
    """How long the event loop was kept from its next turn, each time, in seconds."""
    late: list[float] = []

    async def watch() -> None:
        while True:
            begun = perf_counter()
            await asyncio.sleep(0.001)
            late.append(perf_counter() - begun - 0.001)

    watching = asyncio.create_task(watch())
    yield late
    watching.cancel()
