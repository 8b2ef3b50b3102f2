"""Run the test harness on a release of Home Assistant that it was not made for.

`requirements VENV` prints what to install for it: our test requirements in the versions that this
release pins, and what the harness of the environment VENV needs. `adapt` mends the harness that is
installed where it runs. Both run in the environment of the other release.
"""

from importlib.metadata import Distribution, PathDistribution, distribution
import json
from pathlib import Path
import re
import sys
import sysconfig

HARNESS = "pytest-homeassistant-custom-component"
# In newer releases these are in modules of their own.
_OLD = """from homeassistant.components.logger import (
    DOMAIN as LOGGER_DOMAIN,
    SERVICE_SET_LEVEL,
    _clear_logger_overwrites,
)
"""
_NEW = """from homeassistant.components.logger.const import (
    DOMAIN as LOGGER_DOMAIN,
    SERVICE_SET_LEVEL,
)
from homeassistant.components.logger.helpers import _clear_logger_overwrites
"""
# Newer releases put their own httpx in place, which has to come before anything imports another.
_ALIAS = "import httpx2; httpx2.alias_httpx()\n"


def _key(requirement: str) -> str:
    """Return the name of a package, however it is written and whatever is asked of it."""
    return re.split(r"[\[=<>!~; ]", requirement)[0].lower().replace("_", "-")


def _pins() -> dict[str, str]:
    """Return the versions that the integrations of this release ask for."""
    components = Path(str(distribution("homeassistant").locate_file("homeassistant/components")))
    return {
        _key(requirement): requirement.split("==", 1)[1]
        for manifest in components.glob("*/manifest.json")
        for requirement in json.loads(manifest.read_text()).get("requirements", [])
        if "==" in requirement
    }


def _harness(environment: Path) -> Distribution:
    """Return the harness that is installed in an environment."""
    [metadata] = environment.glob(f"lib/*/site-packages/{HARNESS.replace('-', '_')}-*.dist-info")
    return PathDistribution(metadata)


def requirements(environment: Path) -> list[str]:
    """Return what to install for this release."""
    pins = _pins()
    ours = [
        line
        for line in Path("requirements_test.txt").read_text().splitlines()
        if line and not line.startswith("#") and _key(line) != HARNESS
    ]
    harness = [
        requirement
        for requirement in _harness(environment).requires or ()
        if "extra ==" not in requirement and _key(requirement) != "homeassistant"
    ]
    found = []
    for requirement in ours:
        name, _, version = requirement.partition("==")
        found.append(f"{name}=={pins.get(_key(name), version)}")
    return found + harness


def adapt() -> None:
    """Mend the harness."""
    packages = Path(sysconfig.get_path("purelib"))
    common = packages / "pytest_homeassistant_custom_component" / "common.py"
    common.write_text(common.read_text().replace(_OLD, _NEW))
    (packages / "aliased_httpx.pth").write_text(_ALIAS)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["requirements", environment]:
            print("\n".join(requirements(Path(environment))))
        case ["adapt"]:
            adapt()
        case _:
            sys.exit(__doc__)
