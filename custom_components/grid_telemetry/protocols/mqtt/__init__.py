"""MQTT 5 and 3.1.1 client for asyncio; beside the standard library WebSockets need aiohttp.

Sources: OASIS MQTT Version 5.0 (2019) and MQTT Version 3.1.1 (2014).
"""

from .client import (
    Message,
    MqttConnection,
    MqttParameters,
    MqttSession,
    Subscribed,
    connect,
)
from .errors import (
    MqttConnectionLost,
    MqttConnectRefused,
    MqttDisconnected,
    MqttError,
    MqttProtocolError,
    MqttPublishRefused,
    MqttRefused,
    MqttTooLarge,
    MqttTransportError,
    TransportFailure,
)
from .packets import Version, Will
from .websocket import WebSocket

__all__ = [
    "Message",
    "MqttConnectRefused",
    "MqttConnection",
    "MqttConnectionLost",
    "MqttDisconnected",
    "MqttError",
    "MqttParameters",
    "MqttProtocolError",
    "MqttPublishRefused",
    "MqttRefused",
    "MqttSession",
    "MqttTooLarge",
    "MqttTransportError",
    "Subscribed",
    "TransportFailure",
    "Version",
    "WebSocket",
    "Will",
    "connect",
]
