"""Powernaut's REST API, with the key and the secret of a site (HTTP Basic)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
import math
import ssl
import time
from typing import Any, Final, Literal
from urllib.parse import quote

import aiohttp

from ...connection.errors import ConnectionFailed, CredentialsRefused
from ...connection.wording import words_of
from . import rest_payload
from .rest_payload import Json, Resource, ShapeError, Site

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_DEFAULT_RETRY_AFTER_S: Final = 60.0
_MAX_RETRY_AFTER_S: Final = 3600.0
_PAGE_SIZE: Final = 100
_MAX_PAGES: Final = 500


class RequestRefused(Exception):  # noqa: N818 - named after what happened
    """The platform does not do what was asked; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        """Take the HTTP status and what the platform says."""
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Forbidden(RequestRefused):
    """The credentials are right and do not allow this; a feature may have to be enabled."""


class RateLimited(ConnectionFailed):
    """The platform wants fewer requests; it says when the next may come."""

    def __init__(self, detail: str, retry_after_s: float) -> None:
        """Take what the platform says, and how long to wait."""
        super().__init__("rate_limited", detail, retry_after_s=retry_after_s)


class PowernautApi:
    """The API, as one site's credentials open it.

    Its methods raise `CredentialsRefused`, `ConnectionFailed` with its `RateLimited`, or
    `RequestRefused` with its `Forbidden`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        key: str,
        secret: str,
        context: ssl.SSLContext,
    ) -> None:
        """Take Home Assistant's session and the login."""
        self._session = session
        self._url = f"{url.rstrip('/')}/v1/connect/"
        self._headers = {"Authorization": aiohttp.encode_basic_auth(key, secret, "utf-8")}
        self._context = context
        self.clock_ahead_s: float | None = None
        """By how much our clock is ahead of the platform's, as of the last answer."""
        self._silent_until = 0.0
        """Until when the platform wants no request, by the monotonic clock."""

    async def sites(self) -> list[Site]:
        """Return the sites that the credentials open."""
        items = await self._pages("sites", {})
        with _shapes():
            return [rest_payload.site(item) for item in items]

    async def resources(self, site_id: str) -> list[Resource]:
        """Return the resources of a site."""
        answer = await self._request("GET", "resources", params={"site_id": site_id})
        with _shapes():
            return [rest_payload.resource(item) for item in rest_payload.page(answer)[1]]

    async def activations(
        self, resource_id: str, start: datetime | None, end: datetime | None
    ) -> list[Json]:
        """Return the activations of a resource, in the shape of an action's response."""
        period = {"start": start, "end": end}
        items = await self._pages(
            f"resources/{_segment(resource_id)}/activations",
            {key: rest_payload.utc(moment) for key, moment in period.items() if moment is not None},
        )
        with _shapes():
            return [rest_payload.activation_response(item) for item in items]

    async def set_baseline(
        self, kind: Literal["sites", "resources"], target_id: str, body: Json
    ) -> None:
        """Set the baseline of a site or a resource."""
        await self._request("POST", f"{kind}/{_segment(target_id)}/baseline", body=body)

    async def place_bid(self, resource_id: str, body: Json) -> Json:
        """Place a bid, or replace the open one for the same window; return it."""
        answer = await self._request("POST", f"resources/{_segment(resource_id)}/bid", body=body)
        with _shapes():
            return rest_payload.bid_response(answer)

    async def bid(self, bid_id: str) -> Json:
        """Return one bid."""
        answer = await self._request("GET", f"bids/{_segment(bid_id)}")
        with _shapes():
            return rest_payload.bid_response(answer)

    async def change_bid(self, bid_id: str, body: Json) -> Json:
        """Change a bid that is open; return it."""
        answer = await self._request("PATCH", f"bids/{_segment(bid_id)}", body=body)
        with _shapes():
            return rest_payload.bid_response(answer)

    async def site_baseline(self, site_id: str, start: datetime, count: int) -> list[float | None]:
        """Return the baseline of a site in watts, a value for each quarter-hour."""
        answer = await self._request(
            "GET",
            f"sites/{_segment(site_id)}/baseline",
            params={
                "start": rest_payload.utc(start),
                "amount": str(count),
                "granularity": "PT15M",
            },
        )
        with _shapes():
            return rest_payload.baseline_response(answer)

    async def upload_forecast(self, resource_id: str, body: Json) -> Json:
        """Upload a forecast of a resource; return how much of it was taken."""
        answer = await self._request(
            "POST", f"resources/{_segment(resource_id)}/forecast", body=body
        )
        with _shapes():
            return rest_payload.forecast_response(answer)

    async def report_event(self, resource_id: str, body: Json) -> None:
        """Report an event of a resource."""
        await self._request("POST", f"resources/{_segment(resource_id)}/events", body=body)

    async def cancel_bid(self, bid_id: str) -> None:
        """Cancel a bid that is open."""
        await self._request("DELETE", f"bids/{_segment(bid_id)}")

    async def bids(self, status: str | None) -> list[Json]:
        """Return the open and the accepted bids, or those of one status."""
        items = await self._pages("bids", {} if status is None else {"status": status})
        with _shapes():
            return [rest_payload.bid_response(item) for item in items]

    async def _pages(self, path: str, params: Mapping[str, str]) -> list[Json]:
        """Return the items of every page; a list that has too many is told, not cut."""
        found: list[Json] = []
        for number in range(1, _MAX_PAGES + 1):
            answer = await self._request(
                "GET", path, params={**params, "page": str(number), "page_size": str(_PAGE_SIZE)}
            )
            with _shapes():
                total, items = rest_payload.page(answer)
            found += items
            if not items or len(found) >= total:
                return found
        raise ConnectionFailed("unexpected_answer", f"{path}: {total} items")

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Any:
        if (wait_s := self._silent_until - time.monotonic()) > 0:
            raise RateLimited(f"no request for another {math.ceil(wait_s)} s", wait_s)
        try:
            async with self._session.request(
                method,
                f"{self._url}{path}",
                params=params,
                json=body,
                headers=self._headers,
                ssl=self._context,
                timeout=_TIMEOUT,
                allow_redirects=False,  # the login goes nowhere else
            ) as response:
                self._look_at_clock(response)
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    error = await _refusal(response)
                    if isinstance(error, RateLimited):
                        self._silent_until = time.monotonic() + (error.retry_after_s or 0)
                    raise error
                if method != "GET" and response.content_type != "application/json":
                    return None  # created or deleted, with nothing to say
                return await response.json()
        except TimeoutError as err:
            raise ConnectionFailed("timeout_connect", self._url) from err
        except aiohttp.ClientConnectorCertificateError as err:
            raise ConnectionFailed("tls_failed", words_of(err.certificate_error)) from err
        except aiohttp.ClientSSLError as err:
            raise ConnectionFailed("tls_failed", words_of(err)) from err
        except aiohttp.ClientConnectorDNSError as err:
            raise ConnectionFailed("unknown_server", words_of(err)) from err
        except (aiohttp.ClientError, ValueError) as err:
            raise ConnectionFailed("cannot_connect", words_of(err)) from err

    def _look_at_clock(self, response: aiohttp.ClientResponse) -> None:
        """Compare the clocks; the server's tells whole seconds."""
        try:
            date = parsedate_to_datetime(response.headers["Date"])
        except KeyError, ValueError:
            return
        self.clock_ahead_s = time.time() - date.timestamp() - 0.5


