"""A backlog through outbox and delivery, against a bare client that has the frames in memory.

Both send the same messages over STOMP to Scout's stand-in, which runs in a process of its own,
with a receipt for each and the same window; the bare client is an aiohttp WebSocket and nothing
else. Memory is the peak of the resident set while the backlog is queued and delivered, over that
of the same process when everything is loaded and nothing is queued.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
import gc
from pathlib import Path
import random
import sys
import tempfile
import time
from types import MappingProxyType
from typing import Any, Final

import aiohttp
from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.core import HomeAssistant

from custom_components.grid_telemetry.connection.health import Health
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.scout.client import ScoutSession
from custom_components.grid_telemetry.links.scout.payload import (
    Gateway,
    MessageType,
    metric_records,
    pack,
)
from custom_components.grid_telemetry.outbox.delivery import Delivery
from custom_components.grid_telemetry.outbox.store import Limits, Outbox, Record
from custom_components.grid_telemetry.protocols.stomp.client import StompParameters, connect
from custom_components.grid_telemetry.protocols.stomp.frames import Frame, encode
from simulators.programs import Program, free_port

DEVICES: Final = 100
SLOTS: Final = 100
CODES: Final = ("V_AN", "V_BN", "V_CN", "I_AN", "I_BN", "I_CN", "P", "Q", "S", "P_CON_TOT_ENERGY")
SAMPLES: Final = DEVICES * SLOTS * len(CODES)
ROUNDS: Final = 9
WINDOW_PACKETS: Final = 32
WINDOW_BYTES: Final = 256 * 1024
GOAL_RATIO: Final = 0.7
GOAL_MIB: Final = 30.0

CLAIM_ID: Final = "ABCD1234"
TOKEN: Final = "token"  # noqa: S105 - of the stand-in
GATEWAY: Final = Gateway(
    claim_id=CLAIM_ID,
    serial_number="1",
    gateway_type="BENCH",
    firmware_version="1",
    hardware_version="1",
)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What one delivery of the backlog took, connecting included."""

    rate: float
    """Samples per second."""
    cpu_us: float
    """Processor time of this process for each sample, in microseconds."""


