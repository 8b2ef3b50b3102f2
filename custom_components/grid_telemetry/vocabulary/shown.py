"""What is shown of a value that is read more often than anybody looks at it.

Home Assistant writes a row into its database for each value that differs from the one before. A
value that is shown again as it was costs none, and is as fresh to whoever asks when it was
reported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .classes import DeviceClass, StateClass
from .quantities import Quantity

FAST_EVERY_S: Final = 10.0
"""What can change within seconds shows another value at most so often."""
SLOW_EVERY_S: Final = 60.0
"""What counts, or changes with the day, does so at most so often."""

# Reads do not come to the millisecond; one that is a trifle early need not wait for the next.
_SLACK_S: Final = 1.0
# A part of the value. Voltage and frequency of a grid stay within few percent of what they are.
_SHARE: Final = 0.01
_SHARES: Final[Mapping[str, float]] = {DeviceClass.VOLTAGE: 0.005, DeviceClass.FREQUENCY: 0.0005}


@dataclass(frozen=True, kw_only=True, slots=True)
class Restraint:
    """How much and how long a value may differ from what is shown of it."""

    every_s: float
    share: float
    """A part of what is shown; 0 shows every change."""
    least: float
    """In the unit of the value: less than this nobody sees."""

    def holds(self, shown: float, value: float, shown_for_s: float) -> bool:
        """Return whether what is shown may be shown again in place of a value."""
        if shown_for_s < self.every_s - _SLACK_S:
            return True
        # What begins or ends is told, however small it is.
        if (shown == 0) != (value == 0):
            return False
        return abs(value - shown) < max(self.share * abs(shown), self.least)


def restraint_of(quantity: Quantity) -> Restraint:
    """Return what is asked of a quantity; each step of a counter or of an enumeration is shown."""
    is_exact = quantity.state_class is not StateClass.MEASUREMENT
    return Restraint(
        every_s=FAST_EVERY_S if quantity.fast else SLOW_EVERY_S,
        share=0.0 if is_exact else _SHARES.get(quantity.device_class or "", _SHARE),
        least=0.0 if is_exact else 10.0**-quantity.precision,
    )
