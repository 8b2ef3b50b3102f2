"""What the demo shows of what the platforms have."""

from simulators.demo import screen, summary
from simulators.platforms import Received

ROWS = [
    ("scout", Received(device="A-LONG-DEVICE-NAME", name="V_P1", value=230.5, at=90.0, count=4)),
    ("scout", Received(device="MAIN", name="V_P2", value=231.0, at=98.0, count=5)),
    ("sttp", Received(device="DEMO", name="F", value=50.0, at=99.0, count=7)),
]


def test_each_platform_has_a_line() -> None:
    assert summary(ROWS, 100.0) == [
        "scout: 2 points, 9 values, newest 2 s ago",
        "sttp: 1 points, 7 values, newest 1 s ago",
    ]


def test_no_column_runs_into_the_next() -> None:
    shown = screen("Title", ROWS).splitlines()
    assert shown[0].endswith("Title\x1b[K")
    [long] = [line for line in shown if "A-LONG" in line]
    assert long.split()[:3] == ["scout", "A-LONG-DEVICE-NAME", "V_P1"]
