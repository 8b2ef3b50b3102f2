"""Stand-in for Ardexa: Socket.IO 4 and the REST API, as the platform's page has them, and strict.

What the page leaves open (the event that brings data, the JSON of a device, the words of an error)
is one plausible form here, and can be changed to another.
"""

import asyncio
import base64
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
import json
import secrets
import time
from typing import Any, Final, Self
from urllib.parse import parse_qs
from uuid import uuid4

from aiohttp import web
from socketio import AsyncServer
from socketio.exceptions import ConnectionRefusedError as Refused

from .relay import Relay

SOCKET_PATH: Final = "socket.io-client"
PRIVILEGE: Final = "Control Devices"
SHELL: Final = {
    "uptime": (" 05:33:14 up 474 days,  1:21,  0 users,  load average: 0.00, 0.00, 0.00\n", "", 0),
    "false": ("", "", 1),
}
UPGRADE: Final = ("Arch detected: amd64", "Downloading", "Installing", "Complete")
NOT_A_NUMBER: Final = (
    "ERROR. 2147. Parse error: Failed to parse 'frequency': yaml-cpp: error at line 50, column 16:"
    " bad conversion LC: 2\n"
)

type Json = dict[str, Any]

# Every event that a client may send, with its keys: those that must be there, and those that may.
REQUESTS: Final[dict[str, tuple[set[str], set[str]]]] = {
    "device:cmd": ({"deviceId", "cmd"}, {"requestId"}),
    "device:feed": ({"requestId", "deviceId", "table", "source"}, {"field"}),
    "device:feed:stop": ({"feedId"}, set()),
    "device:feed:stopAll": (set(), set()),
    "device:testConfig": ({"requestId", "deviceId", "config"}, set()),
    "device:applyConfig": ({"requestId", "deviceId", "config"}, set()),
    "device:applyYamlConfig": ({"requestId", "deviceId", "config"}, set()),
    "device:refreshMeta": ({"requestId", "deviceId"}, set()),
    "device:doUpgrade": ({"requestId", "deviceId"}, set()),
    "device:sendArdexactl": ({"requestId", "deviceId"}, set()),
    "device:sendArdpkg": ({"requestId", "deviceId"}, set()),
}


@dataclass(kw_only=True)
class SimulatedDevice:
    """A device of the workgroup."""

    id: str
    name: str
    online: bool = True
    meta: Json = field(default_factory=dict)
    agent_version: str = "1.5.2"

    def fields_of(self, table: str, source: str) -> list[str] | None:
        """Return the fields of a scenario, none for one with a single value; None is no such."""
        for items in self.meta.values():
            for item in items:
                if (item.get("table"), item.get("source")) == (table, source):
                    fields = item.get("fields", [])
                    fields = self.meta[fields] if isinstance(fields, str) else fields
                    return [entry["name"] for entry in fields]
        return None


@dataclass(kw_only=True)
class _Feed:
    sid: str
    device: str
    table: str
    source: str
    field: str | None
    request_id: str


@dataclass(kw_only=True)
class Behaviour:
    """How the stand-in treats its clients; may be changed at any time."""

    reject: tuple[str, object] | None = None
    """Refuse connections with a message and data."""
    kick_at_once: bool = False
    """Disconnect each client as soon as it is connected."""
    object_errors: bool = False
    """Errors as objects with a message, not as text."""
    error: str | None = None
    """Answer every request with this error."""
    no_answer: set[str] = field(default_factory=set)
    """The requests that nobody answers."""
    feed_event: str = "device:feed:reply"
    """The event that brings data."""
    ids_in_answers: bool = True
    """Send the request's id along where the page does not show it."""
    pieces: bool = False
    """A command's output in several replies."""
    reply_delay_s: float = 0.0
    devices_status: int = 200
    renew_status: int = 200
    renew_answer: object = None
    """In place of a new token."""
    upgrade_fails: bool = False


