"""The connection to a publisher, with its errors in the words of the link."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
import socket
import ssl
from typing import Any, Final, NoReturn

from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant

from ...connection.errors import ConnectionFailed, DestinationRefused
from ...connection.wording import words_of
from ...forms.listener import allowed_networks
from ...forms.tls import client_context, server_context
from ...protocols.sttp import (
    PublisherListener,
    SignalKey,
    Streams,
    SttpError,
    SttpRefusedError,
    Subscriber,
    SubscriberParameters,
    fingerprint_of,
)
from .const import (
    CONF_CA_FILE,
    CONF_CERTIFICATE,
    CONF_CONNECTION,
    CONF_FILTER_EXPRESSION,
    CONF_FINGERPRINTS,
    CONF_INTERVAL_S,
    CONF_KEY,
    CONF_METADATA,
    CONF_USE_TLS,
    CONNECTION_LISTEN,
    MAX_SIGNALS,
    METADATA_ALL,
    METADATA_EXTERNAL,
    METADATA_INTERNAL,
)

SUBSCRIBED_WITHIN_S: Final = 30.0
"""From the connection to the signals; large metadata take a while."""
ARRIVES_WITHIN_S: Final = 60.0
"""So long nothing is said of a publisher that has not dialled in."""


class TooManySignalsError(SttpError):
    """The filter expression selects more than there can be sensors for."""


def listens(data: Mapping[str, Any]) -> bool:
    """Return whether an entry waits for its publisher to dial in."""
    return data.get(CONF_CONNECTION) == CONNECTION_LISTEN


def _server_context(data: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return the context for publishers that dial in. Reads files; raises OSError."""
    if not data[CONF_USE_TLS]:
        return None
    return server_context(data[CONF_CERTIFICATE], data.get(CONF_KEY), data.get(CONF_CA_FILE))


async def async_listener(
    hass: HomeAssistant, data: Mapping[str, Any], parameters: SubscriberParameters
) -> PublisherListener:
    """Return what an entry waits for its publisher with; raises OSError for unreadable files."""
    return PublisherListener(
        parameters.modes,
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        tls=await hass.async_add_executor_job(_server_context, data),
        allowed_networks=allowed_networks(data),
        fingerprints=frozenset(map(fingerprint_of, data.get(CONF_FINGERPRINTS, ()))),
    )


async def async_arrival(listener: PublisherListener) -> Streams:
    """Return the connection of a publisher that has dialled in.

    Raises ConnectionFailed where none does for a while; the detail is who was turned away last.
    """
    try:
        async with asyncio.timeout(ARRIVES_WITHIN_S):
            return await listener.next()
    except TimeoutError as err:
        refused = listener.refusals.last_refusal or ""
        raise ConnectionFailed("sttp_no_publisher", refused) from err


async def async_parameters(hass: HomeAssistant, data: Mapping[str, Any]) -> SubscriberParameters:
    """Return the parameters of an entry; raises OSError where a file cannot be read."""
    tls = None
    if data[CONF_USE_TLS] and not listens(data):
        tls = await hass.async_add_executor_job(
            client_context, data.get(CONF_CA_FILE), data.get(CONF_CERTIFICATE), data.get(CONF_KEY)
        )
    metadata = data.get(CONF_METADATA, METADATA_ALL)
    return SubscriberParameters(
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        filter_expression=data[CONF_FILTER_EXPRESSION],
        tls=tls,
        interval_s=data[CONF_INTERVAL_S],
        internal_metadata=metadata != METADATA_EXTERNAL,
        external_metadata=metadata != METADATA_INTERNAL,
    )


def check_number(signals: Mapping[int, SignalKey]) -> None:
    """Raise TooManySignalsError where that is so."""
    if len(signals) > MAX_SIGNALS:
        raise TooManySignalsError(f"{len(signals)}, {MAX_SIGNALS} are possible")


@asynccontextmanager
async def open_session(
    subscriber: Subscriber, subscribed: asyncio.Event, dialled_in: Streams | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """Connect and go on once `subscribed` is set; yields the task that receives.

    Takes the connection of a publisher that has dialled in, where one has. Raises a `LinkError`.
    """
    receiving = asyncio.create_task(subscriber.run(dialled_in))
    waiting = asyncio.create_task(subscribed.wait())
    try:
        await asyncio.wait(
            {receiving, waiting},
            timeout=SUBSCRIBED_WITHIN_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if receiving.done():
            await received(receiving)
        if not waiting.done():
            raise ConnectionFailed("sttp_timeout")
        yield receiving
    finally:
        receiving.cancel()
        waiting.cancel()
        await asyncio.wait({receiving, waiting})


async def received(receiving: asyncio.Task[None]) -> None:
    """Wait for the end of a session; raises the `LinkError` that says why it ended."""
    try:
        await receiving
    except (SttpError, OSError) as err:
        _raise_for(err)


async def async_try_subscription(parameters: SubscriberParameters) -> int:
    """Subscribe for a moment and return the number of signals; raises a `LinkError`."""
    subscribed = asyncio.Event()
    count = 0

    def take(signals: Mapping[int, SignalKey]) -> None:
        nonlocal count
        check_number(signals)
        count = len(signals)
        subscribed.set()

    subscriber = Subscriber(parameters, on_measurements=lambda _: None, on_signals=take)
    async with open_session(subscriber, subscribed):
        return count


def _raise_for(err: SttpError | OSError) -> NoReturn:
    detail = str(err)
    match err:
        case SttpRefusedError():
            raise DestinationRefused("sttp_refused", detail) from err
        case TooManySignalsError():
            raise DestinationRefused("sttp_too_many_signals", detail) from err
        case SttpError():
            raise ConnectionFailed("sttp_wrong_protocol", detail) from err
        case TimeoutError():
            raise ConnectionFailed("sttp_timeout") from err
        case ssl.SSLError():
            raise ConnectionFailed("sttp_tls_failed", words_of(err)) from err
        case socket.gaierror():
            raise ConnectionFailed("sttp_unknown_host", words_of(err)) from err
        case _:
            raise ConnectionFailed("sttp_cannot_connect", words_of(err)) from err
