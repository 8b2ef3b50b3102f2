"""The reference's subscriber (sttpapi) as a program: subscribes, and writes what it has to a file.

The file is one JSON object, replaced a few times a second: the newest of every signal by its tag
(device, value, epoch seconds, count), and what went wrong.
"""

import json
from math import isnan
from pathlib import Path
import sys
from threading import Lock
import time
from typing import Any, Final

from sttp.config import Config
from sttp.subscriber import Subscriber
from sttp.transport.measurement import Measurement

WRITE_S: Final = 0.3
_TICKS_PER_SECOND: Final = 10_000_000
_UNIX_EPOCH: Final = 621_355_968_000_000_000


class Reference:
    """Collects what the reference receives; its callbacks come from threads of its own."""

    def __init__(self) -> None:
        """Make the reference's subscriber."""
        self._lock = Lock()
        self._signals: dict[str, tuple[str, float, float, int]] = {}
        self._troubles: list[str] = []
        self.subscriber = Subscriber()
        self.subscriber.statusmessage_logger = lambda _: None
        self.subscriber.errormessage_logger = self._trouble
        self.subscriber.newmeasurements_receiver = self._receive
        self.subscriber.connectionterminated_receiver = lambda: self._trouble("disconnected")
        # It leaves it to its user to ask for metadata that changed.
        self.subscriber.configurationchanged_receiver = self.subscriber.request_metadata

    def _trouble(self, text: str) -> None:
        with self._lock:
            self._troubles.append(text)

    def _receive(self, measurements: list[Measurement]) -> None:
        for item in measurements:
            record = self.subscriber.measurement_metadata(item)
            if record is None or isnan(item.value):
                # Its metadata is on the way, or the sensor has no state yet.
                continue
            at = (int(item.timestamp) - _UNIX_EPOCH) / _TICKS_PER_SECOND
            with self._lock:
                *_, count = self._signals.get(record.pointtag, (0,))
                self._signals[record.pointtag] = (
                    record.deviceacronym,
                    float(item.value),
                    at,
                    count + 1,
                )

    def snapshot(self) -> dict[str, Any]:
        """Return what there is."""
        with self._lock:
            return {"signals": dict(self._signals), "troubles": list(self._troubles)}


def main(port: str, file: str) -> None:
    """Subscribe to all signals until ended."""
    reference = Reference()
    reference.subscriber.subscribe("FILTER ActiveMeasurements WHERE True")
    error = reference.subscriber.connect(f"127.0.0.1:{port}", Config())
    if error is not None:
        raise error
    path = Path(file)
    part = path.with_suffix(".part")
    while True:
        time.sleep(WRITE_S)
        part.write_text(json.dumps(reference.snapshot()), encoding="utf-8")
        part.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
