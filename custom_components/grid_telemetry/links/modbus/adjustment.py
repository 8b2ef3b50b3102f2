"""What a user says of one meter besides its model: its transformers, and the sign of its power."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ...meters import RegisterMap
from ...meters.adjust import Transformer, with_power_turned, with_ratio
from .const import CONF_CURRENT_RATIO, CONF_TURN_SIGN, CONF_VOLTAGE_RATIO

RATIOS: Mapping[str, Transformer] = {
    CONF_CURRENT_RATIO: "current",
    CONF_VOLTAGE_RATIO: "voltage",
}
_LEAST, _MOST = Decimal("0.0001"), Decimal(1_000_000)


def parse_ratio(text: str) -> float:
    """Return the ratio that a text says, as 200/5 or as 40.

    Raises `ValueError` for what is no ratio.
    """
    parts = text.replace(",", ".").replace(":", "/").split("/")
    try:
        primary, secondary = (*map(Decimal, parts), Decimal(1))[:2]
        ratio = primary / secondary
        if len(parts) > 2 or not _LEAST <= ratio <= _MOST:
            raise ValueError(f"no ratio: {text}")
    except ArithmeticError as err:
        raise ValueError(f"no ratio: {text}") from err
    return float(ratio)


def adjusted(register_map: RegisterMap, data: Mapping[str, Any]) -> RegisterMap:
    """Return a map as it is for the meter that the data of a subentry is about."""
    for key, transformer in RATIOS.items():
        if (ratio := data.get(key)) is not None:
            register_map = with_ratio(register_map, transformer, Decimal(repr(ratio)))
    return with_power_turned(register_map) if data.get(CONF_TURN_SIGN) else register_map
