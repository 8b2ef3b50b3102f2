"""Topics of Sparkplug B, and what names may be in them.

Source: Eclipse Sparkplug 3.0.0, chapter 4.
"""

from dataclasses import dataclass
from enum import StrEnum
import re
from typing import Final

NAMESPACE: Final = "spBv1.0"
STATE: Final = "STATE"

ID_PATTERN: Final = re.compile(r"[^+/#\x00-\x1f\x7f\ud800-\udfff]{1,128}")
"""Of a group, an edge node, a device and a host; the length is ours."""


class MessageType(StrEnum):
    """The kinds of message, as topics name them."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    NDATA = "NDATA"
    NCMD = "NCMD"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    DDATA = "DDATA"
    DCMD = "DCMD"


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """The topic of a message of an edge node, or to one."""

    group_id: str
    message_type: MessageType
    node_id: str
    device_id: str | None = None

    def __str__(self) -> str:
        parts = [NAMESPACE, self.group_id, self.message_type, self.node_id]
        if self.device_id is not None:
            parts.append(self.device_id)
        return "/".join(parts)


def parse_topic(text: str) -> Topic | None:
    """Return what a topic says, None for one that is of no edge node."""
    namespace, *parts = text.split("/")
    if namespace != NAMESPACE or len(parts) not in (3, 4) or not all(parts):
        return None
    try:
        message_type = MessageType(parts[1])
    except ValueError:
        return None
    if message_type.startswith("D") != (len(parts) == 4):
        return None
    return Topic(
        group_id=parts[0],
        message_type=message_type,
        node_id=parts[2],
        device_id=parts[3] if len(parts) == 4 else None,
    )


def state_topics(host_id: str) -> tuple[str, str]:
    """Return where a host says whether it is online: by version 3.0, and by those before."""
    return f"{NAMESPACE}/{STATE}/{host_id}", f"{STATE}/{host_id}"
