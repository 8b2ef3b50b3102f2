"""Hourly statistics of a sensor; imported where there is a recorder."""

from datetime import datetime

from homeassistant.components.recorder.models import StatisticMeanType, StatisticMetaData
from homeassistant.components.recorder.statistics import async_import_statistics
from homeassistant.components.sensor.const import UNIT_CONVERTERS
from homeassistant.const import ATTR_DEVICE_CLASS, ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import HomeAssistant

from .recovery import HourMean


def write_hour(hass: HomeAssistant, entity_id: str, hour: datetime, mean: HourMean) -> None:
    """Write the statistics of an hour, over those that are there; its values are in its unit."""
    state = hass.states.get(entity_id)
    attributes = {} if state is None else state.attributes
    converter = UNIT_CONVERTERS.get(attributes.get(ATTR_DEVICE_CLASS))
    async_import_statistics(
        hass,
        StatisticMetaData(
            mean_type=StatisticMeanType.ARITHMETIC,
            has_sum=False,
            name=None,
            source="recorder",
            statistic_id=entity_id,
            unit_class=None if converter is None else converter.UNIT_CLASS,
            unit_of_measurement=attributes.get(ATTR_UNIT_OF_MEASUREMENT),
        ),
        [{"start": hour, "mean": mean.mean, "min": mean.least, "max": mean.most}],
    )
