"""A change by hand of what a file owns."""

from typing import Any

from homeassistant.components.repairs import RepairsFlow
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.repairs import async_create_fix_flow
from simulators.programs import free_port

from .conftest import call

pytestmark = pytest.mark.usefixtures("home", "socket_enabled")


@pytest.fixture
def text() -> str:
    return (
        "site_file: 1\nowned: true\nentries:\n"
        f"  - {{id: sttp, kind: sttp_publisher, name: Grid, port: {free_port()}}}\n"
    )


@pytest.fixture
async def entry(hass: HomeAssistant, text: str) -> ConfigEntry[Any]:
    """An entry that a file owns and that somebody changed."""
    await call(hass, "apply", configuration=text)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await change(hass, entry, max_subscribers=3)
    return entry


async def change(hass: HomeAssistant, entry: ConfigEntry[Any], **data: Any) -> None:
    hass.config_entries.async_update_entry(entry, data={**entry.data, **data})
    await hass.async_block_till_done()


def issues(hass: HomeAssistant) -> list[ir.IssueEntry]:
    return list(ir.async_get(hass).issues.values())


async def fix(hass: HomeAssistant) -> RepairsFlow:
    (issue,) = issues(hass)
    assert issue.data is not None
    flow = await async_create_fix_flow(hass, issue.issue_id, issue.data)
    flow.hass = hass
    return flow


async def test_a_change_by_hand_is_told_until_it_is_taken_back(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> None:
    (issue,) = issues(hass)
    assert issue.translation_key == "configuration_drift"
    assert issue.translation_placeholders == {"title": "Grid"}
    await change(hass, entry, max_subscribers=32)
    assert not issues(hass)


async def test_a_change_is_a_change_of_the_plan(
    hass: HomeAssistant, text: str, entry: ConfigEntry[Any]
) -> None:
    plan = await call(hass, "plan", configuration=text)
    assert [each["changes"] for each in plan["change"]] == [["max_subscribers: 3 → 32"]]
    await call(hass, "apply", configuration=text)
    assert entry.data["max_subscribers"] == 32
    assert not issues(hass)


async def test_the_file_counts(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    flow: Any = await fix(hass)
    menu = await flow.async_step_init()
    assert menu["menu_options"] == ["take_file", "take_entry"]
    assert (await flow.async_step_take_file())["type"] == "form"
    assert (await flow.async_step_take_file({}))["type"] == "create_entry"
    assert entry.data["max_subscribers"] == 32
    assert not issues(hass)


async def test_the_entry_counts_until_the_file_says_something_new(
    hass: HomeAssistant, text: str, entry: ConfigEntry[Any]
) -> None:
    flow: Any = await fix(hass)
    form = await flow.async_step_take_entry()
    assert "max_subscribers: 3" in form["description_placeholders"]["text"]
    assert (await flow.async_step_take_entry({}))["type"] == "create_entry"
    assert not issues(hass)
    plan = await call(hass, "plan", configuration=text)
    assert not plan["change"]
    await call(hass, "apply", configuration=text.replace("}", ", max_subscribers: 5}"))
    assert entry.data["max_subscribers"] == 5


async def test_an_entry_whose_form_refuses_the_file_says_why(
    hass: HomeAssistant, entry: ConfigEntry[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any) -> tuple[dict[str, str], str]:
        return {"port": "port_in_use"}, ""

    monkeypatch.setattr(
        "custom_components.grid_telemetry.links.sttp_publisher.flow.async_try_to_listen", refused
    )
    flow: Any = await fix(hass)
    form = await flow.async_step_take_file({})
    assert form["errors"] == {"base": "site_entry_refused"}
    assert form["description_placeholders"]["error"].startswith("port: ")
    assert entry.data["max_subscribers"] == 3


async def test_the_issue_goes_with_the_entry(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    flow: Any = await fix(hass)
    await hass.config_entries.async_remove(entry.entry_id)
    assert not issues(hass)
    for step in (flow.async_step_init, flow.async_step_take_file, flow.async_step_take_entry):
        assert (await step())["reason"] == "entry_is_gone"


async def test_what_the_file_does_not_own_may_be_changed(hass: HomeAssistant, text: str) -> None:
    await call(hass, "apply", configuration=text.replace("owned: true", "owned: false"))
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await change(hass, entry, max_subscribers=3)
    assert not issues(hass)


async def test_a_change_is_told_after_a_restart(
    hass: HomeAssistant, entry: ConfigEntry[Any], hass_storage: dict[str, Any]
) -> None:
    ir.async_delete_issue(hass, DOMAIN, issues(hass)[0].issue_id)
    hass.data.pop("grid_telemetry_configuration_watched")
    hass.config.components.remove(DOMAIN)
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    assert issues(hass)
