"""One connection to a workgroup: requests with their answers, feeds' data, and what is pushed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
import logging
from typing import Any, Final, NoReturn, Protocol
from uuid import uuid4

import aiohttp
from homeassistant.core import callback
import orjson
from socketio import AsyncClient
from socketio.exceptions import SocketIOError

from ...connection.errors import ConnectionFailed, DestinationRefused, LinkError
from .api import SOCKET_PATH, Api, failure_of
from .payload import Json, error_of, rejection_of, speaks_of_permission
from .wire import MALFORMED, Opener, new_client

_LOGGER = logging.getLogger(__name__)

OPENED_WITHIN_S: Final = 20.0
CLOSED_WITHIN_S: Final = 5.0
ACCEPTED_WITHIN_S: Final = 30.0
"""From a request to Ardexa's first answer, which does not wait for the device."""
MAX_SENT_BYTES: Final = 1_000_000
"""A larger event is not sent: Socket.IO's servers end the connection over one, unless told."""


class OperationError(Exception):
    """Why a request has no result."""


class OperationRefused(OperationError):  # noqa: N818 - named after what happened
    """Ardexa or the device refused; the text is theirs."""


class NoAnswer(OperationError):  # noqa: N818
    """Nobody answered in time. It may have been done all the same."""


class TooLarge(OperationError):  # noqa: N818
    """The request is larger than a server takes, and was not sent."""


class BrokenOff(OperationError):  # noqa: N818
    """The connection ended before the answer. It may have been done all the same."""


class Listener(Protocol):
    """Who hears what no request asked for."""

    def take_data(self, data: Json) -> None:
        """Take the data of a feed, in the very call that reads it."""

    def take_push(self, event: str, data: Json) -> None:
        """Take any other event."""


class Call:
    """One request and what is answered to it, in order."""

    def __init__(self, event: str, request_id: str, on_silence: Callable[[], None]) -> None:
        """Begin without an answer; `on_silence` hears that there was none, in all the time."""
        self._on_silence: Callable[[], None] | None = on_silence
        self.event = event
        self.request_id = request_id
        self.correlation_id: str | None = None
        self._answers: asyncio.Queue[Json | BrokenOff] = asyncio.Queue()

    @callback
    def put(self, answer: Json | BrokenOff) -> None:
        """Take an answer, or the end of the connection."""
        self._on_silence = None
        if isinstance(answer, dict) and isinstance(found := answer.get("correlationId"), str):
            self.correlation_id = found
        self._answers.put_nowait(answer)

    async def next(self, within_s: float) -> Json:
        """Return the next answer; raises an `OperationError`, also for one that is an error."""
        try:
            async with asyncio.timeout(within_s):
                answer = await self._answers.get()
        except TimeoutError as err:
            if self._on_silence is not None:
                self._on_silence()
            raise NoAnswer from err
        if isinstance(answer, BrokenOff):
            raise answer
        if (error := error_of(answer)) is not None:
            raise OperationRefused(error)
        return answer


