from collections.abc import Callable, Mapping, Sequence
import logging
from typing import Any

from . import exceptions as exceptions
from .packet import Packet

class _Queue:
    async def join(self) -> None: ...

class _EngineClient:
    sid: str | None
    state: str
    queue: _Queue

class AsyncClient:
    connected: bool
    namespaces: dict[str, str]
    eio: _EngineClient
    def __init__(
        self,
        reconnection: bool = ...,
        *,
        logger: bool | logging.Logger = ...,
        engineio_logger: bool | logging.Logger = ...,
        serializer: str | type[Packet] = ...,
        handle_sigint: bool = ...,
        http_session: object = ...,
    ) -> None: ...
    def on(self, event: str, handler: Callable[..., object]) -> None: ...
    async def connect(
        self,
        url: str | Callable[[], str],
        *,
        transports: Sequence[str] = ...,
        namespaces: Sequence[str] = ...,
        socketio_path: str = ...,
        wait: bool = ...,
        wait_timeout: float = ...,
    ) -> None: ...
    async def emit(self, event: str, data: object = ...) -> None: ...
    async def disconnect(self) -> None: ...
    def get_sid(self, namespace: str | None = ...) -> str | None: ...

class _Manager:
    def eio_sid_from_sid(self, sid: str, namespace: str) -> str: ...

class _EngineServer:
    start_background_task: Callable[..., object]
    async def send(self, sid: str, data: str) -> None: ...

class AsyncServer:
    manager: _Manager
    eio: _EngineServer
    def __init__(
        self,
        *,
        async_mode: str = ...,
        ping_interval: float = ...,
        ping_timeout: float = ...,
        logger: bool = ...,
        engineio_logger: bool = ...,
        monitor_clients: bool = ...,
    ) -> None: ...
    def attach(self, app: object, socketio_path: str = ...) -> None: ...
    def on(self, event: str, handler: Callable[..., object]) -> None: ...
    async def emit(self, event: str, data: object = ..., to: str | None = ...) -> None: ...
    async def disconnect(self, sid: str) -> None: ...
    async def shutdown(self) -> None: ...
    def get_environ(self, sid: str) -> Mapping[str, Any]: ...
