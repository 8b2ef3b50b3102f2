"""What the config flow steps of most links end with, be their entry new or changed."""

from collections.abc import Callable, Mapping
from typing import Any

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.core import callback
from homeassistant.helpers.typing import UNDEFINED, UndefinedType


class EntryFlow(ConfigFlow):
    """The base of a link's steps."""

    @property
    def _current(self) -> ConfigEntry | None:
        """The entry that is reconfigured; None where a new one is made."""
        return self._get_reconfigure_entry() if self.source == SOURCE_RECONFIGURE else None

    @callback
    def _abort_if_taken(self) -> None:
        """Abort if another entry has the unique id that was set."""
        if (current := self._current) is None or current.unique_id != self.unique_id:
            self._abort_if_unique_id_configured()

    @callback
    def _save(
        self, data: Mapping[str, Any], title_of: Callable[[Mapping[str, Any]], str]
    ) -> ConfigFlowResult:
        """End with a new entry, or with the changed one; a name that the user gave it stays."""
        if (current := self._current) is None:
            return self.async_create_entry(title=title_of(data), data=data)
        return self._change(
            current,
            data,
            unique_id=self.unique_id,
            title=title_of(data) if current.title == title_of(current.data) else UNDEFINED,
        )

    @callback
    def _change(
        self,
        entry: ConfigEntry,
        data: Mapping[str, Any],
        *,
        unique_id: str | UndefinedType | None = UNDEFINED,
        title: str | UndefinedType = UNDEFINED,
    ) -> ConfigFlowResult:
        """End with an entry that exists, which begins anew with its data."""
        # Nobody hears of a change that is none, and an entry that is not up hears of none at all:
        # it would stay as it was, and that is refused where the credentials were right all along.
        unheard = entry.state is not ConfigEntryState.LOADED or dict(entry.data) == dict(data)
        result = self.async_update_and_abort(entry, unique_id=unique_id, title=title, data=data)
        if unheard:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result
