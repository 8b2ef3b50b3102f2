"""A register map of the user's own: taken from a file or a text, checked, tried and then kept."""

import dataclasses
from pathlib import Path
from typing import Any

from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    BooleanSelector,
    FileSelector,
    FileSelectorConfig,
    TextSelector,
    TextSelectorConfig,
)
from homeassistant.util import slugify
from homeassistant.util.file import WriteError, write_utf8_file_atomic
import voluptuous as vol

from ...const import DOMAIN
from ...meters import MAX_BYTES, RegisterMap, RegisterMapError, parse_register_map
from .const import CONF_REGISTER_MAP
from .maps import map_folder
from .unit_access import meters_of

CONF_MAP_FILE = "map_file"
CONF_MAP_TEXT = "map_text"
CONF_MAP_NAME = "map_name"
CONF_REPLACE = "replace"

OWN_MAP_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_MAP_FILE): FileSelector(FileSelectorConfig(accept=".yaml,.yml")),
        vol.Optional(CONF_MAP_TEXT): TextSelector(TextSelectorConfig(multiline=True)),
        vol.Optional(CONF_MAP_NAME): TextSelector(),
        vol.Required(CONF_REPLACE, default=False): BooleanSelector(),
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnMap:
    """A map that fits the schema, and the file it will be kept in."""

    map: RegisterMap
    text: str
    path: Path


class OwnMapError(Exception):
    """A map cannot be taken; `key` is the error that the form shows at `field`."""

    def __init__(self, field: str, key: str, detail: str = "") -> None:
        super().__init__(detail)
        self.field = field
        self.key = key


async def async_text_of(hass: HomeAssistant, user_input: dict[str, Any]) -> tuple[str, str]:
    """Return the name and the text of the map that a form brings; the name may be empty.

    Raises `OwnMapError`.
    """
    name: str = user_input.get(CONF_MAP_NAME, "")
    text: str = user_input.get(CONF_MAP_TEXT, "")
    if (upload := user_input.get(CONF_MAP_FILE)) is None:
        if not text.strip():
            raise OwnMapError("base", "no_map")
        return name, text
    # A text that was pasted, or is left from the file before, gives way to a new file.
    file, content = await hass.async_add_executor_job(_uploaded, hass, upload)
    try:
        return name or Path(file).stem, content.decode()
    except UnicodeDecodeError as err:
        raise OwnMapError(CONF_MAP_FILE, "map_invalid", f"{file}: {err}") from err


def _uploaded(hass: HomeAssistant, upload: str) -> tuple[str, bytes]:
    try:
        with process_uploaded_file(hass, upload) as path:
            if path.stat().st_size > MAX_BYTES:
                raise OwnMapError(CONF_MAP_FILE, "map_too_large")
            return path.name, path.read_bytes()
    except ValueError as err:
        raise OwnMapError(CONF_MAP_FILE, "file_gone") from err


async def async_check(hass: HomeAssistant, name: str, text: str, *, replace: bool) -> OwnMap:
    """Return the map that a text describes, with the name it will have.

    Raises `OwnMapError`.
    """
    try:
        register_map = await hass.async_add_executor_job(
            parse_register_map, f"{slugify(name) or 'map'}.yaml", text
        )
    except RegisterMapError as err:
        raise OwnMapError("base", "map_invalid", str(err)) from err
    if not name:
        key = slugify(f"{register_map.manufacturer} {register_map.models[0]}")
        register_map = dataclasses.replace(register_map, key=key)
    path = map_folder(hass) / f"{register_map.key}.yaml"
    if not replace and await hass.async_add_executor_job(path.exists):
        raise OwnMapError(CONF_MAP_NAME, "map_name_taken", register_map.key)
    return OwnMap(map=register_map, text=text, path=path)


async def async_store(hass: HomeAssistant, own: OwnMap) -> None:
    """Keep a map; meters that are read by the one it replaces go on with it.

    Raises `OwnMapError`.
    """
    try:
        await hass.async_add_executor_job(_write, own)
    except (OSError, WriteError) as err:
        raise OwnMapError("base", "map_not_stored", str(err)) from err
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        if any(meter.data.get(CONF_REGISTER_MAP) == own.map.key for meter in meters_of(entry)):
            hass.config_entries.async_schedule_reload(entry.entry_id)


def _write(own: OwnMap) -> None:
    own.path.parent.mkdir(parents=True, exist_ok=True)
    write_utf8_file_atomic(str(own.path), own.text)
