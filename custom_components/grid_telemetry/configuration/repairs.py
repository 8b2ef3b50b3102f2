"""What a site file asks of a person: secrets, a word, and which of two changes counts."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
import voluptuous as vol

from ..const import CONF_KIND
from ..forms.fields import SECRET
from .apply import Outcome, Result, async_apply_entry
from .document import SiteFileError
from .drift import async_check_drift
from .export import as_yaml, exported_entry, known
from .plan import wanted_of
from .record import EntryRecord, async_record
from .site_file import KEY_ID, SiteEntry, WrittenKind, async_written_kinds


async def _async_refusal(
    hass: HomeAssistant, wanted: SiteEntry, given: Mapping[str, str]
) -> str | None:
    """Do what a file says of an entry; return why it cannot be done, None if it was."""
    try:
        outcome = await async_apply_entry(hass, wanted, given)
    except SiteFileError as err:
        return str(err)
    return outcome.error or "" if outcome.result is Result.FAILED else None


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
            if (refusal := await _async_refusal(self.hass, wanted, user_input)) is None:
                return self.async_create_entry(data={})
            errors["base"], detail = "site_entry_refused", refusal
        return self.async_show_form(
            step_id="init",
            data_schema=vol.Schema({vol.Required(key): SECRET for key in self._asks}),
            errors=errors,
            description_placeholders={"title": wanted.name or wanted.id, "error": detail},
        )


class DriftFlow(RepairsFlow):
    """Take back a change by hand, or let it stand."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Take what the issue was raised with."""
        self._entry_id = str(data["drifted"])

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask which counts."""
        if (found := await self._async_found()) is None:
            return self.async_abort(reason="entry_is_gone")
        return self.async_show_menu(
            step_id="init",
            menu_options=["take_file", "take_entry"],
            description_placeholders={"title": found[0].title},
        )

    async def async_step_take_file(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Make the entry what the file said, once that was confirmed."""
        if (found := await self._async_found()) is None:
            return self.async_abort(reason="entry_is_gone")
        entry, remembered, kind = found
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            secrets = (await async_record(self.hass)).own_secrets
            wanted = wanted_of(remembered, kind, secrets)
            if (refusal := await _async_refusal(self.hass, wanted, {})) is None:
                return self.async_create_entry(data={})
            errors["base"], detail = "site_entry_refused", refusal
        return self.async_show_form(
            step_id="take_file",
            data_schema=vol.Schema({}),
            errors=errors,
            description_placeholders={"title": entry.title, "error": detail},
        )

    async def async_step_take_entry(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Show what the file should say, and let the entry be as it is until the file changes."""
        if (found := await self._async_found()) is None:
            return self.async_abort(reason="entry_is_gone")
        entry, remembered, kind = found
        if user_input is not None:
            record = await async_record(self.hass)
            remembered.written = known(self.hass, entry, kind)
            await record.async_save()
            await async_check_drift(self.hass, entry)
            return self.async_create_entry(data={})
        text = as_yaml([{KEY_ID: remembered.id, **exported_entry(self.hass, entry, kind)}])
        return self.async_show_form(
            step_id="take_entry",
            data_schema=vol.Schema({}),
            description_placeholders={"title": entry.title, "text": f"```yaml\n{text}```"},
        )

    async def _async_found(self) -> tuple[ConfigEntry[Any], EntryRecord, WrittenKind] | None:
        """Return the entry with what is remembered of it; None if either is gone."""
        record = await async_record(self.hass)
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        remembered = record.entries.get(self._entry_id)
        if entry is None or remembered is None:
            return None
        kinds = await async_written_kinds(self.hass)
        return entry, remembered, kinds[entry.data[CONF_KIND]]


@runtime_checkable
class WaitsForAWord(Protocol):
    """A link with a plan that waits until a person agrees to it."""

    def waiting(self) -> list[str]:
        """Return what it would do, a line each."""

    async def async_agree(self) -> list[Outcome]:
        """Do it. Raises `SiteFileError`."""


class PlanFlow(RepairsFlow):
    """Show what a file would do, and do it once a person agreed."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Take what the issue was raised with."""
        self._entry_id = str(data["entry_id"])
        self._version = str(data["site_plan"])

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Show the plan; what of it is refused is told."""
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        link: object = (
            entry.runtime_data if entry and entry.state is ConfigEntryState.LOADED else None
        )
        if not isinstance(link, WaitsForAWord):
            return self.async_abort(reason="entry_is_gone")
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            try:
                outcomes = await link.async_agree()
            except SiteFileError as err:
                detail = str(err)
            else:
                refused = [f"{each.title}: {each.error}" for each in outcomes if each.error]
                if not refused:
                    return self.async_create_entry(data={})
                detail = "; ".join(refused)
            errors["base"] = "site_entry_refused"
        return self.async_show_form(
            step_id="init",
            data_schema=vol.Schema({}),
            errors=errors,
            description_placeholders={
                "version": self._version,
                "plan": "\n".join(f"- `{line}`" for line in link.waiting()),
                "error": detail,
            },
        )
