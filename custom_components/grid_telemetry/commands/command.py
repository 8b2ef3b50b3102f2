"""What a setup command is, what a handler answers, and what goes back to who asked."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from homeassistant.util.json import JsonValueType


class State(IntEnum):
    """What has become of a command, as the status that stands for it."""

    COMPLETED = 200
    EXECUTING = 202
    """It goes on after the reply."""
    UNKNOWN = 404
    """No handler took it."""
    DECLINED = 422
    """It was understood and not done, for a reason that lies with who asked."""
    FAILED = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A setup command."""

    destination: str
    headers: Mapping[str, str]
    """Its parameters."""
    arg: str | None
    """The body as it came; no handler gets it parsed."""
    origin: str
    """By which way it came in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a handler answers; `status` takes the place of the state's own."""

    state: State = State.COMPLETED
    status: int | None = None
    message: str | None = None
    result: JsonValueType = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What goes back to who asked."""

    status: int
    message: str | None = None
    result: JsonValueType = None


type Handler = Callable[[Command], Coroutine[Any, Any, Outcome | None]]
"""Answers a command, None where it does not take it after all.

What it raises is the message of a reply with status 500.
"""
