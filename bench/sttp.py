"""STTP: our publisher against sttpapi's, on the same data, one after the other in one run.

    python -m bench.sttp [--seconds 4] [--signals 172,1000] [--subscribers 1,4,16]
    python -m bench.sttp --against 96faa25 [--pairs 5]

Each publisher runs flat out in a process of its own; its subscribers, which count what the data
packets say they hold and read some of them to the last bit, all run in another one. Delivered is
each measurement as often as a subscriber got it. CPU (that of the publisher's process) and bytes
are per delivered measurement.

With --against it is our publisher and our publisher of another commit, which is checked out into a
temporary folder: one subscriber, so that each value is encoded for itself, both in turns, and the
median of the ratios of what the processor took.
"""

import argparse
import asyncio
from datetime import UTC, datetime
import importlib
import json
import os
from pathlib import Path
import random
import selectors
import shutil
import socket
from statistics import median
import struct
import subprocess
import sys
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final
from uuid import UUID, uuid5

from custom_components.grid_telemetry.protocols.sttp import compact, dataset
from custom_components.grid_telemetry.protocols.sttp.compact import BaseTimes
from custom_components.grid_telemetry.protocols.sttp.constants import (
    DataPacketFlags,
    ServerCommand,
    ServerResponse,
)
from custom_components.grid_telemetry.protocols.sttp.frames import (
    OperationalModes,
    command,
    subscribe_data,
)
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement, Sample
from custom_components.grid_telemetry.protocols.sttp.metadata import (
    DeviceDetail,
    MeasurementDetail,
    Metadata,
)
from custom_components.grid_telemetry.protocols.sttp.publisher import Limits, Publisher
from custom_components.grid_telemetry.protocols.sttp.ticks import PER_SECOND, from_datetime
from custom_components.grid_telemetry.protocols.sttp.tssc import TsscDecoder

WHEN: Final = datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
NAMESPACE: Final = UUID("3f0f6f2e-7d0a-4a53-8f2c-51a3a4b3c7d0")
FRAMES: Final = 120
WARM_UP_S: Final = 1.0
CHECKED_PACKETS: Final = 200
# What subscribers have not read yet before we wait for them, as the reference always does.
AHEAD_BYTES: Final = 1_000_000
FRAMES_UNWATCHED: Final = 16

LENGTH: Final = struct.Struct(">I")
PACKET: Final = struct.Struct(">BI")

type Value = tuple[int, float, int]
"""Number of a signal, value, ticks."""


def offered(signals: int) -> Metadata:
    """Return the metadata that both publish."""
    device = DeviceDetail(acronym="BENCH", unique_id=NAMESPACE, updated_on=WHEN)
    details = (
        MeasurementDetail(
            device_acronym="BENCH",
            id=f"BENCH:{number}",
            signal_id=uuid5(NAMESPACE, str(number)),
            point_tag=f"BENCH:{number}",
            signal_reference=f"BENCH-AV{number}",
            signal_acronym="ALOG",
            updated_on=WHEN,
        )
        for number in range(signals)
    )
    return Metadata(devices=(device,), measurements=tuple(details))


