"""The publisher: an asyncio server that any STTP subscriber can connect to."""

from .limits import Limits, PublisherHealth, SubscriberInfo
from .server import Publisher

__all__ = ["Limits", "Publisher", "PublisherHealth", "SubscriberInfo"]
