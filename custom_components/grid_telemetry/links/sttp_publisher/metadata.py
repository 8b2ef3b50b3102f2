"""Metadata of what is published: from the device and entity registries to STTP's tables."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er

from ...points.point import entity_id_of
from ...points.table import unit_of
from ...protocols.sttp import DeviceDetail, MeasurementDetail, Metadata, PhasorDetail
from .devices import Device
from .mapping import Kind, Signal

SOURCE: Final = "HA"
# How a signal reference names a kind; FQ and DF stand without a number.
_REFERENCES: Final = {
    Kind.FREQ: "FQ",
    Kind.DFDT: "DF",
    Kind.VPHM: "PM",
    Kind.VPHA: "PA",
    Kind.IPHM: "PM",
    Kind.IPHA: "PA",
    Kind.ALOG: "AV",
    Kind.CALC: "CV",
}
_NEVER: Final = datetime.fromtimestamp(0, UTC)
_PHASORS: Final = {Kind.VPHM: ("V", Kind.VPHA), Kind.IPHM: ("I", Kind.IPHA)}


def metadata_of(
    hass: HomeAssistant, devices: Sequence[Device], *, node: UUID, now: datetime
) -> Metadata:
    """Return the metadata of devices, all of it updated now."""
    measurements: list[MeasurementDetail] = []
    phasors: list[PhasorDetail] = []
    for device in devices:
        indexes = _phasor_indexes(device.signals)
        measurements += _measurements(hass, device, indexes, now)
        for signal in device.signals:
            if signal.kind in _PHASORS and (index := indexes.get(signal.signal_id)):
                kind, _ = _PHASORS[signal.kind]
                phasors.append(
                    PhasorDetail(
                        # As stable as the magnitude that it belongs to.
                        id=signal.number,
                        device_acronym=device.acronym,
                        label=signal.point.name,
                        type=kind,
                        phase=signal.phase or "",
                        source_index=index,
                        updated_on=now,
                    )
                )
    return Metadata(
        devices=tuple(_device(hass, device, node, now) for device in devices),
        measurements=tuple(measurements),
        phasors=tuple(phasors),
        node_id=node,
    )


def keep_times(new: Metadata, old: Metadata) -> Metadata:
    """Return new metadata in which what is as it was keeps the time that it had."""
    return replace(
        new,
        devices=_kept(new.devices, old.devices),
        measurements=_kept(new.measurements, old.measurements),
        phasors=_kept(new.phasors, old.phasors),
    )


def _kept[T: (DeviceDetail, MeasurementDetail, PhasorDetail)](
    new: Iterable[T], old: Iterable[T]
) -> tuple[T, ...]:
    # Rows that are the same but for the time.
    known = {replace(row, updated_on=_NEVER): row for row in old}
    return tuple(known.get(replace(row, updated_on=_NEVER), row) for row in new)


def _phasor_indexes(signals: Iterable[Signal]) -> dict[UUID, int]:
    """Return the source index of magnitudes and angles that pair up, being of one phase."""
    by_kind = {(signal.kind, signal.phase): signal for signal in signals if signal.phase}
    indexes: dict[UUID, int] = {}
    for (kind, phase), magnitude in by_kind.items():
        if kind in _PHASORS and (angle := by_kind.get((_PHASORS[kind][1], phase))):
            index = len(indexes) // 2 + 1
            indexes[magnitude.signal_id] = indexes[angle.signal_id] = index
    return indexes


def _measurements(
    hass: HomeAssistant, device: Device, indexes: dict[UUID, int], now: datetime
) -> list[MeasurementDetail]:
    # Numbers behind those of the pairs go to magnitudes and angles that stand alone.
    pairs = len(indexes) // 2
    counts: Counter[str] = Counter({"PM": pairs, "PA": pairs})
    rows: list[MeasurementDetail] = []
    for signal in device.signals:
        reference = _REFERENCES[signal.kind]
        index = indexes.get(signal.signal_id, 0)
        if index:
            reference = f"{reference}{index}"
        elif signal.kind not in (Kind.FREQ, Kind.DFDT):
            counts[reference] += 1
            reference = f"{reference}{counts[reference]}"
        entity_id = entity_id_of(hass, signal.point)
        rows.append(
            MeasurementDetail(
                device_acronym=device.acronym,
                id=f"{SOURCE}:{signal.number}",
                signal_id=signal.signal_id,
                point_tag=f"{device.acronym}:{signal.point.name}",
                signal_reference=f"{device.acronym}-{reference}",
                signal_acronym=signal.kind,
                phasor_source_index=index,
                description=_description(hass, signal, entity_id),
                alternate_tag=entity_id or "",
                updated_on=now,
            )
        )
    return rows


def _description(hass: HomeAssistant, signal: Signal, entity_id: str | None) -> str:
    """Return what the entity is called, and the unit of its values in brackets."""
    name, unit = "", signal.point.unit
    if entity_id is not None:
        entry = er.async_get(hass).async_get(entity_id)
        name = (entry and (entry.name or entry.original_name)) or ""
        if not name and (state := hass.states.get(entity_id)) is not None:
            name = state.name
        if signal.point.factor == 1:
            unit = unit or unit_of(hass, entity_id)
    name = name or signal.point.name
    return f"{name} [{unit}]" if unit else name


def _device(hass: HomeAssistant, device: Device, node: UUID, now: datetime) -> DeviceDetail:
    """Describe a device; after one of Home Assistant's where all of its signals are of that."""
    found = {_device_id(hass, signal) for signal in device.signals}
    device_id = found.pop() if len(found) == 1 else None
    entry = None if device_id is None else dr.async_get(hass).async_get(device_id)
    maker = entry if isinstance(entry, dr.DeviceEntry) else None
    return DeviceDetail(
        acronym=device.acronym,
        unique_id=device.unique_id,
        node_id=node,
        name=(entry and (entry.name_by_user or entry.name)) or device.acronym,
        vendor_acronym=(maker and maker.manufacturer) or "",
        vendor_device_name=(maker and maker.model) or "",
        updated_on=now,
    )


def _device_id(hass: HomeAssistant, signal: Signal) -> str | None:
    if (entity_id := entity_id_of(hass, signal.point)) is None:
        return None
    entry = er.async_get(hass).async_get(entity_id)
    return None if entry is None else entry.device_id
