"""Config steps of the Sparkplug link: the broker, and the edge node."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT, CONF_USERNAME
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
)
import voluptuous as vol

from ...connection.errors import LinkError
from ...const import CONF_KIND, CONTEXT_DRIVEN
from ...forms.entry_flow import EntryFlow
from ...forms.fields import PORT, SECRET, whole_number
from ...forms.written import Written, one_form
from ...outbox.entry import LIMIT_FIELDS
from ...protocols.sparkplug import ID_PATTERN, EdgeNode
from .client import login_test
from .const import (
    CONF_CA_FILE,
    CONF_CERTIFICATE,
    CONF_GROUP_ID,
    CONF_INTERVAL_S,
    CONF_KEY,
    CONF_NODE_ID,
    CONF_PATH,
    CONF_PRIMARY_HOST,
    CONF_TRANSPORT,
    CONF_VERSION,
    DEFAULT_INTERVAL_S,
    DEFAULT_PATH,
    DEFAULT_PORT,
    KIND,
    SECURE,
    TransportKind,
)
from .link import entry_title
from .subentries import SUBENTRY_FLOWS

__all__ = ["FLOW", "SUBENTRY_FLOWS"]

SECTION_MORE: Final = "more"

_CREDENTIALS: Final[dict[vol.Marker, Any]] = {
    vol.Optional(CONF_USERNAME): TextSelector(TextSelectorConfig(autocomplete="off")),
    vol.Optional(CONF_PASSWORD): SECRET,
}
_BROKER_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_HOST): TextSelector(),
        vol.Required(CONF_PORT, default=DEFAULT_PORT): PORT,
        vol.Required(CONF_TRANSPORT, default=TransportKind.TCP): SelectSelector(
            SelectSelectorConfig(
                options=list(TransportKind),
                mode=SelectSelectorMode.DROPDOWN,
                translation_key="sparkplug_transport",
            )
        ),
        **_CREDENTIALS,
        vol.Required(SECTION_MORE): section(
            vol.Schema(
                {
                    vol.Required(CONF_VERSION, default="5"): SelectSelector(
                        SelectSelectorConfig(
                            options=["5", "3.1.1"], mode=SelectSelectorMode.DROPDOWN
                        )
                    ),
                    vol.Required(CONF_PATH, default=DEFAULT_PATH): TextSelector(),
                    vol.Optional(CONF_CA_FILE): TextSelector(),
                    vol.Optional(CONF_CERTIFICATE): TextSelector(),
                    vol.Optional(CONF_KEY): TextSelector(),
                }
            ),
            {"collapsed": True},
        ),
    }
)
_NODE_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_GROUP_ID): TextSelector(),
        vol.Required(CONF_NODE_ID): TextSelector(),
        vol.Optional(CONF_PRIMARY_HOST): TextSelector(),
        vol.Required(CONF_INTERVAL_S, default=DEFAULT_INTERVAL_S): whole_number(1, 3600, "s"),
        **LIMIT_FIELDS,
    }
)
_LIMITS_SCHEMA: Final = vol.Schema(dict(LIMIT_FIELDS))
_REAUTH_SCHEMA: Final = vol.Schema(_CREDENTIALS)
_IDS: Final = (CONF_GROUP_ID, CONF_NODE_ID, CONF_PRIMARY_HOST)


class SparkplugFlow(EntryFlow):
    """The steps of a Sparkplug entry."""

    @classmethod
    def written(cls) -> Written:
        """Return how an edge node is written in a file."""
        return Written(schemas=one_form({**_BROKER_SCHEMA.schema, **_NODE_SCHEMA.schema}))

    _sparkplug_broker: dict[str, Any]
    _sparkplug_error = ""

    async def async_step_sparkplug(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the broker and the login, and try them."""
        errors: dict[str, str] = {}
        if user_input is not None:
            broker = _broker_of(user_input)
            errors = _broker_errors(broker) or await self._async_sparkplug_try(broker)
            if not errors:
                self._sparkplug_broker = broker
                return await self.async_step_sparkplug_node()
        suggested: dict[str, Any] = user_input or {}
        if not suggested and (current := self._current) is not None:
            # The password is never shown again; it is asked for anew.
            stored = {key: current.data[key] for key in current.data if key != CONF_PASSWORD}
            suggested = {**stored, SECTION_MORE: stored}
        return self.async_show_form(
            step_id="sparkplug",
            data_schema=self.add_suggested_values_to_schema(_BROKER_SCHEMA, suggested),
            errors=errors,
            description_placeholders={"error": self._sparkplug_error},
        )

    async def async_step_sparkplug_node(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the names of the node, how often it sends and how much it keeps."""
        errors: dict[str, str] = {}
        if user_input is not None:
            named = {key: value.strip() for key, value in user_input.items() if key in _IDS}
            named = {key: value for key, value in named.items() if value}
            others = {key: value for key, value in user_input.items() if key not in _IDS}
            data = {CONF_KIND: KIND, **self._sparkplug_broker, **named, **others}
            errors = {
                key: "sparkplug_invalid_id"
                for key in _IDS
                if (key in named or key != CONF_PRIMARY_HOST)
                and not ID_PATTERN.fullmatch(named.get(key, ""))
            }
            if not errors:
                await self.async_set_unique_id(_unique_id(data))
                self._abort_if_taken()
                node = EdgeNode(
                    data[CONF_GROUP_ID],
                    data[CONF_NODE_ID],
                    primary_host=data.get(CONF_PRIMARY_HOST),
                )
                errors = await self._async_sparkplug_try(data, *node.subscriptions())
            if not errors:
                return self._save(data, entry_title)
        if user_input is not None:
            suggested = user_input
        elif (current := self._current) is not None:
            suggested = dict(current.data)
        else:
            suggested = {CONF_NODE_ID: self.hass.config.location_name}
        return self.async_show_form(
            step_id="sparkplug_node",
            data_schema=self.add_suggested_values_to_schema(_NODE_SCHEMA, suggested),
            errors=errors,
            description_placeholders={"error": self._sparkplug_error},
        )

    async def async_step_sparkplug_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what to change: the limits need no login, and so no broker that answers.

        A file says all of it.
        """
        if CONTEXT_DRIVEN in self.context:
            return await self.async_step_sparkplug(user_input)
        return self.async_show_menu(
            step_id="sparkplug_reconfigure", menu_options=["sparkplug", "sparkplug_limits"]
        )

    async def async_step_sparkplug_limits(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change how much is kept while nobody takes it."""
        return await self._async_change_apart(
            "sparkplug_limits", _LIMITS_SCHEMA, user_input, entry_title
        )

    async def async_step_sparkplug_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a new login and try it."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            data = {
                **{key: entry.data[key] for key in entry.data if key not in _REAUTH_SCHEMA.schema},
                **{key: value for key, value in user_input.items() if value},
            }
            errors = await self._async_sparkplug_try(data)
            if not errors:
                return self._change(entry, data)
        suggested = user_input or {CONF_USERNAME: entry.data.get(CONF_USERNAME)}
        return self.async_show_form(
            step_id="sparkplug_reauth_confirm",
            data_schema=self.add_suggested_values_to_schema(_REAUTH_SCHEMA, suggested),
            errors=errors,
            description_placeholders={
                "host": entry.data[CONF_HOST],
                "error": self._sparkplug_error,
            },
        )

    async def _async_sparkplug_try(self, data: Mapping[str, Any], *topics: str) -> dict[str, str]:
        """Return the errors of a log-in and of subscriptions; none when the broker took them."""
        try:
            await login_test(self.hass, data, topics)
        except LinkError as err:
            self._sparkplug_error = err.detail
            return {"base": f"sparkplug_{err.reason}"}
        except ValueError as err:  # what MQTT cannot carry
            self._sparkplug_error = str(err)
            return {"base": "sparkplug_invalid_credential"}
        return {}


def _broker_of(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store of the broker; a field that was emptied comes as an empty text."""
    fields = {**user_input, **user_input[SECTION_MORE]}
    del fields[SECTION_MORE]
    fields[CONF_HOST] = fields[CONF_HOST].strip()
    return {key: value for key, value in fields.items() if value != ""}


def _broker_errors(data: Mapping[str, Any]) -> dict[str, str]:
    files = (CONF_CA_FILE, CONF_CERTIFICATE, CONF_KEY)
    if data[CONF_TRANSPORT] not in SECURE and any(key in data for key in files):
        return {CONF_TRANSPORT: "sparkplug_files_without_tls"}
    if CONF_KEY in data and CONF_CERTIFICATE not in data:
        return {"base": "certificate_missing"}
    if CONF_PASSWORD in data and CONF_USERNAME not in data:
        return {CONF_USERNAME: "sparkplug_username_missing"}
    return {}


def _unique_id(data: Mapping[str, Any]) -> str:
    """Return what tells nodes apart; to some hosts capitals make no difference."""
    broker = f"{data[CONF_HOST]}:{data[CONF_PORT]}"
    return f"sparkplug/{broker}/{data[CONF_GROUP_ID]}/{data[CONF_NODE_ID]}".lower()


FLOW: Final = SparkplugFlow
