"""What a site file may say, and how its mistakes are told."""

from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest

from custom_components.grid_telemetry.configuration.site_file import (
    ENTRY_KEYS,
    SUBENTRY_KEYS,
    async_read_site_file,
    async_written_kinds,
)
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.forms.written import ASK, fields_in
from custom_components.grid_telemetry.links.registry import LINKS

from .conftest import call

pytestmark = pytest.mark.usefixtures("home")

PUBLISHER = """\
  - id: sttp
    kind: sttp_publisher
    host: 127.0.0.1
"""
SETUP = """\
  - id: setup
    kind: setup_server
    sources: []
"""
HEAD = "site_file: 1\nentries:\n"


async def faults(hass: HomeAssistant, text: str) -> list[str]:
    """Return what is wrong with a file, as a user is told."""
    with pytest.raises(ServiceValidationError) as caught:
        await call(hass, "plan", configuration=text)
    assert caught.value.translation_placeholders is not None
    return caught.value.translation_placeholders["faults"].splitlines()


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", 1, "expected site_file and entries"),
        ("site_file: 2\n", 1, "site_file: expected 1"),
        ("entries: []\n", 1, "site_file: expected 1"),
        ("site_file: 1\nentrys: []\n", 2, "entrys: there is no such key, did you mean entries?"),
        ("site_file: 1\nentries: 3\n", 2, "entries: expected a list"),
        ("site_file: 1\nentries: [3]\n", 2, "entries: expected names with values"),
        ("site_file: 1\nvariables: 3\n", 2, "variables: expected names with values"),
        ("site_file: 1\nowned: perhaps\n", 2, "owned: expected true or false"),
        ("site_file: [", 1, "expected the node content, but found '<stream end>'"),
        ("site_file: 1\nsite_file: 1", 2, "site_file: written twice"),
        ("site_file: &a 1\nentries: *a", 2, "aliases (*) are not taken"),
        (
            HEAD + "  - {id: A B, kind: group}",
            3,
            "id: expected small letters, digits and _, at most 64",
        ),
        (
            HEAD + "  - {id: a, kind: modbos}",
            3,
            "modbos: there is no such kind, did you mean modbus?",
        ),
        (HEAD + "  - {id: a}", 3, "kind: is missing"),
        (
            HEAD + "  - {id: a, kind: group}\n  - {id: a, kind: group}",
            4,
            "a: another entry has this id, in line 3",
        ),
        (HEAD + "  - {id: a, kind: group, name: 3}", 3, "name: expected a text; put it in quotes"),
        (HEAD + PUBLISHER + "    prot: 7165", 6, "prot: there is no such key, did you mean port?"),
        (HEAD + PUBLISHER + "    port: 70000", 6, "port: not from 1 to 65535 (it is 70000)"),
        (
            HEAD + PUBLISHER + "    port: ${prot}\nvariables: {port: 1}",
            6,
            "prot: there is no such variable, did you mean port?",
        ),
        (
            HEAD + "  - {id: a, kind: modbus, host: a, port: 1}",
            3,
            "transport: is missing, one of tcp, udp, tls, rtu_over_tcp, serial",
        ),
        (
            HEAD + "  - {id: a, kind: modbus, transport: tpc}",
            3,
            "tpc: there is no such transport, did you mean tcp?",
        ),
        (HEAD + "  - {id: a, kind: modbus, transport: tcp}", 3, "host: is missing"),
        (
            HEAD + "  - {id: a, kind: modbus, transport: tcp, host: 3}",
            3,
            "host: expected a text; put it in quotes",
        ),
        (
            HEAD + SETUP + "    password: in clear",
            6,
            "password: a secret is never written here; say !secret and a name, or !ask",
        ),
        (HEAD + SETUP + "    login: !secret login", 6, "login: is no secret"),
        (HEAD + SETUP + "    subentries: [{}]", 6, "destination: is missing"),
        (
            HEAD + "  - {id: a, kind: group, subentries: [{type: groop}]}",
            3,
            "groop: there is no such type, did you mean group?",
        ),
        (
            HEAD + "  - {id: a, kind: solarnode, subentries: [{}]}",
            3,
            "type: is missing, one of none",
        ),
    ],
)
async def test_a_mistake_is_told_with_file_line_and_key(
    hass: HomeAssistant, text: str, line: int, told: str
) -> None:
    assert f"site.yaml, line {line}: {told}" in await faults(hass, text)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{entity: sensor.a, nam: A}", "points[1].nam: there is no such key, did you mean name?"),
        ("{name: A}", "points[1].entity: is missing"),
        (
            "{entity: {meter: A}, name: A}",
            (
                "entity: expected an entity id, meter and quantity, or any of area, label and "
                "device_class"
            ),
        ),
        (
            "{entity: {metre: A, quantity: power}, name: A}",
            "entity.metre: there is no such key, did you mean meter?",
        ),
        ("5", "points[1]: expected names with values"),
    ],
)
async def test_a_row_of_a_table_is_told_by_its_number(
    hass: HomeAssistant, row: str, told: str
) -> None:
    device = "    subentries:\n      - acronym: A\n        points:\n"
    text = f"{HEAD}{PUBLISHER}{device}          - {row}"
    assert f"site.yaml, line 9: {told}" in await faults(hass, text)


