"""The last messages of a link: only for whoever looks, and not for ever."""

import asyncio

from homeassistant.core import HomeAssistant

from custom_components.grid_telemetry.connection.traffic import (
    MAX_BODY_CHARS,
    MAX_MESSAGES,
    Direction,
    Traffic,
    traffic_of,
)


async def test_nothing_is_kept_while_nobody_looks() -> None:
    traffic = Traffic()
    traffic.note(Direction.IN, "command", "", "body")
    traffic.sent("METRIC", "MAIN", b"{}", asyncio.get_running_loop().create_future())
    assert traffic.messages == {}
    first, second = traffic.watch(), traffic.watch()
    traffic.note(Direction.IN, "command", "", "body")
    first()
    assert len(traffic.messages) == 1
    second()
    assert traffic.messages == {}
    assert not traffic.watched


def test_only_the_last_messages_are_kept() -> None:
    traffic = Traffic()
    traffic.watch()
    for number in range(MAX_MESSAGES + 5):
        traffic.note(Direction.OUT, str(number), "", "")
    kinds = [message.kind for message in traffic.messages.values()]
    assert (len(kinds), kinds[0], kinds[-1]) == (MAX_MESSAGES, "5", str(MAX_MESSAGES + 4))


async def test_what_becomes_of_a_message_is_told() -> None:
    traffic = Traffic()
    traffic.watch()
    loop = asyncio.get_running_loop()
    taken, refused, lost = (loop.create_future() for _ in range(3))
    for kind, future in (("taken", taken), ("refused", refused), ("lost", lost)):
        traffic.sent(kind, "", b"", future)
    taken.set_result(None)
    refused.set_exception(ValueError("not authorized"))
    lost.cancel()
    await asyncio.sleep(0)
    told = {message.kind: message for message in traffic.messages.values()}
    assert told["taken"].confirmed_s is not None
    assert told["refused"].refused == "not authorized"
    assert (told["lost"].confirmed_s, told["lost"].refused) == (None, None)


def test_a_body_is_shown_as_text_or_as_bytes_and_not_all_of_a_long_one() -> None:
    traffic = Traffic()
    traffic.watch()
    assert traffic.note(Direction.OUT, "", "", "ä{}").size == 4
    assert traffic.note(Direction.OUT, "", "", b"\xff\x01").body == "ff 01"
    long = traffic.note(Direction.OUT, "", "", "ä".encode() * MAX_BODY_CHARS)
    assert long.size == 2 * MAX_BODY_CHARS
    assert set(long.body) == {"ä"}


def test_an_entry_has_one_over_its_reloads(hass: HomeAssistant) -> None:
    assert traffic_of(hass, "a") is traffic_of(hass, "a")
    assert traffic_of(hass, "a") is not traffic_of(hass, "b")
