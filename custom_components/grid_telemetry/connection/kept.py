"""A connection that is kept: opened again and again, with growing waits, until the link ends."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
import logging
import random
from typing import Any, Final

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .errors import SLOW_RETRY_S, ConnectionFailed, CredentialsRefused, LinkError
from .health import Health

_LOGGER = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 300.0
"""The wait before the next attempt doubles from the first to the last; a random part is taken."""
SETTLED_S: Final = 10.0
"""A session that lasted so long counts: the log says so, the waits begin with the first again."""
_AFTER_PROGRESS: Final = 2  # attempts that still count after a session that achieved something


class KeptConnection[S]:
    """The connection of an entry, kept by a background task between `start` and `stop`.

    `connect` and `run` raise a `LinkError` at the end of a session. The log has one line when the
    connection is lost and one when it is back. Refused credentials ask the user for new ones, and
    are tried again all the same; when they are taken the user is asked no longer.
    """

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
        """Prepare; `last_retry_s` is what the growing waits end with."""
        self._hass = hass
        self._entry = entry
        self._health = health
        self._connect = connect
        self._run = run
        self._last_retry_s = last_retry_s
        self._retry_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._attempts = 0
        self._loss_logged = False
        self._reauth_asked = False

    @property
    def kept(self) -> bool:
        """Whether it is connected or tried again; not before the start nor after the stop."""
        return self._task is not None and not self._task.done()

    @callback
    def start(self) -> None:
        """Connect, and again whenever the connection ends."""
        self._task = self._entry.async_create_background_task(
            self._hass, self._keep(), f"{self._entry.title} connection"
        )

    @callback
    def retry_now(self) -> None:
        """Cut a wait short."""
        self._retry_now.set()

    @callback
    def progressed(self) -> None:
        """Note that the session achieved something: after it the wait is short again."""
        self._attempts = min(self._attempts, _AFTER_PROGRESS)

    async def stop(self) -> None:
        """End the connection. May be called again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _keep(self) -> None:
        while True:
            error = await self._run_session()
            self._health.last_error = error.reason
            self._health.last_error_detail = error.detail
            self._health.notify()
            if isinstance(error, CredentialsRefused):
                self._reauth_asked = True
                self._entry.async_start_reauth(self._hass)
            if not self._loss_logged:
                self._loss_logged = True
                _LOGGER.warning("%s: not connected: %s", self._entry.title, error)
            await self._wait(error)

    async def _run_session(self) -> LinkError:
        """Connect and run, and return what ended it."""
        settling: asyncio.TimerHandle | None = None
        try:
            async with self._connect() as session:
                self._connected()
                settling = self._hass.loop.call_later(SETTLED_S, self._settle)
                await self._run(session)
        except LinkError as err:
            return err
        except asyncio.CancelledError as err:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Not ours: something that the session waited for was cancelled elsewhere.
            return self._unexpected(err)
        except Exception as err:  # noqa: BLE001 - whatever it is, the connection goes on
            return self._unexpected(err)
        finally:
            if settling is not None:
                settling.cancel()
            self._health.connected = False
            self._health.notify()
        return ConnectionFailed("connection_lost")

    def _connected(self) -> None:
        self._health.connected = True
        self._health.notify()
        if self._reauth_asked:
            self._reauth_asked = False
            flows = self._hass.config_entries.flow
            for flow in list(self._entry.async_get_active_flows(self._hass, {SOURCE_REAUTH})):
                flows.async_abort(flow["flow_id"])

    @callback
    def _settle(self) -> None:
        self._attempts = 0
        if self._loss_logged:
            self._loss_logged = False
            _LOGGER.info("%s: connected again", self._entry.title)

    def _unexpected(self, err: BaseException) -> LinkError:
        _LOGGER.error("%s: unexpected error", self._entry.title, exc_info=err)
        return LinkError("unexpected_error", repr(err), retry_after_s=SLOW_RETRY_S)

    async def _wait(self, error: LinkError) -> None:
        if error.retry_after_s is None:
            wait_s = min(self._last_retry_s, FIRST_RETRY_S * 2**self._attempts)
            wait_s = random.uniform(0, wait_s)  # noqa: S311 - spreads attempts, no secret
            self._attempts = min(self._attempts + 1, 16)
        else:
            # Many gateways may meet the same trouble at the same moment.
            wait_s = error.retry_after_s * random.uniform(0.9, 1.1)  # noqa: S311
        _LOGGER.debug("%s: %s; next attempt in %.1f s", self._entry.title, error, wait_s)
        self._retry_now.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._retry_now.wait()