class Ardexa:
    """One workgroup on a cloud of its own; an asynchronous context manager."""

    def __init__(
        self, *, workgroup: str = "dev", ping_interval_s: float = 25.0, ping_timeout_s: float = 20.0
    ) -> None:
        """Prepare a cloud with a token, and no devices."""
        self.workgroup = workgroup
        self.behaviour = Behaviour()
        self.devices: dict[str, SimulatedDevice] = {}
        self.requests: list[tuple[str, Any]] = []
        """What clients sent, in order."""
        self.refused: list[str] = []
        """What a strict server refuses, a line each."""
        self.counts: Counter[str] = Counter()
        self._tokens: dict[str, Json] = {}
        self.token = self.issue()
        self.feeds: dict[str, _Feed] = {}
        self.clients: list[str] = []
        self._message_ids = 71_390
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = AsyncServer(
            async_mode="aiohttp",
            ping_interval=ping_interval_s,
            ping_timeout=ping_timeout_s,
            logger=False,
            engineio_logger=False,
            monitor_clients=False,
        )
        # The server's own tasks outlive it otherwise.
        self._server.eio.start_background_task = self._begin
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("*", self._take)
        application = web.Application()
        application.router.add_get("/api/v1/devices/{workgroup}", self._list)
        application.router.add_get("/api/v1/token/renew", self._renew)
        self._server.attach(application, SOCKET_PATH)
        self._runner = web.AppRunner(application, shutdown_timeout=1)
        self.relay = Relay(0)

    @property
    def url(self) -> str:
        """The cloud's address."""
        return f"http://127.0.0.1:{self.relay.port}"

    # --- tokens

    def issue(
        self,
        lifetime_s: float = 30 * 86_400,
        *,
        age_s: float = 0.0,
        renewable: bool = True,
        privileged: bool = True,
    ) -> str:
        """Return a token that was issued some time ago."""
        begun = int(time.time() - age_s)
        claims = {"iat": begun, "exp": int(begun + lifetime_s), "jti": secrets.token_hex(8)}
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "HS256", "typ": "JWT"}, claims)
        ]
        token = ".".join([*parts, secrets.token_urlsafe(24)])
        self._tokens[token] = {
            **claims,
            "renewable": renewable,
            "privileged": privileged,
            "lifetime_s": lifetime_s,
        }
        return token

    def revoke(self, token: str) -> None:
        """Have a token be worth nothing any more."""
        del self._tokens[token]

    def _claims(self, token: str) -> Json | None:
        claims = self._tokens.get(token)
        return claims if claims is not None and claims["exp"] > time.time() else None

    # --- the devices

    def add_device(
        self, device_id: str, name: str, meta: Json | None = None, *, online: bool = True
    ) -> SimulatedDevice:
        """Add a device; `announce` tells the clients of it."""
        device = SimulatedDevice(id=device_id, name=name, meta=meta or {}, online=online)
        self.devices[device_id] = device
        return device

    async def announce(self, device_id: str) -> None:
        """Tell the clients that a device is new."""
        await self._server.emit(
            "device:new", {"id": device_id, "cn": self._cn(device_id), "online": False}
        )

    async def set_online(self, device_id: str, online: bool) -> None:
        """Have a device come or go."""
        self.devices[device_id].online = online
        await self._server.emit(
            "device:stateChange",
            {"cn": self._cn(device_id), "vhost": self.workgroup, "online": online},
        )

    async def change_meta(self, device_id: str, meta: Json) -> None:
        """Change what a device measures."""
        self.devices[device_id].meta = meta
        await self._server.emit("device:metaChange", {"id": device_id})

    def _cn(self, device_id: str) -> str:
        return f"CN={device_id},O={self.workgroup}"

    async def publish(
        self, device_id: str, table: str, source: str, values: Mapping[str, Any] | object
    ) -> int:
        """Send values to the feeds that want them, and return to how many."""
        found = 0
        for feed_id, feed in list(self.feeds.items()):
            if (feed.device, feed.table, feed.source) != (device_id, table, source):
                continue
            value: object = values
            if isinstance(values, Mapping):
                value = list(values.values()) if feed.field is None else values[feed.field]
            found += 1
            await self.send_value(feed_id, feed, value)
        return found

    async def send_value(self, feed_id: str, feed: _Feed, value: object) -> None:
        """Send one value to one feed."""
        self._message_ids += 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        await self._server.emit(
            self.behaviour.feed_event,
            {
                "feedId": feed_id,
                "event_time": now,
                "table": feed.table,
                "source": feed.source,
                "device": feed.device,
                "messageId": str(self._message_ids),
                "value": value,
                "requestId": feed.request_id,
            },
            to=feed.sid,
        )

    # --- what can go wrong

    async def kick(self) -> None:
        """Disconnect every client, without closing the connection below."""
        for sid in list(self.clients):
            await self._server.disconnect(sid)

    async def say(self, event: str, data: object) -> None:
        """Send any event to every client."""
        await self._server.emit(event, data)

    async def say_raw(self, text: str) -> None:
        """Send any text as a message to every client."""
        for sid in self.clients:
            eio_sid = self._server.manager.eio_sid_from_sid(sid, "/")
            await self._server.eio.send(eio_sid, text)

    # --- how it runs

    async def __aenter__(self) -> Self:
        """Listen."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.relay = Relay(self._runner.addresses[0][1])
        await self.relay.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop everything."""
        await self.relay.stop()
        await self._server.shutdown()
        await self._runner.cleanup()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    # --- REST

    async def _list(self, request: web.Request) -> web.Response:
        self.counts["devices"] += 1
        if self.behaviour.devices_status != 200:
            return web.json_response({"message": "Fault"}, status=self.behaviour.devices_status)
        if self._bearer(request) is None:
            return web.json_response({"message": "jwt expired"}, status=401)
        if request.match_info["workgroup"] != self.workgroup:
            return web.json_response({"message": "No such workgroup"}, status=404)
        return web.json_response(
            [
                {
                    "id": device.id,
                    "cn": self._cn(device.id),
                    "name": device.name,
                    "online": device.online,
                    "agentVersion": device.agent_version,
                    "meta": device.meta,
                    "settings": {},
                }
                for device in self.devices.values()
            ]
        )

    async def _renew(self, request: web.Request) -> web.Response:
        self.counts["renew"] += 1
        if self.behaviour.renew_status != 200 or self.behaviour.renew_answer is not None:
            return web.json_response(
                self.behaviour.renew_answer, status=self.behaviour.renew_status
            )
        claims = self._bearer(request)
        if claims is None:
            return web.json_response({"message": "jwt expired"}, status=401)
        if not claims["renewable"]:
            return web.json_response({"message": "This token cannot be renewed"}, status=403)
        self.token = self.issue(claims["lifetime_s"], privileged=claims["privileged"])
        return web.json_response({"token": self.token})

    def _bearer(self, request: web.Request) -> Json | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._claims(token) if scheme.lower() == "bearer" else None

    # --- Socket.IO

    async def _connect(self, sid: str, environ: Mapping[str, str], auth: object) -> None:
        self.counts["connect"] += 1
        query = parse_qs(environ["QUERY_STRING"])
        if query.get("transport") != ["websocket"]:
            self._refuse(f"transport {query.get('transport')}")
        if self.behaviour.reject is not None:
            raise Refused(*self.behaviour.reject)
        claims = self._claims(query.get("token", [""])[0])
        if claims is None:
            raise Refused("Authentication error", {"code": "invalid_token"})
        if query.get("orgName") != [self.workgroup]:
            raise Refused("Unknown workgroup", {"code": "unknown_org"})
        self.clients.append(sid)
        if self.behaviour.kick_at_once:
            self._begin(self._server.disconnect, sid)

    async def _disconnect(self, sid: str, reason: str) -> None:
        self.counts["disconnect"] += 1
        if sid in self.clients:
            self.clients.remove(sid)
        self.feeds = {key: feed for key, feed in self.feeds.items() if feed.sid != sid}

    async def _take(self, event: str, sid: str, *arguments: Any) -> None:
        data = arguments[0] if arguments else {}
        self.requests.append((event, data if arguments else None))
        self.counts[event] += 1
        if (problem := self._problem(event, arguments)) is not None:
            self._refuse(f"{event}: {problem}")
            return
        if event in self.behaviour.no_answer:
            return
        if self.behaviour.error is not None:
            await self._answer(sid, event, data, self._error(self.behaviour.error))
        elif not self._may(sid):
            error = f"You need the {PRIVILEGE} privilege: permission denied"
            await self._answer(sid, event, data, self._error(error))
        elif event == "device:feed:stop":
            if self.feeds.pop(data["feedId"], None) is None:
                self.counts["stopped strays"] += 1
        elif event == "device:feed:stopAll":
            self.feeds = {key: feed for key, feed in self.feeds.items() if feed.sid != sid}
        else:
            self._begin(self._operate, sid, event, data)

    @staticmethod
    def _problem(event: str, arguments: Sequence[Any]) -> str | None:
        """Return what is wrong with a request."""
        if event not in REQUESTS:
            return "no such event"
        required, optional = REQUESTS[event]
        if not required:
            return f"arguments {arguments}" if arguments else None
        if len(arguments) != 1 or not isinstance(arguments[0], dict):
            return "not one object"
        keys = arguments[0].keys()
        if missing := required - keys:
            return f"without {', '.join(sorted(missing))}"
        if more := keys - required - optional:
            return f"with {', '.join(sorted(more))}"
        for key, value in arguments[0].items():
            wanted = dict if key == "config" and event != "device:applyYamlConfig" else str
            if not isinstance(value, wanted):
                return f"{key} is no {wanted.__name__}"
        return None

    def _may(self, sid: str) -> bool:
        query = parse_qs(self._server.get_environ(sid)["QUERY_STRING"])
        claims = self._tokens.get(query["token"][0])
        return claims is not None and bool(claims["privileged"])

    async def _operate(self, sid: str, event: str, data: Json) -> None:
        """Do what a request that is well-formed asks for."""
        device = self.devices.get(data["deviceId"])
        if device is None or not device.online:
            what = "Unknown device" if device is None else "Device is offline"
            await self._answer(sid, event, data, self._error(what))
            return
        match event:
            case "device:feed":
                await self._begin_feed(sid, device, data)
            case "device:cmd":
                await self._run(sid, data)
            case "device:testConfig" | "device:applyConfig":
                await self._answer(sid, event, data, _judge(data["config"]))
            case "device:applyYamlConfig":
                await self._answer(sid, event, data, {"result": "success"})
            case "device:doUpgrade":
                await self._upgrade(sid, data)
            case _:
                await self._answer(sid, event, data, {"complete": True})
                if event == "device:refreshMeta":
                    await self.set_online(device.id, False)
                    await self.set_online(device.id, True)
                    await self._server.emit("device:metaChange", {"id": device.id})

    async def _begin_feed(self, sid: str, device: SimulatedDevice, data: Json) -> None:
        fields = device.fields_of(data["table"], data["source"])
        wanted = data.get("field")
        if fields is None:
            await self._answer(sid, "device:feed", data, self._error("Unknown table or source"))
        elif wanted is not None and wanted not in fields:
            await self._answer(sid, "device:feed", data, self._error(f"Unknown field {wanted}"))
        else:
            feed_id = str(uuid4())
            self.feeds[feed_id] = _Feed(
                sid=sid,
                device=device.id,
                table=data["table"],
                source=data["source"],
                field=wanted,
                request_id=data["requestId"],
            )
            await self._answer(sid, "device:feed", data, {"feedId": feed_id})

    async def _run(self, sid: str, data: Json) -> None:
        """Run a command, in a shell that knows little."""
        correlation = {"correlationId": str(uuid4())}
        await self._answer(sid, "device:cmd", data, correlation)
        await asyncio.sleep(self.behaviour.reply_delay_s)
        command: str = data["cmd"]
        if command.startswith("echo "):
            stdout, stderr, code = f"{command[5:]}\n", "", 0
        elif command == "yes":
            for _ in range(1_000):  # ten seconds
                await self._reply(sid, "device:cmd", data, {"stdout": "y\n" * 9_000, **correlation})
                await asyncio.sleep(0.01)
            return
        elif command.startswith("sleep "):
            await asyncio.sleep(float(command[6:]))
            stdout, stderr, code = "", "", 0
        else:
            stdout, stderr, code = SHELL.get(command, ("", f"sh: {command}: not found\n", 127))
        if self.behaviour.pieces:
            for piece in stdout:
                await self._reply(sid, "device:cmd", data, {"stdout": piece, **correlation})
            stdout = ""
        result = {"stdout": stdout, "stderr": stderr, "returnCode": code, **correlation}
        await self._reply(sid, "device:cmd", data, result)

    async def _upgrade(self, sid: str, data: Json) -> None:
        for number, status in enumerate(UPGRADE):
            if number == 2 and self.behaviour.upgrade_fails:
                await self._reply(
                    sid, "device:doUpgrade", data, self._error("Internal error occurred")
                )
                return
            step = {"status": status, "complete": status == UPGRADE[-1]}
            await self._reply(sid, "device:doUpgrade", data, step)
            await asyncio.sleep(self.behaviour.reply_delay_s)

    async def _answer(self, sid: str, event: str, data: Json, answer: Json) -> None:
        await self._emit(sid, f"{event}:rpc", data, answer)

    async def _reply(self, sid: str, event: str, data: Json, answer: Json) -> None:
        await self._emit(sid, f"{event}:reply", data, answer)

    async def _emit(self, sid: str, event: str, data: Json, answer: Json) -> None:
        if "requestId" in data and (self.behaviour.ids_in_answers or "cmd" not in data):
            answer = {"requestId": data["requestId"], **answer}
        await self._server.emit(event, answer, to=sid)

    def _error(self, text: str) -> Json:
        return {"error": {"message": text} if self.behaviour.object_errors else text}

    def _refuse(self, what: str) -> None:
        self.refused.append(what)

    def _begin[**P](
        self, work: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work(*args, **kwargs))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _judge(config: Json) -> Json:
    """Return what an agent says of a configuration."""
    for item in config.get("run", []):
        if not isinstance(item.get("frequency"), int | float):
            return {"result": "error", "error": {"message": NOT_A_NUMBER}}
    return {"result": "success"}
