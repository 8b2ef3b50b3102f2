"""What a file does to a home: made, changed, removed, or nothing of it."""

from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    entity_registry as er,
    issue_registry as ir,
    label_registry as lr,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.configuration import apply
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.repairs import async_create_fix_flow
from simulators.programs import free_port

from .conftest import call

pytestmark = pytest.mark.usefixtures("home", "socket_enabled")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing that does not come."""
    monkeypatch.setattr(apply, "APPEARS_WITHIN_S", 0.05)


@pytest.fixture
def port() -> int:
    return free_port()


def publisher(port: int, *points: str, owned: bool = True, **changes: Any) -> str:
    """Return a file with a publisher; each point is an entity and a name."""
    lines = [
        "site_file: 1",
        f"owned: {str(owned).lower()}",
        "entries:",
        "  - id: sttp",
        "    kind: sttp_publisher",
        f"    port: {port}",
        *(f"    {key}: {value}" for key, value in changes.items()),
    ]
    if points:
        lines += ["    subentries:", "      - acronym: HOUSE", "        points:"]
        lines += [f"          - {{entity: {point}}}" for point in points]
    return "\n".join(lines)


def report(hass: HomeAssistant, *names: str, unit: str = "W") -> None:
    for name in names:
        hass.states.async_set(f"sensor.{name}", "1", {"unit_of_measurement": unit})


async def applied(hass: HomeAssistant, text: str) -> dict[str, list[dict[str, Any]]]:
    answer = await call(hass, "apply", configuration=text)
    return {key: entries for key, entries in answer.items() if entries}


def entries(hass: HomeAssistant) -> list[str]:
    return [entry.title for entry in hass.config_entries.async_entries(DOMAIN)]


async def test_a_subentry_that_its_form_refuses_leaves_nothing_of_the_entry(
    hass: HomeAssistant, port: int
) -> None:
    report(hass, "a")
    answer = await applied(hass, publisher(port, "sensor.a, name: A, unit: kvar"))
    (failed,) = answer["failed"]
    assert failed["id"] == "sttp"
    assert "kvar" in failed["error"]
    assert entries(hass) == []


async def test_an_entry_that_cannot_become_what_the_file_says_stays_what_it_was(
    hass: HomeAssistant, port: int
) -> None:
    report(hass, "a", "b")
    before = publisher(port, "sensor.a, name: A", "sensor.b, name: B")
    await applied(hass, before)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    data, subentries = (
        dict(entry.data),
        {key: dict(each.data) for key, each in entry.subentries.items()},
    )
    wrong = publisher(port, "sensor.a, name: A, unit: kvar", max_subscribers=3, name="Grid")
    answer = await applied(hass, wrong)
    assert list(answer) == ["failed"]
    assert dict(entry.data) == data
    assert {key: dict(each.data) for key, each in entry.subentries.items()} == subentries
    assert entry.title == f"STTP 127.0.0.1:{port}"
    assert entry.state is ConfigEntryState.LOADED
    assert list(await applied(hass, before)) == ["unchanged"]


async def test_the_error_is_that_of_the_form(hass: HomeAssistant, port: int) -> None:
    await applied(hass, publisher(port))
    other = publisher(port).replace("id: sttp", "id: other\n    name: Other")
    (failed,) = (await applied(hass, publisher(port) + other.partition("entries:")[2]))["failed"]
    assert "already" in failed["error"].lower()
    answer = await applied(hass, publisher(port, host="300.1.1.1"))
    assert answer["failed"][0]["error"].startswith("host: ")


async def test_what_an_owned_entry_no_longer_has_in_the_file_is_removed(
    hass: HomeAssistant, port: int
) -> None:
    report(hass, "a")
    both = publisher(port, "sensor.a, name: A")
    await applied(hass, both)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    answer = await applied(hass, publisher(port))
    assert answer["changed"][0]["changes"] == ["HOUSE: remove"]
    assert not entry.subentries
    empty = "site_file: 1"
    assert (await call(hass, "plan", configuration=empty))["remove"] == [
        {"id": "sttp", "title": entry.title}
    ]
    assert list(await applied(hass, empty)) == ["removed"]
    assert entries(hass) == []


async def test_what_the_file_does_not_own_is_never_removed(hass: HomeAssistant, port: int) -> None:
    report(hass, "a")
    await applied(hass, publisher(port, "sensor.a, name: A", owned=False))
    assert list(await applied(hass, publisher(port, owned=False))) == ["unchanged"]
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert len(entry.subentries) == 1
    assert await applied(hass, "site_file: 1") == {}
    assert len(entries(hass)) == 1


async def test_an_entry_made_by_hand_is_taken_over_by_kind_and_name(
    hass: HomeAssistant, port: int
) -> None:
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Grid",
        unique_id=f"sttp_publisher/127.0.0.1:{port}",
        data={
            "kind": "sttp_publisher",
            "host": "127.0.0.1",
            "port": port,
            "allowed_networks": ["127.0.0.0/8"],
            "max_subscribers": 8,
        },
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    same = publisher(port, name="Grid", host="127.0.0.1")
    assert list(await applied(hass, same)) == ["unchanged"]
    answer = await applied(hass, publisher(port, name="Grid", host="127.0.0.1", max_subscribers=9))
    assert answer["changed"][0]["changes"] == ["max_subscribers: none → 9"]
    assert entry.data["max_subscribers"] == 9


# --- what an entity is


async def test_an_entity_is_found_by_area_label_and_class(hass: HomeAssistant, port: int) -> None:
    area = ar.async_get(hass).async_create("Cellar")
    label = lr.async_get(hass).async_create("Solar")
    registry = er.async_get(hass)
    for number, (where, labels, device_class) in enumerate(
        [
            (area.id, {label.label_id}, "power"),
            (area.id, {label.label_id}, "energy"),
            (area.id, set(), "power"),
            (None, {label.label_id}, "power"),
        ]
    ):
        entity = registry.async_get_or_create(
            "sensor",
            "other",
            str(number),
            original_device_class=device_class,
            unit_of_measurement="W",
        )
        registry.async_update_entity(entity.entity_id, area_id=where, labels=labels)
        hass.states.async_set(entity.entity_id, "1", {"unit_of_measurement": "W"})
    wanted = "{area: Cellar, label: Solar, device_class: power}"
    await applied(hass, publisher(port, f"{wanted}, name: A"))
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    (subentry,) = entry.subentries.values()
    found = registry.async_get(subentry.data["points"][0]["entity"])
    assert found is not None
    assert found.unique_id == "0"
    text = (await call(hass, "export"))["configuration"]
    assert f"entity: {found.entity_id}" in text


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("{area: Cellar}", "2 things in this home are {area: Cellar}"),
        ("{area: Attic}", "Nothing in this home is {area: Attic}"),
        ("{label: Solar}", "Nothing in this home is {label: Solar}"),
        ("{device_class: gas}", "Nothing in this home is {device_class: gas}"),
        (
            "{meter: House, quantity: power}",
            "Nothing in this home is {meter: House, quantity: power}",
        ),
    ],
)
async def test_what_is_not_one_entity_is_told(
    hass: HomeAssistant, port: int, reference: str, error: str
) -> None:
    area = ar.async_get(hass).async_create("Cellar")
    registry = er.async_get(hass)
    for number in range(2):
        entity = registry.async_get_or_create("sensor", "other", str(number))
        registry.async_update_entity(entity.entity_id, area_id=area.id)
    (failed,) = (await applied(hass, publisher(port, f"{reference}, name: A")))["failed"]
    assert failed["error"].startswith(error)
    assert entries(hass) == []


async def test_an_entry_waits_for_an_entity_that_appears(
    hass: HomeAssistant, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "APPEARS_WITHIN_S", 10)
    applying = hass.async_create_task(applied(hass, publisher(port, "sensor.late, name: A")))
    hass.loop.call_later(0.05, report, hass, "late")
    assert list(await applying) == ["added"]


# --- secrets

SETUP = """\
site_file: 1
entries:
  - {{id: setup, kind: setup_server, port: {port}, sources: [], {password}}}
