"""The panel in the sidebar, for administrators: its bundle, and where it is served.

A checkout has no bundle until `script/setup` has built it, and works without the panel.
"""

from pathlib import Path
from typing import Final

from homeassistant.components import panel_custom
from homeassistant.components.frontend import async_panel_exists
from homeassistant.components.http import StaticPathConfig
from homeassistant.core import HomeAssistant

from .websocket import async_setup_commands

URL_PATH: Final = "grid-telemetry"
_STATIC_URL: Final = "/grid_telemetry_panel"
_ELEMENT: Final = "grid-telemetry-panel"
_BUNDLE: Final = Path(__file__).parent / "frontend"


def _bundle() -> Path | None:
    """Return the file of the panel, whose name tells its content. Blocking."""
    return next(iter(sorted(_BUNDLE.glob("panel-*.js"))), None)


async def async_setup_panel(hass: HomeAssistant) -> None:
    """Show the panel; needs the frontend. May be called again."""
    if async_panel_exists(hass, URL_PATH):
        return
    if (bundle := await hass.async_add_executor_job(_bundle)) is None:
        return
    async_setup_commands(hass)
    await hass.http.async_register_static_paths(
        [StaticPathConfig(_STATIC_URL, str(_BUNDLE), cache_headers=True)]
    )
    await panel_custom.async_register_panel(
        hass,
        frontend_url_path=URL_PATH,
        webcomponent_name=_ELEMENT,
        sidebar_title="Grid Telemetry",
        sidebar_icon="mdi:transmission-tower",
        module_url=f"{_STATIC_URL}/{bundle.name}",
        require_admin=True,
    )
