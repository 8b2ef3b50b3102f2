"""The virtual meter as a platform of the demo: a Modbus client of another stack that reads it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any, Final

from aiohttp import ClientError
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
import yaml

from ..home_assistant import ApiError, HomeAssistant, Json
from ..programs import free_port
from . import Received

LOOK_S: Final = 1.0
_MAPS: Final = Path(__file__).parents[2] / "custom_components" / "grid_telemetry" / "meters"
_TYPES: Final = AsyncModbusTcpClient.DATATYPE
_MODEL: Final = 40_069
"""Where the model of the meter is: behind SunSpec's mark and the common model."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value is: `raw * scale`, times ten to the power of what is at `exponent`."""

    address: int
    type: str
    scale: float = 1.0
    exponent: int | None = None


def _with_phases(*keys: str) -> list[str]:
    return [name for key in keys for name in (key, *(f"{key}_l{n}" for n in (1, 2, 3)))]


# Model 203 as its definition has it: the first offset, the type, the offset of the scale factor,
# what one of its units is in ours, and the points in order.
_LINES: Final = ["voltage_ll_average", "voltage_l1_l2", "voltage_l2_l3", "voltage_l3_l1"]
_PHASES: Final = ["voltage_ln_average", "voltage_l1", "voltage_l2", "voltage_l3"]
_POINTS: Final[list[tuple[int, str, int, float, list[str]]]] = [
    (2, "INT16", 6, 1, _with_phases("current")),
    (7, "INT16", 15, 1, _PHASES + _LINES),
    (16, "INT16", 17, 1, ["frequency"]),
    (18, "INT16", 22, 1, _with_phases("power")),
    (23, "INT16", 27, 1, _with_phases("apparent_power")),
    (28, "INT16", 32, 1, _with_phases("reactive_power")),
    (33, "INT16", 37, 0.01, _with_phases("power_factor")),
    (38, "UINT32", 54, 0.001, _with_phases("energy_export", "energy_import")),
]


def _places(profile: str) -> dict[str, _Place]:
    """Return where a meter has its quantities, by its documents."""
    if profile.startswith("eastron"):
        document = yaml.safe_load((_MAPS / f"{profile}.yaml").read_text(encoding="utf-8"))
        return {
            key: _Place(place["address"], "FLOAT32")
            for key, place in document["quantities"].items()
        }
    places: dict[str, _Place] = {}
    floats = _MODEL + 2
    for first, kind, exponent, scale, keys in _POINTS:
        for number, key in enumerate(keys):
            if profile == "sunspec_213":
                # All points are floats here, one after the other; a power factor is at most 1.
                places[key] = _Place(floats, "FLOAT32", 1 if scale == 0.01 else scale)
                floats += 2
            else:
                size = 2 if kind == "UINT32" else 1
                address = _MODEL + first + size * number
                places[key] = _Place(address, kind, scale, _MODEL + exponent)
    return places


# Unit id, the meter that is played, and which of the demo's devices fills it.
_METERS: Final = (
    (1, "eastron_sdm630", 0),
    (2, "eastron_sdm120", 1),
    (3, "sunspec_203", 0),
    (4, "sunspec_213", 0),
)