class Stopwatch:
    """Times one delivery."""

    def __init__(self) -> None:
        """Start."""
        self._began_s, self._cpu_s = time.perf_counter(), time.process_time()

    def pace(self, samples: int) -> Pace:
        """Return the pace at which so many samples went out since the start."""
        return Pace(
            rate=samples / (time.perf_counter() - self._began_s),
            cpu_us=(time.process_time() - self._cpu_s) / samples * 1e6,
        )


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the stand-in listens."""

    url: str

    @property
    def parameters(self) -> StompParameters:
        """How to log in there."""
        return StompParameters(url=self.url, host="pro", login=CLAIM_ID, passcode=TOKEN)


def slots() -> Iterator[list[Record]]:
    """Yield what a gateway with many devices queues, slot by slot."""
    dice = random.Random(1)
    start_ms = 1_780_000_000_000
    for slot in range(SLOTS):
        yield [
            record
            for device in range(DEVICES)
            for record in metric_records(
                f"meter-{device:03}",
                start_ms + slot * 60_000,
                {code: round(dice.uniform(0, 5000), 2) for code in CODES},
            )
        ]


async def fill(outbox: Outbox) -> float:
    """Queue the backlog; returns how long one slot took on average, in seconds."""
    began = time.perf_counter()
    for records in slots():
        await outbox.put(records)
    assert outbox.queued_samples == SAMPLES
    return (time.perf_counter() - began) / SLOTS


async def deliver(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    outbox: Outbox,
    http: aiohttp.ClientSession,
    target: Target,
) -> Pace:
    """Deliver what is queued."""

    @asynccontextmanager
    async def session() -> AsyncIterator[ScoutSession]:
        connection = await connect(http, target.parameters)
        try:
            yield ScoutSession(connection, GATEWAY)
        finally:
            await connection.close()

    delivery = Delivery(hass, entry, outbox=outbox, health=Health(), connect=session, pack=pack)
    stopwatch = Stopwatch()
    delivery.start()
    pace = stopwatch.pace(await delivery.flush(120))
    await delivery.stop()
    assert outbox.queued_samples == 0
    return pace


async def frames_of(outbox: Outbox) -> list[bytes]:
    """Return the backlog as the frames that the delivery would send."""
    frames: list[bytes] = []
    last_id = 0
    while records := await outbox.next(2000, after_id=last_id):
        last_id = records[-1].id
        for packet in pack(records):
            kind = MessageType(packet.destination.kind)
            headers = {
                "destination": GATEWAY.destination(kind),
                **GATEWAY.headers(kind),
                "content-length": str(len(packet.body)),
                "receipt": str(len(frames)),
            }
            frames.append(encode(Frame("SEND", headers, packet.body)))
    return frames


async def send_bare(http: aiohttp.ClientSession, target: Target, frames: list[bytes]) -> Pace:
    """Send frames from memory with nothing around them."""
    log_in = Frame(
        "CONNECT",
        {"accept-version": "1.2", "host": "pro", "login": CLAIM_ID, "passcode": TOKEN},
    )
    sizes = [len(frame) for frame in frames]
    room = asyncio.Event()
    sent = acknowledged = under_way = 0
    stopwatch = Stopwatch()
    async with http.ws_connect(target.url) as websocket:
        await websocket.send_str(encode(log_in).decode())
        assert "CONNECTED" in (await websocket.receive_str())

        async def receive() -> None:
            nonlocal acknowledged, under_way
            while acknowledged < len(frames):
                for _ in range((await websocket.receive_str()).count("receipt-id:")):
                    under_way -= sizes[acknowledged]
                    acknowledged += 1
                room.set()

        receiver = asyncio.create_task(receive())
        for size, frame in zip(sizes, frames, strict=True):
            while sent > acknowledged and (
                sent - acknowledged >= WINDOW_PACKETS or under_way + size > WINDOW_BYTES
            ):
                room.clear()
                await room.wait()
            await websocket.send_frame(frame, aiohttp.WSMsgType.TEXT)
            sent += 1
            under_way += size
        await receiver
        return stopwatch.pace(SAMPLES)


def memory_mib(field: str) -> float:
    """Return a figure of the process from the kernel: VmRSS is now, VmHWM the peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def forget_peak() -> None:
    """Have VmHWM begin again at the present."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


async def run(directory: Path) -> bool:
    """Measure and print; returns whether the goals are met."""
    hass = HomeAssistant(str(directory))
    entry: ConfigEntry[Any] = ConfigEntry(
        data={},
        discovery_keys=MappingProxyType({}),
        domain=DOMAIN,
        minor_version=1,
        options={},
        source=SOURCE_USER,
        subentries_data=None,
        title="bench",
        unique_id=None,
        version=1,
    )
    outbox = Outbox(
        directory / "outbox.db",
        limits=Limits(max_age_s=1e9, max_samples=10**7),
        on_trouble=lambda *_: None,
    )
    await outbox.open()
    port = free_port()
    program = Program.module("simulators.scout", "--port", str(port), log=directory / "scout.log")
    target = Target(url=f"ws://127.0.0.1:{port}/ws/stomp")
    async with program, aiohttp.ClientSession() as http:
        await program.until_it_listens(port)
        # Everything is loaded once before anything is measured.
        await outbox.put(next(slots()))
        await deliver(hass, entry, outbox, http, target)
        forget_peak()
        idle_mib = memory_mib("VmRSS")

        slot_s = await fill(outbox)
        queued_mib = memory_mib("VmRSS") - idle_mib
        await deliver(hass, entry, outbox, http, target)
        peak_mib = memory_mib("VmHWM") - idle_mib

        ours: list[Pace] = []
        bare: list[Pace] = []
        for _ in range(ROUNDS):
            await fill(outbox)
            frames = await frames_of(outbox)
            bare.append(await send_bare(http, target, frames))
            ours.append(await deliver(hass, entry, outbox, http, target))
    await outbox.close()
    await hass.async_stop(force=True)
    # The best of the rounds: whatever else the machine does can only slow one down.
    rate, bare_rate = (max(pace.rate for pace in paces) for paces in (ours, bare))
    cpu_us, bare_cpu_us = (min(pace.cpu_us for pace in paces) for paces in (ours, bare))
    ratio = rate / bare_rate
    passed = ratio >= GOAL_RATIO and peak_mib < GOAL_MIB
    print(
        f"outbox: {SAMPLES} samples queued, {slot_s * 1000:.1f} ms a slot of {SAMPLES // SLOTS};"
        f" delivered in {len(frames)} frames at {rate:,.0f}/s, bare client {bare_rate:,.0f}/s:"
        f" ratio {ratio:.2f} (goal {GOAL_RATIO}); {cpu_us:.2f} us of processor time a sample,"
        f" bare client {bare_cpu_us:.2f}; memory over idle {queued_mib:.1f} MiB when queued,"
        f" {peak_mib:.1f} MiB at the most (goal {GOAL_MIB:.0f}): {'passed' if passed else 'FAILED'}"
    )
    return passed


def main() -> None:
    """Run from the command line."""
    with tempfile.TemporaryDirectory(prefix="grid_telemetry_bench_") as directory:
        sys.exit(not asyncio.run(run(Path(directory))))


if __name__ == "__main__":
    main()
