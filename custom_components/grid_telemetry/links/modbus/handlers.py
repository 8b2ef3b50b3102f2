"""What the action of the Modbus link does."""

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.loader import async_get_integration
from homeassistant.util import dt as dt_util
from modbus_connection import ModbusError

from ...const import CONF_KIND, DOMAIN
from .actions import ATTR_DEVICE
from .const import KIND
from .report import UnknownMapError, async_report, report_folder, write_report
from .wording import modbus_words


async def async_report_meter(call: ServiceCall) -> ServiceResponse:
    """Read a meter and keep what it says in a file."""
    hass = call.hass
    entry, meter = _meter(hass, call.data[ATTR_DEVICE])
    integration = await async_get_integration(hass, DOMAIN)
    now = dt_util.now()
    try:
        report = await async_report(
            hass, entry, meter, str(integration.version), now.date().isoformat()
        )
    except (ModbusError, UnknownMapError) as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="meter_silent",
            translation_placeholders={"meter": meter.title, "error": modbus_words(err)},
        ) from err
    name = f"{report['register_map']}-{now:%Y%m%d-%H%M%S}"
    try:
        path = await hass.async_add_executor_job(write_report, report_folder(hass), name, report)
    except OSError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="report_not_written",
            translation_placeholders={"error": str(err)},
        ) from err
    return {"file": str(path), "values": report["values"], "refused": report["refused"]}


def _meter(hass: HomeAssistant, device_id: str) -> tuple[ConfigEntry, ConfigSubentry]:
    """Return the meter that a device stands for.

    Raises `ServiceValidationError` for any other device.
    """
    device = dr.async_get(hass).async_get(device_id)
    if device is not None and device.config_entry_id is not None:
        entry = hass.config_entries.async_get_entry(device.config_entry_id)
        if entry is not None and entry.domain == DOMAIN and entry.data.get(CONF_KIND) == KIND:
            meter = entry.subentries.get(device.config_subentry_id or "")
            if meter is not None:
                return entry, meter
    raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_meter")
