"""The loader of register maps, and what it says about mistakes."""

from decimal import Decimal
from pathlib import Path

import pytest

from custom_components.grid_telemetry import meters
from custom_components.grid_telemetry.meters import (
    DEFAULT_RATED_POWER_W,
    ObjectCheck,
    Register,
    RegisterMapError,
    load_register_maps,
    parse_register_map,
    read_register_map,
)

GOOD = """\
manufacturer: Acme
models: [M1, M2]
source: Acme manual
register_space: input
type: float32
quantities:
  voltage_l1: {address: 0x10}
"""


def write(folder: Path, text: str, name: str = "acme.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_map_gets_its_defaults(tmp_path: Path) -> None:
    register_map = read_register_map(write(tmp_path, GOOD))

    assert register_map.key == "acme"
    assert register_map.label == "Acme M1, M2"
    assert not register_map.verified
    assert register_map.max_span == 125
    assert register_map.max_gap == 16
    assert register_map.rated_power_w == DEFAULT_RATED_POWER_W
    assert register_map.serial_number is None
    assert register_map.quantities == {
        "voltage_l1": Register(
            address=0x10, type="float32", count=2, space="input", word_order="big"
        )
    }


def test_a_map_tells_which_of_its_sources_confirms_what(tmp_path: Path) -> None:
    register_map = read_register_map(
        write(
            tmp_path,
            GOOD.replace(
                "source: Acme manual",
                "sources:\n  - {name: Acme manual, confirms: all}\n"
                "  - {name: a reader, confirms: [power]}\n  - {name: hearsay}",
            )
            + "  power: {address: 0x12}\n",
        )
    )

    assert register_map.source == "Acme manual; a reader; hearsay"
    assert {key: register_map.confirmations(key) for key in register_map.quantities} == {
        "voltage_l1": 1,
        "power": 2,
    }


def test_a_map_tells_what_decides_what_the_meter_is(tmp_path: Path) -> None:
    register_map = read_register_map(
        write(
            tmp_path,
            GOOD
            + """\
identify:
  - {address: 0x0B, type: uint16, equals: [71, 72]}
  - {address: 6, type: string, length: 8, starts_with: [ALE3, AWD3]}
  - {object: product_code, starts_with: M1}
""",
        )
    )
    number, text, model = register_map.identify

    assert [number.holds(value) for value in (72, 73, None)] == [True, False, False]
    assert [text.holds(value) for value in ("ALE3D5", "XALE3", None)] == [True, False, False]
    assert model == ObjectCheck(object_id=1, starts_with=("M1",))
    assert [model.holds(value) for value in ("M100", "M2", None)] == [True, False, False]


def test_a_map_tells_what_is_on_the_secondary_side(tmp_path: Path) -> None:
    register_map = read_register_map(
        write(
            tmp_path,
            GOOD
            + """\
  power: {address: 0x12}
current_ratio: {address: 6, type: uint16, register_space: holding}
secondary: all
""",
        )
    )

    assert register_map.current_ratio == Register(
        address=6, type="uint16", count=1, space="holding", word_order="big"
    )
    assert register_map.voltage_ratio is None
    assert register_map.secondary == {"voltage_l1", "power"}


def test_a_register_overrides_the_defaults_of_its_map(tmp_path: Path) -> None:
    register_map = read_register_map(
        write(
            tmp_path,
            GOOD
            + """\
  energy_import:
    address: 0x100
    type: uint64
    scale: 0.001
    register_space: holding
    word_order: little
    nan: [0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF]
  frequency: {address: 0x20, type: uint16, scale: 0.1, nan: 0xFFFF}
serial_number: {address: 0x200, type: string, length: 8}
firmware: {address: 0x208, type: version, length: 2}
max_span: 40
rated_power_w: 9000
""",
        )
    )

    assert register_map.quantities["energy_import"] == Register(
        address=0x100,
        type="uint64",
        count=4,
        space="holding",
        word_order="little",
        scale=Decimal("0.001"),
        nan=frozenset({0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF}),
    )
    assert register_map.quantities["frequency"].nan == frozenset({0xFFFF})
    assert register_map.serial_number is not None
    assert register_map.serial_number.count == 8
    assert register_map.firmware is not None
    assert register_map.firmware.type == "version"
    assert register_map.rated_power_w == 9000


AS_METER = """\
as_meter:
  acme:
    name: Acme M1
    constants:
      - {address: 0x0B, type: uint16, register_space: holding, value: 71, writable: true}
      - {address: 0x20, type: string, length: 2, value: M1}
      - {address: 0x30, type: int32, scale: 0.1, word_order: little, value: -12345.6}
    also:
      - {quantity: voltage_l1, address: 0x40, type: uint16}
    blocks:
      - {first: 0x00, last: 0x40}
      - {first: 0x0B, last: 0x0B, register_space: holding}
  acme_turned:
    name: Acme M1 the other way round
    both_spaces: true
    unscaled: true
    positive_power: export
    max_span: 20
    max_age_s: 5
    timeout_ms: 100
    when_old: silence
    blocks: [{first: 0, last: 0x20}]
"""


def test_a_map_tells_how_its_meter_is_played(tmp_path: Path) -> None:
    register_map = read_register_map(write(tmp_path, GOOD + AS_METER))

    played, turned = register_map.as_meter.values()
    assert (played.key, played.name) == ("acme", "Acme M1")
    assert [constant.words for constant in played.constants] == [
        (71,),
        (0x4D31, 0),
        (0x1DC0, 0xFFFE),
    ]
    assert [constant.writable for constant in played.constants] == [True, False, False]
    ((key, register),) = played.also
    assert (key, register.address, register.type) == ("voltage_l1", 0x40, "uint16")
    assert [(block.first, block.last, block.space) for block in played.blocks] == [
        (0, 0x40, "input"),
        (0x0B, 0x0B, "holding"),
    ]
    assert (played.max_span, played.max_age_s, played.when_old) == (125, None, "exception")
    assert (turned.max_span, turned.max_age_s, turned.when_old) == (20, 5, "silence")
    assert (played.timeout_ms, turned.timeout_ms) == (150, 100)
    assert (turned.both_spaces, turned.unscaled, turned.export_positive) == (True, True, True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value: 71", "value: x", "line 12: as_meter.acme.constants.0.value: a text goes with"),
        ("value: 71", "value: 65536", "the register cannot hold it"),
        ("value: M1", "value: M1234", "as_meter.acme.constants.1.value: the register cannot hold"),
        ("{quantity: voltage_l1", "{quantity: power", "the map has no quantity power"),
        ("{first: 0x00,", "{first: 0x50,", "as_meter.acme.blocks.0.last: the first register comes"),
        ("  acme:", "  Acme-1:", "a key has small letters"),
        ("when_old: silence", "when_old: never", "as_meter.acme_turned.when_old"),
    ],
)
def test_a_mistake_in_how_a_meter_is_played_is_told(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write(tmp_path, GOOD + AS_METER.replace(old, new))

    with pytest.raises(RegisterMapError) as failed:
        read_register_map(path)

    assert message in str(failed.value)


def test_a_map_tells_how_its_meter_is_recognised(tmp_path: Path) -> None:
    register_map = read_register_map(
        write(
            tmp_path,
            GOOD
            + """\
recognise:
  - {address: 0x10, between: [80, 300]}
  - {address: 0x0B, type: uint16, register_space: holding, equals: [71, 72]}
  - {address: 0x50, type: string, length: 4, equals: M1}
""",
        )
    )

    voltage, code, name = register_map.recognise
    assert voltage.register == register_map.quantities["voltage_l1"]
    assert [voltage.holds(value) for value in (80, 300, 79.9, 300.1, None, "230")] == [
        *(True, True),
        *(False, False, False, False),
    ]
    assert code.register.space == "holding"
    assert [code.holds(value) for value in (71, 72, 73, None)] == [True, True, False, False]
    assert [name.holds(value) for value in ("M1", "M2", None)] == [True, False, False]


def test_the_largest_value_of_each_integer_can_mean_not_available(tmp_path: Path) -> None:
    quantities = read_register_map(
        write(
            tmp_path,
            GOOD
            + """\
  power: {address: 0x20, type: int32}
  power_factor: {address: 0x22, type: int16}
  energy_import: {address: 0x24, type: uint64}
  frequency: {address: 0x28, type: uint16, nan: 0}
nan: largest
""",
        )
    ).quantities

    assert {key: set(register.nan) for key, register in quantities.items()} == {
        "voltage_l1": set(),
        "power": {0x7FFFFFFF},
        "power_factor": {0x7FFF},
        "energy_import": {2**64 - 1},
        "frequency": {0},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            GOOD + "recognise: [{address: 2}]\n",
            "acme.yaml, line 8: recognise.0: exactly one of equals, between and starts_with",
        ),
        (
            GOOD + "recognise:\n- {address: 2, equals: 1}\n- {address: 3, between: [1]}\n",
            "acme.yaml, line 10: recognise.1.between: length of value must be at least 2",
        ),
        (
            GOOD + "recognise:\n- {address: 2, between: [2, 1]}\n",
            "acme.yaml, line 9: recognise.0.between: the lower end comes first",
        ),
        (
            GOOD + "recognise:\n- {address: 2, type: string, equals: a}\n",
            (
                "acme.yaml, line 9: recognise.0.length: "
                "goes with type string or version, and only with them"
            ),
        ),
        (
            GOOD + "  power: {address: 2, nan: largest}\n",
            "acme.yaml, line 8: quantities.power.nan: only an integer has a largest value",
        ),
        (
            GOOD + "  voltge_l2: {address: 2}\n",
            (
                "acme.yaml, line 8: quantities.voltge_l2: there is no such quantity, "
                "did you mean voltage_l2?"
            ),
        ),
        (
            GOOD + "  1: {address: 2}\n",
            "acme.yaml, line 8: quantities.1: there is no such quantity",
        ),
        (
            GOOD + "  power:\n    address: 2\n    typ: int16\n",
            "acme.yaml, line 10: quantities.power.typ: not a valid option, did you mean 'type'?",
        ),
        (
            GOOD + "  power: {adress: 2}\n",
            (
                "acme.yaml, line 8: quantities.power.adress: not a valid option, "
                "did you mean 'address'?\n"
                "acme.yaml, line 8: quantities.power.address: required key not provided"
            ),
        ),
        (
            GOOD + "  power: {address: yes}\n",
            "acme.yaml, line 8: quantities.power.address: expected an integer, got True",
        ),
        (
            GOOD + "  power: {address: 70000}\n",
            "acme.yaml, line 8: quantities.power.address: value must be at most 65535",
        ),
        (
            GOOD + "  power: {address: 65535}\n",
            (
                "acme.yaml, line 8: quantities.power.address: "
                "the value reaches beyond the last address"
            ),
        ),
        (
            GOOD + "  power: {address: 2, scale: 0}\n",
            "acme.yaml, line 8: quantities.power.scale: expected a number other than 0, got 0",
        ),
        (
            GOOD + "  power: {address: 2, type: string, length: 4}\n",
            "acme.yaml, line 8: quantities.power.type: a quantity is a number, not a string",
        ),
        (
            GOOD + "  power: {address: 2, length: 4}\n",
            (
                "acme.yaml, line 8: quantities.power.length: "
                "goes with type string or version, and only with them"
            ),
        ),
        (
            GOOD + "serial_number: {address: 2, type: string}\n",
            (
                "acme.yaml, line 8: serial_number.length: "
                "goes with type string or version, and only with them"
            ),
        ),
        (
            GOOD.replace("type: float32\n", ""),
            (
                "acme.yaml, line 6: quantities.voltage_l1.type: "
                "the type is missing, here and at the top of the map"
            ),
        ),
        (
            GOOD + "max_span: 1\n",
            "acme.yaml, line 7: quantities.voltage_l1.type: the value is wider than max_span",
        ),
        (
            GOOD.replace("input", "inputs").replace("[M1, M2]", "[]"),
            (
                "acme.yaml, line 2: models: length of value must be at least 1\n"
                "acme.yaml, line 4: register_space: value must be one of ['holding', 'input'], "
                "did you mean 'input'?"
            ),
        ),
        (
            GOOD.replace("[M1, M2]", "[M1, '']"),
            "acme.yaml, line 2: models.1: expected a text, got ''",
        ),
        (
            GOOD.replace("source: Acme manual\n", ""),
            "acme.yaml, line 1: either source or sources",
        ),
        (
            GOOD + "sources: [{name: Acme manual}]\n",
            "acme.yaml, line 1: either source or sources",
        ),
        (
            GOOD.replace("source: Acme", "sources:\n  - confirms: [power]\n    name: Acme"),
            "acme.yaml, line 4: sources.0.confirms: the map has no quantity power",
        ),
        (
            GOOD + "secondary: [power]\n",
            "acme.yaml, line 8: secondary: the map has no quantity power",
        ),
        (
            GOOD + "identify: [{object: maker, equals: Acme}]\n",
            "acme.yaml, line 8: identify.0.object: value must be one of",
        ),
        (
            GOOD + "identify: [{object: vendor_name}]\n",
            "acme.yaml, line 8: identify.0: exactly one of equals, between and starts_with",
        ),
        (
            GOOD + "current_ratio: {address: 6, type: string, length: 2}\n",
            "acme.yaml, line 8: current_ratio.type: a quantity is a number, not a string",
        ),
        (
            GOOD.replace("  voltage_l1: {address: 0x10}\n", ""),
            "acme.yaml, line 6: quantities: expected at least one quantity",
        ),
        (
            GOOD + "  voltage_l1: {address: 2}\n",
            "acme.yaml, line 8: voltage_l1: written twice",
        ),
        (GOOD + "  power: {address: 2\n", "acme.yaml, line 9: expected ',' or '}'"),
        (GOOD + "? [a, b]\n: c\n", "acme.yaml, line 8: found unhashable key"),
        ("&a [*a]\n", "acme.yaml, line 1: aliases (*) are not taken"),
        ("a: &a {b: 1}\nc: {<<: *a}\n", "acme.yaml, line 2: merges (<<) are not taken"),
        ("", "acme.yaml, line 1: expected a mapping"),
        ("a: \0\n", "acme.yaml: unacceptable character #x0000"),
        # What PyYAML fails at without saying where.
        (
            GOOD.replace("[M1, M2]", "[M1, 2021-13-45]"),
            "acme.yaml, line 2: cannot read '2021-13-45'",
        ),
        (GOOD + "  power: {address: 0x_}\n", "acme.yaml, line 8: cannot read '0x_'"),
        (GOOD + "  power: {address: !!int ''}\n", "acme.yaml, line 8: cannot read ''"),
        (GOOD + "verified: !!bool maybe\n", "acme.yaml, line 8: cannot read 'maybe'"),
        (GOOD + "firmware: !!timestamp now\n", "acme.yaml, line 8: cannot read 'now'"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RegisterMapError) as error:
        read_register_map(write(tmp_path, text))

    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            GOOD + "rated_power_w: " + "9" * 5000 + "\n",
            "acme.yaml, line 8: cannot read '999",
            id="number",
        ),
        pytest.param(
            GOOD + "rated_power_w: " + "9" * 400 + "\n",
            "acme.yaml, line 8: rated_power_w: expected float",
            id="rating",
        ),
        pytest.param(
            GOOD + "  power: {address: 2, scale: " + "9" * 400 + "}\n",
            "acme.yaml: int too large",
            id="scale",
        ),
        pytest.param(
            GOOD + "? 0x" + "f" * 5000 + "\n: 1\n", "acme.yaml: Exceeds the limit", id="key"
        ),
        pytest.param("models: " + "[" * 3000, "acme.yaml: maximum recursion depth", id="nesting"),
    ],
)
def test_what_is_too_large_is_told_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RegisterMapError) as error:
        read_register_map(write(tmp_path, text))

    assert str(error.value).startswith(message)
    assert len(str(error.value)) < 200


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_bytes(b"\xff\xfe\xff")

    with pytest.raises(RegisterMapError, match=r"acme\.yaml: .*utf-8"):
        read_register_map(path)


