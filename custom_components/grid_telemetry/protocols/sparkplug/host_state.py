"""Whether the primary host is online, from what it publishes as its STATE.

Sources: Eclipse Sparkplug 3.0.0, sections 5.4 and 6.4.25 (JSON with `online` and `timestamp`), and
version 2.2 (the texts ONLINE and OFFLINE), which hosts in use still speak.
"""

import json
from typing import Final, TypeGuard

_OLD_FORM: Final = {b"ONLINE": True, b"OFFLINE": False}


class HostState:
    """What one host has said in the present session with a broker."""

    def __init__(self) -> None:
        """Begin without a word of it, which is not online."""
        self.online = False
        self.heard = False
        """Whether it has said anything that could be understood."""
        self._timestamp_ms: float | None = None

    def take(self, payload: bytes) -> bool:
        """Take what it publishes; return whether it was understood and not outdated."""
        if (online := _OLD_FORM.get(payload.strip().upper())) is not None:
            # Without a time. A host that speaks the new form may have left this one behind.
            if self._timestamp_ms is not None:
                return False
            self.online, self.heard = online, True
            return True
        try:
            said = json.loads(payload)
        except ValueError:
            return False
        if not isinstance(said, dict):
            return False
        online, timestamp_ms = said.get("online"), said.get("timestamp")
        if not isinstance(online, bool) or not _is_number(timestamp_ms):
            return False
        if self._timestamp_ms is not None and timestamp_ms < self._timestamp_ms:
            return False
        self.online, self.heard, self._timestamp_ms = online, True, timestamp_ms
        return True


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