async def _refusal(response: aiohttp.ClientResponse) -> Exception:
    """Return what an error status means."""
    match await _json_or_none(response):
        case {"message": list(parts)}:
            message = "; ".join(map(str, parts))
        case {"message": str(text)}:
            message = text
        case _:
            message = "no reason given"
    if response.status == HTTPStatus.UNAUTHORIZED:
        return CredentialsRefused("invalid_auth", f"{response.status}: {message}")
    if response.status == HTTPStatus.FORBIDDEN:
        return Forbidden(response.status, message)
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(f"{response.status}: {message}", _retry_after_s(response))
    if response.status < HTTPStatus.BAD_REQUEST or response.status >= 500:
        return ConnectionFailed("server_error", f"{response.status}: {message}")
    return RequestRefused(response.status, message)


def _retry_after_s(response: aiohttp.ClientResponse) -> float:
    """Return how long to wait, which is told in seconds or as a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdecimal():
        wait_s = float(text)
    else:
        try:
            wait_s = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            wait_s = _DEFAULT_RETRY_AFTER_S
    return min(max(wait_s, 1.0), _MAX_RETRY_AFTER_S)


def _segment(identifier: str) -> str:
    """Return an id as one segment of a path, whatever it holds.

    Raises ValueError for what no escape keeps from meaning another folder (RFC 3986, 5.2.4).
    """
    if identifier in {"", ".", ".."}:
        raise ValueError(f"{identifier!r} is no id")
    return quote(identifier, safe="")


async def _json_or_none(response: aiohttp.ClientResponse) -> object:
    try:
        return await response.json()
    except aiohttp.ClientError, ValueError:
        return None


@contextmanager
def _shapes() -> Iterator[None]:
    """Take an answer of another shape for what it is: not the platform, or not the one we know."""
    try:
        yield
    except ShapeError as err:
        raise ConnectionFailed("unexpected_answer", str(err)) from err
