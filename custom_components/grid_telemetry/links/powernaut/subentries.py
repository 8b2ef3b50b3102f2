"""Config steps of a Powernaut entry's subentries: the site's meter and the resources."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import (
    CONF_NAME,
    PERCENTAGE,
    Platform,
    UnitOfEnergy,
    UnitOfPower,
)
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelectorConfig,
    NumberSelectorMode,
    ObjectSelector,
    ObjectSelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TemplateSelector,
    TextSelector,
    TimeSelector,
)
import voluptuous as vol

from ...connection.errors import LinkError
from ...forms.fields import RangedNumber
from ...forms.written import Written, one_form
from ...points.point import can_convert, entity_id_behind, reference_of, unit_in
from .api import RequestRefused
from .bidding import WEEKDAYS, Bounds, curve_of
from .connection import async_connections
from .const import (
    CONF_ATTRIBUTE,
    CONF_BIDS_PER_DAY,
    CONF_CAPACITY_KWH,
    CONF_CURVE,
    CONF_END_TIME,
    CONF_ENTITY,
    CONF_HORIZON_H,
    CONF_INVERT,
    CONF_MAX_AGE_S,
    CONF_MAX_POWER_W,
    CONF_MAX_SOC,
    CONF_MIN_POWER_W,
    CONF_MIN_PRICE,
    CONF_MIN_SOC,
    CONF_OTHERWISE_W,
    CONF_POWER_ENTITY,
    CONF_RESOURCE_ID,
    CONF_RESOURCE_TYPE,
    CONF_SITE_ID,
    CONF_SOC_ENTITY,
    CONF_SOC_UNIT,
    CONF_SOURCE,
    CONF_START_TIME,
    CONF_TARGET_ID,
    CONF_TEMPLATE,
    CONF_UNIT,
    CONF_WEEKDAYS,
    CONF_WEEKS,
    DEFAULT_MAX_AGE_S,
    INTERVAL_S,
    SUBENTRY_BASELINE,
    SUBENTRY_RESOURCE,
    SUBENTRY_SITE,
    SUBENTRY_STANDING_BID,
    TYPES_WITH_SOC,
    BaselineSource,
    ResourceType,
)
from .payload import MAX_WATTS
from .rest_payload import MAX_CURVE, Resource

_ENTITY = EntitySelector(EntitySelectorConfig(domain=Platform.SENSOR))
_POWER: dict[vol.Marker, Any] = {
    vol.Required(CONF_POWER_ENTITY): _ENTITY,
    vol.Required(CONF_INVERT, default=False): BooleanSelector(),
}
_MAX_AGE: dict[vol.Marker, Any] = {
    vol.Required(CONF_MAX_AGE_S, default=DEFAULT_MAX_AGE_S): vol.All(
        RangedNumber(
            NumberSelectorConfig(
                min=INTERVAL_S,
                max=3600,
                step=1,
                mode=NumberSelectorMode.BOX,
                unit_of_measurement="s",
            )
        ),
        vol.Coerce(int),
    )
}
_CAPACITY = RangedNumber(
    NumberSelectorConfig(
        min=0.001,
        max=1_000_000,
        step="any",
        mode=NumberSelectorMode.BOX,
        unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
    )
)
_SITE_SCHEMA = vol.Schema({**_POWER, **_MAX_AGE})


def _watts(minimum: float) -> RangedNumber:
    return RangedNumber(
        NumberSelectorConfig(
            min=minimum,
            max=MAX_WATTS,
            step="any",
            mode=NumberSelectorMode.BOX,
            unit_of_measurement=UnitOfPower.WATT,
        )
    )


_PRICE = RangedNumber(
    NumberSelectorConfig(min=-100_000, max=100_000, step="any", mode=NumberSelectorMode.BOX)
)
_BOUNDS: dict[vol.Marker, Any] = {
    vol.Optional(CONF_MIN_POWER_W): _watts(-MAX_WATTS),
    vol.Optional(CONF_MAX_POWER_W): _watts(-MAX_WATTS),
    vol.Optional(CONF_MIN_PRICE): _PRICE,
    vol.Optional(CONF_BIDS_PER_DAY): vol.All(
        RangedNumber(NumberSelectorConfig(min=0, max=96, step=1, mode=NumberSelectorMode.BOX)),
        vol.Coerce(int),
    ),
}
_PERCENT = RangedNumber(
    NumberSelectorConfig(
        min=0, max=100, step="any", mode=NumberSelectorMode.BOX, unit_of_measurement=PERCENTAGE
    )
)
_OFFER: dict[vol.Marker, Any] = {
    vol.Required(CONF_CURVE): ObjectSelector(
        ObjectSelectorConfig(
            fields={
                "watts": {"selector": {"number": {"step": "any", "mode": "box"}}, "required": True},
                "price": {"selector": {"number": {"step": "any", "mode": "box"}}},
            },
            multiple=True,
            label_field="watts",
            description_field="price",
            translation_key="powernaut_curve",
        )
    ),
    vol.Required(CONF_START_TIME, default="00:00:00"): TimeSelector(),
    vol.Required(CONF_END_TIME, default="00:00:00"): TimeSelector(),
    vol.Required(CONF_WEEKDAYS, default=list(WEEKDAYS)): SelectSelector(
        SelectSelectorConfig(
            options=list(WEEKDAYS), multiple=True, translation_key="powernaut_weekday"
        )
    ),
    vol.Required(CONF_HORIZON_H, default=4): vol.All(
        RangedNumber(
            NumberSelectorConfig(
                min=1, max=24, step=1, mode=NumberSelectorMode.BOX, unit_of_measurement="h"
            )
        ),
        vol.Coerce(int),
    ),
    vol.Optional(CONF_TEMPLATE): TemplateSelector(),
    vol.Optional(CONF_MIN_SOC): _PERCENT,
    vol.Optional(CONF_MAX_SOC): _PERCENT,
}
_TYPED_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_RESOURCE_ID): TextSelector(),
        vol.Required(CONF_RESOURCE_TYPE): SelectSelector(
            SelectSelectorConfig(
                options=list(ResourceType), translation_key="powernaut_resource_type"
            )
        ),
    }
)


def _resource_schema(resource_type: str) -> vol.Schema:
    if resource_type == ResourceType.METER:  # which never bids
        return _SITE_SCHEMA
    if resource_type not in TYPES_WITH_SOC:
        return _SITE_SCHEMA.extend(_BOUNDS)
    # A battery has to tell its state of charge; of a vehicle it is not always known.
    marker = vol.Required if resource_type == ResourceType.STATIC_BATTERY else vol.Optional
    return vol.Schema(
        {
            **_POWER,
            marker(CONF_SOC_ENTITY): _ENTITY,
            vol.Optional(CONF_CAPACITY_KWH): _CAPACITY,
            **_MAX_AGE,
            **_BOUNDS,
        }
    )


_SERIES: dict[vol.Marker, Any] = {
    vol.Required(CONF_INVERT, default=False): BooleanSelector(),
    vol.Required(CONF_HORIZON_H, default=24): vol.All(
        RangedNumber(
            NumberSelectorConfig(
                min=1, max=48, step=1, mode=NumberSelectorMode.BOX, unit_of_measurement="h"
            )
        ),
        vol.Coerce(int),
    ),
}
_FORECAST: dict[vol.Marker, Any] = {
    vol.Required(CONF_ENTITY): EntitySelector(),
    vol.Required(CONF_ATTRIBUTE): TextSelector(),
    vol.Required(CONF_UNIT, default=UnitOfPower.WATT): SelectSelector(
        SelectSelectorConfig(options=[UnitOfPower.WATT, UnitOfPower.KILO_WATT])
    ),
    **_SERIES,
}
_HISTORY: dict[vol.Marker, Any] = {
    vol.Required(CONF_ENTITY): EntitySelector(
        EntitySelectorConfig(domain=Platform.SENSOR, device_class=SensorDeviceClass.POWER)
    ),
    vol.Required(CONF_WEEKS, default=4): vol.All(
        RangedNumber(NumberSelectorConfig(min=1, max=8, step=1, mode=NumberSelectorMode.BOX)),
        vol.Coerce(int),
    ),
    **_SERIES,
}
_CALENDAR: dict[vol.Marker, Any] = {
    vol.Required(CONF_ENTITY): EntitySelector(EntitySelectorConfig(domain=Platform.CALENDAR)),
    vol.Required(CONF_OTHERWISE_W, default=0): _watts(-MAX_WATTS),
    **_SERIES,
}


class _MeasuredSubentryFlow(ConfigSubentryFlow):
    """What the site and a resource have in common: entities."""

    def _unit(self, entity_id: str) -> str | None:
        if (state := self.hass.states.get(entity_id)) is None:
            return None
        return unit_in(state)

    def _check(self, user_input: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the errors by field, and what to store."""
        errors: dict[str, str] = {}
        data = dict(user_input)
        power = user_input[CONF_POWER_ENTITY]
        if not can_convert(self._unit(power), UnitOfPower.WATT):
            errors[CONF_POWER_ENTITY] = "no_power"
        data[CONF_POWER_ENTITY] = reference_of(self.hass, power)
        if soc := user_input.get(CONF_SOC_ENTITY):
            unit = self._unit(soc)
            if can_convert(unit, UnitOfEnergy.WATT_HOUR):
                data[CONF_SOC_UNIT] = UnitOfEnergy.WATT_HOUR
            elif unit != PERCENTAGE:
                errors[CONF_SOC_ENTITY] = "no_state_of_charge"
            elif CONF_CAPACITY_KWH not in user_input:
                errors[CONF_CAPACITY_KWH] = "capacity_needed"
            else:
                data[CONF_SOC_UNIT] = PERCENTAGE
            data[CONF_SOC_ENTITY] = reference_of(self.hass, soc)
        low, high = user_input.get(CONF_MIN_POWER_W), user_input.get(CONF_MAX_POWER_W)
        if low is not None and high is not None and low > high:
            errors[CONF_MAX_POWER_W] = "bounds_crossed"
        return errors, data

    def _stored(self) -> dict[str, Any]:
        """Return what is stored, under the entities' present names."""
        stored = dict(self._get_reconfigure_subentry().data)
        for key in (CONF_POWER_ENTITY, CONF_SOC_ENTITY):
            if key in stored:
                stored[key] = entity_id_behind(self.hass, stored[key])
        return {key: value for key, value in stored.items() if value is not None}


