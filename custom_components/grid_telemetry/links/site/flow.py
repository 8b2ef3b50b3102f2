"""Config steps of the site: where its file comes from, and whose signature counts."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, ConfigSubentryFlow
from homeassistant.const import CONF_URL
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from ...configuration.document import SiteFileError
from ...const import CONF_KIND
from ...forms.entry_flow import EntryFlow
from ...forms.fields import is_url, whole_number
from .bundle import async_site_file
from .client import async_fetch
from .const import (
    CONF_ENROLMENT,
    CONF_INTERVAL_MIN,
    CONF_PUBLIC_KEY,
    CONF_SECRETS,
    CONF_UNATTENDED,
    CONF_VARIABLES,
    DEFAULT_INTERVAL_MIN,
    KIND,
)
from .payload import BundleError, public_key_of, read_enrolment

_TITLE: Final = "Site"
_SCHEMA: Final = vol.Schema(
    {
        vol.Optional(CONF_ENROLMENT): TextSelector(TextSelectorConfig(multiline=True)),
        vol.Optional(CONF_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
        vol.Optional(CONF_PUBLIC_KEY): TextSelector(),
        vol.Required(CONF_INTERVAL_MIN, default=DEFAULT_INTERVAL_MIN): whole_number(
            5, 10_080, "min"
        ),
        vol.Required(CONF_UNATTENDED, default=False): BooleanSelector(),
    }
)


class SiteFlow(EntryFlow):
    """The steps of the site's entry."""

    async def async_step_site(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the enrolment, or for address and key, and fetch the file."""
        errors: dict[str, str] = {}
        detail = ""
        await self.async_set_unique_id(KIND)
        self._abort_if_taken()
        if user_input is not None:
            try:
                data = self._data_of(user_input)
                await self._async_try(data)
            except BundleError as err:
                field = _FIELDS.get(err.key, "base")
                errors, detail = {field: err.key}, err.detail
            except SiteFileError as err:
                errors, detail = {"base": "site_file_faults"}, str(err)
            else:
                return self._save(data, lambda _: _TITLE)
        suggested: Mapping[str, Any] = user_input or {}
        if not suggested and (current := self._current) is not None:
            suggested = current.data
        # What the enrolment carries is secret; it is never shown again.
        shown = {key: value for key, value in suggested.items() if key != CONF_ENROLMENT}
        return self.async_show_form(
            step_id="site",
            data_schema=self.add_suggested_values_to_schema(_SCHEMA, shown),
            errors=errors,
            description_placeholders={"error": detail},
        )

    async def async_step_site_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change where the file comes from, or enrol again."""
        return await self.async_step_site(user_input)

    def _data_of(self, user_input: Mapping[str, Any]) -> dict[str, Any]:
        """Return what to store. Raises `BundleError`."""
        stored: Mapping[str, Any] = {} if (current := self._current) is None else current.data
        data = {
            CONF_KIND: KIND,
            CONF_INTERVAL_MIN: user_input[CONF_INTERVAL_MIN],
            CONF_UNATTENDED: user_input[CONF_UNATTENDED],
        }
        if text := user_input.get(CONF_ENROLMENT, "").strip():
            enrolment = read_enrolment(text)
            return data | {
                CONF_URL: enrolment.url,
                CONF_PUBLIC_KEY: enrolment.public_key,
                CONF_VARIABLES: dict(enrolment.variables),
                CONF_SECRETS: dict(enrolment.secrets),
            }
        return data | {
            CONF_URL: user_input.get(CONF_URL, "").strip(),
            CONF_PUBLIC_KEY: user_input.get(CONF_PUBLIC_KEY, "").strip(),
            CONF_VARIABLES: stored.get(CONF_VARIABLES, {}),
            CONF_SECRETS: stored.get(CONF_SECRETS, {}),
        }

    async def _async_try(self, data: Mapping[str, Any]) -> None:
        """Fetch the file and read it. Raises `BundleError` or `SiteFileError`."""
        if not is_url(data[CONF_URL], "https"):
            raise BundleError("site_invalid_url")
        public_key_of(data[CONF_PUBLIC_KEY])
        bundle = await async_fetch(self.hass, data[CONF_URL], data[CONF_PUBLIC_KEY])
        await async_site_file(self.hass, bundle, data)


_FIELDS: Final = {
    "site_invalid_enrolment": CONF_ENROLMENT,
    "site_invalid_url": CONF_URL,
    "site_invalid_key": CONF_PUBLIC_KEY,
}

FLOW: Final = SiteFlow
SUBENTRY_FLOWS: Final[dict[str, type[ConfigSubentryFlow]]] = {}