class VirtualMeter:
    """What the client read, where it was what Home Assistant shows."""

    def __init__(self) -> None:
        """Prepare a client of a port that nobody has yet."""
        self.expected: set[tuple[str, str]] = set()
        self._port = free_port()
        self._entities: dict[tuple[str, str], str] = {}
        self._received: dict[tuple[str, str], Received] = {}
        self._refused: list[str] = []
        self._looking: asyncio.Task[None] | None = None

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Make the entry with a meter of each kind, and begin to read them."""
        entry_id = await home.add_entry(
            "grid_telemetry",
            {
                "user": {"next_step_id": "virtual_meter"},
                "virtual_meter": {"master": "other"},
                "virtual_meter_transport": {"next_step_id": "virtual_meter_tcp"},
                "virtual_meter_tcp": {
                    "host": "127.0.0.1",
                    "port": self._port,
                    "allowed_networks": ["127.0.0.0/8"],
                    "max_clients": 8,
                },
            },
        )
        for unit, profile, device in _METERS:

            def points(step: Json, profile: str = profile) -> Json:
                """Take what the form suggests."""
                (field,) = step["data_schema"]
                rows: list[dict[str, Any]] = field["description"]["suggested_value"]
                for row in rows:
                    if "quantity" in row:
                        self._entities[profile, row["quantity"]] = row["entity"]
                return {"points": rows}

            await home.add_subentry(
                entry_id,
                "virtual_meter",
                {
                    # Of the first one that was asked with the entry.
                    "master": {"master": "other"},
                    "user": {
                        "unit_id": str(unit),
                        "profile": profile,
                        "max_age_s": 60,
                        "devices": [devices[device]],
                        "entities": [],
                    },
                    "mapping": {"next_step_id": "points"},
                    "points": points,
                },
            )
        self.expected |= self._entities.keys()
        self._looking = asyncio.create_task(self._look(home))

    async def stop(self) -> None:
        """End reading."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _look(self, home: HomeAssistant) -> None:
        places = {profile: _places(profile) for _, profile, _ in _METERS}
        client = AsyncModbusTcpClient("127.0.0.1", port=self._port, retries=0)
        task = asyncio.current_task()
        assert task is not None
        try:
            # Within a request, pymodbus makes an error of its own of a cancellation.
            while not task.cancelling():
                try:
                    if client.connected or await client.connect():
                        await self._read(home, client, places)
                except ModbusException, ApiError, ClientError:
                    # It is not there yet, or not any more.
                    client.close()
                await asyncio.sleep(LOOK_S)
        finally:
            client.close()

    async def _read(
        self,
        home: HomeAssistant,
        client: AsyncModbusTcpClient,
        places: dict[str, dict[str, _Place]],
    ) -> None:
        """Read every point; one counts where its state before or after says the same."""
        before = await home.states()
        read: dict[tuple[str, str], tuple[float, float]] = {}
        for unit, profile, _ in _METERS:
            for key in [key for name, key in self._entities if name == profile]:
                if (value := await self._value(client, unit, places[profile][key])) is not None:
                    read[profile, key] = value
        after = await home.states()
        for point, (number, step) in read.items():
            entity_id = self._entities[point]
            # One that was only enabled by being mapped has no state yet.
            shown = [
                states[entity_id]["state"] for states in (before, after) if entity_id in states
            ]
            if any(_same(number, text, step) for text in shown):
                known = self._received.get(point)
                self._received[point] = Received(
                    device=point[0],
                    name=point[1],
                    value=round(number, 4),
                    at=time.time(),
                    count=1 if known is None else known.count + 1,
                )

    async def _value(
        self, client: AsyncModbusTcpClient, unit: int, place: _Place
    ) -> tuple[float, float] | None:
        """Return a value and the step between it and the next that the register can hold."""
        words = await self._words(client, unit, place.address, 1 if place.type == "INT16" else 2)
        if words is None or words == [0x8000]:
            return None
        raw = client.convert_from_registers(words, _TYPES[place.type])
        assert isinstance(raw, float | int)
        if place.exponent is None:
            return raw * place.scale, abs(raw * place.scale) * 2**-23
        exponent = await self._words(client, unit, place.exponent, 1)
        if exponent is None:
            return None
        power = client.convert_from_registers(exponent, _TYPES.INT16)
        assert isinstance(power, int)
        step = place.scale * 10.0**power
        return raw * step, step

    async def _words(
        self, client: AsyncModbusTcpClient, unit: int, address: int, count: int
    ) -> list[int] | None:
        holding = address >= _MODEL
        ask = client.read_holding_registers if holding else client.read_input_registers
        answer = await ask(address, count=count, device_id=unit)
        if answer.isError():
            # A sensor that has no value yet is none, which Eastron answers with code 4.
            if answer.exception_code != 4:
                self._refused.append(f"unit {unit}, register {address}: {answer}")
            return None
        return answer.registers

    def received(self) -> list[Received]:
        """Return the newest values."""
        return list(self._received.values())

    def refused(self) -> list[str]:
        """Return what the client was refused."""
        return self._refused


def _same(value: float, text: str, step: float) -> bool:
    try:
        return abs(value - float(text)) <= step
    except ValueError:
        return False


@asynccontextmanager
async def run_virtual_meter(folder: Path, real_brokers: bool) -> AsyncIterator[VirtualMeter]:
    """Prepare the client."""
    platform = VirtualMeter()
    try:
        yield platform
    finally:
        await platform.stop()
