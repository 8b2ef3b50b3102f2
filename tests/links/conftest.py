"""What the tests of every link share."""

import pytest


@pytest.fixture(autouse=True)
def custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find the integration of this checkout."""
