"""The action that sends a user command to the publisher."""

from contextlib import AsyncExitStack
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
import voluptuous as vol

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher

from .conftest import AddEntry, detail, metadata, start, until


async def send(hass: HomeAssistant, **data: Any) -> Any:
    return await hass.services.async_call(
        DOMAIN, "sttp_send_command", data, blocking=True, return_response=True
    )


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"text": "on é"}, "on é".encode()),
        ({"data": "00 ff"}, b"\0\xff"),
        ({}, b""),
    ],
)
async def test_a_command_goes_to_the_publisher(
    hass: HomeAssistant,
    add_entry: AddEntry,
    stack: AsyncExitStack,
    given: dict[str, str],
    sent: bytes,
) -> None:
    taken: list[tuple[int, bytes]] = []
    publisher = Publisher(
        port=0, on_user_command=lambda sender, number, data: taken.append((number, data))
    )
    publisher.define_metadata(metadata(detail(1, "FREQ")))
    await publisher.start()
    stack.push_async_callback(publisher.stop)
    await start(hass, add_entry(port=publisher.port))
    assert await send(hass, command=15, **given) == {"answer": "User command taken"}
    assert taken == [(15, sent)]


async def test_a_publisher_that_refuses_says_why(hass: HomeAssistant, add_entry: AddEntry) -> None:
    await start(hass, add_entry())
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, command=0)
    assert raised.value.translation_key == "sttp_command_refused"
    assert raised.value.translation_placeholders == {
        "title": "Grid",
        "error": "The command 0xD0 is not offered",
    }


async def test_without_a_connection_no_command_can_be_sent(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    await publisher.stop()
    entry = add_entry()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entry.runtime_data.health.last_error)
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, command=0)
    assert raised.value.translation_key == "sttp_not_connected"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"command": 16},
        {"command": -1},
        {"command": 0, "data": "0"},
        {"command": 0, "data": "xy"},
        {"command": 0, "data": "00" * 4097},
        {"command": 0, "text": "é" * 2049},
        {"command": 0, "text": "\ud800"},
        {"command": 0, "text": "a", "data": "00"},
    ],
)
async def test_what_is_no_command_is_refused(
    hass: HomeAssistant, add_entry: AddEntry, data: dict[str, Any]
) -> None:
    await start(hass, add_entry())
    with pytest.raises(vol.Invalid):
        await send(hass, **data)
