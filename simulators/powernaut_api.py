"""Powernaut's REST API as its published description has it, with what it refuses."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
import re
import time
from typing import Any, Protocol
from uuid import uuid4

from aiohttp import web

_DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,6}")
_PRICE = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,5}")
_QUARTER_S = 900

type Json = dict[str, Any]
type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Ears(Protocol):
    """What the platform has heard over MQTT."""

    def last_seen(self, platform_id: str) -> float | None:
        """Return when data of a site or resource last came, in epoch seconds."""


@dataclass(kw_only=True)
class Book:
    """What the platform knows: one site with its resources, baselines, bids and activations."""

    site_id: str
    site_name: str
    key: str
    secret: str
    resources: dict[str, Json] = field(default_factory=dict)
    baselines: dict[str, Json] = field(default_factory=dict)
    bids: dict[str, Json] = field(default_factory=dict)
    activations: list[Json] = field(default_factory=list)
    clock_ahead_s: float = 0.0
    """By how much the platform's clock is ahead of this machine's."""
    refused_starts: set[str] = field(default_factory=set)
    """The quarter-hours that no bid is taken for."""
    fails: bool = False
    """Answer everything with an internal error."""

    def now(self) -> float:
        """Return the platform's time in epoch seconds."""
        return time.time() + self.clock_ahead_s

    def accept(self, bid_id: str) -> Json:
        """Accept a bid at its first point and cancel all others of the site; return it."""
        bid = self.bids[bid_id]
        point = bid["curve"][0]
        bid["status"] = "accepted"
        bid["activation"] = {
            "value": point["value"],
            "price": point.get("price", "0.0"),
            "created_at": _iso(self.now()),
            "type": "exact",
        }
        self.bids = {
            other_id: other
            for other_id, other in self.bids.items()
            if other_id == bid_id or other["status"] != "open"
        }
        return bid

    def expire(self) -> None:
        """Let go of the open bids that can no longer be accepted."""
        self.bids = {
            bid_id: bid
            for bid_id, bid in self.bids.items()
            if bid["status"] != "open" or _at(bid["timing"]["end"]).timestamp() - self.now() >= 30
        }


def _error(status: int, *messages: str) -> web.Response:
    reasons = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 409: "Conflict"}
    return web.json_response(
        {
            "message": messages[0] if len(messages) == 1 else list(messages),
            "error": reasons.get(status, "Internal Server Error"),
            "status_code": status,
        },
        status=status,
    )


