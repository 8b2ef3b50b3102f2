"""The sources of datum: every meter, and the devices that were chosen."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
import re
from typing import Any, Final

from homeassistant.components.sensor import ATTR_STATE_CLASS, SensorDeviceClass
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import AnyDeviceEntry
from homeassistant.util import slugify

from ...const import DOMAIN
from ...points.point import Point, Refusal, can_convert
from ...points.reader import COUNTING, PointReader
from ...points.table import device_class_of, readings_of, unit_of
from ...vocabulary.datum import PROPERTIES, PROPERTY_OF, Datum, Group, Property
from .const import CONF_DEVICE, CONF_SOURCE_ID
from .payload import datum_of

# What a sensor of another integration is called, the first one of its kind in a device.
_NAME_BY_DEVICE_CLASS: Final[Mapping[str, str]] = {
    SensorDeviceClass.POWER: "watts",
    SensorDeviceClass.ENERGY: "wattHours",
    SensorDeviceClass.VOLTAGE: "voltage",
    SensorDeviceClass.CURRENT: "current",
    SensorDeviceClass.FREQUENCY: "frequency",
    SensorDeviceClass.POWER_FACTOR: "powerFactor",
    SensorDeviceClass.REACTIVE_POWER: "reactivePower",
    SensorDeviceClass.APPARENT_POWER: "apparentPower",
    SensorDeviceClass.TEMPERATURE: "temp",
}
# These have a meaning in the filters that clients send.
_NOT_IN_SOURCE_ID: Final = re.compile(r"[\s,*?\[\]]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """One property and where its value comes from."""

    property: Property
    reader: PointReader


def _meters(hass: HomeAssistant) -> Iterator[AnyDeviceEntry]:
    """Yield our meters: the devices that stand below a subentry and have quantities."""
    entities, devices = er.async_get(hass), dr.async_get(hass)
    device_ids = {
        entity.device_id: None
        for entry in hass.config_entries.async_entries(DOMAIN)
        for entity in er.async_entries_for_config_entry(entities, entry.entry_id)
        if entity.config_subentry_id is not None and entity.translation_key in PROPERTY_OF
    }
    for device_id in device_ids:
        if device_id and (device := devices.async_get(device_id)) and not device.disabled:
            yield device


def default_source_id(device: AnyDeviceEntry) -> str:
    """Return the source id that a device has unless another one is chosen."""
    name = device.name_by_user or device.name or device.id
    return _NOT_IN_SOURCE_ID.sub(" ", name).strip() or device.id


def suggested_sources(hass: HomeAssistant) -> list[dict[str, Any]]:
    """Return a row for every meter."""
    return [
        {CONF_DEVICE: device_id, CONF_SOURCE_ID: source_id}
        for device_id, source_id in _source_ids(hass, [])
    ]


def _source_ids(
    hass: HomeAssistant, chosen: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield device and source id of what was chosen, and of every other meter; none twice."""
    registry, taken = dr.async_get(hass), set[str]()
    wanted = {row[CONF_DEVICE]: row[CONF_SOURCE_ID] for row in chosen}
    for device_id, source_id in wanted.items():
        if registry.async_get(device_id) is not None:
            taken.add(source_id)
            yield device_id, source_id
    for device in _meters(hass):
        if device.id in wanted:
            continue
        name = source_id = default_source_id(device)
        number = 1
        while source_id in taken:
            number += 1
            source_id = f"{name} {number}"
        taken.add(source_id)
        yield device.id, source_id


