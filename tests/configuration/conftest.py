"""Homes, the meters and platforms that they have, and the site file that tells of all of them."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from homeassistant import loader
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_test_home_assistant

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher
from simulators.ardexa import Ardexa
from simulators.meters import MeterServer, SimulatedMeter
from simulators.powernaut import Powernaut, connection_of
from simulators.programs import free_port
from simulators.scout import ScoutServer
from simulators.solarnode import SolarNode

from ..links.ardexa.conftest import GATEWAY, META
from ..links.solarnode.conftest import LOGIN, PASSWORD, Readings, datum
from ..links.sttp_subscriber.conftest import ALL, detail, metadata

SDM120 = {"power": -500.0, "energy_export": 10.0}
SDM630 = {"power": 1234.0, "voltage_l1": 230.0, "energy_import": 1500.0, "frequency": 50.0}


@dataclass(frozen=True, kw_only=True)
class World:
    """What a home is connected to."""

    meters: MeterServer
    scout: ScoutServer
    node: SolarNode
    ardexa: Ardexa
    publisher: Publisher
    powernaut: Powernaut

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path) -> AsyncIterator[Self]:
        """Run all of it."""
        async with AsyncExitStack() as stack:
            meters = [
                SimulatedMeter(1, "eastron_sdm630", lambda: SDM630),
                SimulatedMeter(2, "eastron_sdm120", lambda: SDM120),
            ]
            readings = Readings([datum("/meter/1", i={"watts": 1500, "voltage": 230.4})])
            powernaut = Powernaut(folder)
            powernaut.add_resource("Battery", "static_battery", capacity_kwh="10")
            publisher = Publisher(port=0, batch_s=0.0)
            publisher.define_metadata(metadata(detail(1, "FREQ", "Shelby Frequency")))
            world = cls(
                meters=await stack.enter_async_context(MeterServer(meters)),
                scout=await stack.enter_async_context(ScoutServer()),
                node=await stack.enter_async_context(
                    SolarNode(login=LOGIN, password=PASSWORD, latest=readings)
                ),
                ardexa=await stack.enter_async_context(Ardexa()),
                publisher=publisher,
                powernaut=await stack.enter_async_context(powernaut),
            )
            await publisher.start()
            stack.push_async_callback(publisher.stop)
            world.ardexa.add_device(GATEWAY, "Gateway", META)
            yield world

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets of it, by what `secrets.yaml` calls them."""
        return {
            "scout_token": self.scout.token,
            "powernaut_secret": self.powernaut.book.secret,
            "node_password": PASSWORD,
            "ardexa_token": self.ardexa.token,
            "setup_password": "a long enough password",
        }


