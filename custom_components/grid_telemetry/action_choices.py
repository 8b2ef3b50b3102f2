"""What the form of an action offers: the entries of its kind, their devices and resources.

Home Assistant's own selector of entries knows integrations only, not the kinds of ours. So the
descriptions of such actions are set anew as entries come and go; whatever else may be typed.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.selector import SelectOptionDict
from homeassistant.helpers.service import async_set_service_schema
from homeassistant.helpers.start import async_at_started
from homeassistant.util.yaml import load_yaml_dict

from .action import ATTR_CONFIG_ENTRY
from .const import CONF_KIND, DOMAIN
from .links.registry import LINKS

_FILE = Path(__file__).parent / "services.yaml"


@callback
def async_offer_choices(hass: HomeAssistant) -> None:
    """Keep the forms of the actions up to date, once Home Assistant is up."""

    async def begin(hass: HomeAssistant) -> None:
        descriptions = await hass.async_add_executor_job(load_yaml_dict, str(_FILE))
        _describe(hass, descriptions)

        @callback
        def changed(_: ConfigEntryChange, entry: ConfigEntry) -> None:
            if entry.domain == DOMAIN:
                _describe(hass, descriptions, entry.data.get(CONF_KIND))

        async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)

    async_at_started(hass, begin)


@callback
def _describe(
    hass: HomeAssistant, descriptions: Mapping[str, Any], kind: str | None = None
) -> None:
    """Describe the actions of a kind, or of all."""
    for module in LINKS.values():
        if kind not in (None, module.kind):
            continue
        entries = [
            SelectOptionDict(value=entry.entry_id, label=entry.title)
            for entry in hass.config_entries.async_entries(DOMAIN)
            if entry.data.get(CONF_KIND) == module.kind
        ]
        for action in module.actions:
            if action.name not in descriptions:
                continue
            description = deepcopy(descriptions[action.name])
            fields = description["fields"]
            choices = {name: choose(hass) for name, choose in action.choices.items()}
            for name, options in {ATTR_CONFIG_ENTRY: entries, **choices}.items():
                if name in fields and options:
                    fields[name]["selector"] = {
                        "select": {"options": options, "custom_value": True, "mode": "dropdown"}
                    }
            async_set_service_schema(hass, DOMAIN, action.name, description)
