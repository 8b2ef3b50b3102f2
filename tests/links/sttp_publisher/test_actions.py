"""The actions on a publisher and its subscribers."""

from typing import Any
from uuid import uuid4

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.grid_telemetry.const import DOMAIN

from .conftest import ALL, AddEntry, Listen, device, point


async def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    return await hass.services.async_call(
        DOMAIN, f"sttp_{action}", data, blocking=True, return_response=True
    )


@pytest.fixture
async def listener(hass: HomeAssistant, add_entry: AddEntry, listen: Listen) -> Any:
    """A subscriber to one signal."""
    entry = add_entry(device("METER", point("sensor.power", "P")))
    assert await hass.config_entries.async_setup(entry.entry_id)
    return await listen(entry)


async def test_subscribers_are_listed(hass: HomeAssistant, listener: Any) -> None:
    await listener.newest("P")
    (subscriber,) = (await call(hass, "list_subscribers"))["subscribers"]
    assert subscriber["address"] == "127.0.0.1"
    assert subscriber["agent"] == "Grid Telemetry 1.0"
    assert subscriber["filter_expression"] == ALL
    assert subscriber["form"] == "TSSC over TCP"
    assert subscriber["signals"] == 1
    assert subscriber["measurements"] >= 1


async def test_a_subscriber_is_disconnected(hass: HomeAssistant, listener: Any) -> None:
    (subscriber,) = (await call(hass, "list_subscribers"))["subscribers"]
    subscriber_id = subscriber["subscriber_id"]
    answer = await call(hass, "disconnect_subscriber", subscriber_id=subscriber_id)
    assert answer == {"disconnected": subscriber_id}
    await listener.until(listener.task.done)
    assert isinstance(listener.task.exception(), ConnectionResetError)
    assert await call(hass, "list_subscribers") == {"subscribers": []}


async def test_a_stranger_cannot_be_disconnected(hass: HomeAssistant, listener: Any) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "disconnect_subscriber", subscriber_id=str(uuid4()))
    assert raised.value.translation_key == "sttp_unknown_subscriber"


async def test_all_metadata_is_sent_anew_and_newer(hass: HomeAssistant, listener: Any) -> None:
    before = listener.metadata[-1]
    assert await call(hass, "refresh_metadata") == {"devices": 1, "signals": 1}
    await listener.until(lambda: len(listener.metadata) > 1)
    after = listener.metadata[-1]
    assert after.devices[0].updated_on > before.devices[0].updated_on
    assert after.measurements[0].updated_on > before.measurements[0].updated_on
    assert not listener.task.done()


@pytest.mark.parametrize(("sent", "text"), [(b"on", "on"), (b"\xff\0", None), (b"", "")])
async def test_a_user_command_of_a_subscriber_is_an_event(
    hass: HomeAssistant, listener: Any, sent: bytes, text: str | None
) -> None:
    events = async_capture_events(hass, f"{DOMAIN}_sttp_command")
    await listener.newest("P")
    answer = await listener.subscriber.user_command(7, sent, within_s=10)
    assert answer == "User command taken"
    (subscriber,) = (await call(hass, "list_subscribers"))["subscribers"]
    [entry] = hass.config_entries.async_entries(DOMAIN)
    [event] = events
    assert event.data == {
        "config_entry_id": entry.entry_id,
        "subscriber_id": subscriber["subscriber_id"],
        "address": "127.0.0.1",
        "command": 7,
        "data": sent.hex(),
        "text": text,
    }
