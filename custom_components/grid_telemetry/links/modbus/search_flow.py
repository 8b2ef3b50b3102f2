"""Config steps that look for the meters on a line and add those that the user chooses."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import (
    ConfigSubentry,
    ConfigSubentryData,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
)
import voluptuous as vol

from ...forms.fields import RangedNumber
from ...vocabulary.classes import DeviceClass
from ...vocabulary.quantities import QUANTITIES
from .const import (
    CONF_ABSENT,
    CONF_CURRENT_RATIO,
    CONF_FAST_INTERVAL_S,
    CONF_IDENTITY,
    CONF_REGISTER_MAP,
    CONF_SLOW_INTERVAL_S,
    CONF_SUNSPEC,
    CONF_TURN_SIGN,
    CONF_UNIT_ID,
    CONF_VOLTAGE_RATIO,
    SUBENTRY_METER,
)
from .detection import Found, Results, Unknown, search
from .identity import new_identity
from .maps import async_load_register_maps
from .preview import async_readings
from .unit_access import (
    NoMeterError,
    async_in_turn,
    async_look,
    interval_fields,
    meters_of,
    unit_id_selector,
)

CONF_FIRST_UNIT_ID = "first_unit_id"
CONF_LAST_UNIT_ID = "last_unit_id"
CONF_USUAL_UNIT_IDS = "usual_unit_ids"
CONF_TIMEOUT_S = "timeout_s"
CONF_METERS = "meters"
CONF_NAMES = "names"

# Where makers set their devices at the factory, beside the low ones: Kostal's inverters 71, SunSpec
# devices 126, Fronius' meters 200 and 240, gateways and data managers 247.
_USUAL_UNIT_IDS = (71, 126, 200, 240, 247)

_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_FIRST_UNIT_ID, default=1): unit_id_selector(),
        vol.Required(CONF_LAST_UNIT_ID, default=16): unit_id_selector(),
        vol.Required(CONF_USUAL_UNIT_IDS, default=True): BooleanSelector(),
        vol.Required(CONF_TIMEOUT_S, default=1): RangedNumber(
            NumberSelectorConfig(
                min=0.2,
                max=10,
                step=0.1,
                mode=NumberSelectorMode.BOX,
                unit_of_measurement="s",
            )
        ),
        **interval_fields(),
    }
)


class SearchSteps(ConfigSubentryFlow):
    """Look for meters, show what they say, and add several at once."""

    def __init__(self) -> None:
        super().__init__()
        self._search_input: dict[str, Any] = {}
        self._search_task: asyncio.Task[Results] | None = None
        self._search_error: NoMeterError | None = None
        # What was found, by what stands for it in the form.
        self._candidates: dict[str, Found] = {}
        self._unknown: Sequence[Unknown] = ()

    async def async_step_search(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask where to look."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            self._search_input = user_input
            if user_input[CONF_LAST_UNIT_ID] < user_input[CONF_FIRST_UNIT_ID]:
                errors[CONF_LAST_UNIT_ID] = "last_below_first"
            if user_input[CONF_SLOW_INTERVAL_S] < user_input[CONF_FAST_INTERVAL_S]:
                errors[CONF_SLOW_INTERVAL_S] = "slow_below_fast"
            if not errors:
                return await self.async_step_searching()
        elif self._search_error is not None:
            errors["base"], detail = self._search_error.key, str(self._search_error)
        return self.async_show_form(
            step_id="search",
            data_schema=self.add_suggested_values_to_schema(_SCHEMA, self._search_input),
            errors=errors,
            description_placeholders={"error": detail},
        )

    async def async_step_searching(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Look, and show how far it is; closing the form ends the search."""
        if self._search_task is None:
            self._search_error = None
            # Not eager: what ends before it is shown would hand this input on to the next step.
            self._search_task = self.hass.async_create_task(
                self._async_search(), "search for meters", eager_start=False
            )
        if not self._search_task.done():
            return self.async_show_progress(
                step_id="searching",
                progress_action="searching",
                progress_task=self._search_task,
            )
        task, self._search_task = self._search_task, None
        try:
            results = task.result()
            self._unknown = results.unknown
            self._offer(results.found)
        except NoMeterError as err:
            self._search_error = err
            return self.async_show_progress_done(next_step_id="search")
        return self.async_show_progress_done(next_step_id="found")

    async def _async_search(self) -> Results:
        """Return what answers; raise `NoMeterError` if nothing does."""
        first, last = self._search_input[CONF_FIRST_UNIT_ID], self._search_input[CONF_LAST_UNIT_ID]
        unit_ids = list(range(first, last + 1))
        if self._search_input[CONF_USUAL_UNIT_IDS]:
            unit_ids += [unit_id for unit_id in _USUAL_UNIT_IDS if unit_id not in unit_ids]
        timeout_s: float = self._search_input[CONF_TIMEOUT_S]
        entry = self._get_entry()
        maps = await async_load_register_maps(self.hass)
        async with async_look(self.hass, entry, first, timeout_s=timeout_s) as line:
            results = await search(
                line,
                partial(async_in_turn, self.hass, entry, timeout_s=timeout_s),
                unit_ids,
                maps,
                timeout_s=timeout_s,
                known={str(meter.unique_id) for meter in meters_of(entry)},
                progress=self.async_update_progress,
            )
        if results.found:
            return results
        answering = {meter.data[CONF_UNIT_ID] for meter in meters_of(entry)}
        if not results.unknown and (there := sorted(answering.intersection(unit_ids))):
            raise NoMeterError("only_known", ", ".join(map(str, there)))
        if results.unknown:
            raise NoMeterError("not_recognised", _listed(results.unknown))
        raise NoMeterError("nothing_found")

    def _offer(self, found: Sequence[Found]) -> None:
        self._candidates = {f"{meter.key} {meter.map.key}": meter for meter in found}

    async def async_step_found(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show what each says, several models of a meter side by side, and let choose."""
        errors: dict[str, str] = {}
        row = ""
        defaults = self._default_names()
        if user_input is not None:
            chosen = [self._candidates[key] for key in user_input[CONF_METERS]]
            names, row = _names_of(user_input.get(CONF_NAMES, ""), defaults)
            if row:
                errors[CONF_NAMES] = "names_invalid"
            elif not chosen:
                errors[CONF_METERS] = "nothing_chosen"
            elif max(Counter(meter.key for meter in chosen).values()) > 1:
                errors[CONF_METERS] = "several_models"
            else:
                return self._add(chosen, names)
        suggested = user_input or {
            CONF_NAMES: "\n".join(f"{key}: {name}" for key, name in defaults.items())
        }
        return self.async_show_form(
            step_id="found",
            data_schema=self.add_suggested_values_to_schema(
                await self._async_found_schema(), suggested
            ),
            errors=errors,
            description_placeholders={
                "row": row,
                "count": str(len(self._candidates)),
                "unknown": _listed(self._unknown) or "-",
            },
        )

    async def _async_found_schema(self) -> vol.Schema:
        options = []
        for key, meter in self._candidates.items():
            readings = await async_readings(self.hass, meter.values)
            values = ", ".join(f"{name} {value}" for name, value in readings)
            options.append(
                SelectOptionDict(value=key, label=f"{meter.unit_id}: {meter.map.label}: {values}")
            )
        # Where a unit can be several models, only the user can tell.
        models = Counter(meter.key for meter in self._candidates.values())
        clear = [key for key, meter in self._candidates.items() if models[meter.key] == 1]
        return vol.Schema(
            {
                vol.Required(CONF_METERS, default=clear): SelectSelector(
                    SelectSelectorConfig(
                        options=options, multiple=True, mode=SelectSelectorMode.LIST
                    )
                ),
                vol.Optional(CONF_NAMES): TextSelector(TextSelectorConfig(multiline=True)),
            }
        )

    def _default_names(self) -> dict[str, str]:
        """Return what each unit is called unless the user says otherwise, by what stands for it.

        Of several models that a unit can be, the first gives the name.
        """
        firsts: dict[str, Found] = {}
        for meter in self._candidates.values():
            firsts.setdefault(meter.key, meter)
        return {
            meter.key: title
            for meter, title in zip(firsts.values(), self._titles(firsts.values()), strict=True)
        }

    def _titles(self, meters: Iterable[Found]) -> Iterator[str]:
        """Return a title for each meter: its model, with the unit id where there are several."""
        titles = {meter.title for meter in meters_of(self._get_entry())}
        for meter in meters:
            title = f"{meter.map.manufacturer} {meter.map.models[0]}"
            if title in titles:
                title = f"{title} {meter.unit_id}"
            titles.add(title)
            yield title

    def _add(self, chosen: Sequence[Found], names: Mapping[str, str]) -> SubentryFlowResult:
        """Add the meters that were chosen; the flow itself ends with one of them."""
        entry = self._get_entry()
        first, *others = self._subentries(chosen, names)
        for other in others:
            self.hass.config_entries.async_add_subentry(
                entry,
                ConfigSubentry(
                    data=MappingProxyType(dict(other["data"])),
                    subentry_type=SUBENTRY_METER,
                    title=other["title"],
                    unique_id=other["unique_id"],
                ),
            )
        return self.async_create_entry(
            title=first["title"], data=first["data"], unique_id=first["unique_id"]
        )

    def _subentries(
        self, chosen: Sequence[Found], names: Mapping[str, str]
    ) -> Iterator[ConfigSubentryData]:
        identities: set[str] = set()
        for meter, title in zip(chosen, self._titles(chosen), strict=True):
            identity = new_identity(
                self.hass,
                self._get_entry(),
                meter.unit_id,
                meter.place,
                meter.map.manufacturer,
                meter.identity.serial_number,
                identities,
            )
            identities.add(identity)
            yield ConfigSubentryData(
                data=found_data(meter)
                | {CONF_IDENTITY: identity}
                | {
                    key: self._search_input[key]
                    for key in (
                        *(CONF_FAST_INTERVAL_S, CONF_SLOW_INTERVAL_S),
                        *(CONF_CURRENT_RATIO, CONF_VOLTAGE_RATIO, CONF_TURN_SIGN),
                    )
                    if key in self._search_input
                },
                subentry_type=SUBENTRY_METER,
                title=names.get(meter.key, title),
                unique_id=meter.key,
            )


def _names_of(text: str, defaults: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the names that a user gave, by what stands for the meter, and the line that is none.

    A name that was left as it is proposed is none: it is of one of the models only.
    """
    names: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        key, _, name = (part.strip() for part in line.partition(":"))
        if key not in defaults or not name:
            return {}, line.strip()
        if name != defaults[key]:
            names[key] = name
    return names, ""


def _listed(unknown: Iterable[Unknown]) -> str:
    """Return the unit ids of devices, with what each says that it is."""
    return ", ".join(
        f"{device.unit_id} ({device.says})" if device.says else str(device.unit_id)
        for device in unknown
    )


def found_data(meter: Found) -> dict[str, Any]:
    """Return what an entry keeps of a meter that was found."""
    data: dict[str, Any] = {CONF_UNIT_ID: meter.unit_id, CONF_REGISTER_MAP: meter.map.key}
    if meter.place is not None:
        data[CONF_SUNSPEC] = asdict(meter.place)
        # A device fills in a part of its models only. Energy that was never counted is none of
        # what is missing: it reads as not available until it is.
        data[CONF_ABSENT] = sorted(
            key
            for key in meter.map.quantities.keys() - meter.values.keys()
            if QUANTITIES[key].device_class is not DeviceClass.ENERGY
        )
    return data
