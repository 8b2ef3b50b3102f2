"""What the platform says of the site and its resources, asked now and then."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
import logging
from typing import Final, override

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from ...connection.errors import ConnectionFailed, CredentialsRefused
from ...const import DOMAIN
from ...link import GridTelemetryConfigEntry
from .api import PowernautApi, RateLimited, RequestRefused

_LOGGER = logging.getLogger(__name__)

POLL_INTERVAL: Final = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class View:
    """The platform's view at one poll."""

    last_seen: Mapping[str, datetime | None]
    """When the platform last had data, by the id of the site or resource it knows."""
    clock_ahead_s: float
    """By how much our clock is ahead of the platform's."""


class PlatformView(DataUpdateCoordinator[View]):
    """Asks for the site and its resources."""

    config_entry: GridTelemetryConfigEntry

    def __init__(
        self, hass: HomeAssistant, entry: GridTelemetryConfigEntry, api: PowernautApi, site_id: str
    ) -> None:
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=f"{entry.title} platform view",
            update_interval=POLL_INTERVAL,
        )
        self.data = View(last_seen={}, clock_ahead_s=0.0)
        self._api = api
        self._site_id = site_id

    def last_seen(self, platform_id: str) -> datetime | None:
        """Return when the platform last had data; None also before the first answer."""
        return self.data.last_seen.get(platform_id)

    @override
    async def _async_update_data(self) -> View:
        try:
            sites = await self._api.sites()
            resources = await self._api.resources(self._site_id)
        except CredentialsRefused as err:
            raise ConfigEntryAuthFailed(
                translation_domain=DOMAIN, translation_key="powernaut_login_refused"
            ) from err
        except (ConnectionFailed, RequestRefused) as err:
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key="powernaut_unreachable",
                translation_placeholders={"error": str(err)},
                retry_after=err.retry_after_s if isinstance(err, RateLimited) else None,
            ) from err
        return View(
            last_seen={
                **{site.id: site.last_seen_at for site in sites if not site.deleted},
                **{resource.id: resource.last_seen_at for resource in resources},
            },
            clock_ahead_s=self._api.clock_ahead_s or 0.0,
        )
