"""The links there are: each line joins a kind to its package."""

from ..const import CONF_KIND, LinkKind
from . import (
    GridTelemetryConfigEntry,
    LinkModule,
    ardexa,
    group,
    modbus,
    powernaut,
    scout,
    setup_server,
    solarnode,
    sttp_publisher,
    sttp_subscriber,
    virtual_meter,
)

LINKS: dict[LinkKind, LinkModule] = {
    LinkKind.MODBUS: modbus,
    LinkKind.SCOUT: scout,
    LinkKind.POWERNAUT: powernaut,
    LinkKind.STTP_PUBLISHER: sttp_publisher,
    LinkKind.STTP_SUBSCRIBER: sttp_subscriber,
    LinkKind.SETUP_SERVER: setup_server,
    LinkKind.VIRTUAL_METER: virtual_meter,
    LinkKind.GROUP: group,
    LinkKind.SOLARNODE: solarnode,
    LinkKind.ARDEXA: ardexa,
}


def link_module(entry: GridTelemetryConfigEntry) -> LinkModule:
    """Return the package that runs an entry."""
    return LINKS[LinkKind(entry.data[CONF_KIND])]
