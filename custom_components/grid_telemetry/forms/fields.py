"""Fields that forms of several links have, and what may be typed into them."""

from typing import Any, Final, override
from urllib.parse import urlsplit

from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

SECRET: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
"""A password or token; what is typed is not shown, and never filled in by the browser."""


class RangedNumber(NumberSelector):
    """A number whose limits are told by a text of ours; the frontend lets any be typed."""

    @override
    def __call__(self, data: Any) -> float:
        try:
            return super().__call__(data)
        except vol.Invalid as err:
            raise vol.Invalid("number_out_of_range") from err


def whole_number(low: int, high: int, unit: str | None = None) -> vol.All[Any]:
    """Return the validator of a number in a box."""
    config = NumberSelectorConfig(min=low, max=high, step=1, mode=NumberSelectorMode.BOX)
    if unit is not None:
        config["unit_of_measurement"] = unit
    return vol.All(RangedNumber(config), vol.Coerce(int))


PORT: Final = whole_number(1, 65_535)


def is_url(text: str, *schemes: str) -> bool:
    """Return whether a text is an address with one of the schemes; a path is not needed."""
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, no port that there is
        return False
