"""The panel in a real browser, from an empty installation to messages at a platform."""

from pathlib import Path

from playwright.async_api import Page
import pytest

from tools.panel import VIEWS, walk

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.needs("chromium", "libatomic.so.1", "panel"),
    pytest.mark.usefixtures("socket_enabled"),
]


async def test_a_user_goes_all_the_way_in_the_panel(tmp_path: Path) -> None:
    seen: list[str] = []
    faults: list[str] = []

    async def look(page: Page, name: str) -> None:
        if not seen:
            page.on("pageerror", lambda error: faults.append(str(error)))
        seen.append(name)

    walked = await walk(tmp_path, look)

    assert seen == [f"panel-{view}{width}" for view in VIEWS for width in ("", "-narrow")]
    assert {"P_TOTAL", "I_AN", "V_AN"} <= {metric.code for metric in walked.scout.metrics}
    assert walked.violations == {}
    assert faults == []
