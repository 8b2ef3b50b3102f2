"""Config steps of a meter: what it is, then what it says, then it is saved."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentry,
    SubentryFlowResult,
)
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    Selector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol

from ...const import DOMAIN
from ...forms.written import Fields, Written
from ...meters import RegisterMap
from ...meters.model import ADDRESSES
from ...meters.sunspec import SunSpecPlace, sunspec_map
from .adjustment import RATIOS, adjusted, parse_ratio
from .const import (
    CONF_FAST_INTERVAL_S,
    CONF_IDENTITY,
    CONF_METER_NAME,
    CONF_REGISTER_MAP,
    CONF_SLOW_INTERVAL_S,
    CONF_SUNSPEC,
    CONF_TURN_SIGN,
    CONF_UNIT_ID,
)
from .detection import meter_key, search_sunspec
from .identity import new_identity, others_of, replace_meter
from .maps import async_load_register_maps
from .own_map import (
    CONF_MAP_FILE,
    CONF_MAP_NAME,
    CONF_MAP_TEXT,
    CONF_REPLACE,
    OWN_MAP_SCHEMA,
    OwnMap,
    OwnMapError,
    async_check,
    async_store,
    async_text_of,
)
from .preview import async_readings
from .register_reader import read_once
from .search_flow import CONF_METERS, SearchSteps
from .sunspec import find_again
from .unit_access import NoMeterError, async_look, interval_fields, meters_of, unit_id_selector

# The choice in place of a register map for a device that tells itself where its values are.
SUNSPEC = "sunspec"
CONF_SUNSPEC_BASE = "sunspec_base"
CONF_NEW_METER = "new_meter"
# In a file: which of the models of a SunSpec device it is, as `<unit id>_<model>_<instance>`.
CONF_SUNSPEC_MODEL = "sunspec_model"
GUIDE = "https://github.com/grid-telemetry/grid-telemetry/blob/main/docs/register-maps.md"
# The choice in place of a register map for one that the user brings; no file can have this name.
OWN_MAP = "own/"


def _schema(register_maps: Selector[Any] | None = None, unit_id: int = 1) -> vol.Schema:
    """Return what is asked of a meter, with the choice of its register map if there is one."""
    choice: dict[vol.Marker, Any] = (
        {} if register_maps is None else {vol.Required(CONF_REGISTER_MAP): register_maps}
    )
    return vol.Schema(
        {
            vol.Required(CONF_UNIT_ID, default=unit_id): unit_id_selector(),
            **choice,
            vol.Optional(CONF_METER_NAME): TextSelector(),
            **interval_fields(),
            **{vol.Optional(key): TextSelector() for key in RATIOS},
            vol.Required(CONF_TURN_SIGN, default=False): BooleanSelector(),
        }
    )


def _written_fields(stored: Mapping[str, Any]) -> Fields:
    """Return the fields of a meter; a SunSpec model is told by the key it is found under."""
    ratios = {key: f"{stored[key]:g}" for key in RATIOS if key in stored}
    fields = {**stored, **ratios}
    if (place := stored.get(CONF_SUNSPEC)) is not None:
        key = meter_key(stored[CONF_UNIT_ID], SunSpecPlace(**place))
        fields |= {CONF_REGISTER_MAP: SUNSPEC, CONF_SUNSPEC_MODEL: key}
    return fields


def _answers(fields: Fields) -> Fields:
    model = fields.get(CONF_SUNSPEC_MODEL)
    return fields if model is None else {**fields, CONF_METERS: [model]}


class MeterSubentryFlow(SearchSteps):
    """Add meters to a line, or change one."""

    @classmethod
    def written(cls) -> Written:
        """Return how a meter is written in a file."""
        return Written(
            schemas={
                "": _schema(TextSelector()).extend(
                    {vol.Optional(CONF_SUNSPEC_MODEL): TextSelector()}
                )
            },
            menus={"user": "model", "reconfigure_menu": "change", "confirm": "save"},
            identity=(CONF_UNIT_ID, CONF_SUNSPEC_MODEL),
            name_field=CONF_METER_NAME,
            fields=_written_fields,
            answers=_answers,
        )

    def __init__(self) -> None:
        super().__init__()
        self._maps: Mapping[str, RegisterMap] = {}
        self._input: dict[str, Any] = {}
        self._typed: dict[str, Any] = {}
        self._own: OwnMap | None = None
        self._own_label = ""
        self._unverified = ""
        self._found: dict[str, str] = {}
        self._identity: str | None = None

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask whether to look for the meters or to tell what they are."""
        return self.async_show_menu(step_id="user", menu_options=["search", "model"])

    async def async_step_model(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask what the meter is and how often it shall be read."""
        return await self._async_meter_step("model", user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change a meter, or let another one take its place; its sensors and history stay."""
        if user_input is None and others_of(self.hass, self._get_reconfigure_subentry()):
            return await self.async_step_reconfigure_menu()
        return await self._async_meter_step("reconfigure", user_input)

    async def async_step_reconfigure_menu(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask whether to change this meter or to let another one take its place."""
        return self.async_show_menu(
            step_id="reconfigure_menu", menu_options=["change", "replace_meter"]
        )

    async def async_step_change(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change a meter where there are others."""
        return await self._async_meter_step("reconfigure", user_input)

    async def async_step_replace_meter(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask which meter takes the place of this one, and goes on with its sensors."""
        meter = self._get_reconfigure_subentry()
        others = {other.subentry_id: (entry, other) for entry, other in others_of(self.hass, meter)}
        if user_input is not None:
            new = others.get(user_input[CONF_NEW_METER])
            if new is None:  # it was deleted while the form was open
                return self.async_abort(reason="meter_gone")
            replace_meter(self.hass, self._get_entry(), meter, *new)
            return self.async_abort(
                reason="meter_replaced",
                description_placeholders={"meter": meter.title, "new": new[1].title},
            )
        options = [
            SelectOptionDict(value=key, label=f"{other.title} ({entry.title})")
            for key, (entry, other) in others.items()
        ]
        return self.async_show_form(
            step_id="replace_meter",
            data_schema=vol.Schema(
                {
                    vol.Required(CONF_NEW_METER): SelectSelector(
                        SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN)
                    )
                }
            ),
            description_placeholders={"meter": meter.title},
        )

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show what the meter says, to be compared with its display."""
        return self.async_show_menu(
            step_id="confirm",
            menu_options=["save", "again"],
            description_placeholders=self._found,
        )

    async def async_step_save(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Take the meter as it is; a map of the user's own is kept first."""
        if self._own is not None:
            try:
                await async_store(self.hass, self._own)
            except OwnMapError as err:
                own_map = {CONF_MAP_NAME: self._own.map.key, CONF_MAP_TEXT: self._own.text}
                return self._own_map_form(own_map, {err.field: err.key}, str(err))
        return self._finish()

    async def async_step_again(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Choose another model."""
        self._own = None
        step_id = "model" if self._current is None else "reconfigure"
        return await self._async_meter_step(step_id, None)

    async def async_step_sunspec_base(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask where a device begins its list of models that is at none of the usual addresses."""
        errors = {"base": "no_sunspec"}
        detail = ""
        if user_input is not None:
            try:
                base = int(user_input[CONF_SUNSPEC_BASE], 0)
            except ValueError:
                base = ADDRESSES
            errors = {}
            if not 0 <= base <= ADDRESSES - 2:
                errors[CONF_SUNSPEC_BASE] = "base_invalid"
            else:
                try:
                    return await self._async_offer_models(base)
                except NoMeterError as err:
                    errors["base"] = err.key
                    detail = str(err)
        return self.async_show_form(
            step_id="sunspec_base",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema({vol.Required(CONF_SUNSPEC_BASE): TextSelector()}), user_input
            ),
            errors=errors,
            description_placeholders={"error": detail},
        )

    async def async_step_own_map(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Take a map of the user's own and try it against the meter."""
        errors: dict[str, str] = {}
        suggested: dict[str, Any] = {}
        detail = ""
        if user_input is not None:
            # A file is there once; what was in it can be put right in the form.
            suggested = {key: user_input[key] for key in user_input if key != CONF_MAP_FILE}
            try:
                suggested[CONF_MAP_NAME], suggested[CONF_MAP_TEXT] = await async_text_of(
                    self.hass, user_input
                )
                own = await async_check(
                    self.hass,
                    suggested[CONF_MAP_NAME],
                    suggested[CONF_MAP_TEXT],
                    replace=user_input[CONF_REPLACE],
                )
                self._maps = {**self._maps, own.map.key: own.map}
                self._input[CONF_REGISTER_MAP] = own.map.key
                await self._async_look()
            except OwnMapError as err:
                errors[err.field] = err.key
                detail = str(err)
            except NoMeterError as err:
                errors["base"] = err.key
                detail = str(err)
            else:
                self._own = own
                return await self.async_step_confirm()
        return self._own_map_form(suggested, errors, detail)

    def _own_map_form(
        self, suggested: Mapping[str, Any], errors: dict[str, str], detail: str
    ) -> SubentryFlowResult:
        return self.async_show_form(
            step_id="own_map",
            data_schema=self.add_suggested_values_to_schema(OWN_MAP_SCHEMA, suggested),
            errors=errors,
            description_placeholders={
                "error": detail,
                "mistakes": detail if "map_invalid" in errors.values() else "",
                "guide": GUIDE,
            },
        )

    @property
    def _current(self) -> ConfigSubentry | None:
        """Return the meter that is changed; None for a new one."""
        return self._get_reconfigure_subentry() if self.source == SOURCE_RECONFIGURE else None

    @property
    def _place(self) -> SunSpecPlace | None:
        """Return where the meter to be changed has its SunSpec model, if it is one."""
        current = self._current
        place = None if current is None else current.data.get(CONF_SUNSPEC)
        return None if place is None else SunSpecPlace(**place)

    async def _async_meter_step(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        if not self._maps:
            self._maps = await async_load_register_maps(self.hass)
            texts = await async_get_translations(
                self.hass, self.hass.config.language, "selector", [DOMAIN]
            )
            options = f"component.{DOMAIN}.selector.register_map.options"
            self._own_label = texts[f"{options}.own_map"]
            self._unverified = texts[f"{options}.unverified"]
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            self._typed = user_input
        if user_input is not None and not (errors := self._check(user_input)):
            current = self._current
            # What no field asks for stays.
            stays = current.data if current is not None else {}
            self._input = {
                **{key: stays[key] for key in stays if key not in (*RATIOS, CONF_TURN_SIGN)},
                **user_input,
                **{key: parse_ratio(user_input[key]) for key in RATIOS if key in user_input},
            }
            if not self._input[CONF_TURN_SIGN]:
                del self._input[CONF_TURN_SIGN]
            if self._asks_same_registers():
                return self._finish()
            if self._input[CONF_REGISTER_MAP] == OWN_MAP:
                return await self.async_step_own_map()
            try:
                if self._input[CONF_REGISTER_MAP] == SUNSPEC:
                    return await self._async_offer_models()
                await self._async_look()
            except NoMeterError as err:
                errors["base"] = err.key
                detail = str(err)
            else:
                return await self.async_step_confirm()
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                self._schema(), user_input or self._typed or self._suggested()
            ),
            errors=errors,
            description_placeholders={"error": detail},
        )

    def _schema(self) -> vol.Schema:
        # A SunSpec model stays what it is; another model of the device is another meter.
        if self._place is not None:
            return _schema(unit_id=self._free_unit_id())
        return _schema(
            # The frontend looks through the models only where others may be typed as well.
            SelectSelector(
                SelectSelectorConfig(
                    options=self._models(), mode=SelectSelectorMode.DROPDOWN, custom_value=True
                )
            ),
            unit_id=self._free_unit_id(),
        )

    def _models(self) -> list[SelectOptionDict]:
        labels = {key: register_map.label for key, register_map in self._maps.items()}
        if self._current is None:
            labels[SUNSPEC] = "SunSpec"
        return [
            SelectOptionDict(value=OWN_MAP, label=self._own_label),
            *(
                SelectOptionDict(value=key, label=label)
                for key, label in sorted(labels.items(), key=lambda item: item[1].casefold())
            ),
        ]

    def _free_unit_id(self) -> int:
        """Return the first unit id of the line that no meter has."""
        taken = {meter.data[CONF_UNIT_ID] for meter in self._others()}
        return next((each for each in range(1, 248) if each not in taken), 1)

    def _suggested(self) -> dict[str, Any]:
        if (current := self._current) is None:
            return {}
        ratios = {key: f"{current.data[key]:g}" for key in RATIOS if key in current.data}
        return {**current.data, **ratios, CONF_METER_NAME: current.title}

    def _others(self) -> list[ConfigSubentry]:
        """Return the other meters on the line."""
        current = self._current
        return [
            meter
            for meter in meters_of(self._get_entry())
            if current is None or meter.subentry_id != current.subentry_id
        ]

    def _check(self, user_input: dict[str, Any]) -> dict[str, str]:
        errors = {}
        model = user_input.get(CONF_REGISTER_MAP)
        if model is not None and all(model != option["value"] for option in self._models()):
            errors[CONF_REGISTER_MAP] = "unknown_model"
        key = meter_key(user_input[CONF_UNIT_ID], self._place)
        if user_input.get(CONF_REGISTER_MAP) != SUNSPEC and any(
            meter.unique_id == key for meter in self._others()
        ):
            errors[CONF_UNIT_ID] = "unit_in_use"
        if user_input[CONF_SLOW_INTERVAL_S] < user_input[CONF_FAST_INTERVAL_S]:
            errors[CONF_SLOW_INTERVAL_S] = "slow_below_fast"
        for ratio in RATIOS:
            try:
                parse_ratio(user_input.get(ratio, "1"))
            except ValueError:
                errors[ratio] = "ratio_invalid"
        return errors

    def _asks_same_registers(self) -> bool:
        """Return whether only names or intervals change, which needs no answer of the meter."""
        current = self._current
        return current is not None and all(
            current.data[key] == self._input[key] for key in (CONF_UNIT_ID, CONF_REGISTER_MAP)
        )

    async def _async_offer_models(self, base: int | None = None) -> SubentryFlowResult:
        """Go on with choosing among the SunSpec models of the unit."""
        unit_id = self._input[CONF_UNIT_ID]
        known = {str(meter.unique_id) for meter in meters_of(self._get_entry())}
        async with async_look(self.hass, self._get_entry(), unit_id) as unit:
            found = await search_sunspec(unit, unit_id, known, base)
        if not found and base is None:
            return await self.async_step_sunspec_base()
        if not found:
            raise NoMeterError("no_sunspec")
        self._search_input = self._input
        self._offer(found)
        return await self.async_step_found()

    async def _async_look(self) -> None:
        """Read the meter and keep what it says for the next step."""
        unit_id = self._input[CONF_UNIT_ID]
        # Everything is read once.
        async with async_look(self.hass, self._get_entry(), unit_id) as unit:
            if (place := self._place) is None:
                register_map = self._maps[self._input[CONF_REGISTER_MAP]]
            else:
                place = await find_again(unit, place)
                self._input[CONF_SUNSPEC] = asdict(place)
                register_map = sunspec_map(place)
            register_map = adjusted(register_map, self._input)
            identity, values = await read_once(unit, register_map, register_map.quantities)
        if not values:
            raise NoMeterError("map_mismatch")
        self._identity = new_identity(
            self.hass,
            self._get_entry(),
            unit_id,
            place,
            register_map.manufacturer,
            identity.serial_number,
        )
        lines = [f"- {name}: {value}" for name, value in await async_readings(self.hass, values)]
        self._found = {
            "meter": register_map.label,
            "unit_id": str(unit_id),
            "serial_number": identity.serial_number or "-",
            "unverified": "" if register_map.verified else f"\n\n{self._unverified}",
            "values": "\n".join(lines),
        }

    def _finish(self) -> SubentryFlowResult:
        data = dict(self._input)
        title = data.pop(CONF_METER_NAME, None) or self._default_title()
        unique_id = meter_key(data[CONF_UNIT_ID], self._place)
        if (current := self._current) is None:
            data[CONF_IDENTITY] = self._identity
            return self.async_create_entry(title=title, data=data, unique_id=unique_id)
        return self.async_update_and_abort(
            self._get_entry(), current, title=title, data=data, unique_id=unique_id
        )

    def _default_title(self) -> str:
        place = self._place
        register_map = (
            self._maps[self._input[CONF_REGISTER_MAP]] if place is None else sunspec_map(place)
        )
        title = f"{register_map.manufacturer} {register_map.models[0]}"
        if any(meter.title == title for meter in self._others()):
            title = f"{title} {self._input[CONF_UNIT_ID]}"
        return title
