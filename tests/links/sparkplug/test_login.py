"""The log-in of the forms, tried at a real broker."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from simulators.sparkplug import GROUP, NODE, NODE_PASSWORD, NODE_USER, Sparkplug

from ..flows import begin_link
from .test_flow import LIMITS, MORE

pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.usefixtures("no_setup")]


def broker_of(scada: Sparkplug, **changes: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": scada.broker.plain_port,
        "transport": "tcp",
        "username": NODE_USER,
        "password": NODE_PASSWORD,
        "more": MORE,
        **changes,
    }


async def test_a_login_that_works_makes_an_entry(hass: HomeAssistant, scada: Sparkplug) -> None:
    flow_id = await begin_link(hass, "sparkplug")
    configure = hass.config_entries.flow.async_configure
    result = await configure(flow_id, broker_of(scada))
    assert result["step_id"] == "sparkplug_node"
    result = await configure(flow_id, {"group_id": GROUP, "node_id": NODE, **LIMITS})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"password": "wrong"}, "sparkplug_invalid_auth"),
        ({"port": 1}, "sparkplug_cannot_connect"),
        ({"transport": "tls", "more": {**MORE, "ca_file": "/no"}}, "sparkplug_certificate_file"),
        ({"transport": "websocket", "port": 1}, "sparkplug_cannot_connect"),
        ({"username": "a\0"}, "sparkplug_invalid_credential"),
    ],
)
async def test_one_that_does_not_is_told(
    hass: HomeAssistant, scada: Sparkplug, changes: dict[str, Any], key: str
) -> None:
    flow_id = await begin_link(hass, "sparkplug")
    result = await hass.config_entries.flow.async_configure(flow_id, broker_of(scada, **changes))
    assert result["errors"] == {"base": key}


async def test_a_certificate_of_another_authority_is_not_trusted(
    hass: HomeAssistant, scada: Sparkplug
) -> None:
    flow_id = await begin_link(hass, "sparkplug")
    result = await hass.config_entries.flow.async_configure(
        flow_id, broker_of(scada, transport="tls", port=scada.broker.port)
    )
    assert result["errors"] == {"base": "sparkplug_tls_failed"}
