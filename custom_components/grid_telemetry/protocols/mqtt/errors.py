"""What can go wrong between a client and its MQTT server."""

from enum import StrEnum

from .reasons import describe


class MqttError(Exception):
    """The connection cannot be made, or ended, or does not take what it was given."""


class TransportFailure(StrEnum):
    """Why there is no connection to log in over."""

    UNKNOWN_SERVER = "unknown_server"
    CANNOT_CONNECT = "cannot_connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    WRONG_URL = "wrong_url"
    """There is a web server, but no WebSocket at this path."""


class MqttTransportError(MqttError):
    """There is no connection to log in over."""

    def __init__(self, failure: TransportFailure, detail: str) -> None:
        """Take the kind of failure and its detail."""
        super().__init__(detail)
        self.failure = failure


class MqttConnectionLost(MqttError):  # noqa: N818 - named after what happened
    """The connection ended without a word, or was silent for too long."""


class MqttProtocolError(MqttError):
    """The server does what MQTT does not allow."""


class MqttRefused(MqttError):  # noqa: N818
    """The server says no, with a reason code and perhaps a text."""

    def __init__(self, code: int, text: str = "") -> None:
        """Take the reason code, and the reason string that came with it."""
        super().__init__(describe(code, text))
        self.code = code
        self.text = text


class MqttConnectRefused(MqttRefused):
    """The answer to CONNECT."""


class MqttDisconnected(MqttRefused):
    """The server ended the connection and said why."""


class MqttPublishRefused(MqttRefused):
    """The server does not take a message."""


class MqttTooLarge(MqttError):  # noqa: N818
    """A packet is larger than the server takes."""

    def __init__(self, size: int, limit: int) -> None:
        """Take both in bytes."""
        super().__init__(f"a packet of {size} bytes, where the server takes {limit}")