"""


async def test_a_secret_is_asked_for_until_it_is_right(hass: HomeAssistant, port: int) -> None:
    text = SETUP.format(port=port, password="name: Commands")
    answer = await applied(hass, text)
    assert answer["waiting"] == [{"id": "setup", "title": "Commands", "asks": ["password"]}]
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.data is not None
    flow = await async_create_fix_flow(hass, issue.issue_id, issue.data)
    flow.hass = hass
    form = await flow.async_step_init()
    assert [str(key) for key in form["data_schema"].schema] == ["password"]
    form = await flow.async_step_init({"password": "short"})
    assert form["errors"] == {"base": "site_entry_refused"}
    assert form["description_placeholders"]["error"].startswith("password: ")
    assert entries(hass) == []
    result = await flow.async_step_init({"password": "long enough for it"})
    assert result["type"] == "create_entry"
    assert entries(hass) == ["Commands"]
    assert not ir.async_get(hass).issues
    assert list(await applied(hass, text)) == ["unchanged"]


async def test_a_secret_that_nobody_waits_for_any_more_is_told(hass: HomeAssistant) -> None:
    data = {"site_entry": "gone", "asks": "token"}
    flow = await async_create_fix_flow(hass, "secrets_wanted_gone", data)
    flow.hass = hass
    result = await flow.async_step_init()
    assert (result["type"], result["reason"]) == ("abort", "site_file_again")


async def test_a_secret_is_in_no_answer_and_not_in_the_record(
    hass: HomeAssistant, home: Path, port: int, hass_storage: dict[str, Any]
) -> None:
    (home / "secrets.yaml").write_text("setup: correct horse battery\n")
    text = SETUP.format(port=port, password="password: !secret setup")
    assert "correct" not in str(await applied(hass, text))
    assert "correct" not in (await call(hass, "export"))["configuration"]
    record = str(hass_storage["grid_telemetry.configuration"])
    assert "correct" not in record
    assert "!secret setup" in record


async def test_the_record_outlives_a_restart(
    hass: HomeAssistant, port: int, hass_storage: dict[str, Any]
) -> None:
    text = publisher(port)
    await applied(hass, text)
    hass.data.pop("grid_telemetry_configuration")
    assert list(await applied(hass, text)) == ["unchanged"]
    assert [
        entry["id"]
        for entry in hass_storage["grid_telemetry.configuration"]["data"]["entries"].values()
    ] == ["sttp"]
