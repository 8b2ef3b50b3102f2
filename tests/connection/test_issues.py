from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.connection.issues import Issues
from custom_components.grid_telemetry.outbox.issues import show_trouble
from custom_components.grid_telemetry.outbox.store import Trouble


async def test_an_outbox_in_trouble_is_an_issue_while_it_lasts(
    hass: HomeAssistant, entry: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    issues = Issues(hass, entry)
    show_trouble(issues, Trouble.UNWRITABLE, "database or disk is full")
    show_trouble(issues, Trouble.CORRUPT, "outbox.db.corrupt-1")
    issue = issue_registry.async_get_issue("grid_telemetry", f"outbox_unwritable_{entry.entry_id}")
    assert issue is not None
    assert issue.translation_key == "outbox_unwritable"
    assert issue.translation_placeholders == {
        "title": "Platform",
        "detail": "database or disk is full",
    }
    show_trouble(issues, Trouble.UNWRITABLE, None)
    assert [issue_id for _, issue_id in issue_registry.issues] == [
        f"outbox_corrupt_{entry.entry_id}"
    ]
    issues.clear()
    assert issue_registry.issues == {}


async def test_an_issue_that_the_user_ignores_stays_ignored_over_a_restart_of_the_entry(
    hass: HomeAssistant, entry: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    issue_id = f"outbox_corrupt_{entry.entry_id}"
    before = Issues(hass, entry)
    show_trouble(before, Trouble.CORRUPT, "outbox.db.corrupt-1")
    ir.async_ignore_issue(hass, "grid_telemetry", issue_id, ignore=True)
    before.clear()
    after = Issues(hass, entry)
    show_trouble(after, Trouble.CORRUPT, "outbox.db.corrupt-1")
    issue = issue_registry.async_get_issue("grid_telemetry", issue_id)
    assert issue is not None
    assert issue.dismissed_version is not None
    after.clear()
    show_trouble(after, Trouble.CORRUPT, None)
    assert issue_registry.issues == {}


@pytest.mark.usefixtures("enable_custom_integrations")
async def test_issues_go_with_their_entry_also_those_that_the_user_ignores(
    hass: HomeAssistant, entry: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    other = MockConfigEntry(domain="grid_telemetry", data={"kind": "group"})
    other.add_to_hass(hass)
    show_trouble(Issues(hass, other), Trouble.FULL, "1,000 of 1,000")
    ir.async_ignore_issue(hass, "grid_telemetry", f"outbox_full_{other.entry_id}", ignore=True)
    show_trouble(Issues(hass, entry), Trouble.FULL, "1,000 of 1,000")

    await hass.config_entries.async_remove(other.entry_id)

    assert [issue_id for _, issue_id in issue_registry.issues] == [f"outbox_full_{entry.entry_id}"]
