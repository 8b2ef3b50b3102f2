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
from ...forms.tls import client_context
from ...protocols.sttp import (
    SignalKey,
    SttpError,
    SttpRefusedError,
    Subscriber,
    SubscriberParameters,
)
from .const import (
    CONF_CA_FILE,
    CONF_CERTIFICATE,
    CONF_FILTER_EXPRESSION,
    CONF_INTERVAL_S,
    CONF_KEY,
    CONF_METADATA,
    CONF_USE_TLS,
    MAX_SIGNALS,
    METADATA_ALL,
    METADATA_EXTERNAL,
    METADATA_INTERNAL,
)

SUBSCRIBED_WITHIN_S: Final = 30.0
"""From the connection to the signals; large metadata take a while."""


class TooManySignalsError(SttpError):
    """The filter expression selects more than there can be sensors for."""


async def async_parameters(hass: HomeAssistant, data: Mapping[str, Any]) -> SubscriberParameters:
    """Return the parameters of an entry; raises OSError where a file cannot be read."""
    tls = None
    if data[CONF_USE_TLS]:
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
    subscriber: Subscriber, subscribed: asyncio.Event
) -> AsyncIterator[asyncio.Task[None]]:
    """Connect and go on once `subscribed` is set; yields the task that receives.

    Raises a `LinkError`.
    """
    receiving = asyncio.create_task(subscriber.run())
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
