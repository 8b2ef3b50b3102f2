"""What Ardexa's answers say, without Home Assistant.

Where the platform's documentation leaves the shape of an answer open, every plausible one is read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
import re
from typing import Any, Final, Self

type Json = dict[str, Any]

_ID_KEYS: Final = ("id", "deviceId", "device_id", "_id")
_NAME_KEYS: Final = ("name", "displayName", "label", "hostname")
_VERSION_KEYS: Final = ("agentVersion", "agent_version", "version")
_LIST_KEYS: Final = ("devices", "data", "items", "results", "rows")
_COMMON_NAME: Final = re.compile(r"(?:^|,)\s*CN=([^,]+)")
# Words that servers refuse for want of a right.
_PERMISSION: Final = re.compile(
    r"permission|privilege|not allowed|denied|forbidden|unauthori[sz]ed|not authori[sz]ed",
    re.IGNORECASE,
)


class ShapeError(ValueError):
    """An answer that is not Ardexa's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One value of a scenario."""

    name: str
    """Empty for the only value of a scenario without fields."""
    expect: str | None = None
    """The data type that the agent was told: decimal, integer, bool, keyword …"""
    unit: str | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what `asdict` made a dict of."""
        return cls(**data)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """What a device collects under one table and source."""

    table: str
    source: str
    expect: str | None = None
    unit: str | None = None
    fields: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        """Return the name that Ardexa shows; neither part may have a dot."""
        return f"{self.table}.{self.source}"

    def fields_of(self, field: str | None) -> list[Json]:
        """Return, to be stored, what one of the fields carries, or all of them."""
        if not self.fields:
            # Of rows whose fields nobody tells the columns are found when they come.
            return [] if self.expect == "csv" else [_only(self.expect, self.unit)]
        return [asdict(item) for item in self.fields if field in (None, item.name)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A device of the workgroup."""

    id: str
    name: str
    online: bool | None = None
    agent_version: str | None = None
    scenarios: tuple[Scenario, ...] = ()

    def scenario(self, table: str, source: str) -> Scenario | None:
        """Return a scenario by its two names."""
        for scenario in self.scenarios:
            if (scenario.table, scenario.source) == (table, source):
                return scenario
        return None


def _only(expect: str | None, unit: str | None) -> Json:
    return asdict(Field(name="", expect=expect, unit=unit))


def devices_of(answer: object) -> dict[str, Device]:
    """Return the devices of a workgroup by id; raises `ShapeError`."""
    if isinstance(answer, dict):
        for key in _LIST_KEYS:
            if isinstance(answer.get(key), list):
                answer = answer[key]
                break
        else:
            # By id, unless that is the answer of something else.
            if not all(isinstance(item, dict) for item in answer.values()):
                raise ShapeError("no list of devices")
            answer = [{"id": key, **item} for key, item in answer.items()]
    if not isinstance(answer, list):
        raise ShapeError("no list of devices")
    devices = [device_of(item) for item in answer]
    return {device.id: device for device in devices}


def device_of(answer: object) -> Device:
    """Return one device, from the list or from `device:new`; raises `ShapeError`."""
    if not isinstance(answer, dict):
        raise ShapeError("a device that is no object")
    device_id = _text(answer, _ID_KEYS) or device_id_of(answer.get("cn"))
    if not device_id:
        raise ShapeError("a device without id")
    settings = _object(answer.get("settings"))
    meta = _object(answer.get("meta"))
    online = answer.get("online")
    return Device(
        id=device_id,
        name=_text(answer, _NAME_KEYS) or _text(settings, _NAME_KEYS) or device_id,
        online=online if isinstance(online, bool) else None,
        agent_version=_text(answer, _VERSION_KEYS[:2]) or _text(meta, _VERSION_KEYS),
        scenarios=tuple(
            {
                (scenario.table, scenario.source): scenario
                for source in (meta, settings.get("externalMeta"))
                for scenario in _scenarios(source)
            }.values()
        ),
    )


def _scenarios(meta: object) -> Iterator[Scenario]:
    """Return the scenarios in lists by their type, or in one list."""
    by_type = meta if isinstance(meta, dict) else {"": meta}
    for items in by_type.values():
        for item in items if isinstance(items, list) else ():
            if not isinstance(item, dict):
                continue
            table, source = _text(item, ("table",)), _text(item, ("source",))
            if table is None or source is None:
                continue
            fields = item.get("fields")
            if isinstance(fields, str):  # an anchor
                fields = by_type.get(fields)
            yield Scenario(
                table=table,
                source=source,
                expect=_text(item, ("expect",)),
                unit=_unit(item),
                fields=tuple(_fields(fields)),
            )


def _fields(items: object) -> Iterator[Field]:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, str):
            yield Field(name=item)
        elif isinstance(item, dict) and (name := _text(item, ("name",))) is not None:
            yield Field(name=name, expect=_text(item, ("expect",)), unit=_unit(item))


def _unit(item: Json) -> str | None:
    return _text(_object(item.get("meta")), ("units", "unit")) or _text(item, ("units", "unit"))


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(item: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = item.get(key)
        if isinstance(value, str | int | float) and str(value).strip():
            return str(value).strip()
    return None


def device_id_of(common_name: object) -> str | None:
    """Return the device id in a common name such as `CN=3dcf4324,O=dev`."""
    if isinstance(common_name, str) and (match := _COMMON_NAME.search(common_name)):
        return match[1].strip()
    return None


def error_of(message: Mapping[str, Any]) -> str | None:
    """Return what an answer says went wrong, as text or as an object; None if nothing did."""
    error = message.get("error")
    if not error:
        return "no reason given" if message.get("result") == "error" else None
    if isinstance(error, dict):
        return _text(error, ("message", "error", "code")) or str(error)
    return str(error)


def rejection_of(data: object) -> str:
    """Return what a server says that does not let us in: a text, or an object with more data."""
    if not isinstance(data, dict):
        return str(data) if data else "no reason given"
    more = data.get("data")
    detail = _text(_object(more), ("message", "reason", "error", "code")) or (more and str(more))
    message = _text(data, ("message",)) or "no reason given"
    return f"{message} ({detail})" if detail and detail != message else message


def speaks_of_permission(text: str) -> bool:
    """Return whether an error is about a right that is missing."""
    return _PERMISSION.search(text) is not None
