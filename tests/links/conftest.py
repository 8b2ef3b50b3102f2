"""What the tests of every link share."""

from collections.abc import Generator
from unittest.mock import AsyncMock, patch

import pytest


@pytest.fixture(autouse=True)
def custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find the integration of this checkout."""


@pytest.fixture
def no_setup() -> Generator[AsyncMock]:
    """Keep the entries from being set up, for the tests of a flow; the links have their own."""
    with patch("custom_components.grid_telemetry.async_setup_entry", return_value=True) as mock:
        yield mock
