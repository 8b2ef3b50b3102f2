"""What the link does again and again for a subentry while the user has it turned on."""

from dataclasses import dataclass, field
from enum import StrEnum

from homeassistant.core import CALLBACK_TYPE, callback


class StandingStatus(StrEnum):
    """How it fares."""

    OFF = "off"
    IDLE = "idle"
    """There is nothing to do now."""
    BIDDING = "bidding"
    SENT = "sent"
    INPUT_MISSING = "input_missing"
    OUT_OF_BOUNDS = "out_of_bounds"
    CLOCK_OFF = "clock_off"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class InputMissing(Exception):  # noqa: N818 - named after what happened
    """What it depends on has no value."""


@dataclass(kw_only=True)
class Standing:
    """One of them: whether it is on, and how it fares."""

    subentry_id: str
    name: str
    enabled: bool = False
    status: StandingStatus = StandingStatus.OFF
    detail: str | None = None
    """What was refused, or what is missing."""
    listeners: list[CALLBACK_TYPE] = field(default_factory=list)

    @callback
    def listen(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Have a callback called after changes; returns what ends that."""
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    @callback
    def turn(self, enabled: bool) -> None:
        """Turn it on or off."""
        self.enabled = enabled
        self.show(StandingStatus.IDLE)

    @callback
    def show(self, status: StandingStatus, detail: str | None = None) -> None:
        """Take how it fares, and tell the listeners.

        What is off is shown as that, also when an answer comes to what was asked before.
        """
        off = StandingStatus.OFF, None
        self.status, self.detail = (status, detail) if self.enabled else off
        for listener in self.listeners:
            listener()
