"""Grid Telemetry: meters in, states out, commands in."""

import asyncio

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.importlib import async_import_module
from homeassistant.helpers.typing import ConfigType
from homeassistant.util.hass_dict import HassKey

from .connection.issues import remove_issues
from .const import CONF_KIND, DOMAIN, ENTRY_MINOR_VERSION
from .link import (
    GridTelemetryConfigEntry,
    LinkWithDynamicDevices,
    LinkWithLiveChanges,
    MigratingRuntimeModule,
    StoringRuntimeModule,
)
from .links.registry import LINKS, link_module
from .points.counter_store import async_remove_counters
from .services import async_setup_services

# The entries that have changed while they are reloaded.
_WAITING: HassKey[set[str]] = HassKey(f"{DOMAIN}_waiting")

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, so that automations validate before any link is up, and the panel."""
    async_setup_services(hass)
    await async_show_panel(hass)
    # Home Assistant asks for the subentries of entries that are not loaded too, in the event loop.
    for kind in {entry.data.get(CONF_KIND) for entry in hass.config_entries.async_entries(DOMAIN)}:
        if kind in LINKS:
            await LINKS[kind].async_flows(hass)
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> bool:
    """Bring an entry of an earlier version up to date; one of a later minor version is as good."""
    if entry.minor_version < ENTRY_MINOR_VERSION:
        runtime = await link_module(entry).async_runtime(hass)
        if isinstance(runtime, MigratingRuntimeModule):
            await runtime.async_migrate_link(hass, entry)
        hass.config_entries.async_update_entry(entry, minor_version=ENTRY_MINOR_VERSION)
    return True


async def async_show_panel(hass: HomeAssistant) -> None:
    """Show the panel in the sidebar, where there is a frontend; may be called again."""
    if "frontend" in hass.config.components:
        # Imported here: it brings much with it that a home without a frontend has no use for.
        panel = await async_import_module(hass, f"{__name__}.panel")
        await panel.async_setup_panel(hass)


async def async_setup_entry(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> bool:
    """Set up one link; what fails on the way undoes what was done."""
    # Before the link looks at its entry: a change that comes while it is set up is not lost.
    entry.async_on_unload(entry.add_update_listener(_async_reload))
    runtime = await link_module(entry).async_runtime(hass)
    link = entry.runtime_data = await runtime.async_setup_link(hass, entry)

    async def async_stop(_: Event) -> None:
        """End the traffic in order; Home Assistant does not unload entries when it stops."""
        await link.async_stop()

    # Before it starts: Home Assistant may be stopped while it does.
    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, async_stop))
    try:
        await hass.config_entries.async_forward_entry_setups(entry, link.platforms)
        try:
            await link.async_start()
        except BaseException:
            await hass.config_entries.async_unload_platforms(entry, link.platforms)
            raise
    except BaseException:
        await link.async_stop()
        raise
    if hass.is_stopping:
        await link.async_stop()
    return True


async def _async_reload(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Take over changed data or subentries."""
    # Of the changes that come at once, or while the entry is being reloaded, one stands for all.
    waiting = hass.data.setdefault(_WAITING, set())
    if entry.entry_id in waiting:
        return
    waiting.add(entry.entry_id)
    try:
        await asyncio.sleep(0)
        async with entry.setup_lock:
            pass
    finally:
        waiting.discard(entry.entry_id)
    if (
        entry.state is ConfigEntryState.LOADED
        and isinstance(link := entry.runtime_data, LinkWithLiveChanges)
        and await link.async_apply_changes()
    ):
        return
    # It may have been removed meanwhile.
    if hass.config_entries.async_get_entry(entry.entry_id) is not None:
        await hass.config_entries.async_reload(entry.entry_id)


async def async_unload_entry(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> bool:
    """Unload one link."""
    link = entry.runtime_data
    if not await hass.config_entries.async_unload_platforms(entry, link.platforms):
        return False
    await link.async_stop()
    return True


async def async_remove_entry(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete what the link kept beside the entry, and close the forms that add to it."""
    flows = hass.config_entries.subentries
    for flow in flows.async_progress():
        if flow["handler"][0] == entry.entry_id:
            # A search that goes on would end at an entry that is gone.
            flows.async_abort(flow["flow_id"])
    try:
        runtime = await link_module(entry).async_runtime(hass)
        if isinstance(runtime, StoringRuntimeModule):
            await runtime.async_remove_link(hass, entry)
    finally:
        await async_remove_counters(hass, entry)
        remove_issues(hass, entry)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: GridTelemetryConfigEntry, device: DeviceEntry
) -> bool:
    """Say whether the user may remove a device: one that the outside system has no more.

    While the link does not run nobody knows, and the user decides: it comes back if it is there.
    """
    if entry.state is not ConfigEntryState.LOADED:
        return True
    link = entry.runtime_data
    return isinstance(link, LinkWithDynamicDevices) and link.is_gone(device)
