"""The list of devices, held against the page that shows it."""

from pathlib import Path

import pytest

from custom_components.grid_telemetry.links.virtual_meter.const import Transport
from custom_components.grid_telemetry.links.virtual_meter.masters import MASTERS, OTHER
from custom_components.grid_telemetry.links.virtual_meter.payload import profile_names
from tests.texts import TEXTS

PAGE = Path(__file__).parents[3] / "docs" / "virtual-meter.md"
NAMES = TEXTS["selector"]["virtual_meter_master"]["options"]
ROWS = {
    cells[0]: cells[1:]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 6
}


@pytest.mark.parametrize("key", MASTERS)
def test_the_page_has_what_the_form_sets(key: str) -> None:
    master = MASTERS[key]
    meter, unit, over, *_ = ROWS[NAMES[key]]
    assert meter.startswith(profile_names()[master.profile])
    assert unit == ("any" if master.any_unit_id else str(master.unit_id))
    assert over.startswith("TCP") == (master.transports == (Transport.TCP,))


def test_the_page_has_no_other_device() -> None:
    assert ROWS.keys() - {"device", "---"} == {NAMES[key] for key in MASTERS}
    assert NAMES.keys() == {*MASTERS, OTHER}
