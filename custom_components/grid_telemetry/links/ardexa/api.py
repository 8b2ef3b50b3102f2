"""Ardexa's REST API: the devices of a workgroup, the token's renewal, the version of Socket.IO."""

from collections.abc import Mapping
from http import HTTPStatus
import ipaddress
import re
from typing import Any, Final, Literal
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import aiohttp
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from ...connection.errors import ConnectionFailed, CredentialsRefused, DestinationRefused
from ...connection.wording import words_of
from .const import CONF_TOKEN, CONF_URL, CONF_WORKGROUP
from .payload import Device, ShapeError, devices_of

SOCKET_PATH: Final = "/socket.io-client"

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_MAX_DETAIL_CHARS: Final = 200
# Engine.IO 3 (Socket.IO 1 and 2) puts the length before a packet, Engine.IO 4 does not.
_OPENED: Final = re.compile(rb"(\d+:)?0\{")


class Api:
    """One workgroup's part of the API. `token` may be replaced at any time.

    Its methods raise `CredentialsRefused`, `DestinationRefused` or `ConnectionFailed`, never with
    the token in their words.
    """

    def __init__(
        self, session: aiohttp.ClientSession, *, url: str, workgroup: str, token: str
    ) -> None:
        """Take Home Assistant's session, the cloud's address and the way in."""
        self.session = session
        self.workgroup = workgroup
        self.token = token
        self._url = url.rstrip("/")

    @property
    def socket_url(self) -> str:
        """The address of the websocket, with the token that counts now."""
        return f"{self._url}?{urlencode({'token': self.token, 'orgName': self.workgroup})}"

    async def devices(self) -> dict[str, Device]:
        """Return the devices of the workgroup."""
        status, answer = await self._get(f"/api/v1/devices/{quote(self.workgroup, safe='')}")
        if status == HTTPStatus.UNAUTHORIZED:
            raise CredentialsRefused("ardexa_invalid_auth", _words(answer))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise ConnectionFailed("ardexa_too_many_requests", _words(answer))
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            # A web server that is none of Ardexa's has no JSON to say so.
            reason = "ardexa_wrong_server" if answer is None else "ardexa_unknown_workgroup"
            raise DestinationRefused(reason, _words(answer))
        self._check(status, answer)
        try:
            return devices_of(answer)
        except ShapeError as err:
            raise ConnectionFailed("ardexa_wrong_server", str(err)) from err

    async def renew(self) -> str:
        """Return a new token in place of the present one, which has to be good still."""
        status, answer = await self._get("/api/v1/token/renew")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise ConnectionFailed("ardexa_too_many_requests", _words(answer))
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise CredentialsRefused("ardexa_not_renewable", _words(answer))
        self._check(status, answer)
        token = answer.get("token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token or not token.isprintable():
            raise ConnectionFailed("ardexa_wrong_server", "no token in the answer")
        return token

    async def generation(self) -> Literal["present", "older", "other", "unknown"]:
        """Return which Socket.IO the cloud speaks, where it tells without a websocket.

        `present` is Socket.IO 3 and 4, `older` 1 and 2, `other` none of these.
        """
        try:
            async with self.session.get(
                f"{self._url}{SOCKET_PATH}/?EIO=4&transport=polling",
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(1024)
        except (aiohttp.ClientError, TimeoutError, ValueError) as err:
            raise self._failure(err) from err
        if response.status == HTTPStatus.OK and (opened := _OPENED.match(body)):
            return "older" if opened[1] else "present"
        if response.status == HTTPStatus.BAD_REQUEST and b"Unsupported protocol version" in body:
            return "other"
        return "unknown"

    async def _get(self, path: str) -> tuple[int, Any]:
        """Return the status and the JSON of an answer, None where it is no JSON."""
        try:
            async with self.session.get(
                f"{self._url}{path}",
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=_TIMEOUT,
                allow_redirects=False,  # the token goes nowhere else
            ) as response:
                try:
                    return response.status, await response.json(content_type=None)
                except ValueError:
                    return response.status, None
        except (aiohttp.ClientError, TimeoutError, ValueError) as err:
            raise self._failure(err) from err

    @staticmethod
    def _check(status: int, answer: object) -> None:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ConnectionFailed("ardexa_server_error", f"{status}: {_words(answer)}")
        if status != HTTPStatus.OK:
            raise ConnectionFailed("ardexa_wrong_server", f"{status}: {_words(answer)}")

    def _failure(self, err: Exception) -> ConnectionFailed:
        """Return what it means that there is no answer."""
        return failure_of(err, self.token)


def api_of(hass: HomeAssistant, data: Mapping[str, Any]) -> Api:
    """Return what asks the API with the data of an entry."""
    return Api(
        async_get_clientsession(hass),
        url=data[CONF_URL],
        workgroup=data[CONF_WORKGROUP],
        token=data[CONF_TOKEN],
    )


def failure_of(err: Exception, token: str) -> ConnectionFailed:
    """Return what an error of the transport means, without the token that its words may have."""
    detail = words_of(err)
    # Cut out of a text it would show how long it is, and take letters out of other words.
    if any(secret in detail for secret in (token, quote(token), quote_plus(token))):
        detail = type(err).__name__
    match err:
        case TimeoutError():
            return ConnectionFailed("ardexa_timeout", "no answer in time")
        case aiohttp.ClientSSLError():
            return ConnectionFailed("ardexa_tls_failed", detail)
        case aiohttp.ClientConnectorDNSError():
            return ConnectionFailed("ardexa_unknown_host", detail)
        case _:
            return ConnectionFailed("ardexa_cannot_connect", detail)


def is_usable_url(url: str) -> bool:
    """Return whether a cloud's address can be used: by TLS, or on this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.query or parts.fragment or parts.username or parts.path not in ("", "/"):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _words(answer: object) -> str:
    """Return what an answer says of itself."""
    match answer:
        case {"message": str(text)} | {"error": str(text)} | {"error": {"message": str(text)}}:
            return text[:_MAX_DETAIL_CHARS]
        case _:
            return "no reason given"
