"""From raw register values to the values that are published; no I/O, no Home Assistant."""

from decimal import Decimal
import math
import struct


def shortest_float32(value: float) -> float:
    """Return the shortest decimal that is the same float32: 230.2 for 230.1999969482422."""
    packed = struct.pack(">f", value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if struct.pack(">f", short) == packed:
            return short
    return float(f"{value:.9g}")


def scaled(raw: float, scale: Decimal) -> float | None:
    """Return a raw value times its scale, without the noise of binary fractions.

    None for infinity, which some meters send in place of "not available".
    """
    if not math.isfinite(raw):
        return None
    return raw if scale == 1 else float(Decimal(repr(raw)) * scale)
