"""A home with every kind of link: made from a file, exported, and made again elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
import yaml

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.registry import LINKS
from custom_components.grid_telemetry.repairs import async_create_fix_flow

from .conftest import World, call, site_file

# The site itself has its file, and is not in it.
KINDS = set(LINKS) - {"site"}

pytestmark = pytest.mark.needs("mosquitto")


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Wait for no feed that is silent."""
    with patch("custom_components.grid_telemetry.links.ardexa.subentries.TRIED_WITHIN_S", 0.1):
        yield


@pytest.fixture
async def text(hass: HomeAssistant, home: Path, world: World) -> str:
    """The file that the home is made from."""
    (home / "secrets.yaml").write_text(yaml.safe_dump(world.secrets))
    text = site_file(world)
    (home / DOMAIN / "site.yaml").write_text(text)
    answer = await call(hass, "apply")
    assert not answer["failed"]
    assert len(answer["added"]) == len(KINDS)
    return text


def ids(answer: dict[str, list[dict[str, str]]]) -> dict[str, list[str]]:
    """Return the ids of the entries by what becomes of them."""
    return {key: [entry["id"] for entry in entries] for key, entries in answer.items() if entries}


async def give_secrets(hass: HomeAssistant, secrets: dict[str, str]) -> int:
    """Answer every issue that asks for secrets; return how many there were."""
    wanted = {
        "scout": {"token": secrets["scout_token"]},
        "powernaut": {"secret": secrets["powernaut_secret"]},
        "setup": {"password": secrets["setup_password"]},
        "node": {"password": secrets["node_password"]},
        "cloud": {"token": secrets["ardexa_token"]},
    }
    issues = [
        issue
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == DOMAIN and issue.translation_key == "secrets_wanted"
    ]
    for issue in issues:
        assert issue.data is not None
        flow = await async_create_fix_flow(hass, issue.issue_id, issue.data)
        flow.hass = hass
        form = await flow.async_step_init()
        assert form["type"] == "form"
        result = await flow.async_step_init(wanted[str(issue.data["site_entry"])])
        assert result["type"] == "create_entry", result
    return len(issues)


async def test_every_kind_is_made_from_a_file(hass: HomeAssistant, text: str) -> None:
    entries = hass.config_entries.async_entries(DOMAIN)
    assert {entry.data["kind"] for entry in entries} == KINDS
    assert {entry.state for entry in entries} == {ConfigEntryState.LOADED}
    assert list(ids(await call(hass, "plan"))) == ["keep"]
    assert list(ids(await call(hass, "apply"))) == ["unchanged"]


async def test_an_empty_home_takes_the_export_of_another_and_asks_once_for_secrets(
    hass: HomeAssistant, text: str, other_home: HomeAssistant, world: World
) -> None:
    exported = (await call(hass, "export"))["configuration"]
    # The stand-in's token is a word that the file has as a key.
    assert exported.count("!ask") == 5
    assert not [word for word in world.secrets.values() if f": {word}\n" in exported]
    # Ports can be listened on once only.
    for entry in hass.config_entries.async_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)
    answer = await call(other_home, "apply", configuration=exported)
    assert set(ids(answer)["waiting"]) == {"cloud", "scout", "powernaut", "setup", "node"}
    assert "failed" not in ids(answer)
    assert await give_secrets(other_home, world.secrets) == 5
    assert ids(await call(other_home, "apply", configuration=exported)) == {
        "unchanged": [
            entry["id"] for entry in yaml.safe_load(exported.replace("!ask", ""))["entries"]
        ]
    }
    assert (await call(other_home, "export"))["configuration"] == exported
    assert not ir.async_get(other_home).issues
    for entry in other_home.config_entries.async_entries(DOMAIN):
        assert entry.state is ConfigEntryState.LOADED


async def test_a_changed_line_is_the_whole_plan(hass: HomeAssistant, home: Path, text: str) -> None:
    for line, changed, entry, told in (
        ("fast_interval_s: 2", "fast_interval_s: 7", "line", "Solar: fast_interval_s: 2 → 7"),
        ("factor: 2", "factor: 3", "scout", "MAIN: points[3].factor: 2 → 3"),
        ("name: Cellar", "name: Attic", "line", "name: Cellar → Attic"),
        ("interval_s: 1\n", "interval_s: 5\n", "scout", "interval_s: 1 → 5"),
        ("price: 0.3", "price: 0.4", "powernaut", "Evenings: curve[1].price: 0.3 → 0.4"),
    ):
        assert line in text
        text = text.replace(line, changed)
        (home / DOMAIN / "site.yaml").write_text(text)
        plan = await call(hass, "plan")
        assert [(each["id"], each["changes"]) for each in plan["change"]] == [(entry, [told])]
        assert ids(plan).keys() == {"change", "keep"}
        answer = await call(hass, "apply")
        assert ids(answer)["changed"] == [entry]
        assert list(ids(await call(hass, "apply"))) == ["unchanged"]
