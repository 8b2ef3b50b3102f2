"""A real broker that refuses: RabbitMQ 3.10 and 4.3, neither of which says why.

RabbitMQ 4 is there after `script/setup --rabbitmq-4`.
"""

from itertools import pairwise
from pathlib import Path
import time

from homeassistant.core import HomeAssistant
import pytest

from simulators.programs import until
from simulators.rabbitmq import NEWER, Observer, RabbitMq
from simulators.scout_messages import EXCHANGES
from tests.links.scout.conftest import AddEntry, add_entry, device, server
from tests.links.scout.test_link import POWER, set_power
from tests.links.scout.test_refusals import WAVEFORM, call

__all__ = ["add_entry", "server"]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("rabbitmq-server"),
    pytest.mark.usefixtures("socket_enabled", "enable_custom_integrations"),
]


@pytest.mark.parametrize("root", [Path("/"), NEWER], ids=["3.10", "4"])
async def test_a_broker_without_an_exchange_gets_everything_else_within_ten_seconds(
    hass: HomeAssistant,
    tmp_path: Path,
    add_entry: AddEntry,
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not (root / "usr/lib/rabbitmq/bin/rabbitmq-server").exists():
        pytest.skip("RabbitMQ 4 is not here: script/setup --rabbitmq-4")
    present = [name for name in EXCHANGES if name != "waveforms"]
    async with (
        RabbitMq(folder=tmp_path / "rabbitmq", root=root, exchanges=present) as broker,
        Observer(broker=broker) as observer,
    ):
        entry = add_entry(device("MAIN", POWER), url=broker.url, host=broker.host)
        set_power(hass, 1)
        await hass.config_entries.async_setup(entry.entry_id)

        async def has_metrics() -> bool:
            return len(observer.metrics) > 2

        await until(has_metrics, 30, "metrics")
        await call(hass, "scout_send_waveform", **WAVEFORM)
        began = time.time()

        async def goes_on() -> bool:
            return any(metric.ts.timestamp() > began + 6 for metric in observer.metrics)

        await until(goes_on, 25, "metrics after the waveform")
        newest = max(metric.ts.timestamp() for metric in observer.metrics)
        taken = sorted({metric.ts.timestamp() for metric in observer.metrics})
        gaps = [after - before for before, after in pairwise(taken)]
        greetings = [event for event in observer.events if event.type == "EXPORT_CONNECTED"]
        with capsys.disabled():
            print(
                f"\n{root}: the rest was late by {max(0.0, time.time() - newest):.1f} s at the"
                f" end, largest gap {max(gaps):.0f} s, {len(greetings)} greetings"
            )
        assert max(gaps) == 1  # no slot is missing
        assert time.time() - newest < 10
        assert len(greetings) == 1
        assert not observer.refusals
        assert await hass.config_entries.async_unload(entry.entry_id)