class Session:
    """A connection that is open."""

    def __init__(self, client: AsyncClient, opener: Opener, listener: Listener) -> None:
        """Take the client before it connects, to miss nothing."""
        self._opener = opener
        self.malformed = 0
        self._heard = 0
        self._client = client
        self._listener = listener
        self._calls: dict[str, Call] = {}
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._end: asyncio.Future[LinkError] = loop.create_future()
        client.on("connect", self._take_connect)
        client.on("connect_error", self._take_rejection)
        client.on("disconnect", self._take_disconnect)
        client.on("*", self._take)

    async def opened(self) -> None:
        """Wait until the workgroup lets us in; raises a `LinkError` where it does not."""
        waiting: list[asyncio.Future[Any]] = [self._opened, self._end]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if self._end.done():
            raise self._end.result()

    async def closed(self) -> NoReturn:
        """Wait for the end of the connection and raise a `LinkError` that says why."""
        raise await asyncio.shield(self._end)

    async def emit(self, event: str, data: Json | None = None) -> None:
        """Send an event that nothing answers; raises `BrokenOff`."""
        try:
            await self._client.emit(event, data)
        except SocketIOError as err:
            raise BrokenOff from err

    async def stop_feed(self, feed_id: str) -> None:
        """Have a feed stopped, which nothing answers; raises `BrokenOff`."""
        await self.emit("device:feed:stop", {"feedId": feed_id})

    @contextmanager
    def _pending(self, call: Call) -> Iterator[None]:
        self._calls[call.request_id] = call
        try:
            yield
        finally:
            del self._calls[call.request_id]

    @asynccontextmanager
    async def call(self, event: str, data: Mapping[str, Any]) -> AsyncIterator[Call]:
        """Send a request under an id of its own; its answers are kept while the context lasts."""
        heard = self._heard

        @callback
        def leave_if_silent() -> None:
            """End a connection whose other end answers pings, and nothing else."""
            if self._heard == heard:
                self._take_end(ConnectionFailed("ardexa_silent"))

        call = Call(event, str(uuid4()), leave_if_silent)
        message = {"requestId": call.request_id, **data}
        if (size := len(orjson.dumps(message))) > MAX_SENT_BYTES:
            raise TooLarge(f"{size / 1e6:.1f} MB")
        with self._pending(call):
            await self.emit(event, message)
            yield call

    async def ask(
        self, event: str, data: Mapping[str, Any], within_s: float = ACCEPTED_WITHIN_S
    ) -> Json:
        """Send a request and return its first answer; raises an `OperationError`."""
        async with self.call(event, data) as call:
            return await call.next(within_s)

    async def close(self) -> None:
        """Send what is on the way out, and end."""
        self._take_end(ConnectionFailed("connection_lost", "closed by us"))
        with suppress(TimeoutError, SocketIOError):
            async with asyncio.timeout(CLOSED_WITHIN_S):
                if self._client.connected:
                    await self._client.eio.queue.join()
                await self._client.disconnect()

    @callback
    def _take_connect(self) -> None:
        # From Socket.IO 3 on the socket has an id of its own. An older server is silent after some
        # 45 s, as each side then waits for the other's ping.
        if self._client.get_sid() == self._client.eio.sid:
            self._take_end(DestinationRefused("ardexa_older_generation"))
        elif not self._opened.done():
            self._opened.set_result(None)

    @callback
    def _take_rejection(self, data: object = None) -> None:
        text = rejection_of(data)
        if speaks_of_permission(text):
            self._take_end(DestinationRefused("ardexa_no_privilege", text))
        else:
            self._take_end(ConnectionFailed("ardexa_rejected", text))

    @callback
    def _take_disconnect(self, reason: object = None) -> None:
        if self._opener.too_large:
            self._take_end(ConnectionFailed("ardexa_too_large"))
        self._take_end(ConnectionFailed("connection_lost", str(reason)))

    @callback
    def _take_end(self, error: LinkError) -> None:
        if not self._end.done():
            self._end.set_result(error)
        for call in self._calls.values():
            call.put(BrokenOff())

    @callback
    def _take(self, event: str, data: object = None, *_: object) -> None:
        self._heard += 1
        if not isinstance(data, dict) or event is MALFORMED or event == MALFORMED:
            self.malformed += 1
            _LOGGER.debug("Malformed message, event %r", event)
        elif "feedId" in data and "value" in data:
            self._listener.take_data(data)
        elif (call := self._call_of(event, data)) is not None:
            call.put(data)
        else:
            self._listener.take_push(event, data)

    def _call_of(self, event: str, answer: Json) -> Call | None:
        """Return the request that an answer belongs to."""
        if isinstance(request_id := answer.get("requestId"), str):
            return self._calls.get(request_id)
        asked, _, kind = event.rpartition(":")
        if kind not in ("rpc", "reply"):
            return None
        waiting = [call for call in self._calls.values() if call.event == asked]
        if correlation_id := answer.get("correlationId"):
            for call in waiting:
                if call.correlation_id == correlation_id:
                    return call
            waiting = [call for call in waiting if call.correlation_id is None]
        # Without any id it can only be told where nobody else waits for the same.
        return waiting[0] if len(waiting) == 1 else None


@asynccontextmanager
async def open_session(api: Api, listener: Listener) -> AsyncIterator[Session]:
    """Connect to the workgroup, and disconnect in the end.

    Raises `DestinationRefused` where the right to control devices is missing or the server is too
    old, and `ConnectionFailed`. The token's own trouble is for `Api.devices` to tell.
    """
    opener = Opener(api.session)
    client = new_client(opener)
    session = Session(client, opener, listener)
    try:
        try:
            async with asyncio.timeout(OPENED_WITHIN_S):
                await client.connect(
                    lambda: api.socket_url,
                    transports=["websocket"],
                    namespaces=["/"],
                    socketio_path=SOCKET_PATH,
                    wait=False,  # a server that throws us out at once would not be heard
                )
                await session.opened()
        except TimeoutError as err:
            raise failure_of(err, api.token) from err
        # What an answer that is no Engine.IO's makes of the library.
        except (SocketIOError, aiohttp.ClientError, TypeError, ValueError, LookupError) as err:
            raise _failure(opener.error or err, api.token) from err
        yield session
    finally:
        try:
            await session.close()
        finally:
            await opener.close()


def _failure(err: Exception, token: str) -> LinkError:
    """Return what it means that the websocket could not be opened."""
    if isinstance(err, aiohttp.WSServerHandshakeError):
        if err.status in (401, 403):
            return DestinationRefused("ardexa_no_privilege", f"{err.status}: {err.message}")
        return ConnectionFailed("ardexa_rejected", f"{err.status}: {err.message}")
    return failure_of(err, token)
