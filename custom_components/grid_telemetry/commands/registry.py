"""The registry of setup commands: from a destination to its handler, and to a reply."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
import logging
from typing import Final

from homeassistant.exceptions import HomeAssistantError, ServiceNotFound, ServiceValidationError
import voluptuous as vol

from ..protocols.stomp.patterns import is_pattern, matches, specificity
from ..protocols.stomp.reply import Reply, Status
from .command import Command, Handler

_LOGGER = logging.getLogger(__name__)

TIME_LIMIT_S: Final = 30.0
_MAX_MESSAGE: Final = 500
# What handlers raise to say why they failed; all else is a fault worth a line in the log.
_EXPECTED: Final = (HomeAssistantError, vol.Invalid, OSError, TimeoutError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration:
    """What answers the commands to some destinations."""

    pattern: str
    handler: Handler
    time_limit_s: float = TIME_LIMIT_S
    """After so long its handler is cancelled."""


class Registry:
    """Answers commands; any number at the same time."""

    def __init__(self, on_done: Callable[[Command, Reply], None]) -> None:
        """Take what is told of every command that was answered."""
        self._on_done = on_done
        self._exact: dict[str, Registration] = {}
        self._patterns: list[Registration] = []

    def define(self, registrations: Iterable[Registration]) -> None:
        """Have these commands and no others.

        Of several that fit, an exact one goes first, then the one with the fewest wildcards; of
        equals the first.
        """
        self._exact, self._patterns = {}, []
        for registration in registrations:
            if is_pattern(registration.pattern):
                self._patterns.append(registration)
            else:
                self._exact.setdefault(registration.pattern, registration)
        self._patterns.sort(key=lambda item: specificity(item.pattern))

    async def run(self, command: Command) -> Reply:
        """Have a command answered; never raises but when cancelled."""
        reply = await self._answer(command)
        self._on_done(command, reply)
        return reply

    async def _answer(self, command: Command) -> Reply:
        for registration in self._candidates(command.destination):
            try:
                reply = await _within(registration.time_limit_s, registration.handler(command))
            except Exception as err:  # noqa: BLE001 - any fault of a handler is its answer
                return _failure(command, err)
            if reply is not None:
                return reply
        return Reply(status=Status.UNKNOWN)

    def _candidates(self, destination: str) -> Iterable[Registration]:
        if (exact := self._exact.get(destination)) is not None:
            yield exact
        for registration in self._patterns:
            if matches(registration.pattern, destination):
                yield registration


async def _within[T](limit_s: float, work: Awaitable[T]) -> T:
    """Return what some work comes to; raises TimeoutError where it takes longer than that."""
    try:
        async with asyncio.timeout(limit_s) as limit:
            return await work
    except TimeoutError as err:
        if limit.expired():
            raise TimeoutError(f"Not finished within {limit_s:g} s.") from err
        raise


def _failure(command: Command, err: Exception) -> Reply:
    """Return the reply for what a handler raised."""
    if not isinstance(err, _EXPECTED):
        _LOGGER.error("Setup command %s failed", command.destination, exc_info=err)
    # A value that cannot be lies with who asked; an action that is not there does not.
    declined = isinstance(err, (ServiceValidationError, vol.Invalid))
    declined = declined and not isinstance(err, ServiceNotFound)
    return Reply(
        status=Status.DECLINED if declined else Status.FAILED,
        message=(str(err) or type(err).__name__)[:_MAX_MESSAGE],
    )
