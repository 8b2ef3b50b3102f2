"""What links that listen on a TCP port share: the fields of their forms, and what may be wrong."""

import asyncio
from collections.abc import Mapping
import errno
from ipaddress import ip_address, ip_network
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.helpers.selector import (
    TextSelector,
    TextSelectorConfig,
)
import voluptuous as vol

from .fields import PORT

CONF_ALLOWED_NETWORKS: Final = "allowed_networks"

_DEFAULT_HOST: Final = "127.0.0.1"
_DEFAULT_NETWORKS: Final = ("127.0.0.0/8",)
_ERRORS_BY_NUMBER: dict[int | None, tuple[str, str]] = {
    errno.EADDRINUSE: (CONF_PORT, "port_in_use"),
    # asyncio passes over addresses of other machines, and has no number when none is left.
    None: (CONF_HOST, "foreign_address"),
}


def listener_fields(port: int) -> dict[vol.Marker, Any]:
    """Return the fields that say where to listen and whom to let in: at first, this machine."""
    return {
        vol.Required(CONF_HOST, default=_DEFAULT_HOST): TextSelector(),
        vol.Required(CONF_PORT, default=port): PORT,
        vol.Required(CONF_ALLOWED_NETWORKS, default=list(_DEFAULT_NETWORKS)): TextSelector(
            TextSelectorConfig(multiple=True)
        ),
    }


def listener_data(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store of these fields."""
    return {
        CONF_HOST: user_input[CONF_HOST].strip(),
        CONF_PORT: user_input[CONF_PORT],
        CONF_ALLOWED_NETWORKS: [text.strip() for text in user_input[CONF_ALLOWED_NETWORKS]],
    }


def validation_errors(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of what is no address, by field."""
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
    return errors


def address_of(data: Mapping[str, Any]) -> str:
    """Return address and port as they are written."""
    host = data[CONF_HOST]
    return f"{f'[{host}]' if ':' in host else host}:{data[CONF_PORT]}"


async def async_try_to_listen(
    data: Mapping[str, Any], current: ConfigEntry | None
) -> tuple[dict[str, str], str]:
    """Listen for a moment; return the errors by field, and the system's words.

    An entry that is changed has its present port itself: what is left to try is the address.
    """
    port = data[CONF_PORT]
    if (
        current is not None
        and current.state is ConfigEntryState.LOADED
        and current.data.get(CONF_PORT) == port
    ):
        port = 0
    try:
        server = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, data[CONF_HOST], port
        )
    except OSError as err:
        field, key = _ERRORS_BY_NUMBER.get(err.errno, ("base", "cannot_listen"))
        return {field: key}, err.strerror or str(err)
    server.close()
    await server.wait_closed()
    return {}, ""
