"""The site's link: asks for its file now and then, and applies it once somebody agreed."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
import logging
import random
from typing import Any, Final, TypedDict

from homeassistant.const import CONF_URL, Platform
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.event import async_call_later

from ...configuration.apply import Outcome, Result, async_apply, async_plan
from ...configuration.document import SiteFileError
from ...configuration.drift import async_watch
from ...configuration.plan import Plan, Step
from ...configuration.record import async_record
from ...configuration.site_file import SiteFile
from ...connection.issues import Issues
from ...const import DOMAIN
from ...entry_store import EntryStore, async_remove_store, entry_store
from ...link import GridTelemetryConfigEntry, Link
from .bundle import async_site_file
from .client import async_fetch
from .const import (
    CONF_INTERVAL_MIN,
    CONF_PUBLIC_KEY,
    CONF_SECRETS,
    CONF_UNATTENDED,
)
from .payload import Bundle, BundleError, bundle_of

_LOGGER = logging.getLogger(__name__)

_VERSION: Final = 1
# So that sites that started together do not ask together.
_SPREAD: Final = 0.1
_FIRST_AFTER_S: Final = 30


class _Stored(TypedDict):
    """The newest bundle that was taken; without secrets, for it never has any."""

    payload: str


def _key(entry: GridTelemetryConfigEntry) -> str:
    return f"{DOMAIN}.site_{entry.entry_id}"


class SiteLink(Link):
    """The one site."""

    platforms: Sequence[Platform] = ()

    def __init__(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._issues = Issues(hass, entry)
        self._store: EntryStore[_Stored] = entry_store(hass, _VERSION, _key(entry))
        self._bundle: Bundle | None = None
        self._error: str | None = None
        self._plan: Plan | None = None
        self._cancel: CALLBACK_TYPE | None = None

    async def async_load(self) -> None:
        """Read which bundle was taken last."""
        if (stored := await self._store.async_load()) is not None:
            self._bundle = bundle_of(stored["payload"])
        (await async_record(self._hass)).own_secrets = dict(self._entry.data[CONF_SECRETS])

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return none: what a site is, its other entries show."""
        return {}

    async def async_start(self) -> None:
        """Ask soon, once the other entries are up."""
        self._schedule(_FIRST_AFTER_S)

    async def async_stop(self) -> None:
        """Ask no more."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        self._issues.clear()

    def diagnostics(self) -> dict[str, Any]:
        """Return which version is here, and what waits."""
        return {
            "version": None if self._bundle is None else self._bundle.version,
            "error": self._error,
            "waiting": [] if self._plan is None else _lines(self._plan),
        }

    @callback
    def _schedule(self, delay_s: float) -> None:
        delay_s *= 1 + random.uniform(-_SPREAD, _SPREAD)  # noqa: S311 (no secret)
        self._cancel = async_call_later(self._hass, timedelta(seconds=delay_s), self._async_due)

    async def _async_due(self, _: datetime) -> None:
        self._cancel = None
        try:
            await self.async_check()
        finally:
            self._schedule(self._entry.data[CONF_INTERVAL_MIN] * 60)

    async def async_check(self) -> None:
        """Fetch the file; take it if it is newer, and plan or apply it."""
        data = self._entry.data
        try:
            bundle = await async_fetch(self._hass, data[CONF_URL], data[CONF_PUBLIC_KEY])
            if _is_newer(bundle, self._bundle):
                await async_site_file(self._hass, bundle, data)
                self._bundle = bundle
                await self._store.async_save(lambda: _Stored(payload=bundle.payload))
            self._note_error(None)
        except BundleError as err:
            self._note_error(err.key, err.detail)
        except SiteFileError as err:
            self._note_error("site_file_faults", str(err))
        # What was taken before counts, whatever became of the newest.
        if self._bundle is not None:
            await self._async_bring(self._bundle)

    async def _async_bring(self, bundle: Bundle) -> None:
        """Apply what needs nobody's word, and ask for it where it is needed."""
        try:
            file = await self.async_file(bundle)
            if self._entry.data[CONF_UNATTENDED]:
                await async_apply(self._hass, file, unattended=True)
                await async_watch(self._hass)
            plan = await async_plan(self._hass, file)
        except SiteFileError as err:
            self._note_error("site_file_faults", str(err))
            return
        # A secret that is asked for has a repair of its own.
        waiting = tuple(
            each
            for each in plan.steps
            if each.step is not Step.KEEP and not (self._entry.data[CONF_UNATTENDED] and each.asks)
        )
        self._plan = Plan(steps=waiting) if waiting else None
        self._issues.set(
            bool(waiting),
            "site_plan_waiting",
            fixable=True,
            data={"site_plan": bundle.version},
            version=str(bundle.version),
        )

    async def async_file(self, bundle: Bundle) -> SiteFile:
        """Return what a bundle says of this site. Raises `SiteFileError`."""
        return await async_site_file(self._hass, bundle, self._entry.data)

    def waiting(self) -> list[str]:
        """Return what waits for a person, a line each."""
        return [] if self._plan is None else _lines(self._plan)

    async def async_agree(self) -> list[Outcome]:
        """Apply what waits, with the word of a person. Raises `SiteFileError`."""
        if self._bundle is None:
            return []
        outcomes = await async_apply(self._hass, await self.async_file(self._bundle))
        await async_watch(self._hass)
        if not any(each.result is Result.FAILED for each in outcomes):
            self._plan = None
            self._issues.set(False, "site_plan_waiting")
        return outcomes

    def _note_error(self, key: str | None, detail: str = "") -> None:
        """Tell once what is wrong; an address that cannot be reached is only logged."""
        if key != self._error and key is not None:
            _LOGGER.warning("The site file was not taken (%s): %s", key, detail)
        elif key is None and self._error is not None:
            _LOGGER.info("The site file can be had again")
        self._error = key
        for reason in ("site_bad_signature", "site_older", "site_same_version", "site_malformed"):
            self._issues.set(key == reason, reason)
        self._issues.set(key == "site_file_faults", "site_file_faults", faults=detail)


def _is_newer(bundle: Bundle, present: Bundle | None) -> bool:
    """Return whether a bundle takes the place of the present one. Raises `BundleError`."""
    if present is None or bundle.version > present.version:
        return True
    if bundle.version < present.version:
        raise BundleError("site_older", f"{bundle.version} < {present.version}")
    if bundle.digest != present.digest:
        raise BundleError("site_same_version", str(bundle.version))
    return False


def _lines(plan: Plan) -> list[str]:
    return [
        f"{each.title}: {line}"
        for each in plan.steps
        for line in (str(each.step), *each.lines())
        if line != Step.CHANGE
    ]


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> Link:
    """Return the site of an entry."""
    link = SiteLink(hass, entry)
    await link.async_load()
    return link


async def async_remove_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete the file that was taken; what it made stays."""
    (await async_record(hass)).own_secrets = {}
    await async_remove_store(hass, _VERSION, _key(entry))