class Sources:
    """What the sources have to say, as of now."""

    def __init__(self, hass: HomeAssistant, chosen: Sequence[Mapping[str, Any]]) -> None:
        """Take the rows of devices with their source ids."""
        self._hass = hass
        self._chosen = chosen
        self._readings: dict[str, list[_Reading]] | None = None
        self._readers: dict[Point, PointReader] = {}
        self._unlisten: list[CALLBACK_TYPE] = []

    @callback
    def start(self) -> None:
        """Follow the registries."""
        self._unlisten = [
            self._hass.bus.async_listen(event, self._changed)
            for event in (er.EVENT_ENTITY_REGISTRY_UPDATED, dr.EVENT_DEVICE_REGISTRY_UPDATED)
        ]

    @callback
    def stop(self) -> None:
        """Follow nothing any more."""
        while self._unlisten:
            self._unlisten.pop()()

    @callback
    def _changed(self, _: Event[Any]) -> None:
        self._readings = None

    @property
    def ids(self) -> list[str]:
        """The source ids there are."""
        return list(self._known())

    def latest(self, wanted: Callable[[str], bool]) -> Iterator[Datum]:
        """Yield the latest datum of each source whose id passes."""
        for source_id, readings in self._known().items():
            if wanted(source_id) and (datum := self._datum(source_id, readings)) is not None:
                yield datum

    def latest_of(self, source_id: str) -> Datum | None:
        """Return the latest datum of a source, None while there is none."""
        return self._datum(source_id, self._known().get(source_id, ()))

    def _known(self) -> dict[str, list[_Reading]]:
        if self._readings is None:
            known, self._readers = self._readers, {}
            for reader in known.values():
                reader.forget_name()

            def reader_of(point: Point) -> PointReader:
                """Return the reader of a point, which knows its counter, if there was one."""
                reader = known.get(point) or PointReader(self._hass, point)
                return self._readers.setdefault(point, reader)

            self._readings = {
                source_id: list(_readings(self._hass, device_id, reader_of))
                for device_id, source_id in _source_ids(self._hass, self._chosen)
            }
        return self._readings

    @staticmethod
    def _datum(source_id: str, readings: Iterable[_Reading]) -> Datum | None:
        present = []
        for reading in readings:
            now = reading.reader.read()
            if not isinstance(now, Refusal):
                present.append((reading.property, now.value, now.reported_at))
        return datum_of(source_id, present)


def _readings(
    hass: HomeAssistant, device_id: str, reader_of: Callable[[Point], PointReader]
) -> Iterator[_Reading]:
    """Yield the readings of a device, each under a name of its own."""
    taken: set[str] = set()
    registry = er.async_get(hass)
    for entity_id in readings_of(hass, [device_id], []):
        if (entity := registry.async_get(entity_id)) is None:
            continue
        item = _property(hass, entity)
        if item.name in taken:
            item = _own_property(entity)
        name, number = item.name, 1
        while item.name in taken:
            number += 1
            item = Property(name=f"{name}_{number}", group=item.group, unit=item.unit)
        taken.add(item.name)
        yield _Reading(
            property=item,
            reader=reader_of(Point(entity=entity.id, name=item.name, unit=item.unit)),
        )


def _property(hass: HomeAssistant, entity: er.RegistryEntry) -> Property:
    """Return the property of an entity: one of our quantities decides first, then its class."""
    if entity.platform == DOMAIN and entity.translation_key in PROPERTY_OF:
        return PROPERTY_OF[entity.translation_key]
    name = _NAME_BY_DEVICE_CLASS.get(device_class_of(hass, entity.entity_id) or "")
    if name is not None and can_convert(
        unit_of(hass, entity.entity_id), (item := PROPERTIES[name]).unit
    ):
        return item
    return _own_property(entity)


def _own_property(entity: er.RegistryEntry) -> Property:
    """Return a property that is called as the entity is, in the unit it comes in."""
    text = entity.name or entity.original_name or entity.entity_id.partition(".")[2]
    first, *others = slugify(text).split("_")
    state_class = (entity.capabilities or {}).get(ATTR_STATE_CLASS)
    return Property(
        name=first + "".join(word.capitalize() for word in others),
        group=Group.ACCUMULATING if state_class in COUNTING else Group.INSTANTANEOUS,
        unit=None,
    )
