"""Config steps of the Ardexa link: the cloud, the workgroup and the token, tried before saving."""

from collections.abc import Mapping
import time
from typing import Any, Final
from urllib.parse import urlsplit

from homeassistant.config_entries import (
    ConfigFlowResult,
)
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from ...connection.errors import ConnectionFailed, DestinationRefused, LinkError
from ...const import CONF_KIND
from ...forms.entry_flow import EntryFlow
from ...forms.fields import SECRET
from ...forms.written import Written, one_form
from .api import Api, api_of, is_usable_url
from .client import NoAnswer, OperationError, OperationRefused, Session, open_session
from .const import CONF_ALLOW_OPERATIONS, CONF_TOKEN, CONF_URL, CONF_WORKGROUP, DEFAULT_URL, KIND
from .operations import try_feed
from .payload import Device, Json, speaks_of_permission
from .subentries import SUBENTRY_FLOWS
from .tokens import lifetime_of

__all__ = ["FLOW", "SUBENTRY_FLOWS"]

PRIVILEGE_WITHIN_S: Final = 10.0

_PLACE: dict[vol.Marker, Any] = {
    vol.Required(CONF_URL, default=DEFAULT_URL): TextSelector(
        TextSelectorConfig(type=TextSelectorType.URL)
    ),
    vol.Required(CONF_WORKGROUP): TextSelector(),
}
_ALLOW: dict[vol.Marker, Any] = {
    vol.Required(CONF_ALLOW_OPERATIONS, default=False): BooleanSelector()
}
_SCHEMA = vol.Schema({**_PLACE, vol.Required(CONF_TOKEN): SECRET, **_ALLOW})
# The token is never shown again; left empty, it stays as it is.
_RECONFIGURE_SCHEMA = vol.Schema({**_PLACE, vol.Optional(CONF_TOKEN): SECRET, **_ALLOW})
_REAUTH_SCHEMA = vol.Schema({vol.Required(CONF_TOKEN): SECRET})


class ArdexaFlow(EntryFlow):
    """The steps of an Ardexa entry."""

    _ardexa_error = ""

    @classmethod
    def written(cls) -> Written:
        """Return how a workgroup is written in a file."""
        return Written(schemas=one_form(_SCHEMA), opening_fields=frozenset({CONF_ALLOW_OPERATIONS}))

    async def async_step_ardexa(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the cloud, the workgroup and the token."""
        errors: dict[str, str] = {}
        if user_input is not None:
            data = _data_of(user_input)
            await self.async_set_unique_id(_unique_id(data))
            self._abort_if_taken()
            errors = await self._async_ardexa_try(data)
            if not errors:
                return self._save(data, _title)
        return self.async_show_form(
            step_id="ardexa",
            data_schema=self.add_suggested_values_to_schema(_SCHEMA, user_input or {}),
            errors=errors,
            description_placeholders={"error": self._ardexa_error},
        )

    async def async_step_ardexa_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the cloud, the workgroup, the token, or what is allowed."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            data = _data_of({CONF_TOKEN: entry.data[CONF_TOKEN], **user_input})
            await self.async_set_unique_id(_unique_id(data))
            self._abort_if_taken()
            errors = await self._async_ardexa_try(data)
            if not errors:
                return self._save(data, _title)
        suggested = user_input or {key: entry.data[key] for key in entry.data if key != CONF_TOKEN}
        return self.async_show_form(
            step_id="ardexa_reconfigure",
            data_schema=self.add_suggested_values_to_schema(_RECONFIGURE_SCHEMA, suggested),
            errors=errors,
            description_placeholders={"error": self._ardexa_error},
        )

    async def async_step_ardexa_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a new token and try it."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            data = _data_of({**entry.data, **user_input})
            errors = await self._async_ardexa_try(data)
            if not errors:
                return self._change(entry, data)
        return self.async_show_form(
            step_id="ardexa_reauth_confirm",
            data_schema=_REAUTH_SCHEMA,
            errors=errors,
            description_placeholders={"title": entry.title, "error": self._ardexa_error},
        )

    async def _async_ardexa_try(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Ask for the devices and connect; return the errors by field."""
        token: str = data[CONF_TOKEN]
        if not is_usable_url(data[CONF_URL]):
            return {CONF_URL: "ardexa_invalid_url"}
        if not token.isascii() or not token.isprintable() or " " in token:
            return {CONF_TOKEN: "ardexa_invalid_token"}
        if (lifetime := lifetime_of(token)) is not None and lifetime.is_over(time.time()):
            return {CONF_TOKEN: "ardexa_token_expired"}
        try:
            await _async_try(api_of(self.hass, data))
        except LinkError as err:
            self._ardexa_error = err.detail
            return {"base": err.reason}
        return {}


class _NoListener:
    """Hears nothing; a flow asks for what it wants to know."""

    def take_data(self, data: Json) -> None:
        """Pass over the data of a feed that was just asked for."""

    def take_push(self, event: str, data: Json) -> None:
        """Pass over the news."""


async def _async_try(api: Api) -> None:
    """Raise a `LinkError` unless everything works."""
    if (generation := await api.generation()) in ("older", "other"):
        raise DestinationRefused(f"ardexa_{generation}_generation")
    devices = await api.devices()
    async with open_session(api, _NoListener()) as session:
        await _async_check_privilege(session, devices)


async def _async_check_privilege(session: Session, devices: Mapping[str, Device]) -> None:
    """Ask for a feed for a moment: some servers only then tell that a right is missing."""
    for device in devices.values():
        for scenario in device.scenarios:
            request = {"deviceId": device.id, "table": scenario.table, "source": scenario.source}
            try:
                await try_feed(session, request, PRIVILEGE_WITHIN_S)
            except OperationRefused as err:
                if speaks_of_permission(str(err)):
                    raise DestinationRefused("ardexa_no_privilege", str(err)) from err
            except NoAnswer:
                pass  # a device that is not there; it says nothing of the right
            except OperationError as err:
                raise ConnectionFailed("connection_lost") from err
            return


def _data_of(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store."""
    return {
        CONF_KIND: KIND,
        CONF_URL: user_input[CONF_URL].strip().rstrip("/"),
        CONF_WORKGROUP: user_input[CONF_WORKGROUP].strip(),
        CONF_TOKEN: user_input[CONF_TOKEN].strip(),
        CONF_ALLOW_OPERATIONS: user_input[CONF_ALLOW_OPERATIONS],
    }


def _unique_id(data: Mapping[str, Any]) -> str:
    """Return what two entries for the same workgroup have in common."""
    return f"ardexa/{_place(data)}/{data[CONF_WORKGROUP]}"


def _place(data: Mapping[str, Any]) -> str:
    try:
        place: str = urlsplit(data[CONF_URL]).netloc.lower()
    except ValueError:  # what is no address is told as that
        return ""
    return place


def _title(data: Mapping[str, Any]) -> str:
    return f"Ardexa {data[CONF_WORKGROUP]}"


FLOW: Final = ArdexaFlow
