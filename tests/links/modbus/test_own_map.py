"""A register map that the user brings: checked, tried against the meter, and then kept."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
import tempfile
from typing import Any
from unittest.mock import patch

from aiohttp import FormData
from homeassistant.config_entries import SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from modbus_connection import IllegalDataAddressError
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from .conftest import LINK, link_entry, meter, start, state
from .test_subentries import METER, form, reconfigure, submit

# Home Assistant's web server itself keeps its things so.
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")

type Upload = Callable[[str, bytes], Awaitable[str]]

MAP = """\
manufacturer: Acme
models: [M 1]
source: Acme manual
register_space: holding
type: int16
quantities:
  voltage: {address: 0, scale: 0.1}
  power: {address: 2}
"""
NO_UPLOAD = "0" * 32
OWN = {**METER, "register_map": "own/"}
TEXT = {"map_text": MAP, "map_name": "My meter", "replace": False}


@pytest.fixture(autouse=True)
def folder(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Return the folder of the user's own maps, which is not there yet."""
    hass.config.config_dir = str(tmp_path)
    return tmp_path / "grid_telemetry" / "meters"


@pytest.fixture
def unit(line: MockModbusConnection) -> MockModbusUnit:
    """Return a meter that answers as unit 3, as the map says."""
    unit = line.for_unit(3)
    unit.holding.update({0: 2302, 1: 0, 2: 1234, 3: 5678})
    return unit


async def own_map_form(hass: HomeAssistant, entry: MockConfigEntry) -> SubentryFlowResult:
    result = await submit(hass, await form(hass, entry), OWN)
    assert result["step_id"] == "own_map"
    return result


