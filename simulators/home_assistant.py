"""A real Home Assistant: started, onboarded and driven over its own API, as a user's browser does.

It runs from this virtual environment, on a config folder of its own, and installs nothing. Only
the integrations that the demo and the tests need are set up, none of which leaves the machine.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
import re
import sys
from typing import Any, Final, Self

import aiohttp

from .programs import Program, free_port, until

# How often a flow that is busy is looked at.
_PROGRESS_S: Final = 0.2

CHECKOUT = Path(__file__).parent.parent
INTEGRATION = CHECKOUT / "custom_components" / "grid_telemetry"
START_TIMEOUT_S = 120

# Everything a browser on this machine needs to be let in without a form; the second provider holds
# the owner that the onboarding makes.
CONFIGURATION = """\
homeassistant:
  name: Grid Telemetry
  country: ES
  currency: EUR
  time_zone: Europe/Madrid
  unit_system: metric
  auth_providers:
    - type: trusted_networks
      trusted_networks: [127.0.0.1/32]
      allow_bypass_login: true
    - type: homeassistant
frontend:
config:
history:
logbook:
energy:
recorder:
"""
UNRECORDED = """\
  exclude:
    entity_globs: {globs}
"""
# Home Assistant takes this over into its own storage at the first start, on trial for 5 minutes.
HTTP = """\
http:
  server_host: 127.0.0.1
  server_port: {port}
