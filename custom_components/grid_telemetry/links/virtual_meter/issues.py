"""Repair issues for what clients ask of a meter that it does not have."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
import struct
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval

from ...connection.issues import Issues
from ...protocols.modbus_server import Health
from .meter import PlayedMeter
from .payload import image_of, profile_names

CHECK_INTERVAL: Final = timedelta(minutes=1)
# A client that scans for meters asks once or twice for what others have; one that waits for a
# meter that it knows asks for the same again and again, and gets on to nothing else.
_TIMES: Final = 10
_STUCK_S: Final = 60.0
_MOST_METERS: Final = 4


class UnmetRequests:
    """Tells of clients that get no further because the meter does not have what they ask for."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        health: Health,
        meters: Sequence[PlayedMeter],
    ) -> None:
        """Take what the server knows, and the meters that it serves."""
        self._hass = hass
        self._health = health
        self._issues = Issues(hass, entry)
        self._meters: Mapping[int, PlayedMeter] = {meter.unit: meter for meter in meters}
        self._any = next((meter for meter in meters if meter.any_unit_id), None)
        self._raised: set[tuple[str, int]] = set()
        self._unlisten: CALLBACK_TYPE | None = None

    @callback
    def start(self) -> None:
        """Look now and then."""
        self._unlisten = async_track_time_interval(self._hass, self._check, CHECK_INTERVAL)

    @callback
    def stop(self) -> None:
        """End, and clear what was raised; may be called again."""
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
        self._issues.clear()

    async def _check(self, _: object) -> None:
        now = self._hass.loop.time()
        stuck: dict[tuple[str, int], bytes] = {}
        for (client, unit, pdu), times in self._health.unmet.items():
            asked = self._health.asked.get((client, unit))
            met_at = None if asked is None else asked.met_at
            if times >= _TIMES and (met_at is None or now - met_at > _STUCK_S):
                stuck[client, unit] = pdu
        for client, unit in self._raised - stuck.keys():
            self._issues.set(False, "unmet_request", f"{unit}_{client}")
            self._issues.set(False, "unmet_request_unknown", f"{unit}_{client}")
        self._raised &= stuck.keys()
        for (client, unit), pdu in stuck.items():
            if (client, unit) not in self._raised and len(pdu) == 5:
                await self._raise(client, unit, pdu)

    async def _raise(self, client: str, unit: int, pdu: bytes) -> None:
        meter = self._any or self._meters[unit]
        function, address, count = struct.unpack(">BHH", pdu)
        others = await self._hass.async_add_executor_job(
            _meters_that_have, function, address, count
        )
        self._raised.add((client, unit))
        self._issues.set(
            True,
            "unmet_request" if others else "unmet_request_unknown",
            f"{unit}_{client}",
            client=client,
            unit=str(unit),
            meter=meter.image.as_meter.name,
            function=f"{function:02}",
            register=f"{address} (0x{address:04X})",
            count=str(count),
            meters=", ".join(others),
        )


def _meters_that_have(function: int, address: int, count: int) -> Sequence[str]:
    """Return the names of meters that answer a request. Blocking: it may read files."""
    return [
        name
        for profile, name in profile_names().items()
        if image_of(profile, {}, unit=1, serial_number=0).has(function, address, count)
    ][:_MOST_METERS]
