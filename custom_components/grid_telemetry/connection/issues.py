"""Repair issues of an entry: what only the user can set right."""

from collections.abc import Iterable, Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN


@callback
def clear_issues(hass: HomeAssistant, issue_ids: Iterable[str]) -> None:
    """Clear issues that may still hold, as their entry stops.

    Those that the user ignores stay: they are not shown, and would be when they are raised again.
    """
    registry = ir.async_get(hass)
    for issue_id in issue_ids:
        issue = registry.async_get_issue(DOMAIN, issue_id)
        if issue is not None and issue.dismissed_version is None:
            ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def remove_issues(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Remove all issues of an entry that is removed, also those that the user ignores."""
    present = [issue_id for domain, issue_id in ir.async_get(hass).issues if domain == DOMAIN]
    for issue_id in present:
        if entry.entry_id in issue_id:
            ir.async_delete_issue(hass, DOMAIN, issue_id)


class Issues:
    """The issues of one entry; each is there while its condition holds."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Begin with none."""
        self._hass = hass
        self._entry = entry
        self._present: set[str] = set()

    @callback
    def set(
        self,
        holds: bool,
        key: str,
        about: str = "",
        *,
        fixable: bool = False,
        data: Mapping[str, str | int | float | None] | None = None,
        **placeholders: str,
    ) -> None:
        """Raise or clear the issue of a translation key about one thing.

        A fixable one has a repair flow (`repairs.py`), which is given the entry id and the data.
        """
        issue_id = f"{key}_{self._entry.entry_id}"
        if about:
            issue_id += f"_{about}"
        if not holds:
            self._present.discard(issue_id)
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)
            return
        self._present.add(issue_id)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            data={**(data or {}), "entry_id": self._entry.entry_id} if fixable else None,
            is_fixable=fixable,
            severity=ir.IssueSeverity.WARNING,
            translation_key=key,
            translation_placeholders={"title": self._entry.title, **placeholders},
        )

    @callback
    def clear(self) -> None:
        """Clear all of them; those that still hold are raised again after the next start."""
        clear_issues(self._hass, self._present)
        self._present.clear()
