"""The site's file: asked for, verified, planned, and applied with a person's word."""

from datetime import timedelta
import json
from pathlib import Path
from typing import Any

import aiohttp
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.repairs import async_create_fix_flow

from .conftest import Centre, group_file, server_entry, site_entry


async def start(hass: HomeAssistant, publisher: Centre, **changes: Any) -> MockConfigEntry:
    entry = site_entry(publisher.public_key, **changes)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    return entry


async def asked(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let the time pass until the file is asked for."""
    freezer.tick(timedelta(minutes=70))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


def issues(hass: HomeAssistant) -> list[str | None]:
    return [issue.translation_key for issue in ir.async_get(hass).issues.values()]


def kinds(hass: HomeAssistant) -> set[str]:
    return {entry.data["kind"] for entry in hass.config_entries.async_entries(DOMAIN)} - {"site"}


async def plan_flow(hass: HomeAssistant) -> Any:
    (issue,) = (
        issue
        for issue in ir.async_get(hass).issues.values()
        if issue.translation_key == "site_plan_waiting"
    )
    assert issue.data is not None
    flow = await async_create_fix_flow(hass, issue.issue_id, issue.data)
    flow.hass = hass
    return flow


async def test_a_plan_waits_for_a_word_by_default(
    hass: HomeAssistant, publisher: Centre, freezer: FrozenDateTimeFactory
) -> None:
    publisher.publish(1, group_file())
    await start(hass, publisher)
    await asked(hass, freezer)
    assert kinds(hass) == set()
    flow = await plan_flow(hass)
    form = await flow.async_step_init()
    assert form["description_placeholders"] == {
        "version": "1",
        "plan": "- `g: add`",
        "error": "",
    }
    assert (await flow.async_step_init({}))["type"] == "create_entry"
    assert kinds(hass) == {"group"}
    assert not issues(hass)
    await asked(hass, freezer)
    assert not issues(hass)


async def test_unattended_all_is_done_but_what_opens_something(
    hass: HomeAssistant,
    publisher: Centre,
    freezer: FrozenDateTimeFactory,
    socket_enabled: None,
) -> None:
    publisher.publish(1, group_file(server_entry()))
    await start(hass, publisher, unattended=True)
    await asked(hass, freezer)
    assert kinds(hass) == {"group"}
    flow = await plan_flow(hass)
    assert (await flow.async_step_init())["description_placeholders"]["plan"] == "- `Grid: add`"
    assert (await flow.async_step_init({}))["type"] == "create_entry"
    assert kinds(hass) == {"group", "sttp_publisher"}


async def test_what_a_form_refuses_stays_to_be_agreed_to(
    hass: HomeAssistant, publisher: Centre, freezer: FrozenDateTimeFactory
) -> None:
    publisher.publish(1, group_file("  - {id: s, kind: sttp_publisher, host: 300.1.1.1}"))
    await start(hass, publisher)
    await asked(hass, freezer)
    flow = await plan_flow(hass)
    form = await flow.async_step_init({})
    assert form["errors"] == {"base": "site_entry_refused"}
    assert form["description_placeholders"]["error"].startswith("s: host: ")
    assert issues(hass) == ["site_plan_waiting"]


async def test_a_template_comes_with_the_file_and_is_signed_with_it(
    hass: HomeAssistant, publisher: Centre, freezer: FrozenDateTimeFactory
) -> None:
    template = "version: 1\ncontent: {kind: group, name: Meters of the template}\n"
    text = "site_file: 1\nentries: [{id: g, use: {template: own, version: 1}}]"
    publisher.publish(1, text, own=template)
    await start(hass, publisher, unattended=True)
    await asked(hass, freezer)
    titles = [entry.title for entry in hass.config_entries.async_entries(DOMAIN)]
    assert "Meters of the template" in titles


async def test_a_site_has_variables_and_secrets_of_its_own(
    hass: HomeAssistant,
    publisher: Centre,
    freezer: FrozenDateTimeFactory,
    socket_enabled: None,
) -> None:
    entry = server_entry().replace("Grid", "'Grid of ${site}'")
    setup = "  - {id: c, kind: setup_server, port: 8780, sources: [], password: !secret word}"
    publisher.publish(1, group_file(entry, setup))
    await start(hass, publisher, variables={"site": "Madrid"}, secrets={"word": "a long secret"})
    await asked(hass, freezer)
    flow = await plan_flow(hass)
    result = await flow.async_step_init({})
    assert result["type"] == "create_entry", result
    titles = [each.title for each in hass.config_entries.async_entries(DOMAIN)]
    assert "Grid of Madrid" in titles
    assert kinds(hass) == {"group", "sttp_publisher", "setup_server"}


@pytest.mark.parametrize(
    ("version", "more", "issue"),
    [(1, [], "site_older"), (2, ["# other"], "site_same_version")],
)
async def test_an_older_file_and_other_content_of_one_version_are_refused(
    hass: HomeAssistant,
    publisher: Centre,
    freezer: FrozenDateTimeFactory,
    version: int,
    more: list[str],
    issue: str,
) -> None:
    publisher.publish(2, group_file())
    entry = await start(hass, publisher, unattended=True)
    await asked(hass, freezer)
    assert not issues(hass)
    publisher.publish(version, group_file(*more))
    await asked(hass, freezer)
    assert issues(hass) == [issue]
    shown = await async_get_config_entry_diagnostics(hass, entry)
    assert shown["link"] == {"version": 2, "error": issue, "waiting": []}
    publisher.publish(3, group_file())
    await asked(hass, freezer)
    assert not issues(hass)


async def test_a_changed_letter_is_refused_and_what_was_taken_stays(
    hass: HomeAssistant,
    publisher: Centre,
    freezer: FrozenDateTimeFactory,
    socket_enabled: None,
) -> None:
    publisher.publish(1, group_file())
    await start(hass, publisher, unattended=True)
    await asked(hass, freezer)
    bundle = json.loads(publisher.bundle(2, group_file(server_entry())))
    bundle["payload"] = bundle["payload"].replace("sttp", "STTP", 1)
    publisher.answer(json.dumps(bundle))
    await asked(hass, freezer)
    assert issues(hass) == ["site_bad_signature"]
    assert kinds(hass) == {"group"}


async def test_a_file_with_mistakes_is_told_and_not_kept(
    hass: HomeAssistant, publisher: Centre, freezer: FrozenDateTimeFactory
) -> None:
    publisher.publish(1, group_file("  - {id: a, kind: modbos}"))
    entry = await start(hass, publisher)
    await asked(hass, freezer)
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_placeholders == {
        "title": "Site",
        "faults": "site.yaml, line 5: modbos: there is no such kind, did you mean modbus?",
    }
    shown = await async_get_config_entry_diagnostics(hass, entry)
    assert shown["link"]["version"] is None


async def test_a_secret_that_the_site_has_not_is_told(
    hass: HomeAssistant, publisher: Centre, freezer: FrozenDateTimeFactory
) -> None:
    setup = "  - {id: c, kind: setup_server, sources: [], password: !secret word}"
    publisher.publish(1, group_file(setup))
    # What else the site has, no file may name.
    (Path(hass.config.config_dir) / "secrets.yaml").write_text("word: of the house\n")
    await start(hass, publisher)
    await asked(hass, freezer)
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_key == "site_file_faults"
    assert issue.translation_placeholders is not None
    assert "enrolment, line 1: word: there is no such secret" in str(issue)


async def test_a_centre_that_is_away_is_logged_once_and_asked_again(
    hass: HomeAssistant,
    publisher: Centre,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher.answer("", exc=aiohttp.ClientConnectionError("away"))
    await start(hass, publisher, unattended=True)
    await asked(hass, freezer)
    await asked(hass, freezer)
    assert caplog.text.count("The site file was not taken") == 1
    assert not issues(hass)
    publisher.publish(1, group_file())
    await asked(hass, freezer)
    assert caplog.text.count("can be had again") == 1
    assert kinds(hass) == {"group"}


async def test_what_was_taken_outlives_a_restart_and_goes_with_the_entry(
    hass: HomeAssistant,
    publisher: Centre,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    publisher.publish(4, group_file())
    entry = await start(hass, publisher, secrets={"token": "hidden"})
    await asked(hass, freezer)
    flow = await plan_flow(hass)
    await hass.config_entries.async_reload(entry.entry_id)
    assert not issues(hass)
    assert (await flow.async_step_init())["description_placeholders"]["plan"] == ""
    publisher.publish(3, group_file())
    await asked(hass, freezer)
    assert set(issues(hass)) == {"site_older", "site_plan_waiting"}
    assert "hidden" not in str(await async_get_config_entry_diagnostics(hass, entry))
    key = f"grid_telemetry.site_{entry.entry_id}"
    assert key in hass_storage
    await hass.config_entries.async_remove(entry.entry_id)
    assert key not in hass_storage
    assert (await flow.async_step_init())["reason"] == "entry_is_gone"
