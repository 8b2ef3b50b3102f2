"""What a setup command is, and what answers it."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from ..protocols.stomp.reply import Reply


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


type Handler = Callable[[Command], Coroutine[Any, Any, Reply | None]]
"""Answers a command, None where it does not take it after all.

What it raises is the message of a reply with status 500.
"""
