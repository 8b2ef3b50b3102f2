"""Answers of the platform, for the tests; each has the shape that `schemas.py` says."""

from typing import Any

from .schemas import ACTIVATION, BID, RESOURCE, SITE

SITE_ID = "0d4c4b2e-9a53-4c1f-8a60-0a8b3c7de001"
BATTERY_ID = "0d4c4b2e-9a53-4c1f-8a60-0a8b3c7de002"
SOLAR_ID = "0d4c4b2e-9a53-4c1f-8a60-0a8b3c7de003"
METER_ID = "0d4c4b2e-9a53-4c1f-8a60-0a8b3c7de004"
BID_ID = "0d4c4b2e-9a53-4c1f-8a60-0a8b3c7de005"

type Json = dict[str, Any]


def site(**changes: Any) -> Json:
    item: Json = {
        "id": SITE_ID,
        "status": "onboarded",
        "upstream_status": "contract_active",
        "location": {"latitude": "50.85", "longitude": "4.35"},
        "grid_identifier": "541448820000000000",
        "external_id": "Home",
        "supply_points": [],
        "infer_meter_data_from_resources": False,
        "head_meter_resource_id": None,
        "created_at": "2026-01-05T11:30:15Z",
        "modified_at": "2026-01-05T11:30:15Z",
        "last_seen_at": None,
        **changes,
    }
    SITE(item)
    return item


def resource(resource_id: str = BATTERY_ID, **changes: Any) -> Json:
    item: Json = {
        "id": resource_id,
        "type": "static_battery",
        "name": "Home battery",
        "capacity": {"minimum": "0.0", "maximum": "10.0"},
        "site_id": SITE_ID,
        "power": {"active": {"minimum": "-5.0", "maximum": "5.0"}},
        "created_at": "2026-01-05T11:30:15Z",
        "modified_at": "2026-01-05T11:30:15Z",
        "last_seen_at": "2026-03-01T11:59:00Z",
        **changes,
    }
    item = {key: value for key, value in item.items() if value != "absent"}
    RESOURCE(item)
    return item


def solar(**changes: Any) -> Json:
    own = {"type": "photovoltaic", "name": "Solar panels", "capacity": "absent"}
    return resource(SOLAR_ID, **(own | changes))


def meter(**changes: Any) -> Json:
    own = {"type": "meter", "name": "Sub meter", "capacity": "absent"}
    return resource(METER_ID, **(own | changes))


def bid(**changes: Any) -> Json:
    item: Json = {
        "timing": {"start": "2026-03-01T14:00:00Z", "end": "2026-03-01T14:15:00Z"},
        "power_type": "active",
        "curve": [{"value": "-2.5", "price": "0.3"}, {"value": "5.000000"}],
        "webhooks": {},
        "id": BID_ID,
        "resource_id": BATTERY_ID,
        "baseline": "0.500000",
        "status": "open",
        "created_at": "2026-03-01T12:00:00Z",
        "modified_at": "2026-03-01T12:00:00Z",
        **changes,
    }
    BID(item)
    return item


def activation(**changes: Any) -> Json:
    item: Json = {
        "start": "2026-02-28T14:00:00Z",
        "end": "2026-02-28T14:15:00Z",
        "value": "-2.5",
        "energy": {"requested": "-0.625", "delivered": "-0.6", "extra_delivered": None},
        "direction": "downward",
        "resource_id": BATTERY_ID,
        "resource_type": "static_battery",
        "site_id": SITE_ID,
        "bid_id": BID_ID,
        **changes,
    }
    ACTIVATION(item)
    return item


def listed(*items: Json, total: int | None = None) -> Json:
    return {"total": len(items) if total is None else total, "items": list(items)}
