"""What the programs of the demo and of the tests have in common."""

import subprocess
import sys

import pytest

from simulators.demo import parser
from simulators.home_assistant import CHECKOUT
from simulators.programs import free_port

# Another process, which asks for 50 of 80.
_ANOTHER = """\
import sys
from simulators import programs
programs._PORTS = range(int(sys.argv[1]), int(sys.argv[1]) + 80)
print(*(programs.free_port() for _ in range(50)))
"""


@pytest.mark.usefixtures("socket_enabled")
def test_a_free_port_is_given_once() -> None:
    ours = free_port()
    others = subprocess.run(
        [sys.executable, "-c", _ANOTHER, str(ours)], check=True, capture_output=True, text=True
    )
    theirs = {int(port) for port in others.stdout.split()}
    assert len(theirs) == 50
    assert ours not in theirs


def test_the_demo_tells_its_options_without_any_setup() -> None:
    """Check that the script's own text names what the demo takes."""
    shown = subprocess.run(
        ["bash", CHECKOUT / "script" / "run", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    ).stdout
    taken = {option for action in parser()._actions for option in action.option_strings}
    assert {word.strip("[],") for word in shown.split() if word.strip("[],")[:1] == "-"} == taken
