"""The reference implementation, sttpapi, as a program: JSON lines in, JSON lines out."""

from collections.abc import Callable
import errno
import json
import os
import socket
import sys
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import numpy as np
from sttp.config import Config
from sttp.data.dataset import DataSet
from sttp.settings import Settings
from sttp.subscriber import Subscriber
from sttp.transport.constants import StateFlags
from sttp.transport.datapublisher import DataPublisher
from sttp.transport.measurement import Measurement

WRITING = Lock()


def tell(event: str, **details: Any) -> None:
    """Write an event."""
    with WRITING:
        sys.stdout.write(json.dumps({"event": event, **details}) + "\n")
        sys.stdout.flush()


class ReferenceSubscriber:
    """Does what it is told with sttp.Subscriber."""

    def __init__(self) -> None:
        self.subscriber = Subscriber()
        self.subscriber.statusmessage_logger = lambda text: tell("status", text=text)
        self.subscriber.errormessage_logger = lambda text: tell("error", text=text)
        self.subscriber.newmeasurements_receiver = self.receive
        self.subscriber.metadatanotification_receiver = lambda tables: tell(
            "metadata", tables={table.name: table.rowcount for table in tables}
        )
        self.subscriber.subscriptionupdated_receiver = lambda cache: tell(
            "signals", keys=sorted(f"{cache.source(i)}:{cache.id(i)}" for i in cache._reference)
        )
        self.subscriber.configurationchanged_receiver = lambda: tell("configuration")

    def receive(self, measurements: list[Measurement]) -> None:
        """Tell of measurements."""
        tell(
            "measurements",
            items=[
                [str(item.signalid), float(item.value), int(item.timestamp), int(item.flags)]
                for item in measurements
            ],
        )

    def connect(self, *, port: int, expression: str, tssc: bool = True, **settings: Any) -> None:
        """Connect and subscribe."""
        self.subscriber.subscribe(expression, Settings(**settings))
        config = Config(maxretries=1, autoreconnect=False, compress_payloaddata=tssc)
        error = self.subscriber.connect(f"127.0.0.1:{port}", config)
        tell("connected", error=str(error) if error else None)

    def subscribe(self, *, expression: str) -> None:
        """Subscribe anew."""
        self.subscriber.subscribe(expression)

    def unsubscribe(self) -> None:
        """Unsubscribe."""
        self.subscriber.unsubscribe()

    def close(self) -> None:
        """End."""
        self.subscriber.dispose()


class ReferencePublisher:
    """Does what it is told with sttp's DataPublisher."""

    def __init__(self) -> None:
        self.publisher = DataPublisher()
        self.publisher.statusmessage_callback = lambda text: tell("status", text=text)
        self.publisher.errormessage_callback = lambda text: tell("error", text=text)

    def start(self) -> None:
        """Listen on a free port."""
        self.publisher.start(0)
        tell("started", port=self.publisher._server_socket.getsockname()[1])

    def metadata(self, *, xml: str) -> None:
        """Define metadata."""
        dataset, error = DataSet.from_xml(xml)
        if error is not None:
            raise error
        self.publisher.define_metadata(dataset)

    def publish(self, *, items: list[tuple[str, float, int, int]]) -> None:
        """Publish measurements."""
        self.publisher.publish_measurements(
            [
                Measurement(UUID(signal), np.float64(value), np.int64(time), StateFlags(flags))
                for signal, value, time, flags in items
            ]
        )

    def publish_for_ever(self, *, items: list[tuple[str, float, int, int]]) -> None:
        """Publish the same again and again, in a thread."""

        def run() -> None:
            while True:
                self.publish(items=items)

        Thread(target=run, daemon=True).start()

    def publish_in_threads(self, *, items: list[tuple[str, float, int, int]], times: int) -> None:
        """Publish each item in a thread of its own, so many times."""

        def run(item: tuple[str, float, int, int]) -> None:
            for _ in range(times):
                self.publish(items=[item])

        threads = [Thread(target=run, args=(item,)) for item in items]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tell("published")

    def restart(self) -> None:
        """Stop, and start on the same port."""
        port = self.publisher._server_socket.getsockname()[1]
        self.publisher.stop()
        try:
            self.publisher.start(port)
        except OSError as err:
            tell("restarted", error=errno.errorcode[err.errno or 0])
        else:
            tell("restarted", error=None)

    def watch(self) -> None:
        """Tell each time that this process was kept from running for a tenth of a second."""

        def run() -> None:
            while True:
                begun = monotonic()
                sleep(0.001)
                if (held := monotonic() - begun) > 0.1:
                    tell("held", seconds=held)

        Thread(target=run, daemon=True).start()

    def close(self) -> None:
        """End with the process: to stop takes the reference two seconds."""


def on_loopback_only() -> None:
    """Keep the reference, which always binds to all addresses, to this machine."""
    bind: Callable[[socket.socket, tuple[str, int]], None] = socket.socket.bind
    socket.socket.bind = lambda self, address: bind(self, ("127.0.0.1", address[1]))


def main() -> None:
    """Do what the lines say until there are no more."""
    on_loopback_only()
    actor = ReferenceSubscriber() if sys.argv[1] == "subscriber" else ReferencePublisher()
    tell("ready")
    for line in sys.stdin:
        details = json.loads(line)
        getattr(actor, details.pop("do"))(**details)
    actor.close()
    # Threads of the reference's publisher never end.
    os._exit(0)


if __name__ == "__main__":
    main()