"""

type Json = dict[str, Any]
# What to answer to a step of a flow: the input itself, or how to make it from the step shown.
type Answer = Json | Callable[[Json], Json]


class FlowError(Exception):
    """A flow that did not go where its answers should have led."""


class ApiError(Exception):
    """A request that Home Assistant refused."""

    def __init__(self, request: str, status: int, text: str) -> None:
        """Keep the HTTP status."""
        super().__init__(f"{request}: {status} {text}")
        self.status = status


def log_records(folder: Path) -> list[str]:
    """Return what the Home Assistant of a config folder logged since it was started last.

    A record is a line of the log with the traceback below it.
    """
    log = folder / "home-assistant.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    return [
        record for record in re.split(r"^(?=\d{4}-\d\d-\d\d )", text, flags=re.MULTILINE) if record
    ]


class HomeAssistant:
    """One Home Assistant, its config folder and an owner's access to it."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        configuration: str = "",
        integration: Path = INTEGRATION,
        components: Sequence[Path] = (),
        unrecorded: Sequence[str] = (),
    ) -> None:
        """Lay out the config folder, which must be new; the port is a free one unless given.

        Lines of configuration and folders of custom components come on top of what is always there;
        entities that match one of `unrecorded` are kept out of the database.
        """
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        exclude = UNRECORDED.format(globs=[*unrecorded]) if unrecorded else ""
        self._configuration = CONFIGURATION + exclude + configuration
        # The checkout's own custom_components, in reach of the current folder or of PYTHONPATH,
        # would hide the one of the config folder.
        self._program = Program(
            [sys.executable, "-P", "-m", "homeassistant", "--config", str(folder), "--skip-pip"],
            folder / "hass.out",
            {"PYTHONPATH": str(Path(__file__).parent / "absent")},
        )
        self._session: aiohttp.ClientSession | None = None
        self._token: str | None = None
        self.folder.mkdir(parents=True)
        (self.folder / "custom_components").mkdir()
        for component in (integration, *components):
            (self.folder / "custom_components" / component.name).symlink_to(
                component, target_is_directory=True
            )

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        return self._program.pid

    @property
    def token(self) -> str:
        """The owner's token, once it was started."""
        assert self._token is not None
        return self._token

    def check(self) -> None:
        """Raise `ProgramError` if it ended by itself."""
        self._program.check()

    async def start(self) -> None:
        """Start, and return once everything is set up; the first time, onboard as well."""
        first = self._token is None
        (self.folder / "configuration.yaml").write_text(
            self._configuration + (HTTP.format(port=self.port) if first else "")
        )
        self._session = aiohttp.ClientSession(self.url)
        await self._program.start()
        if first:
            await until(
                lambda: self._try("/api/onboarding"), START_TIMEOUT_S, "Home Assistant answering"
            )
            await self._onboard()
        await until(self._is_running, START_TIMEOUT_S, "Home Assistant running")
        if first:
            await self._settle()

    async def stop(self) -> None:
        """Shut down as on a restart of the machine."""
        await self._close_session()
        await self._program.stop()

    async def kill(self) -> None:
        """End the process as a power cut would."""
        await self._close_session()
        await self._program.kill()

    async def __aenter__(self) -> Self:
        """Start."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        await self.stop()

    async def _close_session(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _try(self, path: str) -> Json | None:
        """Return the answer, or None while the server or this part of it is not up yet."""
        self._program.check()
        try:
            answer: Json = await self.request("GET", path)
        except aiohttp.ClientConnectionError:
            return None
        except ApiError as err:
            if err.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return answer

    async def _is_running(self) -> bool:
        config = await self._try("/api/config")
        return config is not None and config["state"] == "RUNNING"

    async def _onboard(self) -> None:
        """Make the owner, finish every step of the welcome and keep a lasting token."""
        client_id = f"{self.url}/"
        user = await self.request(
            "POST",
            "/api/onboarding/users",
            {
                "client_id": client_id,
                "name": "Owner",
                "username": "owner",
                "password": "telemetry",
                "language": "en",
            },
        )
        assert self._session is not None
        async with self._session.post(
            "/auth/token",
            data={
                "grant_type": "authorization_code",
                "code": user["auth_code"],
                "client_id": client_id,
            },
        ) as response:
            response.raise_for_status()
            self._token = (await response.json())["access_token"]
        await self.request("POST", "/api/onboarding/core_config")
        await self.request("POST", "/api/onboarding/analytics")
        await self.request(
            "POST",
            "/api/onboarding/integration",
            {"client_id": client_id, "redirect_uri": client_id},
        )
        self._token = await self.command(
            "auth/long_lived_access_token", client_name="simulators", lifespan=365
        )

    async def _settle(self) -> None:
        """Undo or confirm what a first start leaves open."""
        # Unconfirmed HTTP settings are undone, with a restart, after 5 minutes.
        await self.command("http/config/promote")
        await self.command(
            "repairs/ignore_issue", domain="http", issue_id="deprecated_yaml", ignore=True
        )
        # The welcome adds integrations that live on the internet.
        for entry in await self.command("config_entries/get"):
            if entry["source"] == "onboarding":
                await self.request(
                    "DELETE", f"/api/config/config_entries/entry/{entry['entry_id']}"
                )

    async def request(self, method: str, path: str, body: Json | None = None) -> Any:
        """Return the JSON answer of the REST API."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with self._session.request(method, path, json=body, headers=headers) as response:
            if response.status >= 400:
                raise ApiError(f"{method} {path}", response.status, await response.text())
            return await response.json()

    async def command(self, name: str, /, **arguments: Any) -> Any:
        """Return the result of a websocket command."""
        assert self._session is not None
        async with self._session.ws_connect("/api/websocket") as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self._token})
            greeting = await socket.receive_json()
            if greeting["type"] != "auth_ok":
                raise ApiError(name, HTTPStatus.UNAUTHORIZED, str(greeting))
            await socket.send_json({"id": 1, "type": name, **arguments})
            answer = await socket.receive_json()
            if not answer["success"]:
                raise ApiError(name, HTTPStatus.BAD_REQUEST, str(answer["error"]))
            return answer["result"]

    async def add_entry(self, domain: str, answers: Mapping[str, Answer]) -> str:
        """Go through an integration's config flow and return the new entry's id.

        Each step is answered by its id; a menu by the input `{"next_step_id": …}`.
        """
        result = await self._follow(
            "/api/config/config_entries/flow",
            {"handler": domain, "show_advanced_options": False},
            answers,
        )
        entry_id: str = result["result"]["entry_id"]
        return entry_id

    async def add_subentry(self, entry_id: str, kind: str, answers: Mapping[str, Answer]) -> None:
        """Go through the flow that adds a subentry of a kind to an entry."""
        await self._follow(
            "/api/config/config_entries/subentries/flow",
            {"handler": [entry_id, kind]},
            answers,
        )

    async def _follow(self, path: str, opening: Json, answers: Mapping[str, Answer]) -> Json:
        step: Json = await self.request("POST", path, opening)
        answered: list[str] = []
        while step["type"] in ("form", "menu", "progress"):
            if step["type"] == "progress":
                await asyncio.sleep(_PROGRESS_S)
                step = await self.request("GET", f"{path}/{step['flow_id']}")
                continue
            name = step["step_id"]
            if step.get("errors") or name in answered:
                raise FlowError(f"step {name} came back with {step.get('errors')}")
            if name not in answers:
                raise FlowError(f"nothing to answer to step {name} of {opening['handler']}")
            answer = answers[name]
            answered.append(name)
            step = await self.request(
                "POST",
                f"{path}/{step['flow_id']}",
                answer(step) if callable(answer) else answer,
            )
        if step["type"] != "create_entry":
            raise FlowError(f"{opening['handler']} ended in {step['type']}: {step.get('reason')}")
        return step

    async def call(self, action: str, *, response: bool = False, **data: Any) -> Any:
        """Call an action, `domain.name`, and return its response if asked for."""
        path = f"/api/services/{action.replace('.', '/')}"
        answer = await self.request("POST", path + ("?return_response" if response else ""), data)
        return answer["service_response"] if response else None

    async def states(self) -> dict[str, Json]:
        """Return every state by its entity id."""
        return {state["entity_id"]: state for state in await self.request("GET", "/api/states")}

    async def entities(self) -> list[Json]:
        """Return the entity registry."""
        entities: list[Json] = await self.command("config/entity_registry/list")
        return entities

    async def devices(self) -> list[Json]:
        """Return the device registry."""
        devices: list[Json] = await self.command("config/device_registry/list")
        return devices

    async def entries(self, domain: str = "grid_telemetry") -> list[Json]:
        """Return the config entries of an integration."""
        entries: list[Json] = await self.command("config_entries/get", domain=domain)
        return entries
