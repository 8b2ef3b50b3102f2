"""The reply to a setup command, whoever gives it and whoever asked for it."""

from dataclasses import dataclass
from enum import IntEnum
import json

type Json = dict[str, Json] | list[Json] | str | int | float | bool | None


class Status(IntEnum):
    """What has become of a command. Any other number may be a status too."""

    DONE = 200
    UNKNOWN = 404
    """Nobody takes it."""
    DECLINED = 422
    """It was understood and not done, for a reason that lies with who asked."""
    FAILED = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The reply to a setup command."""

    status: int = Status.DONE
    message: str | None = None
    result: Json = None
    """What the body says in JSON; None is no body."""


def result_of(body: str) -> Json:
    """Return what the body of a reply says; one that is no JSON is itself the result."""
    if not body.strip():
        return None
    try:
        result: Json = json.loads(body)
    except ValueError, RecursionError:
        return body
    return result
