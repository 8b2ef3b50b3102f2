"""What a meter says, as a small anonymous file to attach to an issue."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant
from modbus_connection import ModbusError, ModbusUnit
import yaml

from ...const import DOMAIN
from ...meters import Check, Register, RegisterMap, RegisterSpace
from ...meters.sunspec import SunSpecPlace, sunspec_map
from .adjustment import RATIOS, adjusted
from .const import CONF_REGISTER_MAP, CONF_SUNSPEC, CONF_TURN_SIGN, CONF_UNIT_ID
from .maps import async_load_register_maps
from .register_reader import RegisterReader, read_register
from .sunspec import find_again
from .unit_access import async_in_turn


class UnknownMapError(Exception):
    """The register map of a meter is gone."""


class _Recorder:
    """A unit of which all that it answered is kept."""

    def __init__(self, unit: ModbusUnit) -> None:
        self.words: dict[RegisterSpace, dict[int, int]] = {"input": {}, "holding": {}}
        self._unit = unit

    @property
    def unit(self) -> ModbusUnit:
        """Return this as what is read from."""
        return cast("ModbusUnit", self)

    @property
    def connected(self) -> bool:
        """Return whether the line is open."""
        return self._unit.connected

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        """Read input registers; raises `ModbusError`."""
        return self._kept("input", address, await self._unit.read_input_registers(address, count))

    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        """Read holding registers; raises `ModbusError`."""
        words = await self._unit.read_holding_registers(address, count)
        return self._kept("holding", address, words)

    def _kept(self, space: RegisterSpace, address: int, words: list[int]) -> list[int]:
        self.words[space].update(enumerate(words, address))
        return words


async def async_report(
    hass: HomeAssistant, entry: ConfigEntry, meter: ConfigSubentry, version: str, day: str
) -> dict[str, Any]:
    """Read a meter once and return what it said; its serial number is left out.

    Raises `ModbusError` when it does not answer, and `UnknownMapError`.
    """
    data = meter.data
    maps = await async_load_register_maps(hass, {data[CONF_REGISTER_MAP]})
    async with async_in_turn(hass, entry, data[CONF_UNIT_ID]) as reads:
        unit = reads.unit
        recorder = _Recorder(unit)
        place = None
        if CONF_SUNSPEC in data:
            # Not recorded: the common block has the serial number.
            place = await find_again(unit, SunSpecPlace(**data[CONF_SUNSPEC]))
            register_map = sunspec_map(place)
        elif (found := maps.get(data[CONF_REGISTER_MAP])) is not None:
            register_map = found
        else:
            raise UnknownMapError(data[CONF_REGISTER_MAP])
        reader = RegisterReader(recorder.unit, adjusted(register_map, data))
        values = await reader.read_all(register_map.quantities)
        await _ask_what_it_is(recorder, register_map)
        firmware = await _firmware(unit, register_map)
    return {
        "register_map": register_map.key,
        "meter": register_map.label,
        "firmware": firmware,
        "version": version,
        "day": day,
        "adjusted": {key: data[key] for key in (*RATIOS, CONF_TURN_SIGN) if key in data},
        "sunspec": None if place is None else asdict(place),
        "values": {key: values[key] for key in register_map.quantities if key in values},
        "refused": sorted(reader.refused),
        "registers": {
            space: _runs(words, register_map.serial_number, space)
            for space, words in recorder.words.items()
        },
    }


async def _ask_what_it_is(recorder: _Recorder, register_map: RegisterMap) -> None:
    """Read what tells the family from others, as far as the meter answers."""
    for check in (*register_map.identify, *register_map.recognise):
        if isinstance(check, Check):
            try:
                await read_register(recorder.unit, check.register)
            except ModbusError:
                continue


async def _firmware(unit: ModbusUnit, register_map: RegisterMap) -> str | None:
    if register_map.firmware is None:
        return None
    try:
        value = await read_register(unit, register_map.firmware)
    except ModbusError:
        return None
    return None if value is None else str(value)


def _runs(
    words: Mapping[int, int], serial_number: Register | None, space: RegisterSpace
) -> dict[int, str]:
    """Return registers by the first address of each run, as hexadecimal words."""
    hidden: range = range(0)
    if serial_number is not None and serial_number.space == space:
        hidden = range(serial_number.address, serial_number.end)
    runs: dict[int, list[str]] = {}
    first = last = -2
    for address in sorted(words.keys() - set(hidden)):
        if address != last + 1:
            first = address
        last = address
        runs.setdefault(first, []).append(f"{words[address]:04x}")
    return {address: " ".join(run) for address, run in runs.items()}


def write_report(folder: Path, name: str, report: Mapping[str, Any]) -> Path:
    """Write a report to a file and return its path. Blocking; raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(
        yaml.safe_dump(dict(report), sort_keys=False, allow_unicode=True, width=100),
        encoding="utf-8",
    )
    return path


def report_folder(hass: HomeAssistant) -> Path:
    """Return where reports are kept."""
    return Path(hass.config.path(DOMAIN, "reports"))
