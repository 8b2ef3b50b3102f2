"""Repair issues for an outbox in trouble."""

from collections.abc import Callable
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN
from .outbox import Trouble


def outbox_issues(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> Callable[[Trouble, str | None], None]:
    """Return the `on_trouble` of an entry's outbox: an issue while the trouble lasts."""

    def on_trouble(trouble: Trouble, detail: str | None) -> None:
        issue_id = f"{trouble}_{entry.entry_id}"
        if detail is None:
            ir.async_delete_issue(hass, DOMAIN, issue_id)
            return
        ir.async_create_issue(
            hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=trouble,
            translation_placeholders={"title": entry.title, "detail": detail},
        )

    return on_trouble
