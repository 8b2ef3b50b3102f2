"""That the panel's types are those of the integration."""

from tools.panel_types import TYPES, typescript


def test_the_types_of_the_panel_are_written_from_the_description() -> None:
    assert TYPES.read_text(encoding="utf-8") == typescript(), "python -m tools.panel_types"
