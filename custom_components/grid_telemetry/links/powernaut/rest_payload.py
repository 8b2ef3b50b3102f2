"""The shapes of Powernaut's REST API, and ours: decimal strings in kW there, watts here.

Pure translation. The API rejects numbers where it wants strings, and its pattern for a decimal
wants at least one digit behind the point.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, cast

QUARTER_S: Final = 900
QUARTER: Final = timedelta(seconds=QUARTER_S)
MAX_QUARTERS: Final = 192
"""So many values a baseline may have, and so far ahead it may begin."""
MAX_CURVE: Final = 100

_KILO: Final = Decimal(1000)
_MICRO: Final = Decimal("0.000001")
# The power of ten in kW or kWh: more than any plant has.
_MAX_EXPONENT: Final = 18
_PRICE_STEP: Final = Decimal("0.00001")

type Json = dict[str, Any]


class PowerType(StrEnum):
    """What a power is measured in: watts or vars."""

    ACTIVE = "active"
    REACTIVE = "reactive"


class ResourceEvent(StrEnum):
    """What may be reported of a resource."""

    PV_CURTAILMENT_SCHEDULED = "PV_CURTAILMENT_SCHEDULED"
    MFRR_ACTIVATION = "MFRR_ACTIVATION"


class ShapeError(Exception):
    """The platform's answer has not the shape that its documentation gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A site, as far as it matters here."""

    id: str
    name: str
    deleted: bool
    last_seen_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A resource, as far as it matters here."""

    id: str
    name: str
    type: str
    capacity_kwh: float | None
    last_seen_at: datetime | None


def kilo(watts: float) -> str:
    """Return watts (or vars) as the decimal string in kW that the API takes."""
    return _decimal((Decimal(str(watts)) / _KILO).quantize(_MICRO))


def price(amount: float) -> str:
    """Return a price, which may have five decimals."""
    return _decimal(Decimal(str(amount)).quantize(_PRICE_STEP))


def _decimal(number: Decimal) -> str:
    whole, _, fraction = f"{number:f}".partition(".")
    if not number:
        whole = "0"  # not -0
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def watts(text: str | None) -> float | None:
    """Return a decimal string in kW (or kWh) as a number in W (or Wh)."""
    if text is None:
        return None
    try:
        number = Decimal(text)
    except (InvalidOperation, TypeError, ValueError) as err:
        raise ShapeError(f"not a decimal: {text!r}"[:200]) from err
    if not number.is_finite() or number.adjusted() > _MAX_EXPONENT:
        # To write out 1E+999999999 would take seconds and a gigabyte.
        raise ShapeError(f"not a number of kilowatts: {text!r}"[:200])
    return _number(number * _KILO)


def _number(number: Decimal) -> float:
    return int(number) if number == number.to_integral_value() else float(number)


def instant(text: str | None) -> datetime | None:
    """Return a time of the platform that may be missing."""
    return None if text is None else moment_of(text)


def moment_of(text: str) -> datetime:
    """Return a time of the platform."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError) as err:
        raise ShapeError(f"not a time: {text!r}") from err
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def utc(moment: datetime) -> str:
    """Return a time as the API takes it: with its zone."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def page(answer: object) -> tuple[int, list[Json]]:
    """Return how many items there are in all, and those of this page."""
    match answer:
        case {"total": int(total), "items": list(items)}:
            return total, cast("list[Json]", items)
        case _:
            raise ShapeError("no list of items")


def site(item: Mapping[str, Any]) -> Site:
    """Return a site of the API."""
    try:
        return Site(
            id=str(item["id"]),
            name=item.get("external_id") or item.get("grid_identifier") or str(item["id"])[:8],
            deleted=item.get("status") == "deleted",
            last_seen_at=instant(item.get("last_seen_at")),
        )
    except (KeyError, TypeError, AttributeError) as err:
        raise ShapeError(f"not a site: {err!r}") from err


def resource(item: Mapping[str, Any]) -> Resource:
    """Return a resource of the API."""
    try:
        kind = str(item["type"])
        capacity = (item.get("capacity") or {}).get("maximum")
        return Resource(
            id=str(item["id"]),
            name=item.get("name") or item.get("external_id") or f"{kind} {str(item['id'])[:8]}",
            type=kind,
            capacity_kwh=None if capacity is None else float(capacity),
            last_seen_at=instant(item.get("last_seen_at")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise ShapeError(f"not a resource: {err!r}") from err


def is_quarter(moment: datetime) -> bool:
    """Return whether a time is a perfect quarter-hour, which is the same in every zone."""
    return moment.timestamp() % QUARTER_S == 0


def present_quarter(now: datetime) -> datetime:
    """Return the begin of the quarter-hour that runs."""
    return datetime.fromtimestamp(now.timestamp() // QUARTER_S * QUARTER_S, UTC)


def baseline_body(
    start: datetime, values: Iterable[float], power_type: str, *, skip_activated: bool
) -> Json:
    """Return the request that sets a baseline, a value in watts for each quarter-hour."""
    return {
        "start": utc(start),
        "power_type": power_type,
        "values": [kilo(value) for value in values],
        "skip_activated_windows": skip_activated,
    }


def bid_body(
    start: datetime,
    end: datetime,
    curve: Sequence[tuple[float, float | None]],
    power_type: str,
    expires_at: datetime | None,
) -> Json:
    """Return the request that places a bid; the curve is of watts and prices."""
    body: Json = {
        "timing": {"start": utc(start), "end": utc(end)},
        "power_type": power_type,
        "curve": _curve(curve),
    }
    if expires_at is not None:
        body["expires_at"] = utc(expires_at)
    return body


def _curve(curve: Iterable[tuple[float, float | None]]) -> list[Json]:
    return [
        {"value": kilo(value)} | ({} if amount is None else {"price": price(amount)})
        for value, amount in curve
    ]


def bid_change(
    curve: Sequence[tuple[float, float | None]] | None, expires_at: datetime | None
) -> Json:
    """Return the request that changes a bid; what is None stays as it is."""
    body: Json = {}
    if curve is not None:
        body["curve"] = _curve(curve)
    if expires_at is not None:
        body["expires_at"] = utc(expires_at)
    return body


def forecast_body(start: datetime, values: Iterable[float], model_id: str) -> Json:
    """Return the request that uploads a forecast, a value in watts for each quarter-hour."""
    return {
        "model_id": model_id,
        "items": [
            {
                "start": utc(start + number * QUARTER),
                "end": utc(start + (number + 1) * QUARTER),
                "value": kilo(value),
            }
            for number, value in enumerate(values)
        ],
    }


def forecast_response(answer: object) -> Json:
    """Return how many values of a forecast were taken, and how many were in the past."""
    match answer:
        case {"inserted": list(inserted), "ignored": list(ignored)}:
            return {"inserted": len(inserted), "ignored": len(ignored)}
        case _:
            raise ShapeError("not an answer to a forecast")


def event_body(event_type: str, start: datetime, end: datetime) -> Json:
    """Return the request that reports an event of a resource."""
    return {"event_type": event_type, "payload": {"start": utc(start), "end": utc(end)}}


def baseline_response(answer: object) -> list[float | None]:
    """Return the values of a baseline in watts."""
    match answer:
        case {"items": list(items)}:
            return [watts(item) for item in items]
        case _:
            raise ShapeError("not a baseline")


def bid_response(item: Mapping[str, Any]) -> Json:
    """Return a bid as an action's response has it: numbers in W and Wh instead of kW strings."""
    try:
        response: Json = {
            "id": item["id"],
            "resource_id": item["resource_id"],
            "status": item["status"],
            "power_type": item["power_type"],
            "start": _time(item["timing"]["start"]),
            "end": _time(item["timing"]["end"]),
            "curve": [
                {"watts": watts(point["value"]), "price": _amount(point.get("price"))}
                for point in item["curve"]
            ],
            "baseline_watts": watts(item["baseline"]),
            "expires_at": item.get("expires_at"),
            "created_at": item["created_at"],
            "modified_at": item["modified_at"],
        }
        activation, report = item.get("activation"), item.get("report")
        response["activation"] = activation and {
            "watts": watts(activation["value"]),
            "price": _amount(activation.get("price")),
            "type": activation["type"],
            "created_at": activation["created_at"],
            "canceled_at": activation.get("canceled_at"),
        }
        response["report"] = report and {
            "requested_wh": watts(report["energy_requested"]),
            "delivered_wh": watts(report["energy_delivered"]),
            "extra_delivered_wh": watts(report["extra_energy_delivered"]),
        }
    except (KeyError, TypeError, ValueError) as err:
        raise ShapeError(f"not a bid: {err!r}") from err
    return response


def activation_response(item: Mapping[str, Any]) -> Json:
    """Return an activation as an action's response has it."""
    try:
        return {
            "start": item["start"],
            "end": item["end"],
            "watts": watts(item["value"]),
            "direction": item["direction"],
            "requested_wh": watts(item["energy"]["requested"]),
            "delivered_wh": watts(item["energy"]["delivered"]),
            "extra_delivered_wh": watts(item["energy"]["extra_delivered"]),
            "resource_id": item["resource_id"],
            "resource_type": item["resource_type"],
            "site_id": item["site_id"],
            "bid_id": item["bid_id"],
        }
    except (KeyError, TypeError) as err:
        raise ShapeError(f"not an activation: {err!r}") from err


def _time(text: str) -> str:
    """Return the text of a time that is one; raises `ShapeError`."""
    moment_of(text)
    return text


def _amount(text: str | None) -> float | None:
    return None if text is None else float(text)
