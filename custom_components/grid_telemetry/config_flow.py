"""The menu of links; what follows is the flow of the kind that was chosen."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_DHCP,
    SOURCE_IGNORE,
    SOURCE_USER,
    SOURCE_ZEROCONF,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    FlowType,
    SubentryFlowContext,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
import voluptuous as vol

from . import async_show_panel
from .const import CONF_KIND, CONTEXT_DRIVEN, DOMAIN, ENTRY_MINOR_VERSION, ENTRY_VERSION
from .link import Direction
from .links.registry import LINKS, link_module

_STEP = "async_step_"


class GridTelemetryConfigFlow(ConfigFlow, domain=DOMAIN):
    """Set up a link: choose its kind, then follow its own flow.

    Home Assistant looks for every step on this object. Those of a kind are on an object of their
    own, which shares all state with this one: hass, flow id, context and progress.
    """

    VERSION = ENTRY_VERSION
    MINOR_VERSION = ENTRY_MINOR_VERSION
    _flow: ConfigFlow | None = None

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added below an entry of this kind; nothing to an ignored device."""
        if config_entry.source == SOURCE_IGNORE:
            return {}
        # The module was imported when its entry was made, or as the integration was set up.
        flows = import_module(f"{link_module(config_entry).package}.flow")
        return dict(flows.SUBENTRY_FLOWS)

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what is to be done: read, send or serve; at the first entry the panel guides."""
        await async_show_panel(self.hass)
        first = [kind for kind, link in LINKS.items() if link.direction is None]
        groups = [*map(str, Direction), *first]
        menu = self.async_show_menu(step_id="user", menu_options=groups)
        # Whoever goes through the flow without a screen may name a kind at once.
        menu["data_schema"] = vol.Schema({"next_step_id": vol.In([*groups, *LINKS])})
        return menu

    async def async_step_read(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what to read."""
        return self._kinds(Direction.READ)

    async def async_step_send(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where to send to."""
        return self._kinds(Direction.SEND)

    async def async_step_serve(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what to serve."""
        return self._kinds(Direction.SERVE)

    def _kinds(self, direction: Direction) -> ConfigFlowResult:
        return self.async_show_menu(
            step_id=str(direction),
            menu_options=[kind for kind, link in LINKS.items() if link.direction is direction],
        )

    @override
    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Go on with what was found by multicast DNS."""
        return await self._async_discovered(SOURCE_ZEROCONF, discovery_info)

    @override
    async def async_step_dhcp(self, discovery_info: DhcpServiceInfo) -> ConfigFlowResult:
        """Go on with what was found as it asked for an address."""
        return await self._async_discovered(SOURCE_DHCP, discovery_info)

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Go on with adding what the entry is of no use without."""
        if self.source == SOURCE_IGNORE or CONTEXT_DRIVEN in self.context:
            return result
        if (first := LINKS[result["data"][CONF_KIND]].first_subentry) is not None:
            flow = await self.hass.config_entries.subentries.async_init(
                (result["result"].entry_id, first),
                context=SubentryFlowContext(source=SOURCE_USER),
            )
            if flow["type"] is FlowResultType.ABORT:
                return result  # the platform has nothing to choose from yet
            result["next_flow"] = (FlowType.CONFIG_SUBENTRIES_FLOW, flow["flow_id"])
        return result

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the connection of a link."""
        kind = self._get_reconfigure_entry().data[CONF_KIND]
        return await self._async_step(kind, f"{kind}_reconfigure", user_input)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Ask for new credentials of a link."""
        kind = self._get_reauth_entry().data[CONF_KIND]
        return await self._async_step(kind, f"{kind}_reauth_confirm", None)

    async def _async_discovered(
        self, source: str, info: ZeroconfServiceInfo | DhcpServiceInfo
    ) -> ConfigFlowResult:
        """Go on with the kind whose devices are found in this way."""
        kind = next(kind for kind, module in LINKS.items() if source in module.discovery)
        return await self._async_step(kind, source, info)

    def __getattr__(self, name: str) -> Callable[[Any], Awaitable[ConfigFlowResult]]:
        """Return a step of a kind; its name begins with that of the kind."""
        step = name.removeprefix(_STEP)
        kind = next((kind for kind in LINKS if f"{step}_".startswith(f"{kind}_")), None)
        if step == name or kind is None:
            raise AttributeError(name)
        return partial(self._async_step, kind, step)

    async def _async_step(self, kind: str, step: str, user_input: Any) -> ConfigFlowResult:
        """Go on in a step of a kind's own flow, which begins with the first of them."""
        if self._flow is None:
            flow = (await LINKS[kind].async_flows(self.hass)).FLOW()
            vars(self).update(vars(flow), _flow=flow)
            flow.__dict__ = vars(self)
        result: ConfigFlowResult = await getattr(self._flow, f"{_STEP}{step}")(user_input)
        return result
