"""The platforms that the demo sends to: each a stand-in, and what Home Assistant should send it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..home_assistant import HomeAssistant


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """What a platform has of one point: the newest value with its own time, and how many."""

    device: str
    name: str
    value: float | str
    at: float
    """Epoch seconds UTC."""
    count: int


class Platform(Protocol):
    """A stand-in that runs."""

    expected: set[tuple[str, str]]
    """Every mapped point, once configured, as the device and name it has on the platform."""

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Make the entries, through their flows, that send these devices (ids) here."""

    def received(self) -> list[Received]:
        """Return what arrived and was valid."""

    def refused(self) -> list[str]:
        """Return what arrived and was not, a line each."""


type RunPlatform = Callable[[Path, bool], AbstractAsyncContextManager[Platform]]
"""Runs a stand-in on a folder of its own; the flag asks for a real broker in its place."""
