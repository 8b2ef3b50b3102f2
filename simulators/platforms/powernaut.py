"""Powernaut as a platform of the demo."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..home_assistant import HomeAssistant, Json
from ..powernaut import Powernaut, connection_of
from ..programs import until
from . import Received

CAPACITY_KWH = 10.0
# The simulated meters have no battery; this one takes some of the sun and gives it back at night.
BATTERY_POWER = "{{ (-0.4 * states('%s') | float(0) - 400) | round(1) }}"
BATTERY_CHARGE = "{{ (50 - states('%s') | float(0) / 200) | round(2) }}"
ACTIVATION_W = -1500


class PowernautPlatform:
    """What the observer behind the broker has."""

    def __init__(self, stand_in: Powernaut) -> None:
        """Take the stand-in to look into."""
        self._stand_in = stand_in
        self._names: dict[str, str] = {}
        self.expected: set[tuple[str, str]] = set()

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Make a battery, the entry, the site's meter and two resources, and activate one."""
        house, solar = [await _power_of(home, device) for device in devices]
        battery = await _template(home, "Battery power", "power", "W", BATTERY_POWER % solar)
        charge = await _template(home, "Battery charge", "battery", "%", BATTERY_CHARGE % solar)
        entry_id = await home.add_entry(
            "grid_telemetry",
            {
                "user": {"next_step_id": "powernaut"},
                "powernaut": {"next_step_id": "powernaut_custom"},
                "powernaut_custom": {**connection_of(self._stand_in), "qos": "1"},
            },
        )
        power: Json = {"invert": False, "max_age_s": 60}
        await home.add_subentry(entry_id, "site", {"user": {**power, "power_entity": house}})
        self._expect(self._stand_in.book.site_id, "SITE", "power")
        for resource_id, entities in zip(
            self._stand_in.book.resources,
            (
                {
                    "power_entity": battery,
                    "soc_entity": charge,
                    "capacity_kwh": CAPACITY_KWH,
                },
                {"power_entity": solar, "invert": True},
            ),
            strict=True,
        ):
            await home.add_subentry(
                entry_id,
                "resource",
                {"user": {"resource_id": resource_id}, "entities": {**power, **entities}},
            )
            name = self._stand_in.book.resources[resource_id]["name"].upper()
            self._expect(resource_id, name, "power", *["soc"] * ("soc_entity" in entities))
        await self._activate_battery()

    async def _activate_battery(self) -> None:
        """Command a setpoint once Home Assistant listens, which it does before it sends."""
        battery = next(iter(self._stand_in.book.resources))

        async def sends() -> bool:
            return bool(self._stand_in.of(battery))

        await until(sends, 60, "readings of the battery")
        now = datetime.now(UTC)
        await self._stand_in.activate(battery, now, now + timedelta(hours=1), ACTIVATION_W)

    def _expect(self, platform_id: str, name: str, *points: str) -> None:
        self._names[platform_id] = name
        self.expected |= {(name, point) for point in points}

    def received(self) -> list[Received]:
        """Return what the observer took."""
        rows: list[Received] = []
        for platform_id, name in self._names.items():
            readings = self._stand_in.of(platform_id)
            for point in ("power", "soc"):
                values = [
                    (reading.value if point == "power" else reading.soc, reading.time)
                    for reading in readings
                ]
                known = [(value, at) for value, at in values if value is not None]
                if known:
                    value, at = known[-1]
                    rows.append(
                        Received(device=name, name=point, value=value, at=at, count=len(known))
                    )
        return rows

    def refused(self) -> list[str]:
        """Return what the observer refused."""
        return self._stand_in.refusals()


async def _power_of(home: HomeAssistant, device: str) -> str:
    """Return the entity with the total power of a meter."""
    [entity_id] = [
        entity["entity_id"]
        for entity in await home.entities()
        if entity["device_id"] == device and entity["translation_key"] == "power"
    ]
    assert isinstance(entity_id, str)
    return entity_id


async def _template(
    home: HomeAssistant, name: str, device_class: str, unit: str, template: str
) -> str:
    """Make a sensor of a template, as a user makes one in the frontend; return its entity id."""
    await home.add_entry(
        "template",
        {
            "user": {"next_step_id": "sensor"},
            "sensor": {
                "name": name,
                "state": template,
                "unit_of_measurement": unit,
                "device_class": device_class,
                "state_class": "measurement",
            },
        },
    )
    return f"sensor.{name.lower().replace(' ', '_')}"


@asynccontextmanager
async def run_powernaut(folder: Path, _real_brokers: bool) -> AsyncIterator[PowernautPlatform]:
    """Run the stand-in, whose broker is a real one in any case."""
    stand_in = Powernaut(folder)
    stand_in.add_resource("Battery", "static_battery", capacity_kwh=str(CAPACITY_KWH))
    stand_in.add_resource("Solar", "photovoltaic")
    async with stand_in:
        await stand_in.until_it_observes()
        yield PowernautPlatform(stand_in)
