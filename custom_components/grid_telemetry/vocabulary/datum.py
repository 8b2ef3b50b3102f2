"""The datum of SolarNode: the readings of one source at one time, and their JSON form.

A source is what Home Assistant calls a device. Units are plain: W, V, A, Hz, var, VA, Wh, °C.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
import math
import re
from typing import Any, Final, Self

from .classes import DeviceClass
from .quantities import QUANTITIES, Quantity
from .unit import UnitOfEnergy, UnitOfReactiveEnergy

type Value = float | str

# What JSON has no number for travels as text.
_NOT_FINITE: Final = {
    "Infinity": math.inf,
    "-Infinity": -math.inf,
    "NaN": math.nan,
}
# A phase, or one of several inputs.
_PART: Final = re.compile(r"(.+)_(l[123]|[1-9]\d?)")
_PHASES: Final = {"l1": "a", "l2": "b", "l3": "c"}
# SolarNode counts in units without a prefix.
_UNITS: Final[dict[str | None, str]] = {
    UnitOfEnergy.KILO_WATT_HOUR: UnitOfEnergy.WATT_HOUR,
    UnitOfReactiveEnergy.KILO_VOLT_AMPERE_REACTIVE_HOUR: (
        UnitOfReactiveEnergy.VOLT_AMPERE_REACTIVE_HOUR
    ),
}


class Group(StrEnum):
    """The groups of properties in a datum."""

    INSTANTANEOUS = "i"
    ACCUMULATING = "a"
    STATUS = "s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """A property of a datum, with the unit that its values come in."""

    name: str
    group: Group
    unit: str | None
    quantity: Quantity | None = None
    """What it measures, None for what our table has no quantity for."""


def _name(quantity: Quantity) -> str:
    """Return SolarNode's name of a quantity, or one in its manner where it has none."""
    if quantity.solarnode is not None:
        return quantity.solarnode
    match = _PART.fullmatch(quantity.key)
    if match and (whole := QUANTITIES.get(match[1])) is not None:
        return f"{_name(whole)}_{_PHASES.get(match[2], match[2])}"
    first, *others = quantity.key.split("_")
    return first + "".join(word.capitalize() for word in others)


def _group(quantity: Quantity) -> Group:
    if quantity.device_class is DeviceClass.ENUM:
        return Group.STATUS
    return Group.ACCUMULATING if quantity.counter else Group.INSTANTANEOUS


PROPERTY_OF: Final[dict[str, Property]] = {
    quantity.key: Property(
        name=_name(quantity),
        group=_group(quantity),
        unit=_UNITS.get(quantity.unit, quantity.unit),
        quantity=quantity,
    )
    for quantity in QUANTITIES.values()
}
"""The properties by the key of their quantity."""

PROPERTIES: Final[dict[str, Property]] = {
    # Of several quantities with the same name, the first is what the name means.
    **{item.name: item for item in reversed(PROPERTY_OF.values())},
    **{name: Property(name=name, group=Group.STATUS, unit=None) for name in ("opState", "phase")},
}
"""The usual properties by name."""


class DatumError(ValueError):
    """What was read is no datum; the text says why."""


def format_created(at: datetime) -> str:
    """Return a time as SolarNode writes it: UTC, whole milliseconds, without trailing zeros."""
    at = at.astimezone(UTC)
    fraction = f".{at.microsecond // 1000:03}".rstrip("0").rstrip(".")
    return f"{at:%Y-%m-%d %H:%M:%S}{fraction}Z"


def parse_created(value: object) -> datetime:
    """Return the time that SolarNode wrote, in any of the forms that itself reads.

    These are its own, ISO 8601, and milliseconds since 1970. Raises DatumError.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as err:
        raise DatumError(f"no time: {err}") from err
    raise DatumError("no time")


@dataclass(frozen=True, kw_only=True, slots=True)
class Datum:
    """The readings of one source at one time."""

    created: datetime
    source_id: str
    instantaneous: Mapping[str, float] = field(default_factory=dict)
    accumulating: Mapping[str, float] = field(default_factory=dict)
    status: Mapping[str, Value] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    node_id: int | None = None

    def values(self) -> Iterator[tuple[Group, str, Value]]:
        """Yield every property with its group, name and value."""
        for group, values in (
            (Group.INSTANTANEOUS, self.instantaneous),
            (Group.ACCUMULATING, self.accumulating),
            (Group.STATUS, self.status),
        ):
            for name, value in values.items():
                yield group, name, value

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it, in SolarNode's order; empty groups are left out."""
        data: dict[str, Any] = {"created": format_created(self.created)}
        if self.node_id is not None:
            data["nodeId"] = self.node_id
        data["sourceId"] = self.source_id
        for group, name, value in self.values():
            data.setdefault(group.value, {})[name] = json_value(value)
        if self.tags:
            data["t"] = list(self.tags)
        return data

    def select(self, names: tuple[str, ...] | None) -> dict[str, Value]:
        """Return properties, ready for JSON; None asks for all but those of the status."""
        if names is None:
            values = {**self.instantaneous, **self.accumulating}
            return {name: json_value(value) for name, value in values.items()}
        every = {**self.status, **self.accumulating, **self.instantaneous}
        return {name: json_value(every[name]) for name in names if name in every}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Return the datum of a JSON object; what is not known in it is passed over.

        Raises DatumError where it is none.
        """
        if not isinstance(data, Mapping):
            raise DatumError("a datum is an object")
        if not isinstance(source_id := data.get("sourceId"), str):
            raise DatumError("a datum has a sourceId")
        node_id = data.get("nodeId")
        tags = data.get("t") or ()
        if not isinstance(tags, list | tuple):
            raise DatumError("the tags of a datum are a list")
        return cls(
            created=parse_created(data.get("created")),
            source_id=source_id,
            instantaneous=dict(_numbers(data.get(Group.INSTANTANEOUS))),
            accumulating=dict(_numbers(data.get(Group.ACCUMULATING))),
            status=dict(_values(data.get(Group.STATUS))),
            tags=tuple(str(tag) for tag in tags),
            node_id=node_id if isinstance(node_id, int) else None,
        )


def json_value(value: Value) -> Value:
    """Return what JSON has for a value; integers without a fraction, as SolarNode writes them."""
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    whole = int(value)
    return whole if whole == value and abs(whole) < 2**53 else value


def _values(group: object) -> Iterator[tuple[str, Value]]:
    """Yield what a group of a datum has of numbers and texts."""
    if group is None:
        return
    if not isinstance(group, Mapping):
        raise DatumError("the properties of a datum are an object")
    for name, value in group.items():
        if isinstance(value, bool):
            yield str(name), int(value)
        elif isinstance(value, int | float | str):
            yield str(name), value


def _numbers(group: object) -> Iterator[tuple[str, float]]:
    for name, value in _values(group):
        if not isinstance(value, str):
            yield name, value
            continue
        number = _NOT_FINITE.get(value)
        if number is None:
            try:
                number = float(value)
            except ValueError:
                continue
        yield name, number
