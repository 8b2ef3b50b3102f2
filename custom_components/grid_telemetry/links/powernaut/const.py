"""Names of what a Powernaut entry and its subentries store, and the platform's own limits."""

from enum import StrEnum
from typing import Final

from ...const import DOMAIN

KIND: Final = "powernaut"

CONF_ENVIRONMENT: Final = "environment"
CONF_SITE_KEY: Final = "site_key"
CONF_SECRET: Final = "secret"  # noqa: S105 - a name
CONF_QOS: Final = "qos"
CONF_SITE_ID: Final = "site_id"
CONF_API_URL: Final = "api_url"
CONF_BROKER_HOST: Final = "broker_host"
CONF_BROKER_PORT: Final = "broker_port"
CONF_CA_FILE: Final = "ca_file"

SUBENTRY_SITE: Final = "site"
SUBENTRY_RESOURCE: Final = "resource"
SUBENTRY_STANDING_BID: Final = "standing_bid"
SUBENTRY_BASELINE: Final = "baseline"

CONF_RESOURCE_ID: Final = "resource_id"
CONF_RESOURCE_TYPE: Final = "resource_type"
CONF_POWER_ENTITY: Final = "power_entity"
CONF_INVERT: Final = "invert"
CONF_SOC_ENTITY: Final = "soc_entity"
CONF_CAPACITY_KWH: Final = "capacity_kwh"
CONF_SOC_UNIT: Final = "soc_unit"
CONF_MAX_AGE_S: Final = "max_age_s"

CONF_MIN_POWER_W: Final = "bid_min_power_w"
CONF_MAX_POWER_W: Final = "bid_max_power_w"
CONF_MIN_PRICE: Final = "bid_min_price"
CONF_BIDS_PER_DAY: Final = "bids_per_day"

CONF_CURVE: Final = "curve"
CONF_START_TIME: Final = "start_time"
CONF_END_TIME: Final = "end_time"
CONF_WEEKDAYS: Final = "weekdays"
CONF_HORIZON_H: Final = "horizon_h"
CONF_TEMPLATE: Final = "template"
CONF_MIN_SOC: Final = "min_soc"
CONF_MAX_SOC: Final = "max_soc"

CONF_TARGET_ID: Final = "target_id"
CONF_SOURCE: Final = "source"
CONF_ENTITY: Final = "entity"
CONF_ATTRIBUTE: Final = "attribute"
CONF_UNIT: Final = "unit"
CONF_WEEKS: Final = "weeks"
CONF_OTHERWISE_W: Final = "otherwise_w"

DEFAULT_BROKER_PORT: Final = 8883
DEFAULT_QOS: Final = 1
DEFAULT_MAX_AGE_S: Final = 60

INTERVAL_S: Final = 4
"""Powernaut wants one message for each resource and site so often."""


class Environment(StrEnum):
    """Where the platform is."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"
    CUSTOM = "custom"


class BaselineSource(StrEnum):
    """Where the values of a baseline are from."""

    FORECAST = "forecast"
    HISTORY = "history"
    CALENDAR = "calendar"


class ResourceType(StrEnum):
    """The kinds of resources that the platform knows."""

    STATIC_BATTERY = "static_battery"
    HEAT_PUMP = "heat_pump"
    ELECTRIC_VEHICLE = "electric_vehicle"
    ELECTRIC_VEHICLE_CHARGING_POINT = "electric_vehicle_charging_point"
    PHOTOVOLTAIC = "photovoltaic"
    WIND = "wind"
    GROUP = "group"
    OTHER = "other"
    METER = "meter"


TYPES_WITH_SOC: Final = frozenset(
    {
        ResourceType.STATIC_BATTERY,
        ResourceType.ELECTRIC_VEHICLE,
        ResourceType.ELECTRIC_VEHICLE_CHARGING_POINT,
    }
)

# Translation keys of entities, by which triggers and conditions find them.
SETPOINT_KEY: Final = "powernaut_setpoint"
ACTIVATION_KEY: Final = "powernaut_activation"
COMMAND_KEY: Final = "powernaut_command"
REPORT_KEY: Final = "powernaut_report"


def reported_signal(resource_id: str) -> str:
    """Return the dispatcher's signal for an event that was reported of a resource.

    It carries the type of the event, its start and its end.
    """
    return f"{DOMAIN}_powernaut_reported_{resource_id}"
