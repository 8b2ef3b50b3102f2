"""A new user's way through the real frontend, in a real browser."""

from pathlib import Path

from playwright.async_api import Page
import pytest

from tools.screenshots import walk

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.needs("chromium", "libatomic.so.1"),
    pytest.mark.usefixtures("socket_enabled"),
]


async def test_a_user_goes_all_the_way_in_the_browser(tmp_path: Path) -> None:
    seen: list[str] = []

    async def look(page: Page, name: str) -> None:
        seen.append(name)

    walked = await walk(tmp_path, look)

    assert seen == [
        "add-integration",
        "meter-confirm",
        "scout-table",
        "device",
        "scout-device",
        "dashboard",
        "dashboard-links",
    ]
    scout = walked.scout
    assert {metric.code for metric in scout.metrics} >= {"V_AN", "V_BN", "V_CN"}
    assert {metric.device for metric in scout.metrics} == {"MAIN"}
    # That of the wrong token.
    assert scout.refusals == [f"Bad CONNECT: Access refused for user '{scout.claim_id}'"]
    assert '"interval_s": 2' in walked.diagnostics
    for secret in (scout.token, scout.claim_id):
        assert secret not in walked.diagnostics
    assert walked.outboxes == []
