"""The request for a bundle."""

from http import HTTPStatus
from typing import Final

import aiohttp
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .payload import MAX_BYTES, Bundle, BundleError, read_bundle

_WITHIN: Final = aiohttp.ClientTimeout(total=60)


async def async_fetch(hass: HomeAssistant, url: str, public_key: str) -> Bundle:
    """Return the bundle at an address. Raises `BundleError`."""
    try:
        async with async_get_clientsession(hass).get(
            url, timeout=_WITHIN, allow_redirects=False
        ) as response:
            if response.status != HTTPStatus.OK:
                raise BundleError("site_unreachable", f"HTTP {response.status}")
            data = bytearray()
            # One byte more than is taken tells that it is too much.
            stream = response.content
            while len(data) <= MAX_BYTES and (more := await stream.read(MAX_BYTES + 1)):
                data += more
    except (aiohttp.ClientError, TimeoutError) as err:
        raise BundleError("site_unreachable", str(err) or type(err).__name__) from err
    return await hass.async_add_executor_job(read_bundle, bytes(data), public_key)
