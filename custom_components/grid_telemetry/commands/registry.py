"""The registry of setup commands: from a destination to its handler, and to a reply."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass
import logging
from types import coroutine
from typing import Any, Final

from homeassistant.exceptions import HomeAssistantError
import voluptuous as vol

from ..protocols.stomp.patterns import is_pattern, matches, specificity
from .command import Command, Handler, Outcome, Reply, State

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
                outcome = await _within(registration.time_limit_s, registration.handler(command))
            except Exception as err:  # noqa: BLE001 - any fault of a handler is its answer
                return _failure(command, err)
            if outcome is not None:
                return _reply(outcome)
        return Reply(status=State.UNKNOWN)

    def _candidates(self, destination: str) -> Iterable[Registration]:
        if (exact := self._exact.get(destination)) is not None:
            yield exact
        for registration in self._patterns:
            if matches(registration.pattern, destination):
                yield registration


async def _within[T](limit_s: float, work: Coroutine[Any, Any, T]) -> T:
    """Return what some work comes to; raises TimeoutError where it takes longer than that.

    Most handlers answer without waiting for anything. To begin at once and to set the clock only
    for those that do wait makes a command a tenth cheaper.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    try:
        async with asyncio.timeout(limit_s) as limit:
            return await _go_on(work, waits_for)
    except TimeoutError as err:
        if limit.expired():
            raise TimeoutError(f"Not finished within {limit_s:g} s.") from err
        raise


@coroutine
def _go_on[T](work: Coroutine[Any, Any, T], waits_for: object) -> Generator[Any, Any, T]:
    """Await the rest of a coroutine that was begun and waits for something."""
    try:
        while True:
            try:
                came = yield waits_for
            except BaseException as err:  # noqa: BLE001 - it is for the coroutine to deal with
                waits_for = work.throw(err)
            else:
                waits_for = work.send(came)
    except StopIteration as end:
        result: T = end.value
        return result


def _reply(outcome: Outcome) -> Reply:
    return Reply(
        status=outcome.state if outcome.status is None else outcome.status,
        message=outcome.message,
        result=outcome.result,
    )


def _failure(command: Command, err: Exception) -> Reply:
    """Return the reply for what a handler raised."""
    if not isinstance(err, _EXPECTED):
        _LOGGER.error("Setup command %s failed", command.destination, exc_info=err)
    return Reply(status=State.FAILED, message=(str(err) or type(err).__name__)[:_MAX_MESSAGE])
