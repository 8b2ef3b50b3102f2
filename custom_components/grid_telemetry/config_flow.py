"""The menu of links; each link brings its own steps."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_USER,
    ConfigEntry,
    ConfigFlowResult,
    ConfigSubentryFlow,
    FlowType,
    SubentryFlowContext,
)
from homeassistant.core import callback

from .const import CONF_KIND, DOMAIN, LinkKind
from .links.ardexa import flow as ardexa
from .links.group import flow as group
from .links.modbus import flow as modbus
from .links.powernaut import flow as powernaut
from .links.scout import flow as scout
from .links.setup_server import flow as setup_server
from .links.solarnode import flow as solarnode
from .links.sttp_publisher import flow as sttp_publisher
from .links.sttp_subscriber import flow as sttp_subscriber
from .links.virtual_meter import flow as virtual_meter

SUBENTRY_FLOWS: dict[LinkKind, dict[str, type[ConfigSubentryFlow]]] = {
    LinkKind.MODBUS: modbus.SUBENTRY_FLOWS,
    LinkKind.SCOUT: scout.SUBENTRY_FLOWS,
    LinkKind.POWERNAUT: powernaut.SUBENTRY_FLOWS,
    LinkKind.STTP_PUBLISHER: sttp_publisher.SUBENTRY_FLOWS,
    LinkKind.STTP_SUBSCRIBER: {},
    LinkKind.SETUP_SERVER: setup_server.SUBENTRY_FLOWS,
    LinkKind.VIRTUAL_METER: virtual_meter.SUBENTRY_FLOWS,
    LinkKind.GROUP: group.SUBENTRY_FLOWS,
    LinkKind.SOLARNODE: {},
    LinkKind.ARDEXA: ardexa.SUBENTRY_FLOWS,
}

# Kinds that show nothing without a subentry: their flow goes on with adding the first.
GOES_ON = (LinkKind.MODBUS, LinkKind.VIRTUAL_METER, LinkKind.GROUP)


class GridTelemetryConfigFlow(
    modbus.ModbusSteps,
    scout.ScoutSteps,
    powernaut.PowernautSteps,
    sttp_publisher.SttpPublisherSteps,
    sttp_subscriber.SttpSubscriberSteps,
    setup_server.SetupServerSteps,
    virtual_meter.VirtualMeterSteps,
    group.GroupSteps,
    solarnode.SolarNodeSteps,
    ardexa.ArdexaSteps,
    domain=DOMAIN,
):
    """Set up a link: choose its kind, then follow its steps."""

    VERSION = 1

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added below an entry of this kind; nothing to an ignored device."""
        if config_entry.source == SOURCE_IGNORE:
            return {}
        return SUBENTRY_FLOWS[LinkKind(config_entry.data[CONF_KIND])]

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what to connect to."""
        return self.async_show_menu(step_id="user", menu_options=list(LinkKind))

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Go on with adding what the entry is of no use without."""
        if self.source == SOURCE_IGNORE:
            return result
        kind = LinkKind(result["data"][CONF_KIND])
        if kind in GOES_ON:
            first = await self.hass.config_entries.subentries.async_init(
                (result["result"].entry_id, next(iter(SUBENTRY_FLOWS[kind]))),
                context=SubentryFlowContext(source=SOURCE_USER),
            )
            result["next_flow"] = (FlowType.CONFIG_SUBENTRIES_FLOW, first["flow_id"])
        return result

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the connection of a link."""
        return await self._async_link_step(self._get_reconfigure_entry(), "reconfigure", user_input)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Ask for new credentials of a link."""
        return await self._async_link_step(self._get_reauth_entry(), "reauth_confirm", None)

    async def _async_link_step(
        self, entry: ConfigEntry, step: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Go on in the step that the link brings, named `<kind>_<step>`."""
        result: ConfigFlowResult = await getattr(
            self, f"async_step_{entry.data[CONF_KIND]}_{step}"
        )(user_input)
        return result
