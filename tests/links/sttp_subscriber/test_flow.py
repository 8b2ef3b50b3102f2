"""The steps of a subscriber's entry, as a user goes through them."""

from pathlib import Path
import socket
import ssl
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.grid_telemetry.const import CONF_KIND
from custom_components.grid_telemetry.forms.tls import server_context
from custom_components.grid_telemetry.protocols.sttp.frames import SttpError
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher
from custom_components.grid_telemetry.protocols.sttp.subscriber import SttpRefusedError
from simulators.certificates import Authority
from tests.links.flows import begin_link

from .conftest import ALL, AddEntry, detail, metadata

pytestmark = pytest.mark.usefixtures("no_setup")

RUN = "custom_components.grid_telemetry.protocols.sttp.subscriber.Subscriber.run"


def given(publisher: Publisher, **changes: Any) -> dict[str, Any]:
    return {
        "host": " 127.0.0.1",
        "port": publisher.port,
        "filter_expression": ALL,
        "interval_s": 1,
        "use_tls": False,
        "tls": {},
        **changes,
    }


async def answer(hass: HomeAssistant, flow_id: str, data: dict[str, Any]) -> dict[str, Any]:
    return dict(await hass.config_entries.flow.async_configure(flow_id, data))


async def test_a_publisher_that_answers_makes_an_entry(
    hass: HomeAssistant, publisher: Publisher
) -> None:
    result = await answer(hass, await begin_link(hass, "sttp_subscriber"), given(publisher))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"STTP 127.0.0.1:{publisher.port}"
    assert result["data"] == {
        CONF_KIND: "sttp_subscriber",
        "connection": "dial",
        "host": "127.0.0.1",
        "port": publisher.port,
        "filter_expression": ALL,
        "interval_s": 1,
        "metadata": "all",
        "use_tls": False,
    }


@pytest.mark.parametrize(
    ("choice", "modes"),
    [("all", (True, True)), ("internal", (True, False)), ("external", (False, True))],
)
async def test_the_metadata_of_relayed_signals_is_asked_for_as_chosen(
    hass: HomeAssistant, publisher: Publisher, choice: str, modes: tuple[bool, bool]
) -> None:
    asked = []
    with patch(RUN, autospec=True, side_effect=lambda it, _: asked.append(it.parameters)):
        await answer(
            hass, await begin_link(hass, "sttp_subscriber"), given(publisher, metadata=choice)
        )
    assert [(item.internal_metadata, item.external_metadata) for item in asked] == [modes]


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (SttpRefusedError("no"), "sttp_refused"),
        (SttpError("what?"), "sttp_wrong_protocol"),
        (TimeoutError(), "sttp_timeout"),
        (ssl.SSLCertVerificationError("expired"), "sttp_tls_failed"),
        (socket.gaierror(-2, "Name or service not known"), "sttp_unknown_host"),
        (ConnectionRefusedError("refused"), "sttp_cannot_connect"),
    ],
)
async def test_why_there_is_no_subscription_is_told_and_can_be_corrected(
    hass: HomeAssistant, publisher: Publisher, trouble: Exception, error: str
) -> None:
    flow_id = await begin_link(hass, "sttp_subscriber")
    with patch(RUN, side_effect=trouble):
        result = await answer(hass, flow_id, given(publisher))
    assert result["errors"] == {"base": error}
    result = await answer(hass, flow_id, given(publisher))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_name_that_no_host_can_have_is_told(
    hass: HomeAssistant, publisher: Publisher
) -> None:
    data = given(publisher, host="two..dots")
    trouble = UnicodeError("label empty")
    with patch("asyncio.open_connection", side_effect=trouble):
        result = await answer(hass, await begin_link(hass, "sttp_subscriber"), data)
    assert result["errors"] == {"base": "sttp_unknown_host"}


async def test_a_publisher_that_keeps_silent_is_told(
    hass: HomeAssistant, publisher: Publisher
) -> None:
    with patch(
        "custom_components.grid_telemetry.links.sttp_subscriber.client.SUBSCRIBED_WITHIN_S", 0
    ):
        result = await answer(hass, await begin_link(hass, "sttp_subscriber"), given(publisher))
    assert result["errors"] == {"base": "sttp_timeout"}


async def test_an_expression_that_selects_nothing_is_told(
    hass: HomeAssistant, publisher: Publisher
) -> None:
    data = given(publisher, filter_expression="FILTER ActiveMeasurements WHERE False")
    result = await answer(hass, await begin_link(hass, "sttp_subscriber"), data)
    assert result["errors"] == {"base": "sttp_no_signals"}


async def test_an_expression_that_selects_too_much_is_told(
    hass: HomeAssistant, publisher: Publisher
) -> None:
    publisher.define_metadata(metadata(detail(1, "ALOG"), detail(2, "ALOG")))
    with patch("custom_components.grid_telemetry.links.sttp_subscriber.client.MAX_SIGNALS", 1):
        result = await answer(hass, await begin_link(hass, "sttp_subscriber"), given(publisher))
    assert result["errors"] == {"base": "sttp_too_many_signals"}


async def test_tls_verifies_the_publisher_and_shows_our_certificate(
    hass: HomeAssistant, publisher: Publisher, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("publisher")
    secure = Publisher(
        port=0, tls=await hass.async_add_executor_job(server_context, str(certificate), str(key))
    )
    secure.define_metadata(metadata(detail(1, "FREQ")))
    await secure.start()
    try:
        flow_id = await begin_link(hass, "sttp_subscriber")
        data = given(secure, use_tls=True)
        result = await answer(hass, flow_id, data)
        assert result["errors"] == {"base": "sttp_tls_failed"}
        data["tls"] = {"ca_file": str(tmp_path / "nowhere.pem")}
        result = await answer(hass, flow_id, data)
        assert result["errors"] == {"base": "certificate_file"}
        data["tls"] = {
            "ca_file": str(authority.ca_file),
            "certificate": str(certificate),
            "key": str(key),
        }
        result = await answer(hass, flow_id, data)
        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert result["data"]["ca_file"] == str(authority.ca_file)
    finally:
        await secure.stop()


async def test_a_subscription_is_made_once(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    flow_id = await begin_link(hass, "sttp_subscriber")
    await answer(hass, flow_id, given(publisher))
    result = await answer(hass, await begin_link(hass, "sttp_subscriber"), given(publisher))
    assert result["reason"] == "already_configured"


async def test_reconfigure_shows_what_is_stored_and_changes_it(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry(ca_file="/ca.pem")
    result = await entry.start_reconfigure_flow(hass)
    schema = result["data_schema"].schema
    values = {str(key): (key.description or {}).get("suggested_value") for key in schema}
    assert (values["host"], values["port"]) == ("127.0.0.1", publisher.port)
    section = schema["tls"].schema.schema
    assert next(iter(section)).description == {"suggested_value": "/ca.pem"}
    changed = await answer(
        hass, result["flow_id"], given(publisher, filter_expression="PPA:1", interval_s=5)
    )
    assert changed["reason"] == "reconfigure_successful"
    assert entry.data["filter_expression"] == "PPA:1"
    assert entry.data["interval_s"] == 5
    assert "ca_file" not in entry.data
    result = await entry.start_reconfigure_flow(hass)
    changed = await answer(
        hass, result["flow_id"], given(publisher, filter_expression="PPA:1", interval_s=7)
    )
    assert changed["reason"] == "reconfigure_successful"
    assert entry.data["interval_s"] == 7
