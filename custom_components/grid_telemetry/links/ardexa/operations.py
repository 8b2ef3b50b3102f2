"""Ardexa's remote operations over an open connection, as its page tells them.

Each raises an `OperationError`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, override

from .client import ACCEPTED_WITHIN_S, NoAnswer, OperationRefused, Session
from .payload import Json

MAX_OUTPUT_CHARS: Final = 256 * 1024


async def run_command(session: Session, device_id: str, command: str, within_s: float) -> Json:
    """Run a command on a device; return what it wrote and its return code.

    Of each of its outputs the first `MAX_OUTPUT_CHARS` are kept. It may take `within_s` in all,
    from Ardexa's first answer on, however much it writes meanwhile.
    """
    stdout, stderr = _Output(), _Output()
    now = asyncio.get_running_loop().time
    async with session.call("device:cmd", {"deviceId": device_id, "cmd": command}) as call:
        answer = await call.next(ACCEPTED_WITHIN_S)
        deadline = now() + within_s
        # The first one says that the command is on its way. Output may come in pieces.
        while True:
            stdout.add(_text(answer.get("stdout")))
            stderr.add(_text(answer.get("stderr")))
            if "returnCode" in answer:
                return {
                    "stdout": str(stdout),
                    "stderr": str(stderr),
                    "return_code": answer["returnCode"],
                    "cut_off": stdout.cut_off or stderr.cut_off,
                }
            if (left_s := deadline - now()) <= 0:
                raise NoAnswer
            answer = await call.next(left_s)


class _Output:
    """What a command writes, piece by piece and bounded."""

    def __init__(self) -> None:
        self.cut_off = False
        self._pieces: list[str] = []
        self._left = MAX_OUTPUT_CHARS

    def add(self, text: str) -> None:
        """Keep as much of a piece as there is room for."""
        self.cut_off = self.cut_off or len(text) > self._left
        if kept := text[: self._left]:
            self._pieces.append(kept)
            self._left -= len(kept)

    @override
    def __str__(self) -> str:
        return "".join(self._pieces)


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
    await session.stop_feed(feed_id)


def _text(value: object) -> str:
    return "" if value is None else str(value)
