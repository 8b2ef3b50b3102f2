"""What the programs of the demo and of the tests have in common."""

import subprocess
import sys

import pytest

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
