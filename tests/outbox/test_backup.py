"""A backup that Home Assistant itself makes of an outbox that drains, and its restore."""

import asyncio
from pathlib import Path
import tarfile
from unittest.mock import patch

from homeassistant.components.backup.const import DATA_MANAGER
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest

from custom_components.grid_telemetry.backup import async_post_backup, async_pre_backup
from custom_components.grid_telemetry.links.scout.link import ScoutLink
from custom_components.grid_telemetry.outbox.path import outbox_path
from custom_components.grid_telemetry.outbox.store import Destination, Limits, Outbox, Record
from simulators.scout import ScoutServer
from tests.links.scout.conftest import AddEntry, add_entry, device, server

__all__ = ["add_entry", "server"]


# Home Assistant's own web server.
@pytest.mark.filterwarnings("ignore:It is recommended to use web.AppKey")
async def test_a_backup_of_a_draining_outbox_can_be_restored(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    server: ScoutServer,
    add_entry: AddEntry,
    tmp_path: Path,
) -> None:
    entry = add_entry(device("MAIN"))
    await server.stop()  # it is the test that takes records out
    await hass.config_entries.async_setup(entry.entry_id)
    outbox: Outbox = entry.runtime_data.outbox
    await outbox.put(
        [Record(Destination("METRIC", "MAIN"), number, "x" * 500, 1) for number in range(20_000)]
    )
    assert await async_setup_component(hass, "backup", {"backup": {}})
    await hass.async_block_till_done()
    draining = True

    async def drain() -> None:
        while draining:
            found = await outbox.next(20)
            await outbox.remove([record.id for record in found])

    task = hass.async_create_task(drain())
    for number in range(3):
        await hass.data[DATA_MANAGER].async_create_backup(
            agent_ids=["backup.local"],
            extra_metadata={},
            include_addons=None,
            include_all_addons=False,
            include_database=False,
            include_folders=None,
            include_homeassistant=True,
            name=str(number),
            password=None,
        )
    draining = False
    await task
    archives = list((tmp_path / "backups").glob("*.tar"))
    assert len(archives) == 3
    name = outbox_path(hass, entry).name
    for number, archive in enumerate(archives):
        target = tmp_path / f"restored{number}"

        def unpack(archive: Path = archive, target: Path = target) -> None:
            with tarfile.open(archive) as outer:
                outer.extractall(target, filter="data")
            with tarfile.open(target / "homeassistant.tar.gz") as inner:
                inner.extractall(target, filter="data")

        await asyncio.to_thread(unpack)
        restored = Outbox(
            target / "data" / "grid_telemetry" / name,
            limits=Limits(max_age_s=1e9, max_samples=10**9),
            on_trouble=lambda *_: None,
        )
        await restored.open()
        assert restored.queued_records > 0
        read = last = 0
        while found := await restored.next(2000, after_id=last):
            read += len(found)
            last = found[-1].id
        assert read == restored.queued_records
        assert list((target / "data" / "grid_telemetry").glob("*.corrupt-*")) == []
        await restored.close()
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("begins", [True, False], ids=["begins", "ends"])
async def test_a_backup_that_begins_or_ends_while_the_entry_is_set_up_is_noticed(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    server: ScoutServer,
    add_entry: AddEntry,
    begins: bool,
) -> None:
    entry = add_entry(device("MAIN"))
    if not begins:
        await async_pre_backup(hass)
    start_link = ScoutLink.async_start

    async def start(link: ScoutLink) -> None:
        await (async_pre_backup(hass) if begins else async_post_backup(hass))
        await start_link(link)

    with patch.object(ScoutLink, "async_start", autospec=True, side_effect=start):
        assert await hass.config_entries.async_setup(entry.entry_id)
    await entry.runtime_data.outbox.put([Record(Destination("METRIC", "MAIN"), 1, "{}", 1)])
    assert await hass.config_entries.async_unload(entry.entry_id)
    # During a backup what was written stays beside the main file, also when that is closed.
    wal = Path(f"{outbox_path(hass, entry)}-wal")
    assert await asyncio.to_thread(wal.exists) is begins
