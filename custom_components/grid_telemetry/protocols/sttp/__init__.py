"""STTP (IEEE 2664), the Streaming Telemetry Transport Protocol: a publisher and a subscriber.

Standard library and asyncio only, nothing of Home Assistant in it.
"""

from . import ticks
from .cache import SignalKey
from .connecting import Streams, fingerprint_of
from .constants import DEFAULT_PORT, StateFlags
from .frames import SttpError
from .measurement import Measurement
from .metadata import DeviceDetail, MeasurementDetail, Metadata, MetadataSource, PhasorDetail
from .publisher import (
    Dialing,
    History,
    Limits,
    OnCommand,
    OnUserCommand,
    Publisher,
    PublisherHealth,
    SubscriberInfo,
    Target,
    target_of,
)
from .subscriber import SttpRefusedError, Subscriber, SubscriberParameters
from .waiting import PublisherListener

__all__ = [
    "DEFAULT_PORT",
    "DeviceDetail",
    "Dialing",
    "History",
    "Limits",
    "Measurement",
    "MeasurementDetail",
    "Metadata",
    "MetadataSource",
    "OnCommand",
    "OnUserCommand",
    "PhasorDetail",
    "Publisher",
    "PublisherHealth",
    "PublisherListener",
    "SignalKey",
    "StateFlags",
    "Streams",
    "SttpError",
    "SttpRefusedError",
    "Subscriber",
    "SubscriberInfo",
    "SubscriberParameters",
    "Target",
    "fingerprint_of",
    "target_of",
    "ticks",
]
