"""Fields that forms of several links have, and what may be typed into them."""

from collections.abc import Mapping
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


OUT_OF_RANGE: Final = "number_out_of_range"


class RangedNumber(NumberSelector):
    """A number whose limits are told by a text of ours; the frontend lets any be typed."""

    @override
    def __call__(self, data: Any) -> float:
        try:
            return super().__call__(data)
        except vol.Invalid as err:
            raise vol.Invalid(OUT_OF_RANGE) from err


def whole_number(low: int, high: int, unit: str | None = None) -> vol.All[Any]:
    """Return the validator of a number in a box."""
    config = NumberSelectorConfig(min=low, max=high, step=1, mode=NumberSelectorMode.BOX)
    if unit is not None:
        config["unit_of_measurement"] = unit
    return vol.All(RangedNumber(config), vol.Coerce(int))


def in_words(text: str, field: object) -> str:
    """Return what a field says of a value; where that is the key of a text, its limits."""
    if text == OUT_OF_RANGE:
        for each in (field, *getattr(field, "validators", ())):
            if isinstance(each, RangedNumber):
                return f"not from {each.config['min']:.12g} to {each.config['max']:.12g}"
    return text


PORT: Final = whole_number(1, 65_535)


def is_url(text: str, *schemes: str) -> bool:
    """Return whether a text is an address with one of the schemes; a path is not needed."""
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, no port that there is
        return False


def to_change(schema: vol.Schema, secret: str) -> vol.Schema:
    """Return the schema for an entry that exists: a secret left empty keeps the stored one."""
    fields = {
        vol.Optional(secret) if key == secret else key: field
        for key, field in schema.schema.items()
    }
    return vol.Schema(fields)


def with_stored(
    user_input: Mapping[str, Any], stored: Mapping[str, Any], secret: str
) -> dict[str, Any]:
    """Return an input; where its secret was left empty, with the one that is stored."""
    return {**user_input, secret: user_input.get(secret) or stored[secret]}
