"""The examples of Ardexa's page, letter by letter: what is sent, and what its answer means."""

import asyncio
from collections.abc import Callable
import json
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch
from uuid import UUID

import pytest
from socketio import AsyncClient
from socketio.exceptions import BadNamespaceError

from custom_components.grid_telemetry.links.ardexa import operations
from custom_components.grid_telemetry.links.ardexa.client import (
    BrokenOff,
    OperationRefused,
    Session,
)
from custom_components.grid_telemetry.links.ardexa.payload import Json, device_id_of, device_of
from custom_components.grid_telemetry.links.ardexa.wire import Opener
from simulators.ardexa import NOT_A_NUMBER

DEVICE = "666170e2-d3b2-49b7-88fc-542e1a2c9732"
CONFIG: Json = json.loads((Path(__file__).parent / "config.json").read_text())


class Wire:
    """In place of the library: keeps what is sent, answers as the page does."""

    too_large = False

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.answers: dict[str, list[tuple[str, Any]]] = {}
        self.handlers: dict[str, Callable[..., object]] = {}
        self.ended = False

    def on(self, event: str, handler: Callable[..., object]) -> None:
        self.handlers[event] = handler

    async def emit(self, event: str, data: Any = None) -> None:
        if self.ended:
            raise BadNamespaceError
        self.sent.append((event, data))
        for name, answer in self.answers.get(event, []):
            self.receive(name, answer)

    def receive(self, event: str, *data: Any) -> None:
        self.handlers["*"](event, *data)


class Heard:
    """What no request asked for."""

    def __init__(self) -> None:
        self.data: list[Json] = []
        self.pushed: list[tuple[str, Json]] = []

    def take_data(self, data: Json) -> None:
        self.data.append(data)

    def take_push(self, event: str, data: Json) -> None:
        self.pushed.append((event, data))


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def session(wire: Wire, heard: Heard) -> Session:
    return Session(cast("AsyncClient", wire), cast("Opener", wire), heard)


def with_id(request_id: str) -> Any:
    return patch(
        "custom_components.grid_telemetry.links.ardexa.client.uuid4",
        return_value=UUID(request_id),
    )


async def test_remote_shell(wire: Wire, session: Session) -> None:
    wire.answers["device:cmd"] = [
        ("device:cmd:rpc", {"correlationId": "8c1c1b05-8c98-4010-af92-747511102415"}),
        (
            "device:cmd:reply",
            {
                "stdout": " 05:33:14 up 474 days,  1:21,  0 users,  load average: 0.00\n",
                "stderr": "",
                "returnCode": 0,
                "correlationId": "8c1c1b05-8c98-4010-af92-747511102415",
            },
        ),
    ]
    with with_id("b329c143-46fe-4654-a970-8c25aee2d34d"):
        result = await operations.run_command(session, "your-device-id", "uptime", 1)
    assert result == {
        "stdout": " 05:33:14 up 474 days,  1:21,  0 users,  load average: 0.00\n",
        "stderr": "",
        "return_code": 0,
        "cut_off": False,
    }
    [(event, data)] = wire.sent
    assert event == "device:cmd"
    assert data == {
        "requestId": "b329c143-46fe-4654-a970-8c25aee2d34d",
        "deviceId": "your-device-id",
        "cmd": "uptime",
    }


async def test_remote_shell_without_permission_has_no_reply(wire: Wire, session: Session) -> None:
    wire.answers["device:cmd"] = [("device:cmd:rpc", {"error": "Permission denied"})]
    with pytest.raises(OperationRefused, match="Permission denied"):
        await operations.run_command(session, "your-device-id", "uptime", 1)


def test_emitted_events() -> None:
    assert (
        device_id_of("CN=3dcf4324-3c0a-40bc-8d13-5d5bbbcf229e,O=dev")
        == "3dcf4324-3c0a-40bc-8d13-5d5bbbcf229e"
    )
    device = device_of(
        {
            "id": "102b5359-eb59-479d-a471-552f7ca2c093",
            "cn": "CN=102b5359-eb59-479d-a471-552f7ca2c093,O=dev",
            "online": False,
        }
    )
    assert device.id == "102b5359-eb59-479d-a471-552f7ca2c093"
    assert device.online is False


async def test_feed(wire: Wire, heard: Heard, session: Session) -> None:
    request_id = "b329c143-46fe-4654-a970-8c25aee2d34d"
    feed_id = "4cbe686d-303a-4081-84aa-aecff0f07c80"
    data = {
        "feedId": feed_id,
        "event_time": "2023-08-09T03:55:37.000Z",
        "table": "solar",
        "source": "inverter-01",
        "device": DEVICE,
        "messageId": "71391",
        "value": 66920,
        "requestId": request_id,
    }
    wire.answers["device:feed"] = [
        ("device:feed:rpc", {"requestId": request_id, "feedId": feed_id}),
        ("device:feed:reply", data),
    ]
    request = {
        "deviceId": DEVICE,
        "table": "solar",
        "source": "inverter-01",
        "field": "AC Power",
    }
    with with_id(request_id):
        await operations.try_feed(session, request, 1)
    assert wire.sent == [
        ("device:feed", {"requestId": request_id, **request}),
        ("device:feed:stop", {"feedId": feed_id}),
    ]
    assert heard.data == [data]


async def test_stop_all_takes_no_arguments(wire: Wire, session: Session) -> None:
    await session.emit("device:feed:stopAll")
    assert wire.sent == [("device:feed:stopAll", None)]


