"""The shapes of Powernaut's REST API that are used here, as its description of July 2026 has them.

Strict: what is not written here is not allowed.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import voluptuous as vol


def _uuid(value: Any) -> str:
    return str(UUID(value)) if isinstance(value, str) else vol.Invalid("a string")


def _time(value: Any) -> str:
    if not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is None:
        raise vol.Invalid("a time with its zone is expected")
    return value


def _quarter(value: Any) -> str:
    if datetime.fromisoformat(_time(value)).timestamp() % 900:
        raise vol.Invalid("a quarter-hour is expected")
    return value


def _or_null(validator: Any) -> Any:
    return vol.Any(None, validator)


# The published pattern, the point taken for a point.
DECIMAL = vol.All(str, vol.Match(r"^-?[0-9]{1,15}\.[0-9]{1,6}$"))
PRICE = vol.All(str, vol.Match(r"^-?[0-9]{1,15}\.[0-9]{1,5}$"))
POWER_TYPE = vol.In(["active", "reactive"])
TIME_WINDOW = vol.Schema({vol.Required("start"): _quarter, vol.Required("end"): _quarter})
CURVE = vol.All(
    [{vol.Required("value"): DECIMAL, vol.Optional("price"): PRICE}], vol.Length(min=1, max=100)
)

# Requests

CREATE_BASELINE = vol.Schema(
    {
        vol.Required("start"): _quarter,
        vol.Optional("power_type"): POWER_TYPE,
        vol.Required("values"): vol.All([DECIMAL], vol.Length(min=1, max=192)),
        vol.Optional("skip_activated_windows"): bool,
    }
)
CREATE_BID = vol.Schema(
    {
        vol.Required("timing"): TIME_WINDOW,
        vol.Optional("power_type"): POWER_TYPE,
        vol.Required("curve"): CURVE,
        vol.Optional("expires_at"): _time,
        vol.Optional("webhooks"): {vol.Optional("accepted"): str},
    }
)

UPDATE_BID = vol.Schema(
    {
        vol.Optional("power_type"): POWER_TYPE,
        vol.Optional("curve"): CURVE,
        vol.Optional("expires_at"): _time,
        vol.Optional("webhooks"): {vol.Optional("accepted"): str},
    }
)
UPLOAD_FORECAST = vol.Schema(
    {
        vol.Required("model_id"): vol.All(str, vol.Length(min=1, max=100)),
        vol.Required("items"): vol.All(
            [
                {
                    vol.Required("start"): _quarter,
                    vol.Required("end"): _quarter,
                    vol.Required("value"): DECIMAL,
                }
            ],
            vol.Length(min=1, max=192),
        ),
    }
)
CREATE_EVENT = vol.Schema(
    {
        vol.Required("event_type"): vol.In(["PV_CURTAILMENT_SCHEDULED", "MFRR_ACTIVATION"]),
        vol.Required("payload"): TIME_WINDOW,
    }
)

# Answers

BASELINE = vol.Schema({vol.Required("items"): vol.All([DECIMAL], vol.Length(min=1, max=192))})
FORECAST_TAKEN = vol.Schema({vol.Required("inserted"): list, vol.Required("ignored"): list})
ERROR = vol.Schema(
    {
        vol.Required("message"): vol.Any(str, [str]),
        vol.Required("error"): str,
        vol.Required("status_code"): int,
    }
)
SITE = vol.Schema(
    {
        vol.Required("id"): _uuid,
        vol.Required("status"): vol.In(["no_resources", "onboarded", "paused", "deleted"]),
        vol.Required("upstream_status"): str,
        vol.Required("location"): dict,
        vol.Required("grid_identifier"): str,
        vol.Optional("external_id"): _or_null(str),
        vol.Required("supply_points"): list,
        vol.Required("infer_meter_data_from_resources"): bool,
        vol.Optional("head_meter_resource_id"): _or_null(_uuid),
        vol.Required("created_at"): _time,
        vol.Required("modified_at"): _time,
        vol.Required("last_seen_at"): _or_null(_time),
    }
)
CONSTRAINTS = vol.Schema({vol.Required("minimum"): DECIMAL, vol.Required("maximum"): DECIMAL})
RESOURCE = vol.Schema(
    {
        vol.Required("id"): _uuid,
        vol.Required("type"): vol.In(
            [
                "static_battery",
                "heat_pump",
                "electric_vehicle",
                "electric_vehicle_charging_point",
                "photovoltaic",
                "wind",
                "group",
                "other",
                "meter",
            ]
        ),
        vol.Optional("name"): str,
        vol.Optional("capacity"): CONSTRAINTS,
        vol.Required("site_id"): _uuid,
        vol.Optional("parent_id"): _or_null(_uuid),
        vol.Optional("webhooks"): dict,
        vol.Optional("external_id"): _or_null(str),
        vol.Optional("group_id"): _or_null(_uuid),
        vol.Required("power"): {
            vol.Required("active"): CONSTRAINTS,
            vol.Optional("reactive"): CONSTRAINTS,
        },
        vol.Required("created_at"): _time,
        vol.Required("modified_at"): _time,
        vol.Required("last_seen_at"): _or_null(_time),
    }
)
BID = vol.Schema(
    {
        vol.Required("timing"): TIME_WINDOW,
        vol.Required("power_type"): POWER_TYPE,
        vol.Required("curve"): CURVE,
        vol.Optional("expires_at"): _time,
        vol.Required("webhooks"): dict,
        vol.Required("id"): _uuid,
        vol.Required("resource_id"): _uuid,
        vol.Required("baseline"): DECIMAL,
        vol.Required("status"): vol.In(["open", "accepted", "expired"]),
        vol.Optional("activation"): {
            vol.Required("value"): _or_null(DECIMAL),
            vol.Required("price"): PRICE,
            vol.Required("created_at"): _time,
            vol.Optional("canceled_at"): _or_null(_time),
            vol.Required("type"): vol.In(["exact", "maximise_upwards", "maximise_downwards"]),
        },
        vol.Optional("report"): _or_null(
            {
                vol.Required("energy_requested"): DECIMAL,
                vol.Required("energy_delivered"): DECIMAL,
                vol.Required("extra_energy_delivered"): _or_null(DECIMAL),
            }
        ),
        vol.Required("created_at"): _time,
        vol.Required("modified_at"): _time,
    }
)
ACTIVATION = vol.Schema(
    {
        vol.Required("start"): _time,
        vol.Required("end"): _time,
        vol.Required("value"): DECIMAL,
        vol.Required("energy"): {
            vol.Required("delivered"): _or_null(DECIMAL),
            vol.Required("requested"): DECIMAL,
            vol.Required("extra_delivered"): _or_null(DECIMAL),
        },
        vol.Required("direction"): vol.In(["upward", "downward"]),
        vol.Required("resource_id"): str,
        vol.Required("resource_type"): str,
        vol.Required("site_id"): str,
        vol.Required("bid_id"): str,
    }
)


def list_of(item: vol.Schema) -> vol.Schema:
    return vol.Schema(
        {vol.Required("total"): vol.All(int, vol.Range(min=0)), vol.Required("items"): [item]}
    )
