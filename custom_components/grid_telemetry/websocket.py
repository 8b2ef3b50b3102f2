"""The websocket commands of the panel: for administrators, and without cost while nobody looks."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
import re
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from homeassistant.components import websocket_api
from homeassistant.components.websocket_api import ActiveConnection
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.event import async_track_time_interval
import voluptuous as vol

from .connection.health import LinkWithHealth
from .connection.traffic import traffic_of
from .const import DOMAIN
from .diagnostics import SECRETS
from .link import GridTelemetryConfigEntry, Link, LinkWithMeters, RegistersRefusedError
from .links.registry import link_module
from .outbox.actions import DurableForwarder, outbox_errors, refused_as_dict
from .panel_api import (
    CHECK,
    LINKS,
    METERS,
    POINTS,
    REFUSED,
    REGISTERS,
    TRAFFIC,
    TRY,
    CheckAnswer,
    Command,
    Items,
    LinkItem,
    Mistake,
    PointItem,
    RefusedAnswer,
    RegistersAnswer,
    RowValue,
    TriedAnswer,
    differences,
)
from .points.point import Point, Refusal, entity_id_of, evaluate
from .points.reader import LinkWithPoints, LinkWithTrial, PresentPoint
from .points.table import CONF_POINTS, PointsSubentryFlow, PointsTable, Row
from .points.table_text import MappingError, RowsError

STREAM_INTERVAL: Final = timedelta(seconds=2)

_MAX_REFUSED: Final = 200
_MAX_REGISTERS: Final = 125  # in one request of Modbus
_ADDRESSES: Final = 0x10000
REDACTED: Final = "**"
# A field of JSON, or a header, whose name says that it is secret.
_SECRET_FIELD: Final = re.compile(
    r"""((?:password|passwd|passcode|secret|token)[\w-]*"?\s*[:=]\s*)("[^"]*"|[^\s,"}]+)""",
    re.IGNORECASE,
)

type Message = dict[str, Any]
type Handler = Callable[[HomeAssistant, ActiveConnection, Message], None]


@callback
def async_setup_commands(hass: HomeAssistant) -> None:
    """Register the commands."""
    for command, handler in (
        (LINKS, _links),
        (POINTS, _points),
        (CHECK, _answering(_async_check)),
        (TRAFFIC, _traffic),
        (REFUSED, _answering(_async_refused)),
        (METERS, _meters),
        (REGISTERS, _answering(_async_registers)),
        (TRY, _answering(_async_try)),
    ):
        _register(hass, command, handler)


@callback
def _register(hass: HomeAssistant, command: Command, handler: Handler) -> None:
    schema: dict[str | vol.Marker, Any] = {
        vol.Required("type"): command.type,
        **schema_of(command.request),
    }
    declare = websocket_api.websocket_command(schema)
    websocket_api.async_register_command(hass, declare(websocket_api.require_admin(handler)))


def _answering(answer: Callable[[HomeAssistant, Message], Awaitable[object]]) -> Handler:
    """Return the handler of a command that answers once."""

    @websocket_api.async_response
    async def handler(hass: HomeAssistant, connection: ActiveConnection, message: Message) -> None:
        connection.send_result(message["id"], await answer(hass, message))

    return handler


def schema_of(request: type) -> dict[str | vol.Marker, Any]:
    """Return the fields of a `TypedDict` as a schema."""
    required: frozenset[str] = getattr(request, "__required_keys__", frozenset())
    return {
        (vol.Required if name in required else vol.Optional)(name): _validator(hint)
        for name, hint in get_type_hints(request).items()
    }


def _validator(hint: Any) -> Any:
    arguments = get_args(hint)
    match get_origin(hint):
        case origin if origin is list:
            return [_validator(arguments[0])]
        case origin if origin is dict:
            return {str: _validator(arguments[1])}
        case origin if origin is Literal:
            return vol.In(arguments)
        case origin if origin is Union:
            return vol.Any(*map(_validator, arguments))
    if hint is Any:
        return object
    if hint is float:
        return vol.Any(int, float)
    return hint if hint in (bool, int, str, type(None)) else schema_of(hint)


@callback
def _stream(
    hass: HomeAssistant,
    connection: ActiveConnection,
    message: Message,
    look: Callable[[], Items],
) -> None:
    """Tell of some items until the panel has enough: all of them, then what is new."""
    sent = look()

    @callback
    def tell_news(_: datetime) -> None:
        nonlocal sent
        items = look()
        if changes := differences(sent, items):
            connection.send_event(message["id"], changes)
        sent = items

    connection.subscriptions[message["id"]] = async_track_time_interval(
        hass, tell_news, STREAM_INTERVAL
    )
    connection.send_result(message["id"])
    connection.send_event(message["id"], {"full": True, **differences({}, sent)})


def _links(hass: HomeAssistant, connection: ActiveConnection, message: Message) -> None:
    """Stream how each link fares."""
    _stream(
        hass,
        connection,
        message,
        lambda: {
            entry.entry_id: _link_item(hass, entry)
            for entry in hass.config_entries.async_entries(DOMAIN)
        },
    )


def _link_of(entry: GridTelemetryConfigEntry) -> Link | None:
    return entry.runtime_data if entry.state is ConfigEntryState.LOADED else None


def _link_item(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> LinkItem:
    module, link = link_module(entry), _link_of(entry)
    health = link.health if isinstance(link, LinkWithHealth) else None
    # What queues nothing counts nothing either.
    queue = health if module.forwards else None
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, entry.entry_id), entry.entry_id
    )
    return {
        "title": entry.title,
        "kind": module.kind,
        "can_try": isinstance(link, LinkWithTrial),
        "state": entry.state.value,
        "forwards": module.forwards,
        "device_id": None if device is None else device.id,
        "interval_s": getattr(link, "interval_s", None),
        "connected": health and health.connected,
        "queued": queue and queue.queued,
        "oldest_at": queue and _epoch(queue.oldest_at),
        "delivered": queue and queue.delivered,
        "dropped": queue and queue.dropped,
        "refused": queue and queue.refused,
        "last_delivery": queue and _epoch(queue.last_delivery),
        "last_error": health and health.last_error,
        "last_error_detail": health and health.last_error_detail,
    }


def _epoch(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _points(hass: HomeAssistant, connection: ActiveConnection, message: Message) -> None:
    """Stream what there is of each point, and what would go out of it."""
    wanted, values = message.get("entry_id"), message["values"]
    # A short name for each, which is sent with every new value.
    keys: dict[tuple[str, str], str] = {}

    def look() -> Items:
        return {
            keys.setdefault((item["subentry_id"], item["name"]), str(len(keys))): item
            for entry in hass.config_entries.async_entries(DOMAIN)
            if wanted in (None, entry.entry_id) and link_module(entry).forwards
            for item in _point_items(hass, entry, values=values)
        }

    _stream(hass, connection, message, look)


def _point_items(
    hass: HomeAssistant, entry: GridTelemetryConfigEntry, *, values: bool
) -> Iterator[PointItem]:
    for subentry_id, points in _present_points(hass, entry).items():
        subentry = entry.subentries[subentry_id]
        for present in points:
            point, reading = present.point, present.reading
            problem: str | None = None
            if isinstance(reading, Refusal):
                problem = reading.value
            elif reading.is_stale:
                problem = Refusal.STALE.value
            yield {
                "entry_id": entry.entry_id,
                "subentry_id": subentry_id,
                "subentry": subentry.title,
                "subentry_type": subentry.subentry_type,
                "has_table": CONF_POINTS in subentry.data,
                "entity_id": present.entity_id,
                "name": point.name,
                "unit": point.unit,
                "factor": point.factor,
                "take": point.take.value,
                "guard": point.guard,
                "sent": None if isinstance(reading, Refusal) or not values else reading.value,
                "problem": problem,
            }


def _present_points(
    hass: HomeAssistant, entry: GridTelemetryConfigEntry
) -> Mapping[str, Sequence[PresentPoint]]:
    """Return the points of an entry; of one that does not run, without values."""
    if isinstance(link := _link_of(entry), LinkWithPoints):
        # While a subentry is being removed, the link has it still.
        return {
            subentry_id: points
            for subentry_id, points in link.present_points().items()
            if subentry_id in entry.subentries
        }
    stored = {
        subentry_id: [Point.from_dict(each) for each in subentry.data.get(CONF_POINTS, ())]
        for subentry_id, subentry in entry.subentries.items()
    }
    return {
        subentry_id: [
            PresentPoint(point, entity_id_of(hass, point), Refusal.UNAVAILABLE) for point in points
        ]
        for subentry_id, points in stored.items()
    }


async def _async_check(hass: HomeAssistant, message: Message) -> CheckAnswer:
    """Say of each row of a table what would go out, and what is wrong, as its form would."""
    entry = _entry_of(hass, message)
    subentry = entry.subentries.get(message["subentry_id"])
    flows = (await link_module(entry).async_flows(hass)).SUBENTRY_FLOWS
    flow = None if subentry is None else flows.get(subentry.subentry_type)
    if subentry is None or flow is None or not issubclass(flow, PointsSubentryFlow):
        raise _unknown(message["subentry_id"])
    rows: list[Row] = message["rows"]
    others = frozenset(
        point["entity"]
        for other in entry.get_subentries_of_type(subentry.subentry_type)
        if other is not subentry
        for point in other.data[CONF_POINTS]
    )
    mistakes: list[Mistake] = []
    try:
        flow.table.check(hass, rows, others)
    except RowsError as err:
        mistakes = [
            {"index": each.index, "key": each.key, "about": each.about} for each in err.mistakes
        ]
    return {"values": [_row_value(hass, flow.table, row) for row in rows], "mistakes": mistakes}


def _row_value(hass: HomeAssistant, table: PointsTable, row: Row) -> RowValue:
    try:
        points = table.check(hass, [row], frozenset())
    except MappingError:
        points = []
    if not points:
        return {"sent": None, "problem": None}
    point = Point.from_dict(points[0])
    entity_id = entity_id_of(hass, point)
    value = evaluate(None if entity_id is None else hass.states.get(entity_id), point)
    if isinstance(value, Refusal):
        return {"sent": None, "problem": value.value}
    return {"sent": value, "problem": None}


def _traffic(hass: HomeAssistant, connection: ActiveConnection, message: Message) -> None:
    """Stream the messages of a link, which are kept from now on."""
    entry = _entry_of(hass, message)
    secrets = _secrets_of(entry)
    traffic = traffic_of(hass, entry.entry_id)
    end_watch = traffic.watch()

    def look() -> Items:
        return {
            number: {
                **asdict(each),
                "body": _redacted(each.body, secrets),
                "refused": each.refused and _redacted(each.refused, secrets),
            }
            for number, each in traffic.messages.items()
        }

    _stream(hass, connection, message, look)
    end_stream = connection.subscriptions[message["id"]]

    @callback
    def end() -> None:
        end_stream()
        end_watch()

    connection.subscriptions[message["id"]] = end


def _secrets_of(entry: GridTelemetryConfigEntry) -> list[str]:
    """Return the texts that are not to be shown."""
    hidden = SECRETS | link_module(entry).secrets
    return [value for key, value in entry.data.items() if key in hidden and isinstance(value, str)]


def _redacted(text: str, secrets: Iterable[str]) -> str:
    for secret in filter(None, secrets):
        text = text.replace(secret, REDACTED)
    return _SECRET_FIELD.sub(rf"\1{REDACTED}", text)


async def _async_refused(hass: HomeAssistant, message: Message) -> RefusedAnswer:
    """Send refused messages again, or delete them, and tell which there are then."""
    entry = _entry_of(hass, message)
    if not isinstance(link := _link_of(entry), DurableForwarder):
        return {"messages": [], "total": 0}
    ids = message.get("ids")
    secrets = _secrets_of(entry)
    with outbox_errors():
        match message["todo"]:
            case "retry":
                await link.outbox.retry_refused(ids)
            case "delete":
                await link.outbox.delete_refused(ids)
        refused = await link.outbox.refused(_MAX_REFUSED)
    link.delivery.wake()
    return {
        "messages": [
            {**each, "body": _redacted(each["body"], secrets)}
            for each in map(refused_as_dict, refused)
        ],
        "total": link.outbox.refused_records,
    }


def _meters(hass: HomeAssistant, connection: ActiveConnection, message: Message) -> None:
    """Stream how the meters fare that are read."""

    def look() -> Items:
        return {
            subentry_id: {
                "entry_id": entry.entry_id,
                "name": entry.subentries[subentry_id].title,
                **asdict(figures),
            }
            for entry in hass.config_entries.async_entries(DOMAIN)
            if isinstance(link := _link_of(entry), LinkWithMeters)
            for subentry_id, figures in link.meter_figures().items()
            if subentry_id in entry.subentries
        }

    _stream(hass, connection, message, look)


async def _async_registers(hass: HomeAssistant, message: Message) -> RegistersAnswer:
    """Read registers of a meter, which changes nothing of it."""
    if not isinstance(link := _link_of(_entry_of(hass, message)), LinkWithMeters):
        raise _unknown(message["entry_id"])
    first = max(0, min(message["address"], _ADDRESSES - 1))
    count = max(1, min(message["count"], _MAX_REGISTERS, _ADDRESSES - first))
    try:
        found = await link.async_read_registers(
            message["subentry_id"], message["space"], first, count
        )
    except RegistersRefusedError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="panel_registers",
            translation_placeholders={"error": str(err)},
        ) from err
    return {
        "words": list(found.words),
        "known": [
            {
                "quantity": each.quantity,
                "address": each.address,
                "count": each.count,
                "type": each.type,
                "word_order": each.word_order,
            }
            for each in found.known
        ],
    }


async def _async_try(hass: HomeAssistant, message: Message) -> TriedAnswer:
    """Send the points of a link now, and tell what became of each."""
    entry = _entry_of(hass, message)
    if not isinstance(link := _link_of(entry), LinkWithTrial):
        raise _unknown(message["entry_id"])
    secrets = _secrets_of(entry)
    tried = await link.async_try_points()
    return {
        "points": [
            {
                "subentry": entry.subentries[subentry_id].title,
                "name": each.point.name,
                "outcome": each.outcome.value,
                "value": each.value,
                "why": each.why and _redacted(each.why, secrets),
            }
            for subentry_id, points in tried.items()
            if subentry_id in entry.subentries
            for each in points
        ]
    }


def _entry_of(hass: HomeAssistant, message: Message) -> GridTelemetryConfigEntry:
    entry = hass.config_entries.async_get_entry(message["entry_id"])
    if entry is None or entry.domain != DOMAIN:
        raise _unknown(message["entry_id"])
    return entry


def _unknown(what: str) -> HomeAssistantError:
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="panel_unknown",
        translation_placeholders={"id": what},
    )