def _iso(epoch: float | None) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _quarter(text: object) -> datetime | None:
    """Return a time with its zone that is a quarter-hour, else None."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo and moment.timestamp() % _QUARTER_S == 0 else None


class Api:
    """Handles the requests."""

    def __init__(self, book: Book, ears: Ears) -> None:
        """Take what is known and what is heard."""
        self._book = book
        self._ears = ears
        self.requests: list[str] = []

    def application(self) -> web.Application:
        """Return the application to serve."""
        application = web.Application(middlewares=[self._guard])
        application.add_routes(
            [
                web.get("/v1/connect/sites", self._sites),
                web.post("/v1/connect/sites/{id}/baseline", self._baseline),
                web.get("/v1/connect/resources", self._resources),
                web.post("/v1/connect/resources/{id}/baseline", self._baseline),
                web.post("/v1/connect/resources/{id}/bid", self._bid),
                web.get("/v1/connect/resources/{id}/activations", self._activations),
                web.get("/v1/connect/bids", self._bids),
                web.delete("/v1/connect/bids/{id}", self._cancel),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        book = self._book
        self.requests.append(f"{request.method} {request.path_qs}")
        login = base64.b64encode(f"{book.key}:{book.secret}".encode()).decode()
        if book.fails:
            response: web.StreamResponse = _error(500, "Internal server error")
        elif request.headers.get("Authorization") != f"Basic {login}":
            response = _error(401, "Unauthorized")
        else:
            response = await handler(request)
        date = datetime.fromtimestamp(book.now(), UTC)
        response.headers["Date"] = format_datetime(date, usegmt=True)
        return response

    def _page(self, request: web.Request, items: list[Json]) -> web.Response:
        try:
            page = int(request.query.get("page", "1"))
            size = int(request.query.get("page_size", "10"))
        except ValueError:
            return _error(400, "Invalid page size")
        if page < 1 or size < 1:
            return _error(400, "Invalid page size")
        return web.json_response(
            {"total": len(items), "items": items[(page - 1) * size : page * size]}
        )

    def _site(self) -> Json:
        return {
            "id": self._book.site_id,
            "status": "onboarded" if self._book.resources else "no_resources",
            "upstream_status": "contract_active",
            "location": {"latitude": "50.85", "longitude": "4.35"},
            "grid_identifier": "541448820000000000",
            "external_id": self._book.site_name,
            "supply_points": [],
            "infer_meter_data_from_resources": False,
            "head_meter_resource_id": None,
            "created_at": "2026-01-05T11:30:15Z",
            "modified_at": "2026-01-05T11:30:15Z",
            "last_seen_at": _iso(self._ears.last_seen(self._book.site_id)),
        }

    async def _sites(self, request: web.Request) -> web.StreamResponse:
        return self._page(request, [self._site()])

    async def _resources(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("site_id", self._book.site_id) != self._book.site_id:
            return _error(404, "Site does not exist")
        items = [
            resource | {"last_seen_at": _iso(self._ears.last_seen(resource["id"]))}
            for resource in self._book.resources.values()
        ]
        return web.json_response({"total": len(items), "items": items})

    async def _baseline(self, request: web.Request) -> web.StreamResponse:
        target = request.match_info["id"]
        if target != self._book.site_id and target not in self._book.resources:
            return _error(404, "Resource does not exist")
        body = await request.json()
        if unknown := body.keys() - {"start", "power_type", "values", "skip_activated_windows"}:
            return _error(400, *(f"property {name} should not exist" for name in unknown))
        values = body.get("values")
        start = _quarter(body.get("start"))
        if start is None:
            return _error(400, "start must be a perfect quarter-hour with a time zone")
        ahead = (start.timestamp() - self._book.now() // _QUARTER_S * _QUARTER_S) / _QUARTER_S
        if not 0 <= ahead <= 192:
            return _error(400, "start must be between now and 192 quarter-hours in the future")
        if (
            not isinstance(values, list)
            or not 1 <= len(values) <= 192
            or not all(isinstance(value, str) and _DECIMAL.fullmatch(value) for value in values)
        ):
            return _error(400, "values must be 1 to 192 decimal strings")
        if not body.get("skip_activated_windows") and self._activated(
            target, start, start + timedelta(seconds=_QUARTER_S * len(values))
        ):
            return _error(
                409, "Cannot update baseline: there have been activations in this time window"
            )
        self._book.baselines[target] = body
        return web.Response(status=201)

    def _activated(self, target: str, start: datetime, end: datetime) -> bool:
        return any(
            activation["resource_id"] == target
            and start < datetime.fromisoformat(activation["end"])
            and end > datetime.fromisoformat(activation["start"])
            for activation in self._book.activations
        )

    async def _bid(self, request: web.Request) -> web.StreamResponse:
        resource_id = request.match_info["id"]
        if resource_id not in self._book.resources:
            return _error(404, "Resource does not exist")
        body = await request.json()
        if problem := _wrong_bid(body, self._book.now()):
            return _error(400, problem)
        if (start := body["timing"]["start"]) in self._book.refused_starts:
            return _error(400, f"no market for {start}")
        known = next(
            (
                bid
                for bid in self._book.bids.values()
                if bid["resource_id"] == resource_id and bid["timing"] == body["timing"]
            ),
            None,
        )
        if known is not None and known["status"] != "open":
            return _error(409, "Bid can no longer be updated")
        now = _iso(self._book.now())
        bid: Json = {
            "power_type": "active",
            **body,
            "webhooks": {},
            "id": known["id"] if known else str(uuid4()),
            "resource_id": resource_id,
            "baseline": "0.500000",
            "status": "open",
            "created_at": known["created_at"] if known else now,
            "modified_at": now,
        }
        self._book.bids[bid["id"]] = bid
        return web.json_response(bid, status=201)

    async def _bids(self, request: web.Request) -> web.StreamResponse:
        self._book.expire()
        status = request.query.get("status")
        if status not in (None, "open", "accepted"):
            return _error(400, "status must be open or accepted")
        wanted = {"open", "accepted"} if status is None else {status}
        return self._page(
            request, [bid for bid in self._book.bids.values() if bid["status"] in wanted]
        )

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        bid = self._book.bids.get(request.match_info["id"])
        if bid is None:
            return _error(404, "Bid not found")
        if bid["status"] != "open":
            return _error(409, "Bid can no longer be updated")
        del self._book.bids[bid["id"]]
        return web.Response(status=204)

    async def _activations(self, request: web.Request) -> web.StreamResponse:
        resource_id = request.match_info["id"]
        if resource_id not in self._book.resources:
            return _error(404, "Resource does not exist")
        start, end = request.query.get("start"), request.query.get("end")
        return self._page(
            request,
            [
                activation
                for activation in self._book.activations
                if activation["resource_id"] == resource_id
                and (start is None or _at(activation["end"]) > _at(start))
                and (end is None or _at(activation["start"]) < _at(end))
            ],
        )


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _wrong_bid(body: Mapping[str, Any], now: float) -> str | None:
    """Return what is wrong with the body of a bid."""
    if body.keys() - {"timing", "power_type", "curve", "expires_at", "webhooks"}:
        return "unknown property"
    timing = body.get("timing") or {}
    start, end = _quarter(timing.get("start")), _quarter(timing.get("end"))
    if start is None or end is None or end - start != timedelta(seconds=_QUARTER_S):
        return "timing must be one quarter-hour"
    if end.timestamp() - now < 30:
        return "the window has ended"
    curve = body.get("curve")
    if not isinstance(curve, list) or not 1 <= len(curve) <= 100:
        return "curve must have 1 to 100 points"
    for point in curve:
        if not isinstance(value := point.get("value"), str) or not _DECIMAL.fullmatch(value):
            return "value must be a decimal string"
        amount = point.get("price", "0.0")
        if not isinstance(amount, str) or not _PRICE.fullmatch(amount):
            return "price must be a decimal string"
    if "expires_at" in body and _at(body["expires_at"]).timestamp() < now:
        return "Invalid expiry date"
    return None


def resource(site_id: str, resource_id: str, kind: str, name: str, capacity: str | None) -> Json:
    """Return a resource as the platform stores it; capacity in kWh."""
    item: Json = {
        "name": name,
        "type": kind,
        "site_id": site_id,
        "parent_id": None,
        "id": resource_id,
        "external_id": None,
        "group_id": None,
        "power": {"active": {"minimum": "-5.0", "maximum": "5.0"}},
        "created_at": "2026-01-05T11:30:15Z",
        "modified_at": "2026-01-05T11:30:15Z",
    }
    if capacity is not None:
        item["capacity"] = {"minimum": "0.0", "maximum": capacity}
    return item
