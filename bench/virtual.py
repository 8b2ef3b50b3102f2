"""The virtual meter in a running Home Assistant: two masters at 10 Hz, 1,000 states a second.

The masters speak RTU over TCP, where no frame has a number, ask for three quantities in turn, give
an answer up after 150 ms and then take the next one for it, as inverters do. First Home Assistant
only changes its states; then an integration makes its event loop stand still for 0.9 s every 5 s.
The peer is a pymodbus server in a process of its own that does nothing else.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
import signal
import struct
import sys
from tempfile import TemporaryDirectory
import time
from typing import Any, Final

from pymodbus.framer import FramerRTU

from bench.points import LOADGEN
from simulators.home_assistant import HomeAssistant
from simulators.meters import MeterServer, SimulatedMeter
from simulators.programs import Program, free_port

MASTERS: Final = 2
PERIOD_S: Final = 0.1
TIMEOUT_S: Final = 0.15
WARM_UP_S: Final = 15
STALL_S: Final = 0.9
STALL_EVERY_S: Final = 5.0
GOAL_P99_S: Final = 0.02
BOUGHT_KWH: Final = 8123.4
VOLTAGE: Final = 230.1
MOST_W: Final = 5000.0
# Register, and what its value may be.
ASKED: Final[Sequence[tuple[int, float, float]]] = (
    (0x34, 0.0, MOST_W),
    (0x48, BOUGHT_KWH - 0.01, BOUGHT_KWH + 0.01),
    (0x00, VOLTAGE - 0.01, VOLTAGE + 0.01),
)


@dataclass
class Heard:
    """What masters got."""

    took_s: list[float] = field(default_factory=list)
    lost: int = 0
    refused: int = 0
    wrong: int = 0

    def at(self, part: float) -> float:
        """Return how long an answer took, of so many of them."""
        ordered = sorted(self.took_s)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    def __str__(self) -> str:
        """Tell it in a line."""
        return (
            f"{len(self.took_s)} answers, p50 {self.at(0.5) * 1000:.1f} ms, p99"
            f" {self.at(0.99) * 1000:.1f} ms, longest {self.at(1) * 1000:.0f} ms,"
            f" {self.lost} without an answer, {self.refused} refused, {self.wrong} wrong"
        )


class Master(asyncio.Protocol):
    """Asks again and again; what comes after its time-out it takes for the next answer."""

    def __init__(self) -> None:
        """Begin without an answer."""
        self.received = bytearray()
        self.came = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Collect."""
        self.received += data
        self.came.set()

    async def answer(self) -> bytes:
        """Return the next frame, whatever it answers."""
        while True:
            length = 5 if len(self.received) > 1 and self.received[1] & 0x80 else 9
            if len(self.received) >= length:
                frame = bytes(self.received[:length])
                del self.received[:length]
                return frame
            self.came.clear()
            await self.came.wait()


