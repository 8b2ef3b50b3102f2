"""A feed of a subentry with its sensors, one for each value."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ...const import DOMAIN
from .const import CONF_DEVICE, CONF_FIELD, CONF_FIELDS, CONF_SOURCE, CONF_STALE_AFTER_S, CONF_TABLE
from .entities import FeedSensor
from .feeds import Feed
from .payload import Device, Field


class FeedColumns:
    """A feed and what shows it."""

    def __init__(
        self, hass: HomeAssistant, subentry: ConfigSubentry, parent: dr.DeviceEntry | None
    ) -> None:
        """Take a subentry, and the registry's entry of the device that feeds it."""
        data = subentry.data
        self.subentry = subentry
        self.sensors: list[FeedSensor] = []
        self.add: AddConfigEntryEntitiesCallback | None = None
        fields = [Field.from_dict(item) for item in data[CONF_FIELDS]]
        self.feed = Feed(
            hass,
            title=subentry.title,
            device_id=data[CONF_DEVICE],
            table=data[CONF_TABLE],
            source=data[CONF_SOURCE],
            field=data.get(CONF_FIELD),
            stale_after_s=data[CONF_STALE_AFTER_S],
            names=[field.name for field in fields],
        )
        self._device_info = DeviceInfo(
            identifiers={(DOMAIN, subentry.subentry_id)},
            manufacturer="Ardexa",
            model=f"{data[CONF_TABLE]}.{data[CONF_SOURCE]}",
            name=subentry.title,
        )
        if parent is not None:
            self._device_info["via_device_id"] = parent.id
        if not fields:
            self.feed.more_columns = self._grow
        self._append(fields)

    def _append(self, fields: list[Field]) -> list[FeedSensor]:
        known = {sensor.unique_id for sensor in self.sensors}
        new: list[FeedSensor] = []
        for field in fields:
            unique_id = f"{self.subentry.subentry_id}_{field.name or 'value'}"
            while unique_id in known:  # two fields of one name
                unique_id += "_"
            known.add(unique_id)
            new.append(FeedSensor(unique_id, self._device_info, field))
        self.sensors += new
        self.feed.columns += new
        return new

    @callback
    def _grow(self, count: int) -> None:
        """Have a sensor for each value of a row whose fields nobody told."""
        begun = len(self.sensors)
        if self.add is None or count <= begun:
            return
        new = self._append(
            [Field(name=f"Column {number}") for number in range(begun + 1, count + 1)]
        )
        self.add(new, config_subentry_id=self.subentry.subentry_id)


def changed_fields(data: Mapping[str, Any], device: Device) -> list[dict[str, Any]] | None:
    """Return what the metadata says of a feed's fields now, None where it is what is stored.

    What the metadata does not have is left as it is: the user may have typed it.
    """
    scenario = device.scenario(data[CONF_TABLE], data[CONF_SOURCE])
    if scenario is None or not (fields := scenario.fields_of(data.get(CONF_FIELD))):
        return None
    stored = {field["name"]: field for field in data[CONF_FIELDS]}
    told = [
        {
            key: stored.get(field["name"], field)[key] if value is None else value
            for key, value in field.items()
        }
        for field in fields
    ]
    return None if told == data[CONF_FIELDS] else told