async def test_all_mistakes_are_told_at_once(hass: HomeAssistant) -> None:
    text = HEAD + PUBLISHER + "    prot: 1\n    max_subscriber: 2\n"
    assert [line.split(":")[0] for line in await faults(hass, text)] == [
        "site.yaml, line 6",
        "site.yaml, line 7",
    ]


async def test_a_file_that_is_not_there_is_told(hass: HomeAssistant) -> None:
    with pytest.raises(ServiceValidationError, match="No such file"):
        await call(hass, "plan")


async def test_a_secret_that_is_not_there_is_told_by_its_name(
    hass: HomeAssistant, home: Path
) -> None:
    text = HEAD + SETUP + "    password: !secret setup\n"
    (told,) = await faults(hass, text)
    assert told.startswith("secrets.yaml: ")
    (home / "secrets.yaml").write_text("setupp: a\n")
    assert await faults(hass, text) == [
        "secrets.yaml, line 1: setup: there is no such secret, did you mean setupp?"
    ]


# --- variables and templates

TEMPLATE = """\
template: standard
version: 2
variables:
  port:
  networks: 10.0.0.0/8
content:
  kind: sttp_publisher
  host: 127.0.0.1
  port: ${port}
  allowed_networks: ['${networks}']
"""


def put_template(home: Path, name: str, text: str) -> None:
    folder = home / DOMAIN / "templates"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)


async def fields(hass: HomeAssistant, entry: str) -> dict[str, Any]:
    file = await async_read_site_file(hass, HEAD + entry)
    return dict(file.entries[0].fields)


async def test_a_template_fills_in_what_the_file_leaves_out(
    hass: HomeAssistant, home: Path
) -> None:
    put_template(home, "standard", TEMPLATE)
    entry = (
        "  - {id: a, max_subscribers: 3, use: {template: standard, version: 2, with: {port: 9}}}"
    )
    assert await fields(hass, entry) == {
        "host": "127.0.0.1",
        "port": 9,
        "allowed_networks": ["10.0.0.0/8"],
        "max_subscribers": 3,
    }


async def test_a_value_of_the_file_comes_before_that_of_the_template(
    hass: HomeAssistant, home: Path
) -> None:
    put_template(home, "standard", TEMPLATE)
    entry = "  - {id: a, port: 8, use: {template: standard, version: 2, with: {port: 9}}}"
    assert (await fields(hass, entry))["port"] == 8


async def test_rows_of_the_file_follow_those_of_the_template(hass: HomeAssistant) -> None:
    text = """\
site_file: 1
entries:
  - id: a
    kind: scout
    claim_id: ABCD1234
    serial_number: '1'
    subentries:
      - use: {template: three_phase_meter_to_scout, version: 1, with: {meter: House}}
        points: [{entity: sensor.own, code: OWN}]
"""
    (entry,) = (await async_read_site_file(hass, text)).entries
    points = entry.subentries[0].fields["points"]
    assert [point["code"] for point in points][-2:] == ["P_GEN_TOT_ENERGY", "OWN"]
    assert points[0]["entity"] == {"meter": "House", "quantity": "voltage_l1"}
    assert entry.fields["token"] is ASK