def test_a_broken_map_leaves_the_others_alone(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, "manufacturer: [", "broken.yaml")

    loaded = load_register_maps(tmp_path)

    assert "acme" in loaded.maps
    assert "eastron_sdm630" in loaded.maps
    assert list(loaded.errors) == ["broken.yaml"]


def test_a_users_map_replaces_a_shipped_one_of_the_same_name(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "eastron_sdm630.yaml")

    assert load_register_maps(tmp_path).maps["eastron_sdm630"].manufacturer == "Acme"


def test_a_users_map_with_a_mistake_does_not_bring_the_shipped_one_back(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("address", "adress"), "eastron_sdm630.yaml")

    loaded = load_register_maps(tmp_path)

    assert list(loaded.errors) == ["eastron_sdm630.yaml"]
    assert "eastron_sdm630" not in loaded.maps
    assert "eastron_sdm120" in loaded.maps


def test_a_map_that_cannot_be_parsed_leaves_the_others_alone(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD + "rated_power_w: " + "9" * 400, "huge.yaml")
    write(tmp_path, "[" * 3000, "deep.yaml")

    loaded = load_register_maps(tmp_path)

    assert "acme" in loaded.maps
    assert list(loaded.errors) == ["deep.yaml", "huge.yaml"]


def test_without_a_folder_there_are_the_shipped_maps(tmp_path: Path) -> None:
    loaded = load_register_maps(tmp_path / "none")

    assert {"circutor_cem_c31", "eastron_sdm630"} <= loaded.maps.keys()
    assert not loaded.errors


