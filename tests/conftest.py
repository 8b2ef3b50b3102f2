"""What every test shares."""

import os
from pathlib import Path
import shutil

import pytest

MISSING = Path(__file__).parent.parent / ".setup" / "missing"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is not on this machine; in CI that is a failure."""
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
                told = MISSING.read_text().splitlines() if MISSING.exists() else []
                reason = next(
                    (line for line in told if line.startswith(f"{program} ")),
                    f"{program} is not installed",
                )
                if os.environ.get("CI") == "true":
                    pytest.fail(reason)
                pytest.skip(reason)
