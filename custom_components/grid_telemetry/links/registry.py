"""The links there are: each line joins a kind to its package."""

from ..const import CONF_KIND, LinkKind
from . import (
    GridTelemetryConfigEntry,
    LinkModule,
    modbus,
    powernaut,
    scout,
)

LINKS: dict[LinkKind, LinkModule] = {
    LinkKind.MODBUS: modbus,
    LinkKind.SCOUT: scout,
    LinkKind.POWERNAUT: powernaut,
}


def link_module(entry: GridTelemetryConfigEntry) -> LinkModule:
    """Return the package that runs an entry."""
    return LINKS[LinkKind(entry.data[CONF_KIND])]
