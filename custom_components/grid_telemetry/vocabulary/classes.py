"""The classes that quantities have, written as Home Assistant writes them.

Home Assistant's own enumerations stay in `entities/`, so that codecs and payloads run without it.
A test holds every member against those.
"""

from enum import StrEnum


class DeviceClass(StrEnum):
    """What kind of thing a quantity measures."""

    APPARENT_POWER = "apparent_power"
    ATMOSPHERIC_PRESSURE = "atmospheric_pressure"
    BATTERY = "battery"
    CURRENT = "current"
    DURATION = "duration"
    ENERGY = "energy"
    ENERGY_STORAGE = "energy_storage"
    ENUM = "enum"
    FREQUENCY = "frequency"
    HUMIDITY = "humidity"
    IRRADIANCE = "irradiance"
    POWER = "power"
    POWER_FACTOR = "power_factor"
    REACTIVE_ENERGY = "reactive_energy"
    REACTIVE_POWER = "reactive_power"
    TEMPERATURE = "temperature"
    VOLTAGE = "voltage"
    WIND_SPEED = "wind_speed"


class StateClass(StrEnum):
    """How a quantity behaves over time."""

    MEASUREMENT = "measurement"
    TOTAL = "total"
    TOTAL_INCREASING = "total_increasing"
