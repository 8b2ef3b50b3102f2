"""The JSON Schema of site files."""

from pathlib import Path

from custom_components.grid_telemetry.links.registry import LINKS
from tools.site_schema import as_text, site_schema

DOCS = Path(__file__).parents[2] / "docs"


def test_the_schema_in_the_documentation_is_that_of_the_forms() -> None:
    written = (DOCS / "site.schema.json").read_text(encoding="utf-8")
    assert written == as_text(), "python -m tools.site_schema > docs/site.schema.json"


def test_every_kind_has_its_fields() -> None:
    definitions = site_schema()["$defs"]
    assert set(LINKS) - {"site"} <= set(definitions)
    meter = definitions["modbus"]["properties"]["subentries"]["items"]["anyOf"][0]
    assert {"unit_id", "register_map", "fast_interval_s"} <= set(meter["properties"])
