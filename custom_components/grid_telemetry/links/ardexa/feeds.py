"""The feeds of an entry: asked for at each connection, routed by their ids, asked for again."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
import csv
import logging
from typing import Any, Final, Protocol

from homeassistant.core import HomeAssistant, callback

from .client import BrokenOff, OperationError, OperationRefused, Session
from .payload import Json

_LOGGER = logging.getLogger(__name__)

REQUESTS_AT_ONCE: Final = 32
REFUSED_RETRY_S: Final = 300.0
UNANSWERED_RETRY_S: Final = 60.0
MAX_COLUMNS: Final = 200
_REMEMBERED_STRAYS: Final = 10_000

_NOTHING: Final = object()


class Column(Protocol):
    """Shows one value of a feed."""

    def show(self, value: object, event_time: str | None) -> None:
        """Show a value that is another than before; None is no value."""

    def confirm(self) -> None:
        """Take note that the value was delivered again."""

    def leave(self) -> None:
        """Be unavailable until the next value."""


class Feed:
    """One feed. What it brings is shown; the same value again, measured later, confirms it."""

    def __init__(
        self,
        hass: HomeAssistant,
        *,
        title: str,
        device_id: str,
        table: str,
        source: str,
        field: str | None,
        stale_after_s: float,
        names: Sequence[str],
    ) -> None:
        """Take what to ask for; `names` are those of the values, in their order in a row."""
        self.title = title
        self.device_id = device_id
        self.request: Json = {"deviceId": device_id, "table": table, "source": source}
        if field is not None:
            self.request["field"] = field
        self.stale_after_s = stale_after_s
        self.columns: list[Column] = []
        self.more_columns: Callable[[int], None] | None = None
        """Makes columns for a row with so many values, where nobody told its fields before."""
        self.feed_id: str | None = None
        self.request_id: str | None = None
        self.live = False
        self.stopped = False
        """By the user or at the end; it is asked for again at the next connection."""
        self.error: str | None = None
        """What was said when it was refused."""
        self.malformed = 0
        self.last_event_time: str | None = None
        self.on_stale: Callable[[Feed], None] = lambda feed: None
        self._names = list(names)
        self._loop = hass.loop
        self._shown: list[object] = []
        self._raw: object = _NOTHING
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @callback
    def take(self, data: Json) -> None:
        """Take a message of this feed; what is on its way yet when it is stopped is none."""
        if self.stopped:
            return
        self._last = self._loop.time()
        before, self.last_event_time = self.last_event_time, data.get("event_time")
        is_new = self.last_event_time is None or self.last_event_time != before
        raw = data["value"]
        if raw == self._raw and type(raw) is type(self._raw) and self.live:
            if is_new:
                for column in self.columns:
                    column.confirm()
            return
        self.live = True
        if self._timer is None:
            self._watch()
        try:
            values = self._row(raw)
        except csv.Error as err:
            # What it said before is no longer what it says.
            _LOGGER.debug("%s: a row that cannot be read: %s", self.title, err)
            self.malformed += 1
            self._forget_values()
            return
        self._show(values, is_new)
        self._raw = raw

    def _show(self, values: Sequence[object], is_new: bool) -> None:
        """Show what is another value than before, and confirm the rest if it was measured anew."""
        columns = self.columns
        if len(values) > len(columns) and self.more_columns is not None:
            self.more_columns(min(len(values), MAX_COLUMNS))
        if len(values) != len(columns):
            self.malformed += 1
        shown = self._shown
        shown += [_NOTHING] * (len(columns) - len(shown))
        for index, column in enumerate(columns):
            value = values[index] if index < len(values) else None
            if value != shown[index] or type(value) is not type(shown[index]):
                shown[index] = value
                column.show(value, self.last_event_time)
            elif is_new:
                column.confirm()

    def _row(self, raw: object) -> Sequence[object]:
        """Return the values in the order of the columns."""
        if isinstance(raw, list):
            return raw
        if isinstance(raw, dict):
            return [raw.get(name) for name in self._names]
        if isinstance(raw, str) and (len(self.columns) > 1 or self.more_columns is not None):
            return next(csv.reader([raw]), [])
        return [raw]

    @callback
    def begin(self, feed_id: str) -> None:
        """Take the id under which data comes from now on, and expect some."""
        self.feed_id = feed_id
        self.error = None
        self._last = self._loop.time()
        if self._timer is None:
            self._watch()

    @callback
    def leave(self) -> None:
        """Be unavailable until there is data again."""
        self.end_watch()
        self.live = False
        self._forget_values()

    @callback
    def _forget_values(self) -> None:
        self._raw = _NOTHING
        self._shown.clear()
        for column in self.columns:
            column.leave()

    @callback
    def end_watch(self) -> None:
        """Stop waiting for data."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @callback
    def _watch(self) -> None:
        """Look when data would be overdue; one timer for all of it, however much comes."""
        due = self._last + self.stale_after_s
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._watch)
            return
        self._timer = None
        self.leave()
        self.on_stale(self)


