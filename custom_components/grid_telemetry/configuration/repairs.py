"""What a site file asks of a person: its secrets, once."""

from collections.abc import Mapping
from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
import voluptuous as vol

from ..forms.fields import SECRET
from .apply import Result, async_apply_entry
from .document import SiteFileError
from .record import async_record


class SecretsFlow(RepairsFlow):
    """Ask for the secrets of an entry, and make it with them; they are kept there only."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Take what the issue was raised with."""
        self._site_id = str(data["site_entry"])
        self._asks = str(data["asks"]).split(",")

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask, and try."""
        record = await async_record(self.hass)
        if (wanted := record.wanted.get(self._site_id)) is None:
            return self.async_abort(reason="site_file_again")
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            try:
                outcome = await async_apply_entry(self.hass, wanted, user_input)
            except SiteFileError as err:
                errors["base"], detail = "site_entry_refused", str(err)
            else:
                if outcome.result is not Result.FAILED:
                    return self.async_create_entry(data={})
                errors["base"], detail = "site_entry_refused", outcome.error or ""
        return self.async_show_form(
            step_id="init",
            data_schema=vol.Schema({vol.Required(key): SECRET for key in self._asks}),
            errors=errors,
            description_placeholders={"title": wanted.name or wanted.id, "error": detail},
        )
