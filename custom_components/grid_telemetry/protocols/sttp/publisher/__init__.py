"""The publisher: an asyncio server that any STTP subscriber can connect to."""

from .connection import OnCommand, OnUserCommand
from .dialing import Dialing, Target, target_of
from .limits import Limits, PublisherHealth, SubscriberInfo
from .past import History
from .server import Publisher

__all__ = [
    "Dialing",
    "History",
    "Limits",
    "OnCommand",
    "OnUserCommand",
    "Publisher",
    "PublisherHealth",
    "SubscriberInfo",
    "Target",
    "target_of",
]