class Feeds:
    """All feeds of an entry, over one connection after the other."""

    def __init__(self, feeds: Iterable[Feed], on_change: Callable[[Feed], None]) -> None:
        """Take the feeds, and who hears that one was refused or accepted."""
        self.all = list(feeds)
        self.messages = 0
        self._on_change = on_change
        self._session: Session | None = None
        self._routes: dict[str, Feed] = {}
        self._requests: dict[str, Feed] = {}
        self._wanted: asyncio.Queue[Feed] = asyncio.Queue()
        self._asked: set[Feed] = set()
        self._timers: dict[Feed, asyncio.TimerHandle] = {}
        self._strays: deque[str] = deque(maxlen=_REMEMBERED_STRAYS)
        self._stopping: set[asyncio.Task[None]] = set()
        for feed in self.all:
            feed.on_stale = self.ask

    @callback
    def take(self, data: Json) -> None:
        """Route the data of a feed by its id, whatever event brought it."""
        self.messages += 1
        feed_id = data["feedId"]
        try:
            feed = self._routes.get(feed_id)
        except TypeError:  # a list or an object
            return
        if feed is None:
            # Data may be here before the answer that tells the id was looked at.
            request_id = data.get("requestId")
            feed = self._requests.get(request_id) if isinstance(request_id, str) else None
            if feed is None or feed.stopped:
                self._stop_stray(feed_id)
                return
            self._bind(feed, feed_id)
        feed.take(data)

    async def run(self, session: Session) -> None:
        """Ask for all feeds, and for those that fall silent, until cancelled."""
        self._session = session
        self._wanted = asyncio.Queue()
        self._asked.clear()
        self._strays.clear()
        for feed in self.all:
            feed.stopped = False
            feed.feed_id = None
            self.ask(feed)
        workers = [asyncio.create_task(self._work(session)) for _ in range(REQUESTS_AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        finally:
            self._session = None
            for task in [*workers, *self._stopping]:
                task.cancel()
            await asyncio.wait(workers)
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            self._routes.clear()
            self._requests.clear()

    @callback
    def ask(self, feed: Feed) -> None:
        """Have a feed asked for, anew if it was before."""
        if (timer := self._timers.pop(feed, None)) is not None:
            timer.cancel()
        if self._session is not None and not feed.stopped and feed not in self._asked:
            self._asked.add(feed)
            self._wanted.put_nowait(feed)

    @callback
    def ask_of(self, device_id: str) -> None:
        """Have those feeds of a device asked for that bring nothing."""
        for feed in self.all:
            if feed.device_id == device_id and not feed.live:
                self.ask(feed)

    @callback
    def leave(self, device_id: str | None = None) -> None:
        """Have the feeds of a device, or all, be unavailable until there is data again."""
        for feed in self.all:
            if device_id in (None, feed.device_id):
                feed.leave()

    @callback
    def forget(self) -> None:
        """Have all feeds stay silent until the next connection, as the user wants."""
        self._routes.clear()
        self._requests.clear()
        for feed in self.all:
            feed.stopped = True
            if feed.feed_id is not None:
                # All are stopped at once: what is on its way needs no stop of its own.
                self._strays.append(feed.feed_id)
            feed.feed_id = None
            feed.leave()

    async def stop(self) -> None:
        """Tell Ardexa to stop each feed, before the connection ends."""
        session = self._session
        for feed in self.all:
            # What is on its way yet is not shown, and not watched anew.
            feed.stopped = True
            feed.end_watch()
        for feed in self.all:
            if session is not None and feed.feed_id is not None:
                try:
                    await session.stop_feed(feed.feed_id)
                except BrokenOff:
                    session = None
                feed.feed_id = None

    async def _work(self, session: Session) -> None:
        while True:
            feed = await self._wanted.get()
            try:
                await self._start(session, feed)
            except OperationRefused as err:
                feed.error = str(err)
                self._on_change(feed)
                self._ask_later(feed, REFUSED_RETRY_S)
            except OperationError:
                self._ask_later(feed, UNANSWERED_RETRY_S)
            finally:
                self._asked.discard(feed)

    async def _start(self, session: Session, feed: Feed) -> None:
        """Ask for a feed; raises an `OperationError`."""
        if feed.feed_id is not None:
            self._routes.pop(feed.feed_id, None)
            self._strays.append(feed.feed_id)
            await session.stop_feed(feed.feed_id)
            feed.feed_id = None
        async with session.call("device:feed", feed.request) as call:
            if feed.request_id is not None:
                self._requests.pop(feed.request_id, None)
            feed.request_id = call.request_id
            self._requests[call.request_id] = feed
            answer = await call.next(UNANSWERED_RETRY_S / 2)
        feed_id = answer.get("feedId")
        if not isinstance(feed_id, str):
            raise OperationRefused("no feed id in the answer")
        if feed.stopped:
            await session.stop_feed(feed_id)
        elif feed.feed_id != feed_id:
            self._bind(feed, feed_id)

    def _bind(self, feed: Feed, feed_id: str) -> None:
        self._routes[feed_id] = feed
        feed.begin(feed_id)
        self._on_change(feed)

    def _ask_later(self, feed: Feed, after_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._timers[feed] = loop.call_later(after_s, self.ask, feed)

    def _stop_stray(self, feed_id: Any) -> None:
        """Have a feed stopped that nobody here waits for any more, once."""
        session = self._session
        if session is None or feed_id in self._strays:
            return
        self._strays.append(feed_id)
        _LOGGER.debug("Stopping the feed %s, which nobody waits for", feed_id)

        async def stop() -> None:
            try:
                await session.stop_feed(feed_id)
            except BrokenOff:
                return

        task = asyncio.create_task(stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
