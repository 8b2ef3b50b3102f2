"""What the user may do with refused messages, and with a file that was set aside."""

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import AbortFlow
import voluptuous as vol

from .actions import DurableForwarder, outbox_errors, refused_as_dict

_SHOWN = 20
_SHOWN_CHARS = 300


def _running(hass: HomeAssistant, entry_id: str) -> DurableForwarder:
    """Return the forwarder of an entry; ends the flow where it does not run."""
    entry = hass.config_entries.async_get_entry(entry_id)
    if entry is not None and entry.state is ConfigEntryState.LOADED:
        link: object = entry.runtime_data
        if isinstance(link, DurableForwarder):
            return link
    title = "" if entry is None else entry.title
    raise AbortFlow("not_loaded", description_placeholders={"title": title})


class SetAsideFlow(RepairsFlow):
    """Delete the file that was set aside: what could be read of it was taken over."""

    def __init__(self, entry_id: str, file: str) -> None:
        """Take the entry whose outbox it was, and the name of the file."""
        self._entry_id = entry_id
        self._file = file

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Tell what it is, and delete it once the user is sure."""
        link = _running(self.hass, self._entry_id)
        entry = self.hass.config_entries.async_get_known_entry(self._entry_id)
        if user_input is None:
            return self.async_show_form(
                step_id="init",
                data_schema=vol.Schema({}),
                description_placeholders={"title": entry.title, "detail": self._file},
            )
        with outbox_errors():
            await link.outbox.delete_set_aside()
        return self.async_create_entry(data={})


class RefusedMessagesFlow(RepairsFlow):
    """Send them again, show them, or delete them."""

    def __init__(self, entry_id: str) -> None:
        """Take the entry whose outbox it is."""
        self._entry_id = entry_id

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask what to do."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["retry", "show", "confirm_delete"],
            description_placeholders=self._placeholders(),
        )

    async def async_step_retry(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Queue them again."""
        link = self._link()
        with outbox_errors():
            await link.outbox.retry_refused()
        link.delivery.wake()
        return self.async_create_entry(data={})

    async def async_step_show(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show the newest ones."""
        if user_input is not None:
            return await self.async_step_init()
        with outbox_errors():
            refused = await self._link().outbox.refused(_SHOWN)
        lines = [
            f"- {each['at']} {each['kind']} {each['device']}: {each['reason']}\n"
            f"  `{each['body'][:_SHOWN_CHARS]}`"
            for each in map(refused_as_dict, refused)
        ]
        return self.async_show_form(
            step_id="show",
            data_schema=vol.Schema({}),
            description_placeholders={"messages": "\n".join(lines)},
            last_step=False,
        )

    async def async_step_confirm_delete(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Delete them, once the user is sure."""
        if user_input is None:
            return self.async_show_form(
                step_id="confirm_delete",
                data_schema=vol.Schema({}),
                description_placeholders=self._placeholders(),
            )
        link = self._link()
        with outbox_errors():
            await link.outbox.delete_refused()
        link.delivery.wake()
        return self.async_create_entry(data={})

    def _link(self) -> DurableForwarder:
        return _running(self.hass, self._entry_id)

    def _placeholders(self) -> dict[str, str]:
        entry = self.hass.config_entries.async_get_known_entry(self._entry_id)
        return {"title": entry.title, "count": str(self._link().outbox.refused_records)}
