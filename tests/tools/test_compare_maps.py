"""What the comparison says of tables in each of the three shapes, written here for the purpose."""

from pathlib import Path

import pytest

from tools.compare_maps import main

MAP = """\
manufacturer: Acme
models: [X1]
source: a manual
register_space: holding
type: int32
quantities:
  voltage_l1: {address: 0x10, type: uint16, scale: 0.1}
  current_l1: {address: 0x12, type: float32}
  power: {address: 0x20, scale: 10}
  power_factor_l2: {address: 0x30, type: int16, scale: 0.001}
  energy_import: {address: 0x40, type: uint32, word_order: little, scale: 0.001}
  energy_sum_l3: {address: 0x50, type: uint32, scale: 0.001}
"""
EVCC = """\
template: acme
products:
  - brand: Acme
    description:
      generic: X1
params:
  - name: usage
    choice: ["grid", "pv"]
  - name: modbus
    choice: ["rs485"]
render: |
  type: custom
  power:
    source: modbus
    uri: {{ .host }}:{{ .port }}
    {{- include "modbus" . | indent 2 }}
    register:
      address: 32 # W
      type: holding
      decode: int32nan
    scale: {{ if eq .usage "pv" }}-{{ end }}10
  energy:
    source: modbus
    register:
      {{- if eq .usage "pv" }}
      address: 99
      {{- else if ne .usage "pv" }}
      address: 64
      {{- else }}
      address: 98
      {{- end }}
      type: holding
      decode: uint32s
    scale: 0.001
  returnenergy:
    source: calc
  voltages:
    - source: modbus
      register:
        address: {{ .voltage }}
        type: holding
        decode: uint16
    - source: modbus
      register:
        address: 17
        type: holding
        decode: uint16
"""
ESPHOME = """\
substitutions:
  prefix: meter
sensor:
  - platform: uptime
    name: Uptime
  - platform: modbus_controller
    name: "${prefix} Phase 1 Voltage"
    address: 0x10
    register_type: holding
    value_type: U_WORD
    unit_of_measurement: V
    filters:
      - multiply: 0.1
  - platform: modbus_controller
    name: Total active power
    address: 0x20
    register_type: holding
    value_type: S_DWORD
    unit_of_measurement: kW
    filters:
      - multiply: 0.01
  - platform: modbus_controller
    id: power_factor_l2
    address: 0x30
    register_type: read
    value_type: S_WORD
    filters:
      - multiply: 0.001
  - platform: modbus_controller
    name: Forward energy
    address: 0x40
    register_type: holding
    value_type: U_DWORD_R
    unit_of_measurement: Wh
  - platform: modbus_controller
    name: L3 energy
    address: 0x52
    register_type: holding
    value_type: U_DWORD
    unit_of_measurement: Wh
  - platform: modbus_controller
    name: Frequency
    address: 0x60
    register_type: holding
    unit_of_measurement: Hz
    filters:
      - multiply: 0.01
  - platform: modbus_controller
    name: Current
    address: 0x70
    register_type: holding
    unit_of_measurement: A
    filters:
      - lambda: !lambda "return x * id(ratio).state;"
"""


@pytest.fixture
def maps(tmp_path: Path) -> str:
    folder = tmp_path / "maps"
    folder.mkdir()
    (folder / "acme_x1.yaml").write_text(MAP, encoding="utf-8")
    return str(folder)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    folder.mkdir()
    return folder


def test_a_template_of_evcc_is_taken_as_it_is_for_the_grid(
    maps: str, tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tables / "acme.yaml").write_text(EVCC, encoding="utf-8")

    assert main([str(tables), "--maps", maps]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "acme.yaml: acme_x1",
        "  confirms 2: power, energy_import",
        "  beyond the map: voltage_l2",
        "1 tables, 1 with a map, 0 that differ from it, 0 files that cannot be read",
    ]


def test_a_configuration_of_esphome_is_understood_by_names_and_units(
    maps: str, tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tables / "mine.yaml").write_text(ESPHOME, encoding="utf-8")

    assert main([str(tables), "--maps", maps]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "mine.yaml: acme_x1",
        "  confirms 3: voltage_l1, power, energy_import",
        "  differs in power_factor_l2: register space input, here holding",
        "  differs in energy_sum_l3: address 0x0052, here 0x0050",
        "  beyond the map: frequency",
        "1 tables, 1 with a map, 1 that differ from it, 0 files that cannot be read",
    ]


def test_each_source_of_a_csv_file_is_compared_with_the_map_that_the_file_names(
    maps: str, tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tables / "acme_x1.typed-in.csv").write_text(
        "quantity,address,type,scale,word_order,register_space,source\n"
        "voltage_l1,0x10,uint16,0.1,,,first\n"
        "current_l1,18,float32,,,,first\n"
        "power,0x20,uint32,1,,,first\n"
        "energy_import,64,uint32,0.001,little,holding,second\n"
        "energy_sum_l3,0x50,int32,0.0010,,,second\n",
        encoding="utf-8",
    )

    assert main([str(tables), "--maps", maps]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "first: acme_x1",
        "  confirms 2: voltage_l1, current_l1",
        "  differs in power: type uint32, here int32, scale 1, here 10",
        "second: acme_x1",
        # A counter is never negative, so that its sign says nothing.
        "  confirms 2: energy_import, energy_sum_l3",
        "2 tables, 2 with a map, 1 that differ from it, 0 files that cannot be read",
    ]


def test_a_table_of_an_unknown_meter_is_held_against_no_map(
    maps: str, tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tables / "other.csv").write_text(
        "quantity,address,type\nvoltage_l1,0xEEEE,uint16\npower,0xEEEF,int16\n", encoding="utf-8"
    )
    (tables / "maker.yaml").write_text(EVCC.replace("Acme", "Nobody"), encoding="utf-8")

    assert main([str(tables), "--maps", maps]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "maker.yaml: no map",
        "other.csv: no map",
        "2 tables, 0 with a map, 0 that differ from it, 0 files that cannot be read",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("quantity,address,type\nvolts,0x10,uint16\n", "no such quantity: volts"),
        ("quantity,address,type,note\npower,0x10,uint16,x\n", "no such column: note"),
        ("quantity,address,type\npower,ten,uint16\n", "invalid literal for int"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_compared(
    maps: str, tables: Path, capsys: pytest.CaptureFixture[str], text: str, fault: str
) -> None:
    (tables / "bad.csv").write_text(text, encoding="utf-8")
    (tables / "acme.yaml").write_text(EVCC, encoding="utf-8")

    assert main([str(tables), "--maps", maps]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("bad.csv: ValueError: ")
    assert fault in printed.err
    assert "acme.yaml: acme_x1" in printed.out


def test_a_folder_without_tables_is_told(
    maps: str, tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tables / "notes.yaml").write_text("a: 1\n", encoding="utf-8")

    assert main([str(tables), "--maps", maps]) == 2
    assert capsys.readouterr().out.startswith("0 tables")
