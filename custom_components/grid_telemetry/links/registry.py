"""The kinds of links there are, in the order of the menu: the only place that lists them."""

from importlib import import_module
from typing import Final

from ..const import CONF_KIND
from ..link import GridTelemetryConfigEntry, LinkModule

_PACKAGES: Final = (
    "modbus",
    "scout",
    "sparkplug",
    "powernaut",
    "sttp_publisher",
    "sttp_subscriber",
    "setup_server",
    "solarnode",
    "virtual_meter",
    "group",
    "ardexa",
    "site",
)

LINKS: Final[dict[str, LinkModule]] = {
    name: import_module(f".{name}", __package__).LINK for name in _PACKAGES
}


def link_module(entry: GridTelemetryConfigEntry) -> LinkModule:
    """Return what the kind of an entry offers."""
    return LINKS[entry.data[CONF_KIND]]
