"""Fifty sites from one template and a table of variables, each in a home of its own."""

from pathlib import Path

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import async_test_home_assistant

from custom_components.grid_telemetry.const import DOMAIN
from simulators.meters import MeterServer, SimulatedMeter
from simulators.scout import ScoutServer

from .conftest import SDM630, call, prepare

SITES = 50
TEMPLATE = """\
template: standard_site
version: 1
variables:
  site:
  port:
  scout:
  interval: 10
content:
  entries:
    - id: line
      kind: modbus
      name: Meters of ${site}
      transport: tcp
      host: 127.0.0.1
      port: ${port}
      subentries:
        - {type: meter, name: House, unit_id: 1, register_map: eastron_sdm630}
    - id: scout
      kind: scout
      name: Scout of ${site}
      url: ${scout}
      host: pro
      claim_id: ABCD1234
      token: !secret token
      allow_plain: true
      serial_number: ${site}
      interval_s: ${interval}
      subentries:
        - type: device
          gateway_device_id: MAIN
          use: {template: three_phase_meter_to_scout, version: 1, with: {meter: House}}
"""


def lay_out(folder: Path, row: dict[str, str | int], token: str) -> None:
    """Write what a site has: its row of the table, and the template that all share."""
    templates = folder / DOMAIN / "templates"
    templates.mkdir()
    (templates / "standard_site.yaml").write_text(TEMPLATE)
    given = "".join(f"    {name}: {value!r}\n" for name, value in row.items())
    use = f"use:\n  template: standard_site\n  version: 1\n  with:\n{given}"
    (folder / DOMAIN / "site.yaml").write_text(f"site_file: 1\nowned: true\n{use}")
    (folder / "secrets.yaml").write_text(f"token: {token}\n")


async def points_of(hass: HomeAssistant) -> int:
    answer = await call(hass, "apply")
    assert [each["title"].split(" of ")[0] for each in answer["added"]] == ["Meters", "Scout"]
    entries = hass.config_entries.async_entries(DOMAIN)
    subentries = [each for entry in entries for each in entry.subentries.values()]
    return sum(len(each.data.get("points", ())) for each in subentries)


@pytest.mark.long
@pytest.mark.usefixtures("socket_enabled", "home")
async def test_fifty_sites_share_one_template(tmp_path: Path) -> None:
    meter = SimulatedMeter(1, "eastron_sdm630", lambda: SDM630)
    async with MeterServer([meter]) as meters, ScoutServer() as scout:
        titles = set()
        for number in range(SITES):
            async with async_test_home_assistant() as hass:
                folder = prepare(hass, tmp_path / str(number))
                row = {"site": f"site {number}", "port": meters.port, "scout": scout.url}
                lay_out(folder, row, scout.token)
                assert await points_of(hass) == 5
                titles |= {entry.title for entry in hass.config_entries.async_entries(DOMAIN)}
                for entry in hass.config_entries.async_entries(DOMAIN):
                    await hass.config_entries.async_unload(entry.entry_id)
                await hass.async_stop(force=True)
        assert len(titles) == 2 * SITES
