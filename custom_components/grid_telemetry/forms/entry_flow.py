"""What the config flow steps of most links end with, be their entry new or changed."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import TextSelector
from homeassistant.helpers.typing import UNDEFINED, UndefinedType
import voluptuous as vol

CONF_ENTRY_NAME: Final = "entry_name"


class EntryFlow(ConfigFlow):
    """The base of a link's steps."""

    _name: str | None = None
    """The name of the entry that was typed; empty where none was."""

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
            return self.async_create_entry(title=self._name or title_of(data), data=data)
        title: str | UndefinedType = UNDEFINED
        if self._name and self._name != current.title:
            title = self._name
        elif current.title == title_of(current.data):
            title = title_of(data)
        return self._change(current, data, unique_id=self.unique_id, title=title)

    async def _async_keep_connection(
        self, data: Mapping[str, Any], title_of: Callable[[Mapping[str, Any]], str]
    ) -> ConfigFlowResult:
        """End with a change that leaves the connection as it is, so that nothing is tried."""
        await self.async_set_unique_id(
            self._get_reconfigure_entry().unique_id, raise_on_progress=False
        )
        return self._save(data, title_of)

    async def _async_change_apart(
        self,
        step_id: str,
        schema: vol.Schema,
        user_input: Mapping[str, Any] | None,
        title_of: Callable[[Mapping[str, Any]], str],
    ) -> ConfigFlowResult:
        """Ask for fields that have nothing to do with the connection, and keep them."""
        stored = self._get_reconfigure_entry().data
        if user_input is not None:
            return await self._async_keep_connection({**stored, **user_input}, title_of)
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, dict(stored)),
        )

    @callback
    def _without_name(self, user_input: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was typed but for the name of the entry, which `_save` gives it."""
        typed = dict(user_input)
        self._name = typed.pop(CONF_ENTRY_NAME, "").strip()
        return typed

    @callback
    def _form_with_name(self, schema: vol.Schema, suggested: Mapping[str, Any]) -> vol.Schema:
        """Return a form, filled in, that asks for a name of the entry before its sections."""
        fields = list(schema.schema.items())
        place = next(
            (index for index, (_, field) in enumerate(fields) if isinstance(field, section)),
            len(fields),
        )
        fields.insert(place, (vol.Optional(CONF_ENTRY_NAME), TextSelector()))
        name = self._name
        if name is None and (current := self._current) is not None:
            name = current.title
        filled = {**suggested, CONF_ENTRY_NAME: name} if name else suggested
        return self.add_suggested_values_to_schema(vol.Schema(dict(fields)), filled)

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