class SiteSubentryFlow(_MeasuredSubentryFlow):
    """Send the power of the site."""

    @classmethod
    def written(cls) -> Written:
        """Return how the site is written in a file."""
        return Written(schemas=one_form(_SITE_SCHEMA))

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the head meter."""
        entry = self._get_entry()
        changes = self.source == SOURCE_RECONFIGURE
        if not changes and any(entry.get_subentries_of_type(SUBENTRY_SITE)):
            return self.async_abort(reason="already_configured")
        errors: dict[str, str] = {}
        if user_input is not None:
            errors, data = self._check(user_input)
            if not errors:
                if changes:
                    return self.async_update_and_abort(
                        entry, self._get_reconfigure_subentry(), data=data
                    )
                return self.async_create_entry(
                    title=entry.title, data=data, unique_id=entry.data[CONF_SITE_ID]
                )
        suggested = user_input or (self._stored() if changes else {})
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(_SITE_SCHEMA, suggested),
            errors=errors,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change the entity."""
        return await self.async_step_user(user_input)


class ResourceSubentryFlow(_MeasuredSubentryFlow):
    """Send the power, and the state of charge, of a resource."""

    @classmethod
    def written(cls) -> Written:
        """Return how a resource is written in a file."""
        resource_id: dict[vol.Marker, Any] = {vol.Required(CONF_RESOURCE_ID): TextSelector()}
        return Written(
            schemas={
                each: vol.Schema({**resource_id, **_resource_schema(each).schema})
                for each in ResourceType
            },
            choice=CONF_RESOURCE_TYPE,
            identity=(CONF_RESOURCE_ID,),
        )

    _resource: Resource
    _offered: dict[str, Resource]

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Offer the platform's resources that are not set up yet."""
        if user_input is not None:
            self._resource = self._offered[user_input[CONF_RESOURCE_ID]]
            return await self.async_step_entities()
        entry = self._get_entry()
        try:
            api, _ = await async_connections(self.hass, entry.data)
            found = await api.resources(entry.data[CONF_SITE_ID])
        except LinkError, RequestRefused:
            return await self.async_step_typed()
        if not found:
            return self.async_abort(reason="no_resources")
        known = self._known()
        self._offered = {resource.id: resource for resource in found if resource.id not in known}
        if not self._offered:
            return self.async_abort(reason="already_configured")
        return self.async_show_form(
            step_id="user",
            data_schema=vol.Schema(
                {
                    vol.Required(CONF_RESOURCE_ID): SelectSelector(
                        SelectSelectorConfig(
                            options=[
                                SelectOptionDict(value=resource.id, label=_label(resource))
                                for resource in self._offered.values()
                            ]
                        )
                    )
                }
            ),
        )

    async def async_step_typed(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the id of a resource, while the platform does not tell which there are."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                resource_id = str(UUID(user_input[CONF_RESOURCE_ID].strip()))
            except ValueError:
                errors[CONF_RESOURCE_ID] = "invalid_id"
            else:
                if resource_id in self._known():
                    return self.async_abort(reason="already_configured")
                kind = user_input[CONF_RESOURCE_TYPE]
                self._resource = Resource(
                    id=resource_id,
                    name=f"{kind.replace('_', ' ').capitalize()} {resource_id[:8]}",
                    type=kind,
                    capacity_kwh=None,
                    last_seen_at=None,
                )
                return await self.async_step_entities()
        return self.async_show_form(
            step_id="typed",
            data_schema=self.add_suggested_values_to_schema(_TYPED_SCHEMA, user_input or {}),
            errors=errors,
        )

    async def async_step_entities(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the entities that measure the resource."""
        errors: dict[str, str] = {}
        resource = self._resource
        if user_input is not None:
            errors, data = self._check(user_input)
            if not errors:
                return self.async_create_entry(
                    title=resource.name,
                    data={
                        CONF_RESOURCE_ID: resource.id,
                        CONF_RESOURCE_TYPE: resource.type,
                        **data,
                    },
                    unique_id=resource.id,
                )
        suggested = user_input or {CONF_CAPACITY_KWH: resource.capacity_kwh}
        return self.async_show_form(
            step_id="entities",
            data_schema=self.add_suggested_values_to_schema(
                _resource_schema(resource.type), suggested
            ),
            errors=errors,
            description_placeholders={"resource": resource.name},
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change the entities."""
        subentry = self._get_reconfigure_subentry()
        errors: dict[str, str] = {}
        if user_input is not None:
            errors, data = self._check(user_input)
            if not errors:
                keep = {key: subentry.data[key] for key in (CONF_RESOURCE_ID, CONF_RESOURCE_TYPE)}
                return self.async_update_and_abort(
                    self._get_entry(), subentry, data={**keep, **data}
                )
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(
                _resource_schema(subentry.data[CONF_RESOURCE_TYPE]), user_input or self._stored()
            ),
            errors=errors,
            description_placeholders={"resource": subentry.title},
        )

    def _known(self) -> set[str]:
        return {
            subentry.data[CONF_RESOURCE_ID]
            for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_RESOURCE)
        }