def test_of_the_shipped_maps_only_those_that_are_named_are_read(tmp_path: Path) -> None:
    write(tmp_path, GOOD)

    loaded = load_register_maps(tmp_path, {"eastron_sdm630", "gone"})

    assert loaded.maps.keys() == {"acme", "eastron_sdm630"}


def test_a_shipped_map_is_what_a_users_map_of_the_same_text_is(tmp_path: Path) -> None:
    """They are read by two loaders: the fast one must not hide what the strict one would tell."""
    for path in Path(meters.__file__).parent.glob("*.yaml"):
        assert load_register_maps(tmp_path, {path.stem}).maps[path.stem] == read_register_map(path)


def test_a_few_lines_never_stand_for_many() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(RegisterMapError, match=r"line 2: aliases \(\*\) are not taken"):
        parse_register_map("acme.yaml", "\n".join(lines))


def test_a_map_is_no_larger_than_a_map_can_be(tmp_path: Path) -> None:
    text = "# " + "x" * 65_536
    with pytest.raises(RegisterMapError, match=r"acme\.yaml: larger than 64 KiB"):
        parse_register_map("acme.yaml", text)
    path = tmp_path / "acme.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RegisterMapError, match=r"acme\.yaml: larger than 64 KiB"):
        read_register_map(path)


def test_what_is_wrong_is_quoted_in_part() -> None:
    text = f"manufacturer: [{'x' * 60_000}]\nmodels: [a]\n"
    with pytest.raises(RegisterMapError) as error:
        parse_register_map("acme.yaml", text)
    assert len(str(error.value)) < 1_000
