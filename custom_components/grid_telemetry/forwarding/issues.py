"""Repair issues of an entry: what only the user can set right."""

from collections.abc import Callable
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN
from .outbox import Trouble


class Issues:
    """The issues of one entry; each is there while its condition holds."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Begin with none."""
        self._hass = hass
        self._entry = entry
        self._present: set[str] = set()

    @callback
    def set(self, holds: bool, key: str, about: str = "", **placeholders: str) -> None:
        """Raise or clear the issue of a translation key about one thing."""
        issue_id = f"{key}_{self._entry.entry_id}_{about}"
        if not holds:
            if issue_id in self._present:
                self._present.discard(issue_id)
                ir.async_delete_issue(self._hass, DOMAIN, issue_id)
            return
        self._present.add(issue_id)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=key,
            translation_placeholders={"title": self._entry.title, **placeholders},
        )

    @callback
    def clear(self) -> None:
        """Clear all of them; those that still hold are raised again after the next start."""
        while self._present:
            ir.async_delete_issue(self._hass, DOMAIN, self._present.pop())


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