@pytest.mark.parametrize("operation", ["testConfig", "applyConfig"])
async def test_config(wire: Wire, session: Session, operation: str) -> None:
    request_id = "ed758e3c-d37c-48e5-a3f2-fe187904f64c"
    event = f"device:{operation}"
    wire.answers[event] = [(f"{event}:rpc", {"requestId": request_id, "result": "success"})]
    with with_id(request_id):
        result = await operations.configure(session, operation, DEVICE, CONFIG, 1)
        assert result == {"result": "success"}
        assert wire.sent == [
            (event, {"requestId": request_id, "deviceId": DEVICE, "config": CONFIG})
        ]
        error = {"message": NOT_A_NUMBER}
        wire.answers[event] = [
            (f"{event}:rpc", {"requestId": request_id, "result": "error", "error": error})
        ]
        with pytest.raises(OperationRefused, match="Failed to parse 'frequency'"):
            await operations.configure(session, operation, DEVICE, CONFIG, 1)


@pytest.mark.parametrize(
    ("operation", "request_id"),
    [
        ("refreshMeta", "bd1ed0dc-0e46-4f2a-b466-9514222aa81a"),
        ("sendArdexactl", "96f021d3-f866-4dec-819f-9a2035e91b12"),
        ("sendArdpkg", "96f021d3-f866-4dec-819f-9a2035e91b12"),
    ],
)
async def test_what_completes(
    wire: Wire, session: Session, operation: str, request_id: str
) -> None:
    event = f"device:{operation}"
    wire.answers[event] = [(f"{event}:rpc", {"requestId": request_id, "complete": True})]
    with with_id(request_id):
        result = await operations.run_to_completion(session, operation, DEVICE, 1)
    assert result == {"complete": True}
    assert wire.sent == [(event, {"requestId": request_id, "deviceId": DEVICE})]


async def test_upgrade(wire: Wire, session: Session) -> None:
    request_id = "71089965-c53d-4e66-a3f7-a3de03aa76a9"
    reply = "device:doUpgrade:reply"
    wire.answers["device:doUpgrade"] = [
        (
            reply,
            {"status": "Arch detected: amd64", "complete": False, "requestId": request_id},
        ),
        (reply, {"status": "Complete", "complete": True, "requestId": request_id}),
    ]
    steps: list[str] = []
    with with_id(request_id):
        result = await operations.upgrade(session, DEVICE, 1, steps.append)
        assert result == {"complete": True, "steps": ["Arch detected: amd64", "Complete"]}
        assert wire.sent == [("device:doUpgrade", {"requestId": request_id, "deviceId": DEVICE})]
        wire.answers["device:doUpgrade"] = [
            (reply, {"error": "Internal error occurred", "requestId": request_id})
        ]
        with pytest.raises(OperationRefused, match="Internal error occurred"):
            await operations.upgrade(session, DEVICE, 1, steps.append)
    assert steps == ["Arch detected: amd64", "Complete"]


# --- what the page leaves open


async def test_an_answer_without_any_id_is_nobodys_where_several_wait(
    wire: Wire, heard: Heard, session: Session
) -> None:
    async with (
        session.call("device:cmd", {"cmd": "a"}) as first,
        session.call("device:cmd", {"cmd": "b"}) as second,
    ):
        wire.receive("device:cmd:reply", {"returnCode": 0})
        assert heard.pushed == [("device:cmd:reply", {"returnCode": 0})]
        wire.receive("device:cmd:rpc", {"requestId": first.request_id, "correlationId": "1"})
        # The other is the only one that can be meant now.
        wire.receive("device:cmd:rpc", {"correlationId": "2"})
        wire.receive("device:cmd:reply", {"correlationId": "2", "stdout": "b"})
        wire.receive("device:cmd:reply", {"correlationId": "1", "stdout": "a"})
        for call, correlation_id, stdout in ((first, "1", "a"), (second, "2", "b")):
            assert (await call.next(1))["correlationId"] == correlation_id
            assert (await call.next(1))["stdout"] == stdout


async def test_the_right_answer_is_waited_for(wire: Wire, session: Session) -> None:
    wire.answers["device:refreshMeta"] = [
        ("device:refreshMeta:rpc", {"requestId": "of somebody else", "complete": True}),
        ("device:refreshMeta:rpc", {"complete": False}),
        ("device:refreshMeta:rpc", {"complete": True}),
    ]
    result = await operations.run_to_completion(session, "refreshMeta", DEVICE, 1)
    assert result == {"complete": True}


async def test_a_feed_without_id_is_refused(wire: Wire, session: Session) -> None:
    wire.answers["device:feed"] = [("device:feed:rpc", {"ok": True})]
    with pytest.raises(OperationRefused):
        await operations.try_feed(session, {}, 1)


async def test_nothing_is_sent_over_a_connection_that_ended(wire: Wire, session: Session) -> None:
    wire.ended = True
    with pytest.raises(BrokenOff):
        await session.emit("device:feed:stop", {"feedId": "x"})


async def test_whoever_waits_hears_of_the_end(wire: Wire, session: Session) -> None:
    waiting = asyncio.create_task(operations.run_command(session, DEVICE, "uptime", 60))
    while not wire.sent:
        await asyncio.sleep(0)
    wire.handlers["disconnect"]("transport error")
    with pytest.raises(BrokenOff):
        await waiting
