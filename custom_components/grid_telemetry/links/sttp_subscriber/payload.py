"""What a publisher's metadata and measurements say, without Home Assistant."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
import re
from typing import Final
from uuid import UUID

from ...protocols.sttp import Measurement, Metadata, SignalKey, StateFlags

_UNITS_BY_KIND: Final = {
    "FREQ": "Hz",
    "DFDT": "Hz/s",
    "VPHM": "V",
    "IPHM": "A",
    "VPHA": "°",
    "IPHA": "°",
}
_UNIT: Final = re.compile(r"(?:\[([^][()]{1,16})\]|\(([^][()]{1,16})\))$")
# In parentheses stands more than units: (A) may well be a phase, behind words that are none.
_UNITS_IN_PARENTHESES: Final = frozenset(
    {
        *("W", "kW", "MW", "GW", "Wh", "kWh", "MWh", "VA", "kVA", "MVA"),
        *("var", "kvar", "varh", "kvarh", "V", "mV", "kV", "mA", "kA"),
        *("Hz", "mHz", "%", "°", "°C", "°F", "K"),
    }
)
# What the reference takes for bad too.
_UNUSABLE: Final = StateFlags.BAD_DATA | StateFlags.DISCARDED_VALUE


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A device of the publisher."""

    acronym: str
    name: str
    vendor: str = ""
    model: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """A signal that is subscribed to."""

    signal_id: UUID
    name: str
    kind: str
    """Signal acronym such as FREQ; empty where the metadata does not tell."""
    unit: str | None
    device: Device | None


def signals_of(metadata: Metadata | None, keys: Iterable[SignalKey]) -> dict[UUID, Signal]:
    """Return what the metadata tells of signals; None is of a publisher that keeps it to itself.

    A signal that the metadata does not have is left out: it is on the way, for some publishers
    change what they send before they are asked what that is.
    """
    if metadata is None:
        return {
            key.signal_id: Signal(
                signal_id=key.signal_id,
                name=f"{key.source}:{key.id}",
                kind="",
                unit=None,
                device=None,
            )
            for key in keys
        }
    devices = {
        device.acronym: Device(
            acronym=device.acronym,
            name=device.name or device.acronym,
            vendor=device.vendor_acronym or device.company_acronym,
            model=device.vendor_device_name,
        )
        for device in metadata.devices
    }
    details = {detail.signal_id: detail for detail in metadata.measurements}
    signals: dict[UUID, Signal] = {}
    for key in keys:
        if (detail := details.get(key.signal_id)) is None:
            continue
        acronym = detail.device_acronym
        # A publisher may send its signals without its devices.
        device = devices.get(acronym) or (
            Device(acronym=acronym, name=acronym) if acronym else None
        )
        kind = detail.signal_acronym.upper()
        text, unit = _split_unit(detail.description)
        signals[key.signal_id] = Signal(
            signal_id=key.signal_id,
            name=_name(text or detail.point_tag or detail.id, device),
            kind=kind,
            unit=unit or _UNITS_BY_KIND.get(kind),
            device=device,
        )
    return signals


def value_of(measurement: Measurement) -> float | None:
    """Return the value of a measurement, None where it is not to be used.

    A float32 is good for seven digits; what comes behind them is noise.
    """
    if measurement.flags & _UNUSABLE or not isfinite(measurement.value):
        return None
    return float(f"{measurement.value:.7g}")


def _split_unit(description: str) -> tuple[str, str | None]:
    """Return a description without the unit at its end, and the unit."""
    description = description.strip()
    if match := _UNIT.search(description):
        in_brackets, in_parentheses = match.groups()
        if in_brackets or in_parentheses in _UNITS_IN_PARENTHESES:
            return description[: match.start()].rstrip(), (in_brackets or in_parentheses).strip()
    return description, None


def _name(text: str, device: Device | None) -> str:
    """Return the name of a signal without that of its device, which stands before it anyway."""
    for prefix in (device.name, device.acronym) if device else ():
        if text.lower().startswith(prefix.lower()) and (rest := text[len(prefix) :].strip(" :-")):
            return rest
    return text
