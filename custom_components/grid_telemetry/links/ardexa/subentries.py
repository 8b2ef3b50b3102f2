"""Config steps of feeds: the device, and which rows and fields of it, all in one step."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigSubentry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.helpers.selector import (
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol

from ...connection.errors import LinkError
from ...const import DOMAIN
from ...forms.fields import RangedNumber
from ...forms.written import Fields, OneOf, Written, one_form
from .api import api_of
from .client import OperationError, OperationRefused
from .const import (
    CONF_DEVICE,
    CONF_FIELD,
    CONF_FIELDS,
    CONF_SOURCE,
    CONF_STALE_AFTER_S,
    CONF_TABLE,
    CONF_UNIT,
    DEFAULT_STALE_AFTER_S,
    SUBENTRY_FEED,
)
from .link import ArdexaLink
from .operations import try_feed
from .payload import Device, Field, Json, Scenario

CONF_SCENARIO: Final = "scenario"
CONF_FEEDS: Final = "feeds"
TYPED: Final = "typed"
"""The choice in place of a scenario for one that the metadata does not have."""
WHOLE_ROW: Final = "whole_row"
TRIED_WITHIN_S: Final = 10.0

_STALE_AFTER: dict[vol.Marker, Any] = {
    vol.Required(CONF_STALE_AFTER_S, default=DEFAULT_STALE_AFTER_S): RangedNumber(
        NumberSelectorConfig(
            min=1, max=86_400, step="any", mode=NumberSelectorMode.BOX, unit_of_measurement="s"
        )
    )
}
_TYPED_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_TABLE): TextSelector(),
        vol.Required(CONF_SOURCE): TextSelector(),
        vol.Optional(CONF_FIELD): TextSelector(),
        vol.Optional(CONF_UNIT): TextSelector(),
        **_STALE_AFTER,
    }
)


class FeedSubentryFlow(ConfigSubentryFlow):
    """Add a feed, or change one."""

    @classmethod
    def written(cls) -> Written:
        """Return how a feed is written in a file."""
        return Written(
            schemas=one_form({vol.Required(CONF_DEVICE): TextSelector(), **_TYPED_SCHEMA.schema}),
            identity=(CONF_DEVICE, CONF_TABLE, CONF_SOURCE, CONF_FIELD),
            fields=_with_unit,
            answers=_answers,
        )

    _devices: Mapping[str, Device]
    _device: Device
    _scenario: Scenario
    _error = ""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the device."""
        if user_input is not None:
            device_id = user_input[CONF_DEVICE].strip()
            self._device = self._devices.get(device_id) or Device(id=device_id, name=device_id)
            if not self._device.scenarios:
                return await self.async_step_typed()
            if self.source == SOURCE_RECONFIGURE:
                return await self.async_step_scenario()
            return await self.async_step_feeds()
        try:
            self._devices = await api_of(self.hass, self._get_entry().data).devices()
        except LinkError:
            self._devices = {}  # what cannot be chosen can be typed
        schema = vol.Schema(
            {
                vol.Required(CONF_DEVICE): SelectSelector(
                    SelectSelectorConfig(
                        options=[
                            SelectOptionDict(value=device.id, label=device.name)
                            for device in self._devices.values()
                        ],
                        custom_value=True,
                    )
                )
            }
        )
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, self._stored()),
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change what is fed."""
        return await self.async_step_user(user_input)

    async def async_step_feeds(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask which rows and fields of the device are fed: those that are not yet, to be ticked."""
        offered = {key: feed for key, feed in self._feeds() if not self._is_there(feed)}
        errors: dict[str, str] = {}
        if user_input is not None:
            stale_after_s = user_input[CONF_STALE_AFTER_S]
            feeds = [
                {**offered[key], CONF_STALE_AFTER_S: stale_after_s}
                for key in user_input[CONF_FEEDS]
                if key != TYPED
            ]
            errors = await self._async_try_all(feeds)
            if not user_input[CONF_FEEDS]:
                errors = {CONF_FEEDS: "no_feeds"}
            elif not errors and TYPED in user_input[CONF_FEEDS]:
                self._add(feeds)
                return await self.async_step_typed()
            elif not errors:
                *others, last = feeds
                self._add(others)
                return self._finish(last)
        fields: dict[vol.Marker, Any] = {
            vol.Required(CONF_FEEDS, default=[]): SelectSelector(
                SelectSelectorConfig(
                    options=[
                        *_named(offered),
                        SelectOptionDict(value=TYPED, label=await self._async_label(TYPED)),
                    ],
                    multiple=True,
                    mode=SelectSelectorMode.LIST,
                )
            )
        }
        return self.async_show_form(
            step_id="feeds",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema({**fields, **_STALE_AFTER}), user_input or {}
            ),
            errors=errors,
            description_placeholders={"device": self._device.name, "error": self._error},
        )

    def _feeds(self) -> Iterator[tuple[str, Json]]:
        """Return what the device can feed by its name: whole rows, and the fields of rows."""
        for scenario in self._device.scenarios:
            place = {CONF_TABLE: scenario.table, CONF_SOURCE: scenario.source}
            yield scenario.name, {**place, CONF_FIELDS: scenario.fields_of(None)}
            for field in scenario.fields:
                yield (
                    f"{scenario.name} {field.name}",
                    {**place, CONF_FIELD: field.name, CONF_FIELDS: scenario.fields_of(field.name)},
                )

    def _is_there(self, feed: Mapping[str, Any]) -> bool:
        unique_id = self._unique_id(feed)
        return any(
            subentry.unique_id == unique_id
            for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_FEED)
        )

    async def _async_try_all(self, feeds: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Ask for all of them at once; the error names those that are refused."""
        results = await asyncio.gather(*map(self._async_refusal, feeds))
        refused = [
            f"{self._what(feed)}: {refusal}"
            for feed, refusal in zip(feeds, results, strict=True)
            if refusal is not None
        ]
        self._error = "; ".join(refused)
        return {"base": "ardexa_feed_refused"} if refused else {}

    def _add(self, feeds: Iterable[Mapping[str, Any]]) -> None:
        """Add feeds beside the one that the flow ends with; the entry is reloaded once for all."""
        for feed in feeds:
            self.hass.config_entries.async_add_subentry(
                self._get_entry(),
                ConfigSubentry(
                    data=MappingProxyType({CONF_DEVICE: self._device.id, **feed}),
                    subentry_type=SUBENTRY_FEED,
                    title=self._title(feed),
                    unique_id=self._unique_id(feed),
                ),
            )

    async def async_step_scenario(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for one of the tables and sources that the device has."""
        scenarios = {scenario.name: scenario for scenario in self._device.scenarios}
        if user_input is not None:
            if user_input[CONF_SCENARIO] == TYPED:
                return await self.async_step_typed()
            self._scenario = scenarios[user_input[CONF_SCENARIO]]
            return await self.async_step_field()
        schema = vol.Schema(
            {
                vol.Required(CONF_SCENARIO): SelectSelector(
                    SelectSelectorConfig(
                        options=[
                            *_named(scenarios),
                            SelectOptionDict(value=TYPED, label=await self._async_label(TYPED)),
                        ]
                    )
                )
            }
        )
        stored = self._stored()
        name = f"{stored.get(CONF_TABLE)}.{stored.get(CONF_SOURCE)}"
        return self.async_show_form(
            step_id="scenario",
            data_schema=self.add_suggested_values_to_schema(
                schema, {CONF_SCENARIO: name} if name in scenarios else {}
            ),
            description_placeholders={"device": self._device.name},
        )

    async def async_step_field(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for a field, where there are several."""
        scenario = self._scenario
        errors: dict[str, str] = {}
        if user_input is not None:
            field = user_input.get(CONF_FIELD, WHOLE_ROW)
            field = None if field == WHOLE_ROW else field
            data = {
                CONF_TABLE: scenario.table,
                CONF_SOURCE: scenario.source,
                CONF_FIELDS: scenario.fields_of(field),
                CONF_STALE_AFTER_S: user_input[CONF_STALE_AFTER_S],
            }
            if field is not None:
                data[CONF_FIELD] = field
            errors = await self._async_try(data)
            if not errors:
                return self._finish(data)
        fields: dict[vol.Marker, Any] = {}
        if scenario.fields:
            fields[vol.Required(CONF_FIELD, default=WHOLE_ROW)] = SelectSelector(
                SelectSelectorConfig(
                    options=[
                        SelectOptionDict(value=WHOLE_ROW, label=await self._async_label(WHOLE_ROW)),
                        *_named(field.name for field in scenario.fields),
                    ]
                )
            )
        return self.async_show_form(
            step_id="field",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema({**fields, **_STALE_AFTER}), user_input or self._stored()
            ),
            errors=errors,
            description_placeholders={"scenario": scenario.name, "error": self._error},
        )

    async def async_step_typed(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for what the metadata does not tell."""
        errors: dict[str, str] = {}
        if user_input is not None:
            data: Json = {
                CONF_TABLE: user_input[CONF_TABLE].strip(),
                CONF_SOURCE: user_input[CONF_SOURCE].strip(),
                CONF_STALE_AFTER_S: user_input[CONF_STALE_AFTER_S],
            }
            for key in (CONF_TABLE, CONF_SOURCE):
                if not data[key] or "." in data[key]:
                    errors[key] = "ardexa_invalid_name"
            field = user_input.get(CONF_FIELD, "").strip()
            unit = user_input.get(CONF_UNIT, "").strip() or None
            if field:
                data[CONF_FIELD] = field
            # Without field and unit it may well be a row, whose columns are found when they come.
            data[CONF_FIELDS] = [asdict(Field(name=field, unit=unit))] if field or unit else []
            errors = errors or await self._async_try(data)
            if not errors:
                return self._finish(data)
        return self.async_show_form(
            step_id="typed",
            data_schema=self.add_suggested_values_to_schema(
                _TYPED_SCHEMA, user_input or self._stored()
            ),
            errors=errors,
            description_placeholders={"device": self._device.name, "error": self._error},
        )

    async def _async_label(self, option: str) -> str:
        """Return the text of an option among others that are names."""
        texts = await async_get_translations(
            self.hass, self.hass.config.language, "selector", [DOMAIN]
        )
        return texts[f"component.{DOMAIN}.selector.ardexa_feed.options.{option}"]

    async def _async_try(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Ask for the feed for a moment; one whose device is silent may be right all the same."""
        if (refusal := await self._async_refusal(data)) is None:
            return {}
        self._error = refusal
        return {"base": "ardexa_feed_refused"}

    async def _async_refusal(self, data: Mapping[str, Any]) -> str | None:
        """Return why Ardexa does not take a feed; None also when that cannot be known now."""
        entry = self._get_entry()
        # Between two feeds that are added the entry may be on its way up again.
        link = entry.runtime_data if entry.state is ConfigEntryState.LOADED else None
        if not isinstance(link, ArdexaLink) or (session := link.session) is None:
            return None
        request = {
            "deviceId": self._device.id,
            **{key: data[key] for key in (CONF_TABLE, CONF_SOURCE, CONF_FIELD) if key in data},
        }
        try:
            await try_feed(session, request, TRIED_WITHIN_S)
        except OperationRefused as err:
            if self._device.online is not False:  # which would refuse anything
                return str(err)
        except OperationError:
            return None
        return None

    def _what(self, data: Mapping[str, Any]) -> str:
        what = ".".join(data[key] for key in (CONF_TABLE, CONF_SOURCE))
        return f"{what} {field}" if (field := data.get(CONF_FIELD)) else what

    def _title(self, data: Mapping[str, Any]) -> str:
        return f"{self._device.name} {self._what(data)}"

    def _unique_id(self, data: Mapping[str, Any]) -> str:
        field = data.get(CONF_FIELD) or ""
        return "/".join((self._device.id, data[CONF_TABLE], data[CONF_SOURCE], field))

    def _finish(self, data: Mapping[str, Any]) -> SubentryFlowResult:
        entry = self._get_entry()
        complete = {CONF_DEVICE: self._device.id, **data}
        title, unique_id = self._title(data), self._unique_id(data)
        own = self._get_reconfigure_subentry() if self.source == SOURCE_RECONFIGURE else None
        for subentry in entry.get_subentries_of_type(SUBENTRY_FEED):
            if subentry.unique_id == unique_id and subentry is not own:
                return self.async_abort(reason="already_configured")
        if own is not None:
            return self.async_update_and_abort(
                entry, own, title=title, unique_id=unique_id, data=complete
            )
        return self.async_create_entry(title=title, data=complete, unique_id=unique_id)

    def _stored(self) -> dict[str, Any]:
        """Return what is stored, as the forms have it."""
        if self.source != SOURCE_RECONFIGURE:
            return {}
        return _with_unit(self._get_reconfigure_subentry().data)


def _with_unit(stored: Mapping[str, Any]) -> Fields:
    """Return what is stored, as the forms have it."""
    data = dict(stored)
    if len(data[CONF_FIELDS]) == 1 and (unit := data[CONF_FIELDS][0][CONF_UNIT]):
        data[CONF_UNIT] = unit
    return data


def _answers(fields: Fields) -> Fields:
    """Return the fields with the choice that leads to them: what the metadata has, or typed."""
    scenario = f"{fields.get(CONF_TABLE)}.{fields.get(CONF_SOURCE)}"
    feed = f"{scenario} {field}" if (field := fields.get(CONF_FIELD)) else scenario
    return {
        **fields,
        CONF_SCENARIO: OneOf((scenario, TYPED)),
        CONF_FEEDS: [OneOf((feed, TYPED))],
    }


def _named(names: Iterable[str]) -> list[SelectOptionDict]:
    """Return options that are what they are called."""
    return [SelectOptionDict(value=name, label=name) for name in names]


SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {SUBENTRY_FEED: FeedSubentryFlow}
