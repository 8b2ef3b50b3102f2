"""What the platform is told of the gateway's devices: their entries in the device registry."""

from collections.abc import Mapping, Sequence

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er

from ...points.point import Point, entity_id_of

type DeviceAttributes = dict[str, dict[str, str]]


def device_of(hass: HomeAssistant, points: Sequence[Point]) -> dr.DeviceEntry | None:
    """Return the device that all points with a device come from; None where they differ."""
    registry = er.async_get(hass)
    found: set[str] = set()
    for point in points:
        entity_id = entity_id_of(hass, point)
        entry = registry.async_get(entity_id) if entity_id else None
        if entry is not None and entry.device_id is not None:
            found.add(entry.device_id)
    if len(found) != 1:
        return None
    device = dr.async_get(hass).async_get(found.pop())
    # A child device is a part of another and has no serial number or version of its own.
    return device if isinstance(device, dr.DeviceEntry) else None


def attributes_of(
    hass: HomeAssistant,
    devices: Mapping[str, Sequence[Point]],
    connection_types: Mapping[str, str],
) -> DeviceAttributes:
    """Return the attributes of each device: how it is connected, and what the registry knows."""
    result: DeviceAttributes = {}
    for device_id, points in devices.items():
        known = {"CONNECTION_TYPE": connection_types.get(device_id)}
        if (device := device_of(hass, points)) is not None:
            known |= {
                "SERIAL_NUMBER": device.serial_number,
                "FW_VERSION": device.sw_version,
                "HW_VERSION": device.hw_version,
                "HW_MODEL": device.model,
            }
        if attributes := {key: value for key, value in known.items() if value}:
            result[device_id] = attributes
    return result
