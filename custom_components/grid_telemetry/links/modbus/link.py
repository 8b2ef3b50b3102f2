"""Modbus link: energy meters over TCP, UDP, TLS or a serial line, read into sensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from homeassistant.components.modbus import async_get_unit
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from modbus_connection import ModbusError

from ...connection.traffic import traffic_of
from ...const import DOMAIN
from ...link import (
    GridTelemetryConfigEntry,
    KnownRegister,
    LinkWithLiveChanges,
    LinkWithMeters,
    MeterFigures,
    Registers,
    RegistersRefusedError,
)
from ...meters import RegisterMap
from ...meters.model import RegisterSpace
from ...meters.sunspec import SunSpecPlace, sunspec_map
from .adjustment import adjusted
from .client import Meter
from .const import (
    CONF_FAST_INTERVAL_S,
    CONF_REGISTER_MAP,
    CONF_SLOW_INTERVAL_S,
    CONF_SUNSPEC,
    CONF_UNIT_ID,
    SUBENTRY_METER,
)
from .coordinator import MeterCoordinator
from .entities import meter_sensors, sensor_unique_id
from .identity import identity_of, migrate
from .line import Line
from .maps import async_load_register_maps, reload_when_found, tell_missing_maps
from .sunspec import map_finder
from .transport import is_numbered, is_shared, modbus_params

FAST = "fast"
SLOW = "slow"


@dataclass(frozen=True, kw_only=True)
class _Polled:
    """A meter with the two groups it is polled in."""

    subentry: ConfigSubentry
    meter: Meter
    fast: MeterCoordinator
    slow: MeterCoordinator


class ModbusLink(LinkWithMeters, LinkWithLiveChanges):
    """The meters of one line."""

    platforms: Sequence[Platform] = (Platform.SENSOR,)

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        line: Line,
        polled: Sequence[_Polled],
    ) -> None:
        self.line = line
        self._hass = hass
        self._entry = entry
        self._polled = polled
        self._made_of = _parts(entry)

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the sensors of every meter."""
        return {
            polled.subentry.subentry_id: list(
                meter_sensors(polled.subentry, polled.fast, polled.slow)
            )
            for polled in self._polled
        }

    async def async_start(self) -> None:
        """Poll for the first time, without holding up the start for meters that are silent."""
        for polled in self._polled:
            for coordinator in (polled.fast, polled.slow):
                self._entry.async_create_background_task(
                    self._hass, coordinator.async_refresh(), f"first poll of {coordinator.name}"
                )

    async def async_stop(self) -> None:
        """Leave it to the entry to end the polls and to give the units back."""

    async def async_apply_changes(self) -> bool:
        """Say whether nothing has changed since the link was made."""
        return self._made_of == _parts(self._entry)

    def meter_figures(self) -> Mapping[str, MeterFigures]:
        """Return how each meter fares, by the id of its subentry."""
        return {polled.subentry.subentry_id: _figures(polled) for polled in self._polled}

    async def async_read_registers(
        self, subentry_id: str, space: str, address: int, count: int
    ) -> Registers:
        """Read registers of a meter, in turn with its polls; raises `RegistersRefusedError`."""
        for polled in self._polled:
            if polled.subentry.subentry_id == subentry_id:
                break
        else:
            raise RegistersRefusedError(subentry_id)
        meter = polled.meter
        kind: RegisterSpace = "input" if space == "input" else "holding"
        try:
            words = await meter.read_words(kind, address, count)
        except ModbusError as err:
            raise RegistersRefusedError(str(err) or type(err).__name__) from err
        known = [
            KnownRegister(
                quantity=quantity,
                address=register.address,
                count=register.count,
                type=register.type,
                word_order=register.word_order,
            )
            for quantity, register in meter.map.quantities.items()
            if register.space == kind and address <= register.address < address + count
        ]
        return Registers(words=words, known=sorted(known, key=lambda each: each.address))

    def diagnostics(self) -> dict[str, Any]:
        """Return the state of every meter on the line."""
        return {"meters": [_diagnostics(polled) for polled in self._polled]}


def _figures(polled: _Polled) -> MeterFigures:
    meter = polled.meter
    return MeterFigures(
        unit_id=polled.subentry.data[CONF_UNIT_ID],
        model=meter.map.label,
        answering=meter.answering,
        answer_s=None if meter.answer_s is None else round(meter.answer_s, 3),
        next_attempt_s=round(meter.pause_s),
        last_error=meter.last_error,
        requests=dict(meter.requests),
        refused=meter.refused,
    )


