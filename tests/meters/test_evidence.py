"""The sources that a map names against what was written down from them."""

from pathlib import Path

import pytest

from custom_components.grid_telemetry.meters import load_register_maps
from tools.compare_maps import compare

from .evidence import places, tables

MAPS = load_register_maps(Path("/none")).maps
TABLES = tables()


@pytest.mark.parametrize("key", TABLES)
def test_a_map_agrees_with_every_source_and_names_it(key: str) -> None:
    sources = {source.name: source.confirms for source in MAPS[key].sources}

    for table in TABLES[key]:
        comparison = compare(table, MAPS[key])
        assert not comparison.differing
        assert not comparison.missing
        assert set(comparison.confirmed) <= sources[table.source]


def test_what_two_sources_confirm_was_written_down_from_one_of_them() -> None:
    new = {key for key in TABLES if not any("mbmd" in source.name for source in MAPS[key].sources)}

    assert not {
        (key, quantity)
        for key in new
        for quantity in MAPS[key].quantities
        if MAPS[key].confirmations(quantity) > 1
        and quantity not in {place.quantity for place in places(TABLES[key])}
    }


def test_most_registers_of_most_maps_have_two_sources() -> None:
    confirmations = [
        register_map.confirmations(quantity)
        for register_map in MAPS.values()
        for quantity in register_map.quantities
    ]

    assert sum(count > 1 for count in confirmations) / len(confirmations) >= 0.8
