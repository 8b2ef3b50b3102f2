"""From a command to its reply, without any way in."""

import asyncio
import logging

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
import voluptuous as vol

from custom_components.grid_telemetry.commands.command import (
    Command,
    Handler,
)
from custom_components.grid_telemetry.commands.event import is_secret
from custom_components.grid_telemetry.commands.registry import Registration, Registry
from custom_components.grid_telemetry.protocols.stomp.reply import Reply, Status

done: list[tuple[Command, Reply]] = []


def command(destination: str = "/x") -> Command:
    return Command(destination=destination, headers={}, arg=None, origin="test")


def answering(given: Reply | None) -> Handler:
    async def handler(_: Command) -> Reply | None:
        return given

    return handler


def raising(error: Exception) -> Handler:
    async def handler(_: Command) -> Reply | None:
        raise error

    return handler


@pytest.fixture
def registry() -> Registry:
    done.clear()
    return Registry(lambda command, reply: done.append((command, reply)))


@pytest.mark.parametrize(
    ("given", "reply"),
    [
        (Reply(), Reply(status=200)),
        (None, Reply(status=404)),
        (Reply(status=Status.DECLINED, message="no"), Reply(status=422, message="no")),
        (
            Reply(status=8675309, message="Jenny", result=["I", 1]),
            Reply(status=8675309, message="Jenny", result=["I", 1]),
        ),
    ],
)
async def test_what_a_handler_answers_makes_the_reply(
    registry: Registry, given: Reply | None, reply: Reply
) -> None:
    registry.define([Registration(pattern="/x", handler=answering(given))])
    assert await registry.run(command()) == reply
    assert done == [(command(), reply)]


async def test_what_a_handler_raises_is_the_message(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    for error, message, logged in (
        (HomeAssistantError("The boiler is off."), "The boiler is off.", False),
        (RuntimeError("out of order"), "out of order", True),
        (KeyError(), "KeyError", True),
        (TimeoutError(), "TimeoutError", False),
        (HomeAssistantError("x" * 1000), "x" * 500, False),
    ):
        caplog.clear()
        registry.define([Registration(pattern="/x", handler=raising(error))])
        assert await registry.run(command()) == Reply(status=500, message=message)
        assert bool(caplog.records) == logged


async def test_what_was_asked_for_wrongly_is_declined(registry: Registry) -> None:
    for error in (ServiceValidationError("No such room."), vol.Invalid("No such room.")):
        registry.define([Registration(pattern="/x", handler=raising(error))])
        assert await registry.run(command()) == Reply(status=422, message="No such room.")


async def test_a_handler_has_so_much_time(registry: Registry) -> None:
    async def forever(_: Command) -> Reply | None:
        await asyncio.Event().wait()
        raise AssertionError

    registry.define([Registration(pattern="/x", handler=forever, time_limit_s=0.01)])
    assert await registry.run(command()) == Reply(status=500, message="Not finished within 0.01 s.")


async def test_a_handler_that_waits_answers_later(registry: Registry) -> None:
    async def slow(_: Command) -> Reply | None:
        for _ in range(3):
            await asyncio.sleep(0.001)
        return Reply(result=[1])

    registry.define([Registration(pattern="/x", handler=slow)])
    assert await registry.run(command()) == Reply(status=200, result=[1])


async def test_a_handler_may_answer_when_its_time_is_over_and_has_clocks_of_its_own(
    registry: Registry,
) -> None:
    async def patient(_: Command) -> Reply | None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return Reply(message="cut short")
        raise AssertionError

    async def other_clock(_: Command) -> Reply | None:
        await asyncio.sleep(0)
        raise TimeoutError("the bus is silent")

    for handler, reply in (
        (patient, Reply(status=200, message="cut short")),
        (other_clock, Reply(status=500, message="the bus is silent")),
    ):
        registry.define([Registration(pattern="/x", handler=handler, time_limit_s=0.01)])
        assert await registry.run(command()) == reply


async def test_a_cancelled_command_is_not_answered(registry: Registry) -> None:
    began = asyncio.Event()

    async def forever(_: Command) -> Reply | None:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    registry.define([Registration(pattern="/x", handler=forever)])
    task = asyncio.create_task(registry.run(command()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not done


async def test_the_most_exact_handler_that_takes_it_answers(registry: Registry) -> None:
    def names(name: str) -> Handler:
        return answering(Reply(result=name))

    registry.define(
        [
            Registration(pattern="/**", handler=names("all")),
            Registration(pattern="/a/*", handler=names("a")),
            Registration(pattern="/a/b", handler=names("b")),
            Registration(pattern="/a/b", handler=names("second")),
            Registration(pattern="/a/?", handler=answering(None)),
        ]
    )
    results = [(await registry.run(command(path))).result for path in ("/a/b", "/a/c", "/b")]
    assert results == ["b", "a", "all"]
    registry.define([])
    assert (await registry.run(command("/a/b"))).status == 404


def test_names_of_headers_that_hold_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("password", "Wifi-PassPhrase", "api_key", "X-Auth-Token", "client-secret"):
        assert is_secret(name)
    for name in ("ssid", "level", "content-type", "action"):
        assert not is_secret(name)
