"""What the user may do about entities that are gone: let others take their place, or drop them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
import json
from typing import Any, Final

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er
from homeassistant.helpers.selector import (
    BooleanSelector,
    DeviceSelector,
    DeviceSelectorConfig,
    EntityFilterSelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import voluptuous as vol

from ..entities.unit_classes import classes_of_unit
from ..vocabulary.unit import canonical
from .issues import listed, removed_entity
from .point import Point, can_convert, convert, entity_id_of, read, reference_of
from .table import (
    CONF_ENTITY,
    CONF_IDENTITY,
    CONF_OFFSET,
    CONF_POINTS,
    counts,
    device_class_of,
    unit_of,
)
from .used import texts_in

CONF_REPLACEMENT: Final = "replacement"
CONF_GO_ON: Final = "go_on"
CONF_DEVICE: Final = "device"

_MAX_CANDIDATES: Final = 200


@dataclass(frozen=True, kw_only=True)
class GoneEntity:
    """An entity that is gone, as far as it is known what it was."""

    entity: str
    """As points refer to it."""
    entity_id: str
    unique_id: str | None
    domain: str
    device_class: str | None
    unit: str | None
    area_id: str | None
    last_value: float | None
    """What it showed last, in its unit; None where nobody knows."""

    @classmethod
    def from_data(cls, hass: HomeAssistant, data: Mapping[str, Any]) -> GoneEntity:
        """Return what an issue was raised with, and what the registry remembers."""
        entity = str(data["entity"])
        known: er.DeletedRegistryEntry | er.RegistryEntry | None = er.async_get(
            hass
        ).entities.get_entry(entity) or removed_entity(hass, entity)
        entity_id = str(data["entity_id"]) if known is None else known.entity_id
        unit = data.get("unit")
        device_class = data.get("device_class") or classes_of_unit(unit)[0]
        return cls(
            entity=entity,
            entity_id=entity_id,
            unique_id=None if known is None else known.unique_id,
            domain=entity_id.partition(".")[0] if "." in entity_id else Platform.SENSOR,
            device_class=device_class,
            unit=unit,
            area_id=None if known is None else known.area_id,
            last_value=data.get("last_value"),
        )


def _area_of(hass: HomeAssistant, entity_id: str) -> str | None:
    entry = er.async_get(hass).async_get(entity_id)
    if entry is None or entry.area_id is not None or entry.device_id is None:
        return None if entry is None else entry.area_id
    device = dr.async_get(hass).async_get(entry.device_id)
    return None if device is None else device.area_id


def candidates(hass: HomeAssistant, entry: ConfigEntry[Any], gone: GoneEntity) -> list[str]:
    """Return the entities that may take the place of one of an entry, the likeliest first."""
    unit = canonical(gone.unit)
    taken = _in_its_place(hass, entry, gone.entity)

    def rank(entity_id: str) -> tuple[int, str]:
        score = 0
        if gone.device_class and device_class_of(hass, entity_id) == gone.device_class:
            score += 4
        if canonical(unit_of(hass, entity_id)) == unit:
            score += 2
        if gone.area_id and _area_of(hass, entity_id) == gone.area_id:
            score += 1
        return -score, entity_id

    fitting = [
        state.entity_id
        for state in hass.states.async_all(gone.domain)
        if state.entity_id not in taken
        and (unit is None or can_convert(unit_of(hass, state.entity_id), unit))
    ]
    return sorted(fitting, key=rank)[:_MAX_CANDIDATES]


def _in_its_place(hass: HomeAssistant, entry: ConfigEntry[Any], entity: str) -> set[str]:
    """Return the entities that an entry has beside one already, under the same name.

    A second time they would be counted twice.
    """
    found: set[str] = set()
    for subentry in entry.subentries.values():
        points = [Point.from_dict(stored) for stored in subentry.data.get(CONF_POINTS, ())]
        names = {point.name for point in points if point.entity == entity}
        present = (entity_id_of(hass, point) for point in points if point.name in names)
        found.update(entity_id for entity_id in present if entity_id is not None)
    return found


def replaced(data: Mapping[str, Any], old: str, new: str, offsets: Mapping[str, float]) -> Any:
    """Return the data of a subentry with one entity in place of another.

    A reference is an id of the registry or an entity_id, so that no other text equals it.
    """

    def in_place(value: Any) -> Any:
        if isinstance(value, Mapping):
            result = {key: in_place(each) for key, each in value.items()}
            if value.get(CONF_ENTITY) == old and "name" in value:
                # What a platform knows the point by may hang on the entity that it began with.
                result.setdefault(CONF_IDENTITY, old)
                if offset := offsets.get(str(value["name"])):
                    result[CONF_OFFSET] = offset
            return result
        if isinstance(value, list | tuple):
            return [in_place(each) for each in value]
        return new if value == old else value

    return in_place(data)


def dropped(data: Mapping[str, Any], gone: Collection[str]) -> dict[str, Any] | None:
    """Return the data of a subentry without the points of entities; None if nothing is left.

    What a subentry is about as a whole, as an alarm is about its sensor, leaves nothing.
    """
    if data.get(CONF_ENTITY) in gone:
        return None
    if CONF_POINTS not in data:
        return dict(data)
    points = [point for point in data[CONF_POINTS] if point[CONF_ENTITY] not in gone]
    return {**data, CONF_POINTS: points} if points or not data[CONF_POINTS] else None


def drop(hass: HomeAssistant, entry: ConfigEntry[Any], gone: Collection[str]) -> None:
    """Have an entry use entities no more; what it has of nothing else is removed."""
    for subentry in list(entry.subentries.values()):
        data = dropped(subentry.data, gone)
        if data is None:
            hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
        elif data != dict(subentry.data):
            hass.config_entries.async_update_subentry(entry, subentry, data=data)


def is_used(entry: ConfigEntry[Any], gone: Collection[str]) -> bool:
    """Return whether an entry would still use one of the entities once they were dropped."""
    return any(
        text in gone
        for subentry in entry.subentries.values()
        for text in texts_in(
            {
                key: value
                for key, value in (dropped(subentry.data, gone) or {}).items()
                # A point keeps the entity that it began with.
                if key != CONF_POINTS
            }
        )
    )


def matches(
    hass: HomeAssistant, gone: Sequence[GoneEntity], device_id: str
) -> dict[GoneEntity, str]:
    """Return which sensor of a device takes the place of each entity, for those that have one.

    It measures the same in a unit that fits, and of those it is the one whose ids end most alike.
    """
    registry = er.async_get(hass)
    sensors = [
        sensor
        for sensor in er.async_entries_for_device(registry, device_id)
        if sensor.domain == Platform.SENSOR
    ]
    found: dict[GoneEntity, str] = {}
    pairs = [
        (alike, entity, sensor)
        for entity in gone
        for sensor in sensors
        if (alike := _alike(hass, entity, sensor))
    ]
    for _, entity, sensor in sorted(pairs, key=lambda pair: -pair[0]):
        if entity not in found and sensor.entity_id not in found.values():
            found[entity] = sensor.entity_id
    return found


def _alike(hass: HomeAssistant, gone: GoneEntity, sensor: er.RegistryEntry) -> int:
    """Return how much the ids of a sensor end as those of an entity; 0 if it cannot replace it."""
    device_class = device_class_of(hass, sensor.entity_id)
    if gone.device_class and device_class != gone.device_class:
        return 0
    if gone.unit is not None and not can_convert(unit_of(hass, sensor.entity_id), gone.unit):
        return 0
    ids = [(gone.entity_id.partition(".")[2], sensor.entity_id.partition(".")[2])]
    if gone.unique_id is not None:
        ids.append((gone.unique_id, sensor.unique_id))
    return max(_common_end(*pair) for pair in ids)


def _common_end(one: str, other: str) -> int:
    """Return how many words two ids have in common at their end."""
    words = zip(reversed(one.split("_")), reversed(other.split("_")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], words))


class PointsFlow(RepairsFlow):
    """Let other entities take the place of those that are gone, or use them no more."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Take what the issue was raised with (`fix_data`)."""
        self._entry_id = str(data["entry_id"])
        self._points: list[dict[str, Any]] = json.loads(str(data["points"]))
        self._matches: dict[GoneEntity, str] = {}

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask what to do."""
        if self.hass.config_entries.async_get_entry(self._entry_id) is None:
            return self.async_abort(reason="entry_is_gone")
        return self.async_show_menu(
            step_id="init",
            menu_options=["replace", "drop"],
            description_placeholders=self._placeholders(),
        )

    async def async_step_drop(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Take the points out, once the user is sure."""
        entry = self._entry()
        entities = {str(point["entity"]) for point in self._points}
        if is_used(entry, entities):
            return self.async_abort(
                reason="cannot_drop", description_placeholders=self._placeholders()
            )
        if user_input is None:
            return self.async_show_form(
                step_id="drop",
                data_schema=vol.Schema({}),
                description_placeholders=self._placeholders(),
            )
        drop(self.hass, entry, entities)
        return self.async_create_entry(data={})

    async def async_step_replace(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Offer what may take the place of one entity, or ask for the device that takes several."""
        gone = self._gone()
        if len(gone) > 1:
            return await self.async_step_device()
        [entity] = gone
        found = candidates(self.hass, self._entry(), entity)
        if not found:
            return self.async_abort(reason="nothing_fits")
        if user_input is not None:
            self._move({entity: user_input[CONF_REPLACEMENT]}, user_input)
            return self.async_create_entry(data={})
        fields: dict[vol.Marker, Any] = {
            vol.Required(CONF_REPLACEMENT, default=found[0]): _selector(self.hass, found)
        }
        if entity.last_value is not None and any(counts(self.hass, each) for each in found):
            fields[vol.Required(CONF_GO_ON, default=False)] = BooleanSelector()
        return self.async_show_form(
            step_id="replace",
            data_schema=vol.Schema(fields),
            description_placeholders=self._placeholders(),
        )

    async def async_step_device(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Ask for the device whose sensors take the places."""
        errors: dict[str, str] = {}
        if user_input is not None:
            self._matches = matches(self.hass, self._gone(), user_input[CONF_DEVICE])
            if self._matches:
                return await self.async_step_matches()
            errors[CONF_DEVICE] = "nothing_fits"
        return self.async_show_form(
            step_id="device",
            data_schema=vol.Schema(
                {
                    vol.Required(CONF_DEVICE): DeviceSelector(
                        DeviceSelectorConfig(
                            entity=[EntityFilterSelectorConfig(domain=[Platform.SENSOR])]
                        )
                    )
                }
            ),
            errors=errors,
            description_placeholders=self._placeholders(),
        )

    async def async_step_matches(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Show what takes whose place, and move the points over."""
        if user_input is not None:
            self._move(self._matches, user_input)
            return self.async_create_entry(data={})
        return self.async_show_form(
            step_id="matches",
            data_schema=vol.Schema({vol.Required(CONF_GO_ON, default=False): BooleanSelector()}),
            description_placeholders={
                **self._placeholders(),
                "matches": listed(
                    f"- `{entity.entity_id}` → `{self._matches.get(entity, '-')}`"
                    for entity in self._gone()
                ),
            },
        )

    def _move(self, chosen: Mapping[GoneEntity, str], user_input: Mapping[str, Any]) -> None:
        go_on = user_input.get(CONF_GO_ON, False)
        for entity, entity_id in chosen.items():
            move(self.hass, self._entry(), entity, entity_id, go_on=go_on)

    def _entry(self) -> ConfigEntry[Any]:
        if (entry := self.hass.config_entries.async_get_entry(self._entry_id)) is None:
            raise AbortFlow("entry_is_gone")
        return entry

    def _gone(self) -> list[GoneEntity]:
        """Return the entities, each once."""
        by_entity = {str(point["entity"]): point for point in self._points}
        return [GoneEntity.from_data(self.hass, point) for point in by_entity.values()]

    def _placeholders(self) -> dict[str, str]:
        return {
            "title": self._entry().title,
            "points": listed(
                f"- {point['name']}: `{point['entity_id']}`" for point in self._points
            ),
        }


def _selector(hass: HomeAssistant, entity_ids: list[str]) -> SelectSelector:
    areas = ar.async_get(hass)

    def label(entity_id: str) -> str:
        state = hass.states.get(entity_id)
        name = entity_id if state is None else f"{state.name} ({entity_id})"
        area_id = _area_of(hass, entity_id)
        area = None if area_id is None else areas.async_get_area(area_id)
        return name if area is None else f"{name}, {area.name}"

    return SelectSelector(
        SelectSelectorConfig(
            options=[
                SelectOptionDict(value=entity_id, label=label(entity_id))
                for entity_id in entity_ids
            ],
            mode=SelectSelectorMode.DROPDOWN,
        )
    )


def move(
    hass: HomeAssistant, entry: ConfigEntry[Any], gone: GoneEntity, entity_id: str, *, go_on: bool
) -> None:
    """Have every point of an entry that used an entity use another one.

    With `go_on` a counter goes on from what it was last: the new one's count is added to that.
    """
    new = reference_of(hass, entity_id)
    for subentry in list(entry.subentries.values()):
        offsets: dict[str, float] = {}
        if go_on and gone.last_value is not None and counts(hass, entity_id):
            for stored in subentry.data.get(CONF_POINTS, ()):
                point = Point.from_dict(stored)
                # Points of one entity may differ in unit and factor, so each goes on in its own.
                last = convert(gone.last_value, gone.unit, point)
                value = read(hass.states.get(entity_id), point)
                if point.entity == gone.entity and last is not None and value is not None:
                    offsets[point.name] = point.offset + last - value
        data = replaced(subentry.data, gone.entity, new, offsets)
        if data != dict(subentry.data):
            hass.config_entries.async_update_subentry(entry, subentry, data=data)
