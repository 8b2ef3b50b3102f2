"""What a meter is known by in Home Assistant: decided when it is added, and never changed after.

The ids of its sensors and its device are made of it. So a meter that is deleted and added again is
the same one: Home Assistant gives it back its entity ids, names and areas, and with them its
history and whatever refers to them.
"""

from collections.abc import Collection, Iterator
from itertools import count
from types import MappingProxyType

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import slugify

from ...const import CONF_KIND, DOMAIN
from ...meters.sunspec import SunSpecPlace
from .const import CONF_IDENTITY, CONF_SUNSPEC, CONF_UNIT_ID, KIND, SUBENTRY_METER
from .detection import meter_key
from .transport import link_unique_id


def identity_of(meter: ConfigSubentry) -> str:
    """Return what a meter is known by."""
    return str(meter.data.get(CONF_IDENTITY, meter.subentry_id))


@callback
def new_identity(
    hass: HomeAssistant,
    entry: ConfigEntry,
    unit_id: int,
    place: SunSpecPlace | None,
    manufacturer: str | None,
    serial_number: str | None,
    taken: Collection[str] = (),
) -> str:
    """Return what a meter to be added is known by: its serial number, else its line and unit.

    What another meter is known by already, or is in `taken`, is told apart by a number.
    """
    # A device says nothing with blanks or zeros.
    if serial_number is not None and serial_number.strip(" 0"):
        wanted = f"{slugify(manufacturer or '')}_{slugify(serial_number)}"
        if place is not None:
            wanted += f"_{place.model}_{place.instance}"
    else:
        wanted = f"{link_unique_id(entry.data)}_{meter_key(unit_id, place)}"
    known = {*taken, *(identity_of(meter) for _, meter in _all_meters(hass))}
    names = (wanted if number == 1 else f"{wanted}_{number}" for number in count(1))
    return next(name for name in names if name not in known)


def _all_meters(hass: HomeAssistant) -> Iterator[tuple[ConfigEntry, ConfigSubentry]]:
    for entry in hass.config_entries.async_entries(DOMAIN):
        # An entry that the user ignores has no data.
        if entry.data.get(CONF_KIND) == KIND:
            for meter in entry.get_subentries_of_type(SUBENTRY_METER):
                yield entry, meter


@callback
def migrate(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Give the meters of an entry what they are known by, which were known by a random id.

    The ids of their sensors and devices change in the registries; all else of them stays.
    """
    devices, entities = dr.async_get(hass), er.async_get(hass)
    for meter in list(entry.get_subentries_of_type(SUBENTRY_METER)):
        if CONF_IDENTITY in meter.data:
            continue
        before = meter.subentry_id
        device = devices.async_get_device_by_identifier((DOMAIN, before), entry.entry_id)
        place = meter.data.get(CONF_SUNSPEC)
        identity = new_identity(
            hass,
            entry,
            meter.data[CONF_UNIT_ID],
            None if place is None else SunSpecPlace(**place),
            None if device is None else device.manufacturer,
            None if device is None else device.serial_number,
        )
        hass.config_entries.async_update_subentry(
            entry, meter, data={**meter.data, CONF_IDENTITY: identity}
        )
        if device is not None:
            devices.async_update_device(device.id, new_identifiers={(DOMAIN, identity)})
        for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
            if entity.unique_id.startswith(f"{before}_"):
                key = entity.unique_id.removeprefix(f"{before}_")
                entities.async_update_entity(entity.entity_id, new_unique_id=f"{identity}_{key}")


@callback
def others_of(
    hass: HomeAssistant, meter: ConfigSubentry
) -> list[tuple[ConfigEntry, ConfigSubentry]]:
    """Return the meters that can take the place of one, on any line."""
    return [
        (entry, other)
        for entry, other in _all_meters(hass)
        if other.subentry_id != meter.subentry_id
    ]


@callback
def replace_meter(
    hass: HomeAssistant,
    entry: ConfigEntry,
    meter: ConfigSubentry,
    new_entry: ConfigEntry,
    new: ConfigSubentry,
) -> None:
    """Let one meter go on as another one: with its name, its sensors and their history.

    The sensors that the new one had until now are given up.
    """
    identity, title = identity_of(meter), meter.title
    devices, entities = dr.async_get(hass), er.async_get(hass)
    # With the meter its sensors go; those of the new one find them again by their ids.
    hass.config_entries.async_remove_subentry(entry, meter.subentry_id)
    for entity in er.async_entries_for_config_entry(entities, new_entry.entry_id):
        if entity.config_subentry_id == new.subentry_id:
            entities.async_remove(entity.entity_id)
    device = devices.async_get_device_by_identifier((DOMAIN, identity_of(new)), new_entry.entry_id)
    if device is not None:
        devices.async_remove_device(device.id)
    hass.config_entries.async_update_subentry(
        new_entry,
        new,
        title=title,
        data=MappingProxyType({**new.data, CONF_IDENTITY: identity}),
    )
