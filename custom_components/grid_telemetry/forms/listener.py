"""What links that listen on a TCP port share: the fields of their forms, and what may be wrong."""

from collections.abc import Mapping
import errno
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import Any, Final

from homeassistant.components.network import async_get_adapters
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
)
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol

from ..connection.wording import in_words
from ..const import DOMAIN
from ..protocols.listener import Network, bound_socket
from .fields import PORT
from .tls import CONF_CERTIFICATE, CONF_CLIENT_CA, CONF_KEY, server_context_of

CONF_ALLOWED_NETWORKS: Final = "allowed_networks"

_DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_NETWORKS: Final = ("127.0.0.0/8",)
_ERRORS_BY_NUMBER: dict[int | None, tuple[str, str]] = {
    errno.EADDRINUSE: (CONF_PORT, "port_in_use"),
    errno.EADDRNOTAVAIL: (CONF_HOST, "foreign_address"),
}


def listener_fields(port: int) -> dict[vol.Marker, Any]:
    """Return the fields that say where to listen and whom to let in: at first, this machine."""
    return {
        vol.Required(CONF_HOST, default=_DEFAULT_HOST): TextSelector(),
        vol.Required(CONF_PORT, default=port): PORT,
        vol.Required(CONF_ALLOWED_NETWORKS, default=list(DEFAULT_NETWORKS)): TextSelector(
            TextSelectorConfig(multiple=True)
        ),
    }


async def async_listening_schema(hass: HomeAssistant, schema: vol.Schema) -> vol.Schema:
    """Return a schema whose fields propose the machine's addresses and their networks.

    Others may be typed: an address that the machine will have, a single client.
    """
    texts = await async_get_translations(hass, hass.config.language, "common", [DOMAIN])

    def words(key: str) -> str:
        return texts[f"component.{DOMAIN}.common.listen_{key}"]

    here = words("here")
    hosts = {_DEFAULT_HOST: here}
    networks = dict.fromkeys(DEFAULT_NETWORKS, here)
    for adapter in await async_get_adapters(hass):
        for ipv4 in adapter["ipv4"]:
            interface = ip_interface(f"{ipv4['address']}/{ipv4['network_prefix']}")
            hosts.setdefault(str(interface.ip), adapter["name"])
            if not interface.is_loopback:
                networks.setdefault(str(interface.network), adapter["name"])
    hosts |= {str(IPv4Address(0)): words("everywhere"), str(IPv6Address(0)): words("everywhere_6")}
    proposed = {
        CONF_HOST: SelectSelector(_proposals(hosts, multiple=False)),
        CONF_ALLOWED_NETWORKS: SelectSelector(_proposals(networks, multiple=True)),
    }
    return vol.Schema({key: proposed.get(str(key), field) for key, field in schema.schema.items()})


def _proposals(labels: Mapping[str, str], *, multiple: bool) -> SelectSelectorConfig:
    return SelectSelectorConfig(
        options=[
            SelectOptionDict(value=value, label=f"{value} ({label})")
            for value, label in labels.items()
        ],
        custom_value=True,
        multiple=multiple,
        mode=SelectSelectorMode.DROPDOWN,
    )


def listener_data(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store of these fields."""
    return {
        CONF_HOST: user_input[CONF_HOST].strip(),
        CONF_PORT: user_input[CONF_PORT],
        CONF_ALLOWED_NETWORKS: [text.strip() for text in user_input[CONF_ALLOWED_NETWORKS]],
    }


def validation_errors(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of what is no address, and of TLS without a certificate, by field."""
    errors: dict[str, str] = {}
    try:
        ip_address(data[CONF_HOST])
    except ValueError:
        errors[CONF_HOST] = "invalid_address"
    try:
        for text in data[CONF_ALLOWED_NETWORKS]:
            ip_network(text)
    except ValueError:
        errors[CONF_ALLOWED_NETWORKS] = "invalid_network"
    if CONF_CERTIFICATE not in data and data.keys() & {CONF_KEY, CONF_CLIENT_CA}:
        errors["base"] = "certificate_missing"
    return errors


def allowed_networks(data: Mapping[str, Any]) -> list[Network]:
    """Return the networks that an entry lets in."""
    return [ip_network(text) for text in data[CONF_ALLOWED_NETWORKS]]


def address_of(data: Mapping[str, Any]) -> str:
    """Return address and port as they are written."""
    host = data[CONF_HOST]
    return f"{f'[{host}]' if ':' in host else host}:{data[CONF_PORT]}"


async def async_try_to_listen(
    hass: HomeAssistant, data: Mapping[str, Any], current: ConfigEntry | None
) -> tuple[dict[str, str], str]:
    """Read the certificates and listen for a moment, both as the server does.

    Returns the errors by field, and the system's words. An entry that is changed has its present
    port itself: what is left to try is the address.
    """
    port = data[CONF_PORT]
    if (
        current is not None
        and current.state is ConfigEntryState.LOADED
        and current.data.get(CONF_PORT) == port
    ):
        port = 0
    try:
        await hass.async_add_executor_job(server_context_of, data)
    except OSError as err:
        return {"base": "certificate_file"}, in_words(str(err))
    try:
        bound_socket(data[CONF_HOST], port).close()
    except OSError as err:
        field, key = _ERRORS_BY_NUMBER.get(err.errno, ("base", "cannot_listen"))
        return {field: key}, err.strerror or str(err)
    return {}, ""


def cannot_listen(data: Mapping[str, Any], err: OSError) -> ConfigEntryNotReady:
    """Return the error of an entry whose address cannot be had; it is tried again."""
    return ConfigEntryNotReady(
        translation_domain=DOMAIN,
        translation_key="cannot_listen",
        translation_placeholders={
            "address": address_of(data),
            "error": err.strerror or str(err),
        },
    )
