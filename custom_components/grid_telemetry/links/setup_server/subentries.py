"""Config steps of a setup server's subentry: a command of the user's own."""

from functools import partial
import re
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.helpers.selector import ActionSelector, TextSelector
import voluptuous as vol

from ...commands.built_in import RESERVED
from ...commands.own import ACTION_NAME, one_action, with_steps
from ...forms.fields import whole_number
from ...forms.written import Written, one_form
from .const import (
    CONF_ACTION,
    CONF_DESTINATION,
    CONF_TIME_LIMIT_S,
    DEFAULT_TIME_LIMIT_S,
    SUBENTRY_COMMAND,
)

_DESTINATION: Final = re.compile(r"/[!-~]{1,254}")
_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_DESTINATION): TextSelector(),
        vol.Required(CONF_ACTION): ActionSelector(),
        vol.Required(CONF_TIME_LIMIT_S, default=DEFAULT_TIME_LIMIT_S): whole_number(1, 3600),
    }
)


class CommandSubentryFlow(ConfigSubentryFlow):
    """Have a destination call an action."""

    @classmethod
    def written(cls) -> Written:
        """Return how a command is written in a file: with the one call that the editor wraps."""
        listed = partial(with_steps, key=CONF_ACTION)
        return Written(
            schemas=one_form(_SCHEMA),
            identity=(CONF_DESTINATION,),
            opens=True,
            fields=listed,
            answers=listed,
        )

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the destination and the action."""
        errors: dict[str, str] = {}
        if user_input is not None:
            destination = user_input[CONF_DESTINATION].strip()
            action = one_action(user_input[CONF_ACTION])
            if not _DESTINATION.fullmatch(destination):
                errors[CONF_DESTINATION] = "invalid_destination"
            elif destination in RESERVED:
                errors[CONF_DESTINATION] = "reserved_destination"
            elif destination in self._others():
                errors[CONF_DESTINATION] = "destination_in_use"
            if action is None:
                errors[CONF_ACTION] = "one_action"
            if not errors:
                return self._save(
                    {**user_input, CONF_DESTINATION: destination, CONF_ACTION: action}
                )
        suggested = user_input or {}
        if not suggested and self.source == SOURCE_RECONFIGURE:
            stored = self._get_reconfigure_subentry().data
            suggested = {**stored, CONF_ACTION: [stored[CONF_ACTION]]}
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(_SCHEMA, suggested),
            errors=errors,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change the command."""
        return await self.async_step_user(user_input)

    def _save(self, data: dict[str, Any]) -> SubentryFlowResult:
        title = f"{data[CONF_DESTINATION]} → {data[CONF_ACTION][ACTION_NAME]}"
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_and_abort(
                self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
            )
        return self.async_create_entry(title=title, data=data)

    def _others(self) -> set[str]:
        """Return the destinations of the entry's other commands."""
        present = self._reconfigure_subentry_id if self.source == SOURCE_RECONFIGURE else None
        return {
            subentry.data[CONF_DESTINATION]
            for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_COMMAND)
            if subentry.subentry_id != present
        }


SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {SUBENTRY_COMMAND: CommandSubentryFlow}
