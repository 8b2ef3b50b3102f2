"""A centre with a key, and a home that is enrolled with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.test_util.aiohttp import AiohttpClientMocker

from custom_components.grid_telemetry.const import DOMAIN
from simulators.programs import free_port
from tools import centre

URL = "https://centre.example/bundle.json"


@dataclass(kw_only=True)
class Centre:
    """Signs and publishes."""

    folder: Path
    mocker: AiohttpClientMocker

    def __post_init__(self) -> None:
        self.key_file = self.folder / "centre.pem"
        centre.make_key(self.key_file)
        self.key = centre.read_key(self.key_file)
        (self.folder / "site" / "templates").mkdir(parents=True)

    @property
    def public_key(self) -> str:
        return centre.public_key(self.key)

    def bundle(self, version: int, text: str, **templates: str) -> str:
        (self.folder / "site" / "site.yaml").write_text(text)
        for name, template in templates.items():
            (self.folder / "site" / "templates" / f"{name}.yaml").write_text(template)
        return centre.bundle(self.key, version, self.folder / "site")

    def publish(self, version: int, text: str, **templates: str) -> None:
        self.answer(self.bundle(version, text, **templates))

    def answer(self, text: str, status: int = 200, exc: Exception | None = None) -> None:
        self.mocker.clear_requests()
        self.mocker.get(URL, text=text, status=status, exc=exc)


@pytest.fixture
def publisher(tmp_path: Path, aioclient_mock: AiohttpClientMocker) -> Centre:
    """The centre."""
    folder = tmp_path / "centre"
    folder.mkdir()
    return Centre(folder=folder, mocker=aioclient_mock)


@pytest.fixture(autouse=True)
def home(hass: HomeAssistant, tmp_path: Path, enable_custom_integrations: None) -> None:
    (tmp_path / "home" / DOMAIN).mkdir(parents=True)
    hass.config.config_dir = str(tmp_path / "home")


def group_file(*more: str) -> str:
    """Return a file whose entry opens nothing."""
    return "\n".join(["site_file: 1", "owned: true", "entries:", "  - {id: g, kind: group}", *more])


def server_entry() -> str:
    """Return an entry that listens."""
    return f"  - {{id: sttp, kind: sttp_publisher, name: Grid, port: {free_port()}}}"


def site_entry(public_key: str, **changes: Any) -> MockConfigEntry:
    return MockConfigEntry(
        domain=DOMAIN,
        title="Site",
        unique_id="site",
        data={
            "kind": "site",
            "url": URL,
            "public_key": public_key,
            "interval_min": 60,
            "unattended": False,
            "variables": {},
            "secrets": {},
            **changes,
        },
    )