class StandingBidSubentryFlow(ConfigSubentryFlow):
    """Offer the flexibility of a resource again and again."""

    @classmethod
    def written(cls) -> Written:
        """Return how a standing bid is written in a file."""
        return Written(
            schemas=one_form(
                {
                    vol.Required(CONF_NAME): TextSelector(),
                    vol.Required(CONF_RESOURCE_ID): TextSelector(),
                    **_OFFER,
                }
            ),
            identity=(CONF_NAME,),
            name_field=CONF_NAME,
        )

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the resource, the curve and the schedule."""
        resources = [
            SelectOptionDict(value=subentry.data[CONF_RESOURCE_ID], label=subentry.title)
            for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_RESOURCE)
            if subentry.data[CONF_RESOURCE_TYPE] != ResourceType.METER
        ]
        if not resources:
            return self.async_abort(reason="no_resources")
        fields: dict[vol.Marker, Any] = {
            vol.Required(CONF_NAME): TextSelector(),
            vol.Required(CONF_RESOURCE_ID): SelectSelector(SelectSelectorConfig(options=resources)),
        }
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = self._errors(user_input, user_input[CONF_RESOURCE_ID])
            if not errors:
                data = dict(user_input)
                return self.async_create_entry(title=data.pop(CONF_NAME), data=data)
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema({**fields, **_OFFER}), user_input or {}
            ),
            errors=errors,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change the curve and the schedule."""
        subentry = self._get_reconfigure_subentry()
        resource_id = subentry.data[CONF_RESOURCE_ID]
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = self._errors(user_input, resource_id)
            if not errors:
                return self.async_update_and_abort(
                    self._get_entry(), subentry, data={CONF_RESOURCE_ID: resource_id, **user_input}
                )
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(_OFFER), user_input or dict(subentry.data)
            ),
            errors=errors,
            description_placeholders={"name": subentry.title},
        )

    def _errors(self, user_input: Mapping[str, Any], resource_id: str) -> dict[str, str]:
        """Return what is wrong, by field."""
        rows = user_input[CONF_CURVE]
        if not 1 <= len(rows) <= MAX_CURVE:
            return {CONF_CURVE: "curve_length"}
        if not user_input[CONF_WEEKDAYS]:
            return {CONF_WEEKDAYS: "no_weekday"}
        low, high = user_input.get(CONF_MIN_SOC), user_input.get(CONF_MAX_SOC)
        if low is not None and high is not None and low >= high:
            return {CONF_MAX_SOC: "bounds_crossed"}
        # A resource may have been removed since; its standing bid is left, and may be changed.
        resource: Mapping[str, Any] = next(
            (
                subentry.data
                for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_RESOURCE)
                if subentry.data[CONF_RESOURCE_ID] == resource_id
            ),
            {},
        )
        if (low is not None or high is not None) and (
            CONF_SOC_ENTITY not in resource or CONF_CAPACITY_KWH not in resource
        ):
            return {CONF_MIN_SOC: "soc_needed"}
        if Bounds.from_dict(resource).left_by(curve_of(rows), others_that_day=-1) is not None:
            return {CONF_CURVE: "curve_out_of_bounds"}
        return {}


