"""Diagnostics of one link, without its secrets."""

from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.core import HomeAssistant

from .links import GridTelemetryConfigEntry

TO_REDACT = {
    "claim_id",
    "client_key_password",
    "password",
    "secret",
    "serial_number",
    "site_key",
    "token",
}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: GridTelemetryConfigEntry
) -> dict[str, Any]:
    """Return the entry, its subentries and what the link says of itself."""
    return async_redact_data(
        {
            "entry": dict(entry.data),
            "subentries": [
                {"type": subentry.subentry_type, "title": subentry.title, **subentry.data}
                for subentry in entry.subentries.values()
            ],
            "link": entry.runtime_data.diagnostics(),
        },
        TO_REDACT,
    )