def _parts(entry: GridTelemetryConfigEntry) -> tuple[object, ...]:
    """Return all that a link is made of."""
    return modbus_params(entry.data), [part.as_dict() for part in entry.subentries.values()]


def _diagnostics(polled: _Polled) -> dict[str, Any]:
    meter = polled.meter
    return {
        "name": polled.subentry.title,
        "register_map": meter.map.key,
        "answering": meter.answering,
        "next_attempt_s": round(meter.pause_s),
        "last_error": meter.last_error,
        "requests": meter.requests,
        "answered": {
            coordinator.group: sorted(coordinator.data)
            for coordinator in (polled.fast, polled.slow)
        },
        "refused": meter.refused,
    }


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> ModbusLink:
    """Return the link of an entry; its meters need not answer yet."""
    subentries = list(entry.get_subentries_of_type(SUBENTRY_METER))
    # Home Assistant's start does not wait for the maps of meters that are not here.
    maps = await async_load_register_maps(
        hass,
        {meter.data[CONF_REGISTER_MAP] for meter in subentries if CONF_SUNSPEC not in meter.data},
    )
    meters = [(meter, _register_map(meter, maps)) for meter in subentries]
    lacking = [meter for meter, register_map in meters if register_map is None]
    tell_missing_maps(hass, entry, lacking)
    reload_when_found(hass, entry, lacking)
    for meter, register_map in meters:
        if register_map is not None:
            _remove_sensors_of_other_maps(hass, entry, meter, register_map)
    line = Line(
        numbered=is_numbered(entry.data),
        is_shared=partial(is_shared, hass, entry),
        traffic=traffic_of(hass, entry.entry_id),
    )
    return ModbusLink(
        hass,
        entry,
        line,
        [
            _polled(hass, entry, meter, register_map, line)
            for meter, register_map in meters
            if register_map is not None
        ],
    )


def _remove_sensors_of_other_maps(
    hass: HomeAssistant,
    entry: GridTelemetryConfigEntry,
    meter: ConfigSubentry,
    register_map: RegisterMap,
) -> None:
    """Remove the sensors that a meter had by another register map, which nothing feeds now."""
    registry = er.async_get(hass)
    fed = {sensor_unique_id(meter, key) for key in register_map.quantities}
    for entity in er.async_entries_for_config_entry(registry, entry.entry_id):
        if entity.config_subentry_id == meter.subentry_id and entity.unique_id not in fed:
            registry.async_remove(entity.entity_id)


def _register_map(meter: ConfigSubentry, maps: Mapping[str, RegisterMap]) -> RegisterMap | None:
    """Return what a meter is read by; None for a map whose file is gone."""
    if (place := meter.data.get(CONF_SUNSPEC)) is not None:
        return adjusted(sunspec_map(SunSpecPlace(**place)), meter.data)
    register_map = maps.get(meter.data[CONF_REGISTER_MAP])
    return None if register_map is None else adjusted(register_map, meter.data)


def _polled(
    hass: HomeAssistant,
    entry: GridTelemetryConfigEntry,
    subentry: ConfigSubentry,
    register_map: RegisterMap,
    line: Line,
) -> _Polled:
    try:
        unit = async_get_unit(hass, entry, modbus_params(entry.data), subentry.data[CONF_UNIT_ID])
    except HomeAssistantError as err:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="modbus_device_in_use",
            translation_placeholders={"error": str(err)},
        ) from err
    # Another integration may go on with the connection, and with the timeout it asked for.
    entry.async_on_unload(lambda: unit.require_timeout(None))
    place = subentry.data.get(CONF_SUNSPEC)
    meter = Meter(
        unit,
        register_map,
        name=subentry.title,
        first_pause_s=subentry.data[CONF_FAST_INTERVAL_S],
        unit_id=subentry.data[CONF_UNIT_ID],
        line=line,
        find_map=(
            None
            if place is None
            else map_finder(SunSpecPlace(**place), partial(adjusted, data=subentry.data))
        ),
    )

    def coordinator(group: str, interval_s: float) -> MeterCoordinator:
        return MeterCoordinator(
            hass,
            entry,
            meter,
            identity=identity_of(subentry),
            group=group,
            interval=timedelta(seconds=interval_s),
        )

    return _Polled(
        subentry=subentry,
        meter=meter,
        fast=coordinator(FAST, subentry.data[CONF_FAST_INTERVAL_S]),
        slow=coordinator(SLOW, subentry.data[CONF_SLOW_INTERVAL_S]),
    )


async def async_migrate_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Bring an entry of an earlier version up to date."""
    migrate(hass, entry)


async def async_remove_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete the issues of the entry's meters; nothing else is kept outside the entry."""
    tell_missing_maps(hass, entry, [])
