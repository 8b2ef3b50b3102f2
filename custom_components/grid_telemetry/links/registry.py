"""The links there are: each line joins a kind to its package."""

from ..const import CONF_KIND, LinkKind
from ..link import GridTelemetryConfigEntry, LinkModule
from .ardexa import link as ardexa
from .group import link as group
from .modbus import link as modbus
from .powernaut import link as powernaut
from .scout import link as scout
from .setup_server import link as setup_server
from .solarnode import link as solarnode
from .sttp_publisher import link as sttp_publisher
from .sttp_subscriber import link as sttp_subscriber
from .virtual_meter import link as virtual_meter

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
