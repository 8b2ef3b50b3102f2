"""A connection to an MQTT broker, for links: what goes wrong becomes what it means for an entry.

That is credentials to ask for anew, something to be set right at the broker, or a connection that
is tried again soon.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ..protocols.mqtt import (
    MqttConnection,
    MqttConnectionLost,
    MqttConnectRefused,
    MqttDisconnected,
    MqttError,
    MqttParameters,
    MqttSession,
    MqttTransportError,
    TransportFailure,
    connect,
)
from ..protocols.mqtt.reasons import (
    BAD_CREDENTIALS,
    BANNED,
    CLIENT_ID_NOT_VALID,
    CONNECTION_RATE_EXCEEDED,
    NOT_AUTHORIZED,
    SERVER_MOVED,
    SESSION_TAKEN_OVER,
    UNSUPPORTED_VERSION,
)
from .errors import (
    SLOW_RETRY_S,
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)

_FAILURES: Final = {
    TransportFailure.UNKNOWN_SERVER: "unknown_server",
    TransportFailure.CANNOT_CONNECT: "cannot_connect",
    TransportFailure.TLS: "tls_failed",
    TransportFailure.TIMEOUT: "timeout_connect",
    TransportFailure.WRONG_URL: "wrong_url",
}
# What a short wait does not heal, or makes worse.
_RETRY_AFTER_S: Final = {
    BANNED: SLOW_RETRY_S,
    SERVER_MOVED: SLOW_RETRY_S,
    CONNECTION_RATE_EXCEEDED: 60.0,
}


@asynccontextmanager
async def connected(
    parameters: MqttParameters, state: MqttSession | None
) -> AsyncIterator[MqttConnection]:
    """Connect, and close at the end; raises a `LinkError`."""
    try:
        connection = await connect(parameters, state)
    except MqttConnectRefused as err:
        raise _login_refused(err) from err
    except MqttTransportError as err:
        raise ConnectionFailed(_FAILURES[err.failure], str(err)) from err
    except MqttError as err:
        raise connection_ended(err) from err
    try:
        yield connection
    finally:
        await connection.close()


def _login_refused(err: MqttConnectRefused) -> LinkError:
    """Return what the answer to a log-in means."""
    detail = str(err)
    if err.code in (BAD_CREDENTIALS, NOT_AUTHORIZED):
        return CredentialsRefused("invalid_auth", detail)
    if err.code == UNSUPPORTED_VERSION:
        return DestinationRefused("no_mqtt5", detail)
    if err.code == CLIENT_ID_NOT_VALID:
        return DestinationRefused("client_id_refused", detail)
    return ConnectionFailed("broker_refused", detail, retry_after_s=_RETRY_AFTER_S.get(err.code))


def connection_ended(err: MqttError) -> LinkError:
    """Return what the end of a connection means.

    Only one reason says that another client has our name; shutting down, busy, a quota, an
    administrator's action and the like pass, and the connection is tried again soon.
    """
    detail = str(err)
    if not isinstance(err, MqttDisconnected):
        lost = isinstance(err, MqttConnectionLost)
        return ConnectionFailed("connection_lost" if lost else "protocol_error", detail)
    if err.code == SESSION_TAKEN_OVER:
        return DestinationRefused("session_taken_over", detail)
    if err.code == NOT_AUTHORIZED:
        return DestinationRefused("not_authorized", detail)
    return ConnectionFailed("broker_ended", detail, retry_after_s=_RETRY_AFTER_S.get(err.code))