async def ask(port: int, heard: Heard, seconds: float) -> None:
    """Be a master for a while."""
    loop = asyncio.get_running_loop()
    transport, master = await loop.create_connection(Master, "127.0.0.1", port)
    end = due = loop.time()
    end += seconds
    number = 0
    while due < end:
        register, low, high = ASKED[number % len(ASKED)]
        number += 1
        frame = struct.pack(">BBHH", 1, 4, register, 2)
        began = loop.time()
        transport.write(frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big"))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await master.answer()
        except TimeoutError:
            heard.lost += 1
        else:
            heard.took_s.append(loop.time() - began)
            if answer[1] & 0x80:
                heard.refused += 1
            elif not low <= struct.unpack(">f", answer[3:7])[0] <= high:
                heard.wrong += 1
        due = max(due + PERIOD_S, loop.time())
        await asyncio.sleep(due - loop.time())
    transport.close()


async def listen(port: int, seconds: float) -> Heard:
    """Return what the masters got in a while."""
    heard = Heard()
    await asyncio.gather(*(ask(port, heard, seconds) for _ in range(MASTERS)))
    return heard


async def serve(port: int) -> None:
    """Be the peer."""
    values = {"power": 1234.5, "energy_import": BOUGHT_KWH, "voltage_l1": VOLTAGE}
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    meter = SimulatedMeter(1, "eastron_sdm630", lambda: values)
    async with MeterServer([meter], port=port, transport="rtu_over_tcp"):
        await stop.wait()


async def add_meter(home: HomeAssistant, port: int) -> None:
    """Add a virtual meter with a power that changes, a counter and a voltage."""
    for name, value, unit in (("bought", BOUGHT_KWH, "kWh"), ("voltage", VOLTAGE, "V")):
        await home.request(
            "POST",
            f"/api/states/sensor.{name}",
            {"state": str(value), "attributes": {"unit_of_measurement": unit}},
        )
    powers = (
        entity["entity_id"]
        for entity in await home.entities()
        if entity["platform"] == "loadgen" and entity["entity_id"].startswith("sensor.load_000")
    )
    power = min(powers)
    rows: list[dict[str, Any]] = [
        {"entity": power, "quantity": "power"},
        {"entity": "sensor.bought", "quantity": "energy_import"},
        {"entity": "sensor.voltage", "quantity": "voltage_l1", "max_age_s": 0},
    ]
    entry_id = await home.add_entry(
        "grid_telemetry",
        {
            "user": {"next_step_id": "virtual_meter"},
            "virtual_meter": {"master": "other"},
            "virtual_meter_transport": {"next_step_id": "virtual_meter_rtu_over_tcp"},
            "virtual_meter_rtu_over_tcp": {
                "host": "127.0.0.1",
                "port": port,
                "allowed_networks": ["127.0.0.0/8"],
                "max_clients": 8,
            },
        },
    )
    await home.add_subentry(
        entry_id,
        "virtual_meter",
        {
            "user": {
                "unit_id": "1",
                "profile": "eastron_sdm630",
                "max_age_s": 10,
                "devices": [],
                "entities": [row["entity"] for row in rows],
            },
            "points": {"points": rows},
        },
    )


async def figure(home: HomeAssistant, key: str) -> str:
    """Return a figure of the virtual meter."""
    for entity in await home.entities():
        if entity["translation_key"] == f"virtual_meter_{key}":
            state: str = (await home.states())[entity["entity_id"]]["state"]
            return state
    raise LookupError(key)


async def run(folder: Path, seconds: float) -> bool:
    """Measure, print the line, and say whether the goals were met."""
    peer_port, port = free_port(), free_port()
    peer = Program.module("bench.virtual", "--serve", str(peer_port), log=folder / "peer.log")
    async with peer:
        await peer.until_it_listens(peer_port)
        bare = await listen(peer_port, seconds)
    home = HomeAssistant(folder / "home", components=[LOADGEN], unrecorded=["sensor.load_*"])
    async with home:
        await home.add_entry("loadgen", {})
        await add_meter(home, port)
        await home.call("loadgen.hurry", devices=100, hz=1)
        await asyncio.sleep(WARM_UP_S)
        changed, began = await home.call("loadgen.hurry", response=True), time.monotonic()
        even = await listen(port, seconds)
        rate = (await home.call("loadgen.hurry", response=True))["changed"] - changed["changed"]
        rate = 10 * rate / (time.monotonic() - began)
        age_s = await figure(home, "power_age")
        await home.call("loadgen.block", seconds=STALL_S, every_s=STALL_EVERY_S)
        stalled = await listen(port, seconds)
        stalled_age_s, expired = [await figure(home, key) for key in ("power_age", "expired")]
    passed = even.wrong == stalled.wrong == 0 and even.at(0.99) < GOAL_P99_S
    print(
        f"virtual: {MASTERS} masters at {1 / PERIOD_S:.0f} Hz, RTU over TCP, {rate:.0f} states/s:"
        f" {even}, power {age_s} s old (goal: none wrong, p99 <"
        f" {GOAL_P99_S * 1000:.0f} ms); a stall of {STALL_S:g} s every {STALL_EVERY_S:g} s:"
        f" {stalled}, power {stalled_age_s} s old, {expired} dropped as too late (goal: none"
        f" wrong); a bare pymodbus server: {bare}; p50 {even.at(0.5) / bare.at(0.5):.2f} of its:"
        f" {'passed' if passed else 'FAILED'}"
    )
    return passed


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="each of the three parts")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        asyncio.run(serve(options.serve))
        return
    with TemporaryDirectory(prefix="grid-telemetry-bench-") as folder:
        sys.exit(not asyncio.run(run(Path(folder), options.seconds)))


if __name__ == "__main__":
    main()
