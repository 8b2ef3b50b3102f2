"""A STOMP server in the manner of SolarNode's setup server, on TCP, with TLS if wanted."""

from .guard import Guard
from .limits import Health, Limits
from .live_datum import Reading
from .login import Credentials
from .server import StompServer
from .session import Services

__all__ = [
    "Credentials",
    "Guard",
    "Health",
    "Limits",
    "Reading",
    "Services",
    "StompServer",
]
