"""What the action of the SolarNode link does."""

import json
from typing import Final, NoReturn

from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.exceptions import ServiceValidationError

from ...action import link_for
from ...const import DOMAIN
from ...protocols.stomp import sns
from ...protocols.stomp.headers import RESERVED_HEADERS
from .actions import ATTR_BODY, ATTR_DESTINATION, ATTR_HEADERS, ATTR_TIMEOUT
from .client import LIVE_DESTINATION, MAX_BODY_BYTES, MAX_LINE_BYTES
from .link import SolarNodeLink

_BREAKS: Final = frozenset(":\r\n")
_RESERVED_DESTINATIONS: Final = (sns.AUTHENTICATE, LIVE_DESTINATION)


async def async_command(call: ServiceCall) -> ServiceResponse:
    """Send a setup command and return the reply."""
    destination: str = call.data[ATTR_DESTINATION]
    headers: dict[str, str] = call.data[ATTR_HEADERS]
    body = call.data[ATTR_BODY]
    text = (
        body
        if isinstance(body, str)
        else json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    )
    _check(destination, headers, text)
    link = link_for(call, SolarNodeLink)
    reply = await link.async_command(destination, headers, text, call.data[ATTR_TIMEOUT])
    return {"status": reply.status, "message": reply.message, "result": reply.result}


def _check(destination: str, headers: dict[str, str], body: str) -> None:
    """Refuse what would end the connection; raises `ServiceValidationError`."""
    if destination in _RESERVED_DESTINATIONS:
        _refuse("solarnode_reserved_destination", destination)
    if reserved := RESERVED_HEADERS & headers.keys():
        _refuse("solarnode_reserved_header", min(reserved))
    # A node repeats the headers in its reply, and escapes no name.
    if broken := [name for name in headers if not _BREAKS.isdisjoint(name)]:
        _refuse("solarnode_invalid_text", broken[0])
    for name, value in {**headers, ATTR_DESTINATION: destination}.items():
        line = f"{name}:{value}"
        # As it goes over the wire, where these take two characters.
        if _size(line, name) + sum(map(line.count, ":\\\r\n")) > MAX_LINE_BYTES:
            _refuse("solarnode_header_too_long", name)
    if (size := _size(body, ATTR_BODY)) > MAX_BODY_BYTES:
        _refuse("solarnode_body_too_long", str(size))


def _size(text: str, what: str) -> int:
    """Return the size in bytes; raises `ServiceValidationError` for what cannot be sent."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = b"\0"
    if b"\0" in data:
        _refuse("solarnode_invalid_text", what)
    return len(data)


def _refuse(key: str, what: str) -> NoReturn:
    raise ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders={"what": what}
    )
