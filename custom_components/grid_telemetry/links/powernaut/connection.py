"""Where the platform is and how to get in, from the data of an entry."""

from collections.abc import Mapping
from dataclasses import dataclass
import ssl
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util.ssl import create_client_context

from ...connection.errors import ConnectionFailed
from .api import PowernautApi
from .client import Login
from .const import (
    CONF_API_URL,
    CONF_BROKER_HOST,
    CONF_BROKER_PORT,
    CONF_CA_FILE,
    CONF_ENVIRONMENT,
    CONF_SECRET,
    CONF_SITE_KEY,
    DEFAULT_BROKER_PORT,
    Environment,
)

_DOMAINS = {
    Environment.PRODUCTION: "powernaut.io",
    Environment.SANDBOX: "sandbox.powernaut.io",
}


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """The addresses of one environment."""

    api_url: str
    broker_host: str
    broker_port: int
    ca_file: str | None = None


def endpoints_of(data: Mapping[str, Any]) -> Endpoints:
    """Return the addresses that an entry is for."""
    environment = Environment(data[CONF_ENVIRONMENT])
    if environment is Environment.CUSTOM:
        return Endpoints(
            api_url=data[CONF_API_URL],
            broker_host=data[CONF_BROKER_HOST],
            broker_port=data[CONF_BROKER_PORT],
            ca_file=data.get(CONF_CA_FILE),
        )
    domain = _DOMAINS[environment]
    return Endpoints(
        api_url=f"https://api.{domain}",
        broker_host=f"mqtt.{domain}",
        broker_port=DEFAULT_BROKER_PORT,
    )


async def async_connections(
    hass: HomeAssistant, data: Mapping[str, Any]
) -> tuple[PowernautApi, Login]:
    """Return what to ask the API with and how to log in at the broker.

    Raises `ConnectionFailed` when the certificate authority's file cannot be read.
    """
    endpoints = endpoints_of(data)
    context = await _async_tls_context(hass, endpoints.ca_file)
    key, secret = data[CONF_SITE_KEY], data[CONF_SECRET]
    api = PowernautApi(
        async_get_clientsession(hass), endpoints.api_url, key=key, secret=secret, context=context
    )
    login = Login(
        host=endpoints.broker_host,
        port=endpoints.broker_port,
        key=key,
        secret=secret,
        context=context,
    )
    return api, login


async def _async_tls_context(hass: HomeAssistant, ca_file: str | None) -> ssl.SSLContext:
    """Return a context that verifies the server and takes TLS 1.2 or later."""

    def create() -> ssl.SSLContext:
        # One of our own, not Home Assistant's shared one, for the least version is set on it.
        if ca_file is None:
            context = create_client_context()
        else:
            context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    try:
        return await hass.async_add_executor_job(create)  # it reads files
    except OSError as err:  # ssl.SSLError is one
        raise ConnectionFailed("ca_file", f"{ca_file}: {err}") from err
