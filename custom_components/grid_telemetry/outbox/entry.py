"""The outbox of an entry: what its form asks, and the outbox that comes of it."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
import voluptuous as vol

from ..connection.issues import Issues
from ..forms.fields import whole_number
from .issues import show_trouble
from .path import outbox_path
from .store import Limits, Outbox

CONF_MAX_AGE_DAYS: Final = "max_age_days"
CONF_MAX_SAMPLES: Final = "max_samples"
LIMIT_FIELDS: Final[Mapping[vol.Marker, Any]] = {
    vol.Required(CONF_MAX_AGE_DAYS, default=30): whole_number(1, 366, "d"),
    vol.Required(CONF_MAX_SAMPLES, default=1_000_000): whole_number(1_000, 50_000_000),
}
"""How much is kept while the platform cannot be reached."""

_DAY_S: Final = 86_400


def outbox_of(hass: HomeAssistant, entry: ConfigEntry[Any], issues: Issues) -> Outbox:
    """Return the outbox of an entry, with the limits that its form asked for."""
    return Outbox(
        outbox_path(hass, entry),
        limits=Limits(
            max_age_s=entry.data[CONF_MAX_AGE_DAYS] * _DAY_S,
            max_samples=entry.data[CONF_MAX_SAMPLES],
        ),
        on_trouble=partial(show_trouble, issues),
    )
