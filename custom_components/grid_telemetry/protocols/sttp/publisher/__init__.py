"""The publisher: an asyncio server that any STTP subscriber can connect to."""

from .limits import Health, Limits, SubscriberInfo
from .server import Publisher

__all__ = ["Health", "Limits", "Publisher", "SubscriberInfo"]
