"""Reason codes of MQTT 5 (OASIS, section 2.4), and what those of MQTT 3.1.1 are there."""

from typing import Final

SUCCESS: Final = 0x00
DISCONNECT_WITH_WILL: Final = 0x04
"""Of a DISCONNECT: the server publishes the will all the same."""
FAILURE: Final = 0x80
"""From here on a code is a refusal."""
MALFORMED_PACKET: Final = 0x81
PROTOCOL_ERROR: Final = 0x82
UNSUPPORTED_VERSION: Final = 0x84
CLIENT_ID_NOT_VALID: Final = 0x85
BAD_CREDENTIALS: Final = 0x86
NOT_AUTHORIZED: Final = 0x87
SERVER_UNAVAILABLE: Final = 0x88
BANNED: Final = 0x8A
SESSION_TAKEN_OVER: Final = 0x8E
RECEIVE_MAXIMUM_EXCEEDED: Final = 0x93
TOPIC_ALIAS_NOT_VALID: Final = 0x94
PACKET_TOO_LARGE: Final = 0x95
USE_ANOTHER_SERVER: Final = 0x9C
SERVER_MOVED: Final = 0x9D
CONNECTION_RATE_EXCEEDED: Final = 0x9F

_NAMES: Final = {
    0x00: "success",
    0x01: "granted QoS 1",
    0x02: "granted QoS 2",
    0x04: "disconnect with will message",
    0x10: "no matching subscribers",
    0x11: "no subscription existed",
    0x18: "continue authentication",
    0x19: "re-authenticate",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "unsupported protocol version",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "session taken over",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x91: "packet identifier in use",
    0x92: "packet identifier not found",
    0x93: "receive maximum exceeded",
    0x94: "topic alias invalid",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
    0xA1: "subscription identifiers not supported",
    0xA2: "wildcard subscriptions not supported",
}

# CONNACK of MQTT 3.1.1, section 3.2.2.3.
_OF_MQTT_3: Final = {
    0: SUCCESS,
    1: UNSUPPORTED_VERSION,
    2: CLIENT_ID_NOT_VALID,
    3: SERVER_UNAVAILABLE,
    4: BAD_CREDENTIALS,
    5: NOT_AUTHORIZED,
}


def reason_of_mqtt_3(return_code: int) -> int:
    """Return the reason code for the return code in a CONNACK of MQTT 3.1.1."""
    return _OF_MQTT_3.get(return_code, FAILURE)


def describe(code: int, text: str = "") -> str:
    """Return a reason for people: name, number, and what the server says of it."""
    name = _NAMES.get(code, "unknown reason")
    described = f"{name} (0x{code:02X})"
    return f"{described}: {text}" if text else described
