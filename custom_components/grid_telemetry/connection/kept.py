"""A connection that is kept: opened again and again, with growing waits, until the link ends."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
import logging
import random
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .errors import SLOW_RETRY_S, ConnectionFailed, CredentialsRefused, LinkError
from .health import Health

_LOGGER = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 300.0
"""The wait before the next attempt doubles from the first to the last; a random part is taken."""
SETTLED_S: Final = 10.0
"""A session that lasted so long counts: the log says so, the waits begin with the first again."""


class KeptConnection[S]:
    """The connection of an entry, kept by a background task between `start` and `stop`."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        *,
        health: Health,
        connect: Callable[[], AbstractAsyncContextManager[S]],
        run: Callable[[S], Awaitable[None]],
        last_retry_s: float = LAST_RETRY_S,
    ) -> None:
        """Prepare; see `keep_connected` for what is given here."""
        self._hass = hass
        self._entry = entry
        self._health = health
        self._connect = connect
        self._run = run
        self._last_retry_s = last_retry_s
        self._retry_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def kept(self) -> bool:
        """Whether it is connected or tried again; not before the start nor once refused."""
        return self._task is not None and not self._task.done()

    @callback
    def start(self) -> None:
        """Connect, and again whenever the connection ends."""
        self._task = self._entry.async_create_background_task(
            self._hass,
            keep_connected(
                self._hass,
                self._entry,
                health=self._health,
                connect=self._connect,
                run=self._run,
                retry_now=self._retry_now,
                last_retry_s=self._last_retry_s,
            ),
            f"{self._entry.title} connection",
        )

    @callback
    def retry_now(self) -> None:
        """Cut a wait short."""
        self._retry_now.set()

    async def stop(self) -> None:
        """End the connection. May be called again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None


async def keep_connected[S](
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    *,
    health: Health,
    connect: Callable[[], AbstractAsyncContextManager[S]],
    run: Callable[[S], Awaitable[None]],
    retry_now: asyncio.Event,
    last_retry_s: float = LAST_RETRY_S,
) -> None:
    """Connect and run, again and again; returns only when the credentials were refused.

    `connect` and `run` raise a `LinkError` at the end of a session. Setting `retry_now` cuts
    a wait short; `last_retry_s` is what the growing waits end with. The log has one line when the
    connection is lost and one when it is back.
    """
    attempts = 0
    told = False

    @callback
    def settle() -> None:
        nonlocal attempts, told
        attempts = 0
        if told:
            told = False
            _LOGGER.info("%s: connected again", entry.title)

    while True:
        settling: asyncio.TimerHandle | None = None
        error: LinkError
        try:
            async with connect() as session:
                health.connected = True
                health.notify()
                settling = hass.loop.call_later(SETTLED_S, settle)
                await run(session)
                error = ConnectionFailed("connection_lost")
        except LinkError as err:
            error = err
        except Exception as err:
            _LOGGER.exception("%s: unexpected error", entry.title)
            error = LinkError("unexpected_error", repr(err), retry_after_s=SLOW_RETRY_S)
        finally:
            if settling is not None:
                settling.cancel()
            health.connected = False
            health.notify()
        health.last_error = error.reason
        health.last_error_detail = error.detail
        if isinstance(error, CredentialsRefused):
            _LOGGER.debug("%s: %s", entry.title, error)
            entry.async_start_reauth(hass)
            return
        if not told:
            told = True
            _LOGGER.warning("%s: not connected: %s", entry.title, error)
        if error.retry_after_s is None:
            wait_s = min(last_retry_s, FIRST_RETRY_S * 2**attempts)
            wait_s = random.uniform(0, wait_s)  # noqa: S311 - spreads attempts, no secret
            attempts = min(attempts + 1, 16)
        else:
            # Many gateways may meet the same trouble at the same moment.
            wait_s = error.retry_after_s * random.uniform(0.9, 1.1)  # noqa: S311
        _LOGGER.debug("%s: %s; next attempt in %.1f s", entry.title, error, wait_s)
        retry_now.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await retry_now.wait()
