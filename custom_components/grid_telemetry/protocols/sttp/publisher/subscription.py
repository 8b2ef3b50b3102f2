"""What a subscriber asks for with SUBSCRIBE."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Final

from ..frames import OperationalModes, SttpError, settings, subscribe_settings
from .past import Past, read_past
from .streams import Format

# Nobody reads data more often; and a timer that fires more often would have its price.
_SHORTEST_INTERVAL_S: Final = 0.05
_LONGEST_INTERVAL_S: Final = 3_600.0


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """What a subscriber asked for."""

    expression: str
    past: Past | None
    """For a temporal subscription."""
    form: Format
    udp_port: int | None
    agent: str


def read_subscription(
    data: bytes, modes: OperationalModes, longest_past: timedelta
) -> Subscription:
    """Read the data of SUBSCRIBE; raises SttpError where it cannot be had."""
    asked = subscribe_settings(data, modes.encoding)
    past = read_past(asked, datetime.now(UTC), longest_past)
    udp_port = None
    if channel := asked.get("datachannel"):
        ports = settings(channel)
        port = ports.get("localport", ports.get("port", ""))
        if not port.isdecimal() or not 0 < int(port[:6]) < 65_536:
            raise SttpError("The UDP data channel needs a port")
        udp_port = int(port)
    if past is not None and udp_port is not None:
        raise SttpError("The past is sent over the connection only, not by datagrams")
    agent = settings(asked.get("assemblyinfo", ""))
    return Subscription(
        expression=asked.get("filterexpression", ""),
        past=past,
        udp_port=udp_port,
        agent=f"{agent.get('source', '')} {agent.get('version', '')}".strip()[:100],
        form=Format(
            # A datagram that is lost would take the state of TSSC with it.
            tssc=modes.tssc and udp_port is None,
            include_time=_flag(asked, "includetime", default=True),
            milliseconds=_flag(asked, "usemillisecondresolution"),
            skip_nan=_flag(asked, "requestnanvaluefilter"),
            interval_s=_interval(asked) if past is None and _flag(asked, "throttled") else None,
            datagrams=udp_port is not None,
        ),
    )


def _flag(asked: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = asked.get(name, "").lower()
    return text in {"true", "1"} if text else default


def _interval(asked: Mapping[str, str]) -> float:
    """Return how often a throttled subscription wants its data, in seconds; 1 if unsaid."""
    try:
        interval_s = float(asked.get("publishinterval", ""))
    except ValueError:
        interval_s = 0.0
    if not interval_s > 0 or not isfinite(interval_s):
        interval_s = 1.0
    return min(max(interval_s, _SHORTEST_INTERVAL_S), _LONGEST_INTERVAL_S)
