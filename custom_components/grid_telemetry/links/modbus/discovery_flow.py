"""Config steps for devices that tell the network that they are there.

Matched (manifest.json) is what is publicly known: the service `_modbus._tcp`, which the meter
reader whatwatt Go documents, and the MAC prefixes that the IEEE has given to makers of meters with
an Ethernet port (00:19:EE Carlo Gavazzi Controls, 00:0E:6B Janitza electronics).
"""

from collections.abc import Collection, Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.helpers.typing import UNDEFINED

from ...const import CONF_KIND, DOMAIN
from ...forms.entry_flow import EntryFlow
from .connection_test import async_open
from .const import CONF_ANNOUNCED_AS, CONF_TRANSPORT, KIND
from .transport import Transport, link_title, link_unique_id, modbus_params

_PORT = 502


class DiscoverySteps(EntryFlow):
    """Offer a device that was seen in the network, or follow one to its new address."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, Any] = {}

    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Take a device that announces Modbus TCP."""
        return await self._async_discovered(
            host=discovery_info.host,
            port=discovery_info.port or _PORT,
            announced_as=discovery_info.name,
            name=discovery_info.name.removesuffix(f".{discovery_info.type}"),
            other_names=(discovery_info.hostname.rstrip("."),),
        )

    async def async_step_dhcp(self, discovery_info: DhcpServiceInfo) -> ConfigFlowResult:
        """Take a device whose maker builds meters."""
        return await self._async_discovered(
            host=discovery_info.ip,
            port=_PORT,
            announced_as=format_mac(discovery_info.macaddress),
            name=discovery_info.hostname or discovery_info.ip,
            other_names=(discovery_info.hostname,),
        )

    async def _async_discovered(
        self, *, host: str, port: int, announced_as: str, name: str, other_names: Collection[str]
    ) -> ConfigFlowResult:
        data = {
            CONF_KIND: KIND,
            CONF_TRANSPORT: Transport.TCP,
            CONF_HOST: host,
            CONF_PORT: port,
            CONF_ANNOUNCED_AS: announced_as,
        }
        unique_id = link_unique_id(data)
        # A device is followed also to an address that is being offered at the moment.
        await self.async_set_unique_id(unique_id, raise_on_progress=False)
        if self._is_set_up(data, other_names):
            return self.async_abort(reason="already_configured")
        await self.async_set_unique_id(unique_id)
        # What is left is a device that the user ignores.
        self._abort_if_unique_id_configured()
        error, _ = await async_open(self.hass, modbus_params(data))
        if error is not None:
            return self.async_abort(reason="no_modbus")
        self._seen = data
        self.context["title_placeholders"] = {"name": name}
        self._set_confirm_only()
        return await self.async_step_modbus_discovered()

    def _is_set_up(self, data: Mapping[str, Any], other_names: Collection[str]) -> bool:
        """Return whether an entry is this device; one whose device has moved follows it."""
        # An entry that the user ignores has no data.
        entries = [
            entry
            for entry in self.hass.config_entries.async_entries(DOMAIN)
            if entry.data.get(CONF_TRANSPORT) == Transport.TCP
        ]
        # The name comes first: a device may now be where another one was.
        for entry in entries:
            if entry.data.get(CONF_ANNOUNCED_AS) == data[CONF_ANNOUNCED_AS]:
                self._update(entry, data)
                return True
        for entry in entries:
            if entry.data[CONF_PORT] != data[CONF_PORT]:
                continue
            if entry.data[CONF_HOST] == data[CONF_HOST]:
                # One that was set up by hand is followed from now on. One that has a name waits
                # for its own device to be seen elsewhere.
                if CONF_ANNOUNCED_AS not in entry.data:
                    self._update(entry, data)
                return True
            if entry.data[CONF_HOST] in other_names:
                return True
        return False

    def _update(self, entry: ConfigEntry, data: Mapping[str, Any]) -> None:
        moved = entry.data | data
        unique_id = link_unique_id(moved)
        self._free(unique_id, entry)
        self.hass.config_entries.async_update_entry(
            entry,
            data=moved,
            unique_id=unique_id,
            # A name that the user gave stays.
            title=link_title(moved) if entry.title == link_title(entry.data) else UNDEFINED,
        )

    def _free(self, unique_id: str, entry: ConfigEntry) -> None:
        """Take the address of an entry from the other one that had it, if there is one.

        That one is ignored, or gets its own when its device is seen or when the user changes it.
        """
        entries = self.hass.config_entries
        other = entries.async_entry_for_domain_unique_id(DOMAIN, unique_id)
        if other is not None and other is not entry:
            entries.async_update_entry(other, unique_id=None)

    async def async_step_modbus_discovered(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask whether meters shall be read there."""
        if user_input is not None:
            # Another entry may have come to this address meanwhile.
            self._abort_if_unique_id_configured()
            return self.async_create_entry(title=link_title(self._seen), data=self._seen)
        return self.async_show_form(
            step_id="modbus_discovered",
            description_placeholders={
                "name": self.context["title_placeholders"]["name"],
                "address": link_title(self._seen),
            },
        )
