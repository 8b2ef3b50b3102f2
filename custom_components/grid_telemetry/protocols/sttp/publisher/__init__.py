"""The publisher: an asyncio server that any STTP subscriber can connect to."""

from .limits import Limits, PublisherHealth, SubscriberInfo
from .past import History
from .server import Publisher

__all__ = ["History", "Limits", "Publisher", "PublisherHealth", "SubscriberInfo"]
