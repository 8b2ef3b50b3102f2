"""Ardexa's remote operations over an open connection, as its page tells them.

Each raises an `OperationError`.
"""

from collections.abc import Callable
from typing import Any

from .client import ACCEPTED_WITHIN_S, OperationRefused, Session
from .payload import Json


async def run_command(session: Session, device_id: str, command: str, within_s: float) -> Json:
    """Run a command on a device; return what it wrote and its return code."""
    stdout = stderr = ""
    async with session.call("device:cmd", {"deviceId": device_id, "cmd": command}) as call:
        answer = await call.next(ACCEPTED_WITHIN_S)
        # The first one says that the command is on its way. Output may come in pieces.
        while True:
            stdout += _text(answer.get("stdout"))
            stderr += _text(answer.get("stderr"))
            if "returnCode" in answer:
                return {"stdout": stdout, "stderr": stderr, "return_code": answer["returnCode"]}
            answer = await call.next(within_s)


async def configure(
    session: Session, operation: str, device_id: str, config: Json | str, within_s: float
) -> Json:
    """Test or apply a configuration, an object or a YAML document."""
    answer = await session.ask(
        f"device:{operation}", {"deviceId": device_id, "config": config}, within_s
    )
    return {"result": answer.get("result", "success")}


async def run_to_completion(
    session: Session, operation: str, device_id: str, within_s: float
) -> Json:
    """Have something done that answers with its completion."""
    async with session.call(f"device:{operation}", {"deviceId": device_id}) as call:
        complete: object = False
        while complete is False:
            complete = (await call.next(within_s)).get("complete")
    return {"complete": True}


async def upgrade(
    session: Session, device_id: str, within_s: float, on_step: Callable[[str], None]
) -> Json:
    """Upgrade the agent of a device; `on_step` hears of each step."""
    steps: list[str] = []
    async with session.call("device:doUpgrade", {"deviceId": device_id}) as call:
        while True:
            answer = await call.next(within_s)
            if (status := _text(answer.get("status"))) != "":
                steps.append(status)
                on_step(status)
            if answer.get("complete") is True:
                return {"complete": True, "steps": list[Any](steps)}


async def try_feed(session: Session, request: Json, within_s: float) -> None:
    """Ask for a feed and stop it at once."""
    answer = await session.ask("device:feed", request, within_s)
    feed_id = answer.get("feedId")
    if not isinstance(feed_id, str):
        raise OperationRefused("no feed id in the answer")
    await session.emit("device:feed:stop", {"feedId": feed_id})


def _text(value: object) -> str:
    return "" if value is None else str(value)
