"""What the panel and Home Assistant say to each other: the one description of both sides.

`websocket.py` checks by it what it is asked; `tools/panel_types.py` writes it as the types of the
panel's TypeScript. A command either answers once, or streams: the first message of a stream has all
items, and each further one has what is new since the one before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NotRequired, TypedDict

from .const import DOMAIN


class Changes(TypedDict):
    """One message of a stream."""

    full: NotRequired[bool]
    """Whether it has everything, as the first one has."""
    changed: NotRequired[dict[str, dict[str, Any]]]
    """By item, the fields that have another value; all of them of an item that is new."""
    removed: NotRequired[list[str]]


class Nothing(TypedDict):
    """No field."""


class LinkItem(TypedDict):
    """A link, by the id of its entry. Times are epoch seconds."""

    title: str
    kind: str
    can_try: bool
    """Whether its points can be sent at once, to see what becomes of them."""
    state: str
    """That of the config entry: loaded, setup_retry …"""
    forwards: bool
    """Whether it sends or serves points; else it brings values in, or takes commands."""
    device_id: str | None
    interval_s: float | None
    """How often its points go out; None where they do as they change."""
    connected: bool | None
    queued: int | None
    oldest_at: float | None
    delivered: int | None
    dropped: int | None
    refused: int | None
    last_delivery: float | None
    last_error: str | None
    last_error_detail: str | None


class PointItem(TypedDict):
    """A point of a link."""

    entry_id: str
    subentry_id: str
    subentry: str
    """The title of the subentry."""
    subentry_type: str
    has_table: bool
    """Whether the subentry has a table of points, which can be edited."""
    entity_id: str | None
    """None when it is gone."""
    name: str
    """On the platform."""
    unit: str | None
    factor: float
    take: str
    guard: bool | None
    sent: float | None
    """What would go out now."""
    problem: str | None
    """Why nothing would, or `stale` for what goes out marked as old."""


class PointsRequest(TypedDict):
    """Which points."""

    entry_id: NotRequired[str]
    """Of this entry alone."""
    values: bool
    """Whether to tell what would go out of each, too."""


class CheckRequest(TypedDict):
    """The rows of the table of a device, as its form has them."""

    entry_id: str
    subentry_id: str
    rows: list[dict[str, Any]]


class RowValue(TypedDict):
    """What would go out of a row."""

    sent: float | None
    problem: str | None
    """Why nothing would."""


class Mistake(TypedDict):
    """What is wrong with a row."""

    index: int
    key: str
    """Of the text of the error."""
    about: str


class CheckAnswer(TypedDict):
    """What would become of the rows."""

    values: list[RowValue]
    """Of each row."""
    mistakes: list[Mistake]


class EntryRequest(TypedDict):
    """Which link."""

    entry_id: str


class MessageItem(TypedDict):
    """A message of a link, without what is secret."""

    at: float
    """Epoch seconds."""
    direction: Literal["in", "out"]
    kind: str
    about: str
    size: int
    """In bytes."""
    body: str
    """A long one is cut."""
    confirmed_s: float | None
    """After how long it was acknowledged or answered."""
    refused: str | None
    """The words of whoever did not take it."""


class RefusedRequest(TypedDict):
    """What to do with which refused messages of a link."""

    entry_id: str
    todo: Literal["list", "retry", "delete"]
    ids: NotRequired[list[int]]
    """All of them where it is left out."""


class RefusedMessage(TypedDict):
    """A message that the platform refused."""

    id: int
    kind: str
    device: str
    at: str
    samples: int
    refused_at: str
    reason: str
    body: str


class RefusedAnswer(TypedDict):
    """What is in the lane of the refused messages now."""

    messages: list[RefusedMessage]
    """The newest."""
    total: int


class TriedItem(TypedDict):
    """What became of a point that was sent to try it."""

    subentry: str
    """The title of the subentry."""
    name: str
    outcome: Literal["taken", "waiting", "refused", "no_value"]
    value: float | None
    why: str | None
    """The words of the platform; of a point without a value, why it has none."""


class TriedAnswer(TypedDict):
    """What became of the points of a link."""

    points: list[TriedItem]


class MeterItem(TypedDict):
    """A meter that is read, by the id of its subentry."""

    entry_id: str
    name: str
    unit_id: int
    model: str
    answering: bool
    answer_s: float | None
    """How long its last answer took."""
    next_attempt_s: int
    """In so many seconds a silent meter is asked again."""
    last_error: str | None
    requests: dict[str, int]
    """So many the last reads took, by what was read."""
    refused: list[str]
    """The quantities whose registers it refuses."""


class RegistersRequest(TypedDict):
    """Which registers of which meter."""

    entry_id: str
    subentry_id: str
    space: Literal["input", "holding"]
    address: int
    count: int


class RegisterPlace(TypedDict):
    """Where a quantity of the meter is."""

    quantity: str
    address: int
    count: int
    type: str
    word_order: str


class RegistersAnswer(TypedDict):
    """What was read."""

    words: list[int]
    known: list[RegisterPlace]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A websocket command of the panel."""

    name: str
    request: type
    answer: type
    """What it answers, or an item of its stream."""
    streams: bool = False

    @property
    def type(self) -> str:
        """What the command is called on the wire."""
        return f"{DOMAIN}/{self.name}"


LINKS: Final = Command(name="links", request=Nothing, answer=LinkItem, streams=True)
POINTS: Final = Command(name="points", request=PointsRequest, answer=PointItem, streams=True)
CHECK: Final = Command(name="check", request=CheckRequest, answer=CheckAnswer)

TRAFFIC: Final = Command(name="traffic", request=EntryRequest, answer=MessageItem, streams=True)
REFUSED: Final = Command(name="refused", request=RefusedRequest, answer=RefusedAnswer)

METERS: Final = Command(name="meters", request=Nothing, answer=MeterItem, streams=True)
REGISTERS: Final = Command(name="registers", request=RegistersRequest, answer=RegistersAnswer)

TRY: Final = Command(name="try", request=EntryRequest, answer=TriedAnswer)

COMMANDS: Final = (LINKS, POINTS, CHECK, TRAFFIC, REFUSED, METERS, REGISTERS, TRY)

type Items = Mapping[str, Mapping[str, Any]]


def differences(before: Items, after: Items) -> Changes:
    """Return what is new in some items; empty when nothing is."""
    changed: dict[str, dict[str, Any]] = {}
    for key, item in after.items():
        known = before.get(key)
        if known is None:
            changed[key] = dict(item)
        elif known != item:
            changed[key] = {
                field: value for field, value in item.items() if value != known.get(field)
            }
    changes = Changes()
    if changed:
        changes["changed"] = changed
    if removed := [key for key in before if key not in after]:
        changes["removed"] = removed
    return changes
