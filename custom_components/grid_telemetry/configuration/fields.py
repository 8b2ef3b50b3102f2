"""The fields of one entry or subentry in a file: checked, and their references followed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from homeassistant.helpers.selector import (
    DeviceSelector,
    EntitySelector,
    Selector,
    TextSelector,
)
import voluptuous as vol

from ..forms.fields import in_words
from ..forms.written import (
    ASK,
    Ask,
    Fields,
    Written,
    columns_of,
    fields_in,
    filled,
    is_secret,
    options_of,
    plain,
    required_columns,
    selector_of,
)
from .document import Faults, Items, Map, SecretName, place_of
from .references import DEVICE_KEYS, METER_KEYS, PLACE_KEYS

type OnReference = Callable[[Any], Any]

# Long enough for every form, and of every kind of text.
_ANY_SECRET: Final = "0" * 24


def map_references(
    written: Written, fields: Mapping[str, Any], on_entity: OnReference, on_device: OnReference
) -> Fields:
    """Return the fields with every reference to an entity or a device replaced."""
    result = dict(fields)
    for marker, value in fields_in(written.schema(fields)).items():
        if (key := str(marker)) not in fields:
            continue
        if columns := columns_of(value):
            result[key] = [
                {
                    name: _mapped(columns.get(name), each, on_entity, on_device)
                    for name, each in row.items()
                }
                if isinstance(row, Mapping)
                else row
                for row in (fields[key] if isinstance(fields[key], list) else [])
            ]
        else:
            result[key] = _mapped(selector_of(value), fields[key], on_entity, on_device)
    return result


def _mapped(
    found: Selector[Any] | None, value: Any, on_entity: OnReference, on_device: OnReference
) -> Any:
    if isinstance(found, EntitySelector):
        change = on_entity
    elif isinstance(found, DeviceSelector):
        change = on_device
    else:
        return value
    return [change(each) for each in value] if isinstance(value, list) else change(value)


def check_fields(
    written: Written, raw: Map, reserved: Sequence[str], name: str | None, faults: Faults
) -> Fields:
    """Return the fields of an entry or a subentry; what is wrong goes to `faults`."""
    fields: Fields = {key: value for key, value in raw.items() if key not in reserved}
    if written.variant(fields) not in written.schemas:
        choices = list(written.schemas)
        if (choice := str(written.choice)) in fields:
            faults.unknown(raw.places[choice], str(fields[choice]), choice, choices)
        else:
            faults.add(raw.place, choice, f"is missing, one of {', '.join(choices)}")
        return fields
    known = fields_in(written.schema(fields))
    by_name = {str(marker): value for marker, value in known.items()}
    shown = [key for key in by_name if key != written.name_field]
    for key in fields:
        if key not in shown and key != written.choice:
            faults.unknown(raw.places[key], key, "key", [*shown, *reserved])
    for key in written.needed_secrets(fields):
        fields.setdefault(key, ASK)
    before = len(faults.found)
    for key, value in by_name.items():
        if key in raw:
            _check_shape(key, value, raw, faults)
    if len(faults.found) == before:
        _check_values(written, known, _unlocated(fields), name, raw, faults)
    result: Fields = _unlocated(fields)
    return result


def _check_shape(key: str, value: Any, raw: Map, faults: Faults) -> None:
    """Check what a form cannot say of a field: secrets, references and the columns of tables."""
    given, place = raw[key], raw.places[key]
    if is_secret(value):
        if not isinstance(given, Ask | SecretName):
            faults.add(
                place, key, "a secret is never written here; say !secret and a name, or !ask"
            )
        return
    if isinstance(given, Ask | SecretName):
        faults.add(place, key, "is no secret")
        return
    found = selector_of(value)
    if isinstance(found, EntitySelector | DeviceSelector):
        _check_reference(key, given, found, raw, faults)
    if not columns_of(value):
        return
    if isinstance(given, Items):
        _check_rows(key, value, given, faults)
    else:
        faults.add(place, key, "expected a list of rows")


def _check_rows(key: str, value: Any, rows: Items, faults: Faults) -> None:
    """Check the columns of a table."""
    columns = columns_of(value)
    for number, row in enumerate(rows):
        where = f"{key}[{number + 1}]"
        if not isinstance(row, Map):
            faults.add(rows.places[number], where, "expected names with values")
            continue
        faults.check_keys(row, columns, f"{where}.")
        for name in required_columns(value) - row.keys():
            faults.add(row.place, f"{where}.{name}", "is missing")
        for name in row.keys() & columns.keys():
            if isinstance(columns[name], EntitySelector | DeviceSelector):
                _check_reference(name, row[name], columns[name], row, faults)


def _check_reference(
    key: str, given: Any, found: Selector[Any], parent: Map, faults: Faults
) -> None:
    if not isinstance(given, Map):
        return
    if isinstance(found, DeviceSelector):
        if set(given) != set(DEVICE_KEYS):
            faults.add(parent.places[key], key, "expected a device's id, or device with its name")
        return
    faults.check_keys(given, (*METER_KEYS, *PLACE_KEYS), f"{key}.")
    is_meter = set(given) == set(METER_KEYS)
    if not is_meter and not (given and set(given) <= set(PLACE_KEYS)):
        faults.add(
            parent.places[key],
            key,
            "expected an entity id, meter and quantity, or any of area, label and device_class",
        )


def _check_values(
    written: Written,
    known: Mapping[vol.Marker, Any],
    fields: Fields,
    name: str | None,
    raw: Map,
    faults: Faults,
) -> None:
    """Have the fields of the forms say what is wrong with their values."""
    secrets = {key: _ANY_SECRET if value == ASK else value for key, value in fields.items()}
    stand_ins = map_references(written, secrets, lambda _: "", lambda _: "device")
    for marker, value in known.items():
        key = str(marker)
        if key == written.name_field:
            if isinstance(marker, vol.Required) and name is None:
                faults.add(raw.place, "name", "is missing")
            continue
        if key not in fields:
            if isinstance(marker, vol.Required) and isinstance(marker.default, vol.Undefined):
                faults.add(raw.place, key, "is missing")
            continue
        if is_secret(value):
            continue
        _check_value(marker, value, written.answers(stand_ins), raw, faults)


def _check_value(
    marker: vol.Marker, value: Any, answers: Mapping[str, Any], raw: Map, faults: Faults
) -> None:
    key = str(marker)
    found = selector_of(value)
    given = _with_domains(value, answers[key])
    if isinstance(found, TextSelector) and type(given) in (int, float, bool):
        faults.add(place_of(raw, key), key, "expected a text; put it in quotes")
        return
    if isinstance(given, str) and (options := options_of(found)) and given not in options:
        faults.unknown(place_of(raw, key), given, key, options)
        return
    try:
        schema = vol.Schema({marker: value})
        schema(filled(schema, {key: given}))
    except vol.MultipleInvalid as err:
        text = in_words(err.errors[0].error_message, value)
        faults.add(place_of(raw, key), key, f"{text} (it is {given!r:.40})")


def _with_domains(value: Any, given: Any) -> Any:
    """Return a value with an entity of the right domain wherever one is named."""

    def entity(found: Selector[Any], _: Any) -> str:
        domain = found.config.get("domain") or "sensor"
        return f"{domain if isinstance(domain, str) else domain[0]}.any"

    columns = columns_of(value)
    if columns and isinstance(given, list):
        return [
            {
                name: entity(columns[name], each)
                if isinstance(columns.get(name), EntitySelector)
                else each
                for name, each in row.items()
            }
            if isinstance(row, Mapping)
            else row
            for row in given
        ]
    found = selector_of(value)
    return entity(found, given) if isinstance(found, EntitySelector) else given


def _unlocated(value: Any) -> Any:
    """Return data without the places where it is written."""
    if isinstance(value, Mapping):
        return {key: _unlocated(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_unlocated(each) for each in value]
    return value


def kept(value: Any) -> Any:
    """Return fields as a store keeps them: without a secret, only how it is named."""
    if isinstance(value, Ask):
        return "!ask"
    if isinstance(value, SecretName):
        return f"!secret {value.name}"
    if isinstance(value, Mapping):
        return {key: kept(each) for key, each in value.items()}
    if isinstance(value, list):
        return [kept(each) for each in value]
    return plain(value)