def site_file(world: World) -> str:
    """Return a site file with an entry of every kind and a subentry of every type."""
    powernaut = connection_of(world.powernaut)
    battery = next(iter(world.powernaut.book.resources))
    return f"""\
site_file: 1
owned: true
variables:
  site: madrid_7
  meters: {{host: 127.0.0.1, port: {world.meters.port}}}
entries:
  - id: scout
    kind: scout
    name: Scout of ${{site}}
    url: {world.scout.url}
    host: {world.scout.host}
    claim_id: {world.scout.claim_id!r}
    token: !secret scout_token
    allow_plain: true
    serial_number: ${{site}}
    interval_s: 1
    subentries:
      - type: device
        gateway_device_id: MAIN
        points:
          - {{entity: {{meter: House, quantity: power}}, code: AP, unit: kW}}
          - {{entity: {{meter: House, quantity: energy_import}}, code: AE}}
          - {{entity: {{meter: All meters, quantity: power}}, code: TOTAL, factor: 2}}
      - type: alarm
        entity: binary_sensor.smoke
        event_type: ALARM_DEVICE
        gateway_device_id: MAIN
  - id: line
    kind: modbus
    name: Cellar
    transport: tcp
    host: 127.0.0.1
    port: {world.meters.port}
    subentries:
      - {{type: meter, name: House, unit_id: 1, register_map: eastron_sdm630, current_ratio: '5'}}
      - {{type: meter, name: Solar, unit_id: 2, register_map: eastron_sdm120, fast_interval_s: 2}}
  - id: groups
    kind: group
    subentries:
      - group_name: All meters
        group_kind: total
        points:
          - {{entity: {{meter: House, quantity: power}}, quantity: power}}
          - {{entity: {{meter: Solar, quantity: power}}, quantity: power, missing_as_zero: true}}
  - id: powernaut
    kind: powernaut
    environment: custom
    api_url: {powernaut["api_url"]}
    broker_host: {powernaut["broker_host"]}
    broker_port: {powernaut["broker_port"]}
    ca_file: {powernaut["ca_file"]}
    site_key: {powernaut["site_key"]}
    secret: !secret powernaut_secret
    subentries:
      - {{type: site, power_entity: {{meter: House, quantity: power}}}}
      - type: resource
        resource_id: {battery}
        resource_type: static_battery
        power_entity: {{meter: Solar, quantity: power}}
        soc_entity: sensor.charge
        capacity_kwh: 10
      - type: standing_bid
        name: Evenings
        resource_id: {battery}
        curve: [{{watts: -1500, price: 0.3}}]
        start_time: '18:00:00'
        weekdays: [mon, tue]
      - type: baseline
        name: Like days
        target_id: {battery}
        source: history
        entity: {{meter: Solar, quantity: power}}
  - id: sttp
    kind: sttp_publisher
    host: 127.0.0.1
    port: {free_port()}
    subentries:
      - acronym: ${{site}}_MAIN
        points:
          - {{entity: {{meter: House, quantity: frequency}}, name: FREQUENCY, signal: FREQ}}
  - id: subscription
    kind: sttp_subscriber
    host: 127.0.0.1
    port: {world.publisher.port}
    filter_expression: {ALL}
  - id: setup
    kind: setup_server
    port: {free_port()}
    password: !secret setup_password
    sources: [{{device: {{device: House}}, source_id: /house}}]
    subentries:
      - {{destination: /setup/lamp, action: {{action: light.turn_on}}}}
  - id: node
    kind: solarnode
    host: 127.0.0.1
    port: {world.node.port}
    login: {LOGIN}
    password: !secret node_password
  - id: virtual
    kind: virtual_meter
    transport: tcp
    port: {free_port()}
    subentries:
      - unit_id: '1'
        profile: eastron_sdm630
        points: [{{entity: {{meter: House, quantity: power}}, quantity: power}}]
  - id: plant
    kind: sparkplug
    host: 127.0.0.1
    port: {free_port()}
    transport: tcp
    group_id: Plant
    node_id: ${{site}}
    subentries:
      - type: sparkplug_device
        device_id: main
        points:
          - {{entity: {{meter: House, quantity: power}}, name: meter/power, data_type: float}}
      - type: sparkplug_command
        device_id: main
        metric: limit
        data_type: double
        action: {{action: script.limit}}
  - id: cloud
    kind: ardexa
    url: {world.ardexa.url}
    workgroup: dev
    token: !secret ardexa_token
    subentries:
      - {{device: {GATEWAY}, table: solar, source: inverter-01, field: AC Power}}
      - {{device: {GATEWAY}, table: other, source: typed, field: Power, unit: W}}
""".replace("${site}_MAIN", "MADRID_7_MAIN")


@pytest.fixture
def home(hass: HomeAssistant, tmp_path: Path) -> Path:
    """The folder of the first home, which is empty."""
    return prepare(hass, tmp_path / "home")


def prepare(hass: HomeAssistant, folder: Path) -> Path:
    """Give a home a folder of its own and the integration of this checkout."""
    (folder / DOMAIN).mkdir(parents=True)
    hass.config.config_dir = str(folder)
    hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
    hass.states.async_set("binary_sensor.smoke", "off", {"friendly_name": "Smoke"})
    hass.states.async_set(
        "sensor.charge", "50", {"unit_of_measurement": "%", "device_class": "battery"}
    )
    return folder


@pytest.fixture
async def other_home(tmp_path: Path) -> AsyncGenerator[HomeAssistant]:
    """A second home, which is empty."""
    async with async_test_home_assistant() as hass:
        prepare(hass, tmp_path / "other")
        yield hass
        for entry in hass.config_entries.async_entries(DOMAIN):
            await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_stop(force=True)


@pytest.fixture
async def world(socket_enabled: None, tmp_path: Path) -> AsyncGenerator[World]:
    """Run meters and platforms."""
    (tmp_path / "world").mkdir()
    async with World.running(tmp_path / "world") as running:
        # What an MQTT broker says to a login, Sparkplug's own tests hold.
        with patch("custom_components.grid_telemetry.links.sparkplug.flow.login_test"):
            yield running


async def call(hass: HomeAssistant, action: str, **data: Any) -> dict[str, Any]:
    """Call one of the actions and return its answer."""
    assert await async_setup_component(hass, DOMAIN, {})
    answer = await hass.services.async_call(
        DOMAIN, f"{action}_configuration", data, blocking=True, return_response=True
    )
    assert isinstance(answer, dict)
    return dict(answer)
