"""A bundle as a site file."""

from collections.abc import Mapping
from typing import Any

from homeassistant.core import HomeAssistant

from ...configuration.site_file import (
    SiteFile,
    async_written_kinds,
    parse_site_file,
    shipped_templates,
)
from .const import CONF_SECRETS, CONF_VARIABLES
from .payload import SITE_FILE, Bundle


async def async_site_file(hass: HomeAssistant, bundle: Bundle, data: Mapping[str, Any]) -> SiteFile:
    """Return what a bundle says of the site of an entry's data. Raises `SiteFileError`.

    Its templates are its own and the shipped ones: what lies in the site's folder is not signed.
    Its secrets are those of the enrolment: with any other, who stole the key could have it sent.
    """
    kinds = await async_written_kinds(hass)

    def parse() -> SiteFile:
        shipped = shipped_templates()

        def read_template(name: str) -> str:
            if (own := bundle.templates.get(name)) is not None:
                return own
            if name not in shipped:
                raise KeyError(sorted({*shipped, *bundle.templates}))
            return shipped[name].read_text(encoding="utf-8")

        return parse_site_file(
            SITE_FILE,
            bundle.site_file,
            kinds,
            read_template,
            data[CONF_VARIABLES],
            data[CONF_SECRETS],
        )

    return await hass.async_add_executor_job(parse)
