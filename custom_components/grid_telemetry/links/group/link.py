"""Meter groups: the total of several meters, or a check meter, as a device of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity

from ...link import GridTelemetryConfigEntry, Link
from ...points.issues import PointIssues
from ...points.point import Point
from ...points.table import CONF_POINTS
from .const import SUBENTRY_GROUP
from .entities import GroupSensor, group_sensors


class GroupLink(Link):
    """All meter groups."""

    platforms: Sequence[Platform] = (Platform.SENSOR,)

    def __init__(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
        subentries = list(entry.get_subentries_of_type(SUBENTRY_GROUP))
        self._sensors: dict[str | None, list[GroupSensor]] = {
            subentry.subentry_id: group_sensors(subentry) for subentry in subentries
        }
        points = [
            Point.from_dict(stored)
            for subentry in subentries
            for stored in subentry.data[CONF_POINTS]
        ]
        self._watch = PointIssues(hass, entry, points)

    @property
    def unique_ids(self) -> set[str | None]:
        """Return those of the sensors that there are."""
        return {sensor.unique_id for sensors in self._sensors.values() for sensor in sensors}

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the sensors of each group."""
        return self._sensors

    async def async_start(self) -> None:
        """Watch for members that are gone; the sensors follow theirs themselves."""
        self._watch.start()

    async def async_stop(self) -> None:
        """End watching."""
        self._watch.stop()

    def diagnostics(self) -> dict[str, Any]:
        """Return what each sensor shows."""
        return {
            "sensors": {
                sensor.entity_id: {"available": sensor.available, "value": sensor.native_value}
                for sensors in self._sensors.values()
                for sensor in sensors
            }
        }


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> GroupLink:
    """Return the groups; sensors of quantities that a group has no more are removed."""
    link = GroupLink(hass, entry)
    registry = er.async_get(hass)
    for known in er.async_entries_for_config_entry(registry, entry.entry_id):
        if known.unique_id not in link.unique_ids:
            registry.async_remove(known.entity_id)
    return link
