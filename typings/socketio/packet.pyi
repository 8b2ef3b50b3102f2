from typing import Any

CONNECT: int
DISCONNECT: int
EVENT: int
ACK: int
CONNECT_ERROR: int

class Packet:
    json: Any
    packet_type: int
    data: Any
    namespace: str | None
    id: int | None
    def __init__(
        self,
        packet_type: int = ...,
        data: object = ...,
        namespace: str | None = ...,
        id: int | None = ...,  # noqa: A002
        binary: bool | None = ...,
        encoded_packet: str | bytes | None = ...,
    ) -> None: ...
    def encode(self) -> str | list[str | bytes]: ...
    def decode(self, encoded_packet: str | bytes) -> int: ...