@pytest.fixture
async def upload(
    hass: HomeAssistant,
    socket_enabled: None,
    hass_client: ClientSessionGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Upload:
    """Return what uploads a file, as the frontend does, and returns its id."""
    # Home Assistant has one folder for uploads on a machine, and empties it as it starts.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert await async_setup_component(hass, "file_upload", {})
    client = await hass_client()

    async def upload(name: str, content: bytes) -> str:
        form = FormData(quote_fields=False)
        form.add_field("file", content, filename=name)
        answer = await client.post("/api/file_upload", data=form)
        assert answer.status == HTTPStatus.OK
        return str((await answer.json())["file_id"])

    return upload


def suggested(result: SubentryFlowResult) -> dict[str, Any]:
    assert result["data_schema"] is not None
    return {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }


async def test_a_pasted_map_is_tried_and_kept(
    hass: HomeAssistant, unit: MockModbusUnit, folder: Path
) -> None:
    entry = link_entry()
    result = await submit(hass, await own_map_form(hass, entry), TEXT)

    assert result["step_id"] == "confirm"
    placeholders = result["description_placeholders"] or {}
    assert placeholders["meter"] == "Acme M 1"
    assert placeholders["values"] == "- Voltage: 230.2 V\n- Active power: 1234.0 W"
    assert not folder.exists()

    result = await submit(hass, result, {"next_step_id": "save"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Acme M 1"
    assert result["data"] == {
        **METER,
        "register_map": "my_meter",
        "identity": "tcp:192.0.2.1:502_3",
    }
    assert (folder / "my_meter.yaml").read_text() == MAP
    power = hass.states.get("sensor.acme_m_1_active_power")
    assert power is not None
    assert power.state == "1234"


@pytest.mark.parametrize(("name", "file"), [("", "acme_m_1.yaml"), ("Größe 2", "grosse_2.yaml")])
async def test_a_map_gets_a_name(
    hass: HomeAssistant, unit: MockModbusUnit, folder: Path, name: str, file: str
) -> None:
    result = await own_map_form(hass, link_entry())
    result = await submit(hass, result, {**TEXT, "map_name": name})
    await submit(hass, result, {"next_step_id": "save"})

    assert [path.name for path in folder.iterdir()] == [file]


async def test_an_uploaded_map_has_the_name_of_its_file(
    hass: HomeAssistant, unit: MockModbusUnit, folder: Path, upload: Upload
) -> None:
    result = await own_map_form(hass, link_entry())
    file_id = await upload("Cellar meter.yaml", MAP.encode())
    result = await submit(hass, result, {"map_file": file_id, "replace": False})
    await submit(hass, result, {"next_step_id": "save"})

    assert (folder / "cellar_meter.yaml").read_text() == MAP


async def test_mistakes_are_told_with_file_line_and_key(
    hass: HomeAssistant, unit: MockModbusUnit, folder: Path
) -> None:
    result = await own_map_form(hass, link_entry())
    wrong = MAP.replace("power:", "powr:").replace("int16", "int61")
    result = await submit(hass, result, {**TEXT, "map_text": wrong})

    assert result["step_id"] == "own_map"
    assert result["errors"] == {"base": "map_invalid"}
    assert (result["description_placeholders"] or {})["mistakes"].splitlines()[1:] == [
        "my_meter.yaml, line 8: quantities.powr: there is no such quantity, did you mean power?"
    ]
    assert (result["description_placeholders"] or {})["mistakes"].startswith(
        "my_meter.yaml, line 5: type: value must be one of"
    )
    assert suggested(result)["map_text"] == wrong
    assert not folder.exists()

    result = await submit(hass, result, TEXT)
    assert result["step_id"] == "confirm"


async def test_the_text_of_a_wrong_file_can_be_put_right_in_the_form(
    hass: HomeAssistant, unit: MockModbusUnit, upload: Upload
) -> None:
    result = await own_map_form(hass, link_entry())
    wrong = MAP.replace("power:", "powr:")
    file_id = await upload("cellar.yaml", wrong.encode())
    result = await submit(hass, result, {"map_file": file_id, "replace": False})

    assert result["errors"] == {"base": "map_invalid"}
    assert suggested(result) == {"map_text": wrong, "map_name": "cellar", "replace": False}


async def test_a_file_that_is_no_text_is_refused(
    hass: HomeAssistant, unit: MockModbusUnit, upload: Upload
) -> None:
    result = await own_map_form(hass, link_entry())
    file_id = await upload("cellar.yaml", b"\xff\xfe")
    result = await submit(hass, result, {"map_file": file_id, "replace": False})

    assert result["errors"] == {"map_file": "map_invalid"}
    assert "cellar.yaml" in (result["description_placeholders"] or {})["mistakes"]


async def test_a_huge_file_is_refused(
    hass: HomeAssistant, unit: MockModbusUnit, upload: Upload
) -> None:
    result = await own_map_form(hass, link_entry())
    file_id = await upload("cellar.yaml", b"#" * (64 * 1024 + 1))
    result = await submit(hass, result, {"map_file": file_id, "replace": False})

    assert result["errors"] == {"map_file": "map_too_large"}


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({"map_file": NO_UPLOAD}, {"map_file": "file_gone"}),
        ({"map_text": " \n"}, {"base": "no_map"}),
        ({}, {"base": "no_map"}),
    ],
)
async def test_without_a_map_there_is_nothing_to_try(
    hass: HomeAssistant, unit: MockModbusUnit, data: dict[str, Any], errors: dict[str, str]
) -> None:
    result = await own_map_form(hass, link_entry())
    result = await submit(hass, result, {**data, "replace": False})

    assert result["errors"] == errors


async def test_a_map_that_the_meter_refuses_is_not_kept(
    hass: HomeAssistant, unit: MockModbusUnit, folder: Path
) -> None:
    unit.fail_requests(IllegalDataAddressError())
    result = await own_map_form(hass, link_entry())
    result = await submit(hass, result, TEXT)

    assert result["step_id"] == "own_map"
    assert result["errors"] == {"base": "map_mismatch"}
    assert suggested(result)["map_text"] == MAP
    assert not folder.exists()


async def test_a_folder_that_cannot_be_written_is_told(
    hass: HomeAssistant, unit: MockModbusUnit, folder: Path
) -> None:
    result = await own_map_form(hass, link_entry())
    result = await submit(hass, result, TEXT)
    folder.parent.write_text("no folder")
    result = await submit(hass, result, {"next_step_id": "save"})

    assert result["step_id"] == "own_map"
    assert result["errors"] == {"base": "map_not_stored"}


async def test_a_map_of_the_same_name_is_replaced_only_when_asked(
    hass: HomeAssistant, unit: MockModbusUnit, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "my_meter.yaml").write_text(MAP)
    result = await own_map_form(hass, link_entry())
    changed = MAP.replace("address: 2", "address: 3")
    result = await submit(hass, result, {**TEXT, "map_text": changed})
    assert result["errors"] == {"map_name": "map_name_taken"}
    assert (result["description_placeholders"] or {})["error"] == "my_meter"

    result = await submit(hass, result, {**TEXT, "map_text": changed, "replace": True})
    await submit(hass, result, {"next_step_id": "save"})
    assert (folder / "my_meter.yaml").read_text() == changed


async def test_meters_go_on_with_the_map_that_replaces_theirs(
    hass: HomeAssistant, unit: MockModbusUnit, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "my_meter.yaml").write_text(MAP)
    entry = link_entry(meter(3, register_map="my_meter"))
    await start(hass, entry)
    assert state(hass, "power", 3) == "1234"

    result = await entry.start_subentry_reconfigure_flow(hass, "meter_3")
    result = await submit(hass, result, OWN)
    changed = MAP.replace("address: 2", "address: 3")
    result = await submit(hass, result, {**TEXT, "map_text": changed, "replace": True})
    result = await submit(hass, result, {"next_step_id": "save"})

    assert result["reason"] == "reconfigure_successful"
    assert state(hass, "power", 3) == "5678"


async def test_a_meter_of_another_map_can_take_an_own_one(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    folder: Path,
    entity_registry: er.EntityRegistry,
) -> None:
    entry = link_entry(meter())
    result = await submit(hass, await reconfigure(hass, entry), OWN)
    result = await submit(hass, result, TEXT)
    result = await submit(hass, result, {"next_step_id": "save"})

    assert entry.subentries["meter_1"].data["register_map"] == "my_meter"
    # What only the other map has is gone.
    assert {
        sensor.unique_id
        for sensor in er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    } == {"meter_1_voltage", "meter_1_power"}


async def test_a_broken_map_of_the_name_is_replaced_too_only_when_asked(
    hass: HomeAssistant, unit: MockModbusUnit, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "my_meter.yaml").write_text("quantities: [")
    with patch(f"{LINK}.maps.ir.async_create_issue"):
        result = await own_map_form(hass, link_entry())
        result = await submit(hass, result, TEXT)

    assert result["errors"] == {"map_name": "map_name_taken"}