def frames_of(signals: int) -> list[list[Value]]:
    """Return the frames that both publish: random values, 30 a second, to the microsecond."""
    chance = random.Random(signals)
    begun = from_datetime(WHEN)
    return [
        [
            (signal, chance.random(), begun + frame * PER_SECOND // 30 // 10 * 10)
            for signal in range(signals)
        ]
        for frame in range(FRAMES)
    ]


async def publish_ours(signals: int) -> None:
    """Publish for ever, no faster than the slowest subscriber reads, as a link does it."""
    limits = Limits(connections=64, connections_per_address=64)
    publisher = Publisher(port=0, limits=limits)
    metadata = offered(signals)
    publisher.define_metadata(metadata)
    ids = [signal.signal_id for signal in metadata.measurements]
    frames = [
        [Measurement(ids[signal], value, ticks) for signal, value, ticks in frame]
        for frame in frames_of(signals)
    ]
    await publisher.start()
    print(publisher.port, flush=True)
    while True:
        for number, frame in enumerate(frames):
            publisher.publish(frame)
            await asyncio.sleep(0)
            if number % FRAMES_UNWATCHED == 0:
                while any(  # noqa: ASYNC110 (nothing tells when a subscriber has read)
                    info.waiting_bytes > AHEAD_BYTES for info in publisher.subscribers()
                ):
                    await asyncio.sleep(0.0005)


def publish_reference(signals: int) -> None:
    """Publish for ever with sttpapi, which waits for each subscriber by itself."""
    np = importlib.import_module("numpy")
    reference: Any = importlib.import_module("sttp.transport.datapublisher")
    measurement: Any = importlib.import_module("sttp.transport.measurement").Measurement
    tables: Any = importlib.import_module("sttp.data.dataset").DataSet
    flags = np.uint32(0)
    metadata = offered(signals)
    ids = [signal.signal_id for signal in metadata.measurements]
    # Not np.uint64 as documented: that costs more, and the timestamps go wrong.
    frames = [
        [
            measurement(ids[signal], np.float64(value), np.int64(ticks), flags)
            for signal, value, ticks in frame
        ]
        for frame in frames_of(signals)
    ]
    # It always binds to all addresses; a measurement stays on this machine.
    bind = socket.socket.bind
    setattr(  # noqa: B010 (a method of its own would not be taken)
        socket.socket, "bind", lambda self, address: bind(self, ("127.0.0.1", address[1]))
    )
    publisher = reference.DataPublisher()
    publisher.define_metadata(tables.from_xml(dataset.to_xml(metadata.tables()).decode())[0])
    publisher.start(0)
    print(publisher._server_socket.getsockname()[1], flush=True)  # noqa: SLF001
    while True:
        for frame in frames:
            publisher.publish_measurements(frame)


class Receiver:
    """One subscriber: confirms what has to be, counts, and reads some packets in full."""

    def __init__(self, port: int, modes: OperationalModes, values: dict[int, set[int]]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(
            command(ServerCommand.DEFINE_OPERATIONAL_MODES, modes.encode())
            + command(
                ServerCommand.SUBSCRIBE,
                subscribe_data(
                    {"filterExpression": "FILTER ActiveMeasurements WHERE True"}, modes.encoding
                ),
            )
        )
        self.socket.setblocking(False)
        self.measurements = self.bytes = self.checked = 0
        self._values = values
        self._buffer = bytearray(1 << 18)
        self._rest = 0
        self._tssc, self._base = TsscDecoder(), BaseTimes()

    def receive(self, *, check: bool) -> None:
        """Take what has come."""
        data = self._buffer
        end = self._rest + self.socket.recv_into(memoryview(data)[self._rest :])
        position = 0
        while position + 15 <= end:
            (length,) = LENGTH.unpack_from(data, position)
            following = position + 4 + length
            if following > end:
                break
            code = data[position + 4]
            if code == ServerResponse.DATA_PACKET:
                flags, count = PACKET.unpack_from(data, position + 10)
                self.measurements += count
                self.bytes += length + 4
                if check:
                    self._check(flags, count, bytes(data[position + 15 : following]))
            elif code == ServerResponse.UPDATE_SIGNAL_INDEX_CACHE:
                self.socket.sendall(command(ServerCommand.CONFIRM_UPDATE_SIGNAL_INDEX_CACHE))
            elif code == ServerResponse.UPDATE_BASE_TIMES:
                self._base = BaseTimes.decode(bytes(data[position + 10 : following]))
            elif code == ServerResponse.FAILED:
                raise SystemExit(f"Refused: {data[position + 10 : following]!r}")
            position = following
        self._rest = end - position
        data[: self._rest] = data[position:end]

    def decode(self, flags: int, count: int, body: bytes) -> list[Sample]:
        """Return what a packet holds."""
        if flags & DataPacketFlags.COMPRESSED:
            return self._tssc.decode(body, count)
        return compact.decode(body, count, base_times=self._base)

    def _check(self, flags: int, count: int, body: bytes) -> None:
        """Read a packet; the values are those of a frame, with the time of that frame."""
        for _, ticks, _, bits in self.decode(flags, count, body):
            if bits not in self._values[ticks]:
                raise SystemExit("A measurement arrived that was not sent")
        self.checked += 1


def receive(port: int, signals: int, subscribers: int, tssc: bool, seconds: float) -> None:
    """Subscribe, wait until data comes to all, measure, and print what was measured."""
    values: dict[int, set[int]] = {}
    for frame in frames_of(signals):
        for _, value, ticks in frame:
            (bits,) = struct.unpack("<I", struct.pack("<f", value))
            values.setdefault(ticks, set()).add(bits)
    modes = OperationalModes(tssc=tssc)
    receivers = [Receiver(port, modes, values) for _ in range(subscribers)]
    selector = selectors.DefaultSelector()
    for receiver in receivers:
        selector.register(receiver.socket, selectors.EVENT_READ, receiver)

    def run(until: float, *, check: bool = False) -> None:
        while monotonic() < until:
            for key, _ in selector.select(0.1):
                key.data.receive(check=check and key.data is receivers[0])

    while not all(receiver.measurements for receiver in receivers):
        run(monotonic() + 0.05, check=True)
    while receivers[0].checked < CHECKED_PACKETS:
        run(monotonic() + 0.05, check=True)
    run(monotonic() + WARM_UP_S)
    before = [(receiver.measurements, receiver.bytes) for receiver in receivers]
    print("begin", flush=True)
    begun = monotonic()
    run(begun + seconds)
    took = monotonic() - begun
    counts = [
        (receiver.measurements - measurements, receiver.bytes - size)
        for receiver, (measurements, size) in zip(receivers, before, strict=True)
    ]
    print(
        json.dumps(
            {
                "measurements": sum(count for count, _ in counts),
                "least": min(count for count, _ in counts),
                "bytes": sum(size for _, size in counts),
                "seconds": took,
            }
        ),
        flush=True,
    )


def cpu_s(pid: int) -> float:
    """Return the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(*arguments: str, folder: Path | None = None) -> subprocess.Popen[str]:
    """Start a part of the benchmark, of this checkout or another, in a process of its own."""
    return subprocess.Popen(  # noqa: S603 (this very program)
        [sys.executable, "-W", "ignore", "-m", "bench.sttp", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    if process.stdout is None or not (text := process.stdout.readline()):
        raise SystemExit("A part of the benchmark ended early")
    return text


def measure(
    kind: str, signals: int, subscribers: int, seconds: float, folder: Path | None = None
) -> dict[str, float]:
    """Measure one publisher, of this checkout or another, with some subscribers."""
    publisher_of, form = kind.split()
    publisher = start("--publish", publisher_of, "--signals", str(signals), folder=folder)
    receiver = None
    try:
        port = line(publisher).strip()
        receiver = start(
            *("--receive", port, "--form", form, "--signals", str(signals)),
            *("--subscribers", str(subscribers), "--seconds", str(seconds)),
        )
        line(receiver)
        before = cpu_s(publisher.pid)
        result: dict[str, float] = json.loads(line(receiver))
        cpu = cpu_s(publisher.pid) - before
    finally:
        # The publisher first: the reference would tell of every subscriber that it lost.
        for process in (publisher, receiver):
            if process is not None:
                process.kill()
                process.wait()
    return {
        "rate": result["measurements"] / result["seconds"],
        "cpu_us": cpu / result["measurements"] * 1e6,
        "bytes": result["bytes"] / result["measurements"],
        "even": result["least"] * subscribers / result["measurements"],
    }


def compare(signals: list[int], subscribers: list[int], seconds: float) -> bool:
    """Measure all and print a table; return whether the goals are met."""
    print("| signals | subscribers | publisher | delivered/s | times | CPU µs | times | bytes |")
    print("|---|---|---|---|---|---|---|---|")
    met = True
    for size in signals:
        for count in subscribers:
            reference = measure("sttpapi TSSC", size, count, seconds)
            row(size, count, "sttpapi TSSC", reference, reference)
            for kind, goal in (("ours TSSC", 10), ("ours compact", 100)):
                ours = measure(kind, size, count, seconds)
                row(size, count, kind, ours, reference)
                if count == max(subscribers):
                    met &= ours["rate"] >= goal * reference["rate"]
                if kind == "ours TSSC":
                    met &= abs(ours["bytes"] / reference["bytes"] - 1) <= 0.05
    print(
        f"\nGoals, with {max(subscribers)} subscribers: TSSC delivers at least 10 times and compact"
        f" 100 times as much, TSSC as many bytes to 5 %: {'met' if met else 'NOT met'}"
    )
    return met


def compare_with(commit: str, signals: list[int], seconds: float, pairs: int) -> bool:
    """Measure beside another commit, print a table, and return whether the goals are met."""
    git = shutil.which("git") or "git"
    print("| signals | form | CPU µs a value at that commit | now | median of the ratios | goal |")
    print("|---|---|---|---|---|---|")
    met = True
    with TemporaryDirectory(prefix="grid-telemetry-bench-") as folder:
        other = Path(folder) / "other"
        subprocess.run(  # noqa: S603 (nothing of a stranger in it)
            [git, "worktree", "add", "--detach", str(other), commit], check=True
        )
        try:
            for size in signals:
                for form, goal in (("compact", 0.52), ("TSSC", 0.40)):
                    kind = f"ours {form}"
                    taken = [
                        (
                            measure(kind, size, 1, seconds, other)["cpu_us"],
                            measure(kind, size, 1, seconds)["cpu_us"],
                        )
                        for _ in range(pairs)
                    ]
                    ratio = median(now / then for then, now in taken)
                    met &= ratio <= goal
                    then, now = (median(column) for column in zip(*taken, strict=True))
                    print(
                        f"| {size} | {form} | {then:.3f} | {now:.3f} | {ratio:.2f}"
                        f" | ≤ {goal:.2f} |",
                        flush=True,
                    )
        finally:
            subprocess.run(  # noqa: S603 (nothing of a stranger in it)
                [git, "worktree", "remove", "--force", str(other)], check=True
            )
    print(f"\nGoals {'met' if met else 'NOT met'}")
    return met


def row(
    signals: int, count: int, kind: str, ours: dict[str, float], peer: dict[str, float]
) -> None:
    """Print one measurement and its ratios to the peer's."""
    print(
        f"| {signals} | {count} | {kind} | {ours['rate']:,.0f} | {ours['rate'] / peer['rate']:.1f}"
        f" | {ours['cpu_us']:.3f} | {peer['cpu_us'] / ours['cpu_us']:.1f} | {ours['bytes']:.2f} |",
        flush=True,
    )


def main() -> None:
    """Run the benchmark, or the part of it that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--signals", default="172,1000")
    parser.add_argument("--subscribers", default="1,4,16")
    parser.add_argument("--publish", help=argparse.SUPPRESS)
    parser.add_argument("--receive", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--form", default="TSSC", help=argparse.SUPPRESS)
    parser.add_argument("--against", metavar="COMMIT", help="compare with our own publisher there")
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    signals = [int(text) for text in given.signals.split(",")]
    subscribers = [int(text) for text in given.subscribers.split(",")]
    if given.publish == "ours":
        asyncio.run(publish_ours(signals[0]))
    elif given.publish:
        publish_reference(signals[0])
    elif given.receive:
        receive(given.receive, signals[0], subscribers[0], given.form == "TSSC", given.seconds)
    elif given.against:
        sys.exit(not compare_with(given.against, signals, given.seconds, given.pairs))
    elif not compare(signals, subscribers, given.seconds):
        sys.exit(1)


if __name__ == "__main__":
    main()
