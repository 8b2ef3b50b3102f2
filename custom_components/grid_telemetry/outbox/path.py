"""Where the outbox of an entry is, and how it goes."""

from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from ..const import DOMAIN


def outbox_path(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Path:
    """Return the file of an entry's outbox."""
    return Path(hass.config.path(DOMAIN, f"outbox-{entry.entry_id}.db"))


async def async_remove_outbox(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Delete the file of an entry that is removed, and those that were set aside."""
    path = outbox_path(hass, entry)

    def remove() -> None:
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink(missing_ok=True)

    await hass.async_add_executor_job(remove)
