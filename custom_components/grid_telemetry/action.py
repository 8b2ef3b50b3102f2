"""What the actions of every link share: their declaration, and the entry that a call is for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, service
from homeassistant.helpers.selector import SelectOptionDict
import voluptuous as vol

from .const import DOMAIN

ATTR_CONFIG_ENTRY: Final = "config_entry_id"
ENTRY_FIELD: dict[vol.Marker, Any] = {vol.Optional(ATTR_CONFIG_ENTRY): cv.string}


@dataclass(frozen=True, kw_only=True)
class Action:
    """An action as it is registered, whether or not an entry of its kind exists."""

    name: str
    schema: vol.Schema
    handler: str
    """The name of the function that answers a call."""
    response: SupportsResponse = SupportsResponse.OPTIONAL
    choices: Mapping[str, Callable[[HomeAssistant], list[SelectOptionDict]]] = field(
        default_factory=dict
    )
    """What its form offers for some of its fields, beside the entries of its kind."""


def subentry_choices(hass: HomeAssistant, subentry_type: str, key: str) -> list[SelectOptionDict]:
    """Return a choice for each subentry of a type: what its data have under a key, once."""
    labels: dict[str, str] = {}
    for entry in hass.config_entries.async_entries(DOMAIN):
        for subentry in entry.get_subentries_of_type(subentry_type):
            labels.setdefault(str(subentry.data[key]), subentry.title)
    return [SelectOptionDict(value=value, label=label) for value, label in labels.items()]


def link_for[L](call: ServiceCall, wanted: type[L]) -> L:
    """Return the running link that a call is for.

    The entry may be left out of the call where only one link of the wanted kind is running.
    Raises `ServiceValidationError`.
    """
    entry_id = call.data.get(ATTR_CONFIG_ENTRY)
    if entry_id is None:
        running = [
            entry.runtime_data
            for entry in call.hass.config_entries.async_entries(DOMAIN)
            if entry.state is ConfigEntryState.LOADED and isinstance(entry.runtime_data, wanted)
        ]
        if len(running) != 1:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="choose_entry",
                translation_placeholders={"count": str(len(running))},
            )
        return running[0]
    entry = service.async_get_config_entry(call.hass, DOMAIN, entry_id)
    if not isinstance(entry.runtime_data, wanted):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="wrong_kind",
            translation_placeholders={"title": entry.title},
        )
    return entry.runtime_data
