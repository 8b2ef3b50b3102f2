"""What every test shares."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
import os
from pathlib import Path
import shutil

from homeassistant.core import HomeAssistant
from hypothesis import HealthCheck, settings
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .texts import shown_texts

# The same examples in every run, however busy the machine is.
settings.register_profile(
    "steady",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")

PANEL = Path(__file__).parent.parent / "custom_components" / "grid_telemetry" / "frontend"
MISSING = Path(__file__).parent.parent / ".setup" / "missing"


def _reason_to_skip(program: str) -> str | None:
    """Return why a program, or a library, cannot be used; None if it can."""
    if program == "panel":
        return None if list(PANEL.glob("panel-*.js")) else "the panel is not built (script/setup)"
    told = MISSING.read_text().splitlines() if MISSING.exists() else []
    for line in told:
        if line.startswith(f"{program} "):
            return line
    if ".so" in program or shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
        return None
    return f"{program} is not installed"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest, since the last one decides when all are done."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is not on this machine; in CI that is a failure."""
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if reason := _reason_to_skip(program):
                if os.environ.get("CI") == "true":
                    pytest.fail(reason)
                pytest.skip(reason)


@pytest.fixture
async def stack(socket_enabled: None) -> AsyncGenerator[AsyncExitStack]:
    """What has to be ended when the test is over, last first; real sockets."""
    async with AsyncExitStack() as exits:
        yield exits


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    """An entry of no kind, for what any of them may use."""
    entry = MockConfigEntry(domain="grid_telemetry", title="Platform")
    entry.add_to_hass(hass)
    return entry


@pytest.fixture(autouse=True)
def check_texts() -> Iterator[None]:
    """Fail a test in which something was shown that has no text, or no icon."""
    with shown_texts() as problems:
        yield
    assert not problems