def _label(resource: Resource) -> str:
    return f"{resource.name} ({resource.type.replace('_', ' ')})"


class BaselineSubentryFlow(ConfigSubentryFlow):
    """Keep the baseline of the site or of a resource ahead."""

    @classmethod
    def written(cls) -> Written:
        """Return how a baseline is written in a file."""
        target: dict[vol.Marker, Any] = {
            vol.Required(CONF_NAME): TextSelector(),
            vol.Required(CONF_TARGET_ID): TextSelector(),
        }
        return Written(
            schemas={
                BaselineSource.FORECAST: vol.Schema({**target, **_FORECAST}),
                BaselineSource.HISTORY: vol.Schema({**target, **_HISTORY}),
            },
            choice=CONF_SOURCE,
            identity=(CONF_TARGET_ID,),
            name_field=CONF_NAME,
        )

    _data: dict[str, Any]

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what for, and where the values are from."""
        entry = self._get_entry()
        targets = [SelectOptionDict(value=entry.data[CONF_SITE_ID], label=entry.title)] + [
            SelectOptionDict(value=subentry.data[CONF_RESOURCE_ID], label=subentry.title)
            for subentry in entry.get_subentries_of_type(SUBENTRY_RESOURCE)
            if subentry.data[CONF_RESOURCE_TYPE] != ResourceType.METER
        ]
        errors: dict[str, str] = {}
        if user_input is not None:
            taken = {
                subentry.data[CONF_TARGET_ID]
                for subentry in entry.get_subentries_of_type(SUBENTRY_BASELINE)
            }
            if user_input[CONF_TARGET_ID] not in taken:
                self._data = user_input
                return await self._async_source()
            errors[CONF_TARGET_ID] = "target_taken"
        schema = vol.Schema(
            {
                vol.Required(CONF_NAME): TextSelector(),
                vol.Required(CONF_TARGET_ID): SelectSelector(SelectSelectorConfig(options=targets)),
                vol.Required(CONF_SOURCE): SelectSelector(
                    SelectSelectorConfig(
                        options=list(BaselineSource), translation_key="powernaut_baseline_source"
                    )
                ),
            }
        )
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or {}),
            errors=errors,
        )

    async def async_step_forecast(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the forecast."""
        return self._source_form("forecast", _FORECAST, user_input)

    async def async_step_history(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the sensor whose like days count."""
        return self._source_form("history", _HISTORY, user_input)

    async def async_step_calendar(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the calendar whose events name a power."""
        return self._source_form("calendar", _CALENDAR, user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change where the values are from."""
        subentry = self._get_reconfigure_subentry()
        self._data = {
            CONF_NAME: subentry.title,
            **{key: subentry.data[key] for key in (CONF_TARGET_ID, CONF_SOURCE)},
        }
        return await self._async_source()

    async def _async_source(self) -> SubentryFlowResult:
        match self._data[CONF_SOURCE]:
            case BaselineSource.FORECAST:
                return await self.async_step_forecast()
            case BaselineSource.CALENDAR:
                return await self.async_step_calendar()
            case _:
                return await self.async_step_history()

    def _source_form(
        self, step_id: str, fields: dict[vol.Marker, Any], user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        changes = self.source == SOURCE_RECONFIGURE
        if user_input is not None:
            entity = reference_of(self.hass, user_input[CONF_ENTITY])
            data = {**self._data, **user_input, CONF_ENTITY: entity}
            title = data.pop(CONF_NAME)
            if changes:
                return self.async_update_and_abort(
                    self._get_entry(), self._get_reconfigure_subentry(), data=data
                )
            return self.async_create_entry(title=title, data=data)
        suggested: dict[str, Any] = {}
        if changes:
            suggested = dict(self._get_reconfigure_subentry().data)
            suggested[CONF_ENTITY] = entity_id_behind(self.hass, suggested[CONF_ENTITY])
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(vol.Schema(fields), suggested),
            description_placeholders={"name": self._data[CONF_NAME]},
        )


SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {
    SUBENTRY_SITE: SiteSubentryFlow,
    SUBENTRY_RESOURCE: ResourceSubentryFlow,
    SUBENTRY_STANDING_BID: StandingBidSubentryFlow,
    SUBENTRY_BASELINE: BaselineSubentryFlow,
}