@pytest.mark.parametrize(
    ("use", "line", "told"),
    [
        (
            "{template: standerd, version: 2}",
            3,
            "standerd: there is no such template, did you mean standard?",
        ),
        (
            "{template: standard, version: 3, with: {port: 1}}",
            3,
            "version: the template standard is version 2, not 3",
        ),
        (
            "{template: standard, with: {port: 1}}",
            3,
            "version: the template standard is version 2, not None",
        ),
        (
            "{template: standard, version: 2}",
            3,
            "port: the template wants a value for this variable",
        ),
        (
            "{template: standard, version: 2, with: {prot: 1}}",
            3,
            "prot: there is no such variable of the template, did you mean port?",
        ),
        ("{template: standard, version: 2, with: 3}", 3, "with: expected names with values"),
        (
            "{template: standard, version: 2, wiht: {}}",
            3,
            "use.wiht: there is no such key, did you mean with?",
        ),
        ("standard", 3, "use: expected template, version and perhaps with"),
        ("{template: broken, version: 1}", 1, "content: expected a template's content"),
        (
            "{template: endless, version: 1}",
            4,
            "endless: templates within templates, more than 4 deep",
        ),
        ("{template: wrong, version: 1}", 5, "prot: there is no such key, did you mean port?"),
    ],
)
async def test_a_mistake_with_a_template_is_told(
    hass: HomeAssistant, home: Path, use: str, line: int, told: str
) -> None:
    put_template(home, "standard", TEMPLATE)
    put_template(home, "broken", "version: 1\n")
    put_template(
        home,
        "endless",
        "version: 1\ncontent:\n  kind: group\n  use: {template: endless, version: 1}\n",
    )
    put_template(
        home, "wrong", "version: 1\ncontent:\n  kind: sttp_publisher\n  host: a\n  prot: 1\n"
    )
    found = await faults(hass, HEAD + f"  - {{id: a, use: {use}}}")
    assert [each for each in found if each.endswith(f"yaml, line {line}: {told}")]


# --- what every kind says of itself


async def test_every_kind_can_be_written(hass: HomeAssistant) -> None:
    kinds = await async_written_kinds(hass)
    # The site itself has its file, and is not in it.
    assert set(kinds) == set(LINKS) - {"site"}
    for kind in kinds:
        flows = await LINKS[kind].async_flows(hass)
        assert set(kinds[kind].subentries) == set(flows.SUBENTRY_FLOWS)


async def test_no_field_has_a_name_that_a_file_needs(hass: HomeAssistant) -> None:
    for kind in (await async_written_kinds(hass)).values():
        for written, keys in (
            (kind.entry, ENTRY_KEYS),
            *((each, SUBENTRY_KEYS) for each in kind.subentries.values()),
        ):
            for schema in written.schemas.values():
                names = {str(marker) for marker in fields_in(schema)} - {written.name_field}
                assert not names & set(keys)
                assert set(written.identity) - {written.name_field} <= names


async def test_every_shipped_template_fits_its_kind(hass: HomeAssistant) -> None:
    kinds = await async_written_kinds(hass)
    found = sorted(
        path.stem
        for path in Path(LINKS["modbus"].package.replace(".", "/")).parent.glob(
            "*/templates/*.yaml"
        )
    )
    assert found
    for name in found:
        kind = next(kind for kind in kinds if name.endswith(kind.split("_")[0]))
        use = f"use: {{template: {name}, version: 1, with: {{meter: House}}}}"
        own = {"scout": "claim_id: ABCD1234, serial_number: '1'", "sttp_publisher": "host: '::'"}
        device = {"scout": "gateway_device_id: MAIN", "sttp_publisher": "acronym: A"}
        text = f"  - {{id: a, kind: {kind}, {own[kind]}, subentries: [{{{device[kind]}, {use}}}]}}"
        file = await async_read_site_file(hass, HEAD + text)
        assert len(file.entries[0].subentries[0].fields["points"]) >= 5
