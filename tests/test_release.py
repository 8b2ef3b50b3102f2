"""The release: what HACS unpacks into a user's configuration."""

from collections.abc import Iterator
import json
from pathlib import Path
import shutil
import subprocess
from zipfile import ZipFile

from homeassistant.util.yaml import load_yaml_dict
import pytest

from .texts import INTEGRATION

ROOT = INTEGRATION.parent.parent
HACS = json.loads((ROOT / "hacs.json").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def release(checkout: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "script" / "release", folder], capture_output=True, text=True, check=False
    )


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ZipFile]:
    assert release(ROOT, tmp_path).returncode == 0
    with ZipFile(tmp_path / HACS["filename"]) as opened:
        yield opened


@pytest.mark.needs("panel")
def test_it_has_every_file_of_the_integration_and_no_other(archive: ZipFile) -> None:
    assert HACS["zip_release"]
    files = {
        path.relative_to(INTEGRATION).as_posix(): path.read_bytes()
        for path in INTEGRATION.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name: archive.read(name) for name in archive.namelist()} == files


@pytest.mark.needs("panel")
def test_the_same_files_make_the_same_release(archive: ZipFile, tmp_path: Path) -> None:
    assert release(ROOT, tmp_path / "again").returncode == 0
    again = (tmp_path / "again" / HACS["filename"]).read_bytes()
    assert archive.filename is not None
    assert again == Path(archive.filename).read_bytes()


def test_a_version_that_the_change_log_does_not_know_is_not_released(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    manifest = "custom_components/grid_telemetry/manifest.json"
    for file in ("script/release", "CHANGELOG.md", manifest):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copy / file)
    known = json.loads((copy / manifest).read_text(encoding="utf-8"))
    (copy / manifest).write_text(json.dumps(known | {"version": "99.0.0"}))

    done = release(copy, tmp_path / "out")

    assert done.returncode != 0
    assert "CHANGELOG.md has no section for 99.0.0" in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_the_panel_nothing_is_released(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    for file in (
        "script/release",
        "CHANGELOG.md",
        "custom_components/grid_telemetry/manifest.json",
    ):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copy / file)

    done = release(copy, tmp_path / "out")

    assert done.returncode != 0
    assert "the panel is not built: run script/setup" in done.stderr


def test_the_version_stands_in_one_place() -> None:
    version = json.loads((INTEGRATION / "manifest.json").read_text())["version"]
    assert f'"{version}"' not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_there_is(workflow: Path) -> None:
    jobs = load_yaml_dict(str(workflow))["jobs"]
    for job in jobs.values():
        for step in job["steps"]:
            command = step.get("run", "").split(" ")[0]
            if "/" in command:
                assert (ROOT / command).exists(), command
