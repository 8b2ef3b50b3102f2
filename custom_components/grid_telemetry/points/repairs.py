"""What the user may do about an entity that is gone: let another one take its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import voluptuous as vol

from ..entities.unit_classes import classes_of_unit
from ..vocabulary.unit import canonical
from .issues import removed_entity
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

CONF_REPLACEMENT: Final = "replacement"
CONF_GO_ON: Final = "go_on"

_MAX_CANDIDATES: Final = 200


@dataclass(frozen=True, kw_only=True)
class GoneEntity:
    """An entity that is gone, as far as it is known what it was."""

    entity: str
    """As points refer to it."""
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
        known = removed_entity(hass, entity)
        entity_id = entity if known is None else known.entity_id
        unit = data.get("unit")
        device_class = data.get("device_class") or classes_of_unit(unit)[0]
        return cls(
            entity=entity,
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


class ReplaceEntityFlow(RepairsFlow):
    """Choose the entity that takes the place of the one that is gone."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Take what the issue was raised with."""
        self._data = data

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Offer what may take its place, and move its points over."""
        hass = self.hass
        entry = hass.config_entries.async_get_entry(str(self._data["entry_id"]))
        if entry is None:
            return self.async_abort(reason="entry_is_gone")
        gone = GoneEntity.from_data(hass, self._data)
        found = candidates(hass, entry, gone)
        if not found:
            return self.async_abort(reason="nothing_fits")
        if user_input is not None:
            move(
                hass,
                entry,
                gone,
                user_input[CONF_REPLACEMENT],
                go_on=user_input.get(CONF_GO_ON, False),
            )
            return self.async_create_entry(data={})
        fields: dict[vol.Marker, Any] = {
            vol.Required(CONF_REPLACEMENT, default=found[0]): _selector(hass, found)
        }
        if gone.last_value is not None and any(counts(hass, each) for each in found):
            fields[vol.Required(CONF_GO_ON, default=False)] = BooleanSelector()
        return self.async_show_form(
            step_id="init",
            data_schema=vol.Schema(fields),
            description_placeholders={
                "name": str(self._data["name"]),
                "title": entry.title,
                "entity": str(self._data["entity_id"]),
            },
        )


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
