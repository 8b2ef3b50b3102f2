"""A subscriber that waits for its publisher to dial in: its form, and the running link."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
import socket
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.protocols.sttp import Dialing, Target
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher
from simulators.certificates import Authority
from tests.links.flows import begin_link

from .conftest import ALL, detail, metadata, publish, shown, until

type Dial = Callable[[int], Awaitable[Publisher]]


@pytest.fixture
def port(socket_enabled: None) -> int:
    """Return a port that nobody has."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        number: int = sock.getsockname()[1]
        return number


def given(port: int, **changes: Any) -> dict[str, Any]:
    return {
        "connection": "listen",
        "host": "127.0.0.1",
        "port": port,
        "filter_expression": ALL,
        "interval_s": 1,
        "use_tls": False,
        "listening": {},
        "tls": {},
        **changes,
    }


async def answer(hass: HomeAssistant, data: dict[str, Any]) -> dict[str, Any]:
    flow_id = await begin_link(hass, "sttp_subscriber")
    return dict(await hass.config_entries.flow.async_configure(flow_id, data))


@pytest.mark.usefixtures("no_setup")
async def test_an_entry_that_listens_is_made_without_its_publisher(
    hass: HomeAssistant, port: int
) -> None:
    result = await answer(hass, given(port))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"STTP 127.0.0.1:{port}"
    assert result["data"] == {
        CONF_KIND: "sttp_subscriber",
        "connection": "listen",
        "host": "127.0.0.1",
        "port": port,
        "filter_expression": ALL,
        "interval_s": 1,
        "metadata": "all",
        "use_tls": False,
        "allowed_networks": ["127.0.0.0/8"],
    }


@pytest.mark.usefixtures("no_setup")
@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"host": "publisher.example.com"}, {"host": "invalid_address"}),
        ({"host": "192.0.2.1"}, {"host": "foreign_address"}),
        ({"listening": {"allowed_networks": ["1.2.3.4/8"]}}, {"base": "invalid_network"}),
        ({"use_tls": True}, {"base": "certificate_missing"}),
        (
            {"use_tls": True, "tls": {"certificate": "/nowhere.pem"}},
            {"base": "certificate_file"},
        ),
        ({"listening": {"fingerprints": ["ab"]}}, {"base": "sttp_invalid_fingerprint"}),
        (
            {"listening": {"fingerprints": ["ab" * 32]}},
            {"base": "sttp_fingerprint_without_authority"},
        ),
    ],
)
async def test_what_is_wrong_is_told(
    hass: HomeAssistant, port: int, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    assert (await answer(hass, given(port, **changes)))["errors"] == errors


@pytest.mark.usefixtures("no_setup")
async def test_a_port_that_another_one_has_is_told(hass: HomeAssistant, port: int) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", port))
        sock.listen()
        result = await answer(hass, given(port))
    assert result["errors"] == {"port": "port_in_use"}


@pytest.mark.usefixtures("no_setup")
async def test_known_certificates_are_stored_with_their_authority(
    hass: HomeAssistant, port: int, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("subscriber")
    files = {
        "ca_file": str(authority.ca_file),
        "certificate": str(certificate),
        "key": str(key),
    }
    listening = {"allowed_networks": [" 10.0.0.0/8"], "fingerprints": ["AB:" * 31 + "AB"]}
    result = await answer(hass, given(port, use_tls=True, tls=files, listening=listening))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["allowed_networks"] == ["10.0.0.0/8"]
    assert result["data"]["fingerprints"] == ["AB:" * 31 + "AB"]


@pytest.fixture
async def dial() -> AsyncGenerator[Dial]:
    """Return a function that starts a publisher which dials a port."""
    async with AsyncExitStack() as stack:

        async def start(port: int, **more: Any) -> Publisher:
            dialing = Dialing(
                targets=(Target(host="127.0.0.1", port=port),),
                first_wait_s=0.01,
                longest_wait_s=0.02,
                **more,
            )
            publisher = Publisher(port=0, batch_s=0.0, dialing=dialing)
            publisher.define_metadata(metadata(detail(1, "FREQ", "Shelby Frequency")))
            await publisher.start()
            stack.push_async_callback(publisher.stop)
            return publisher

        yield start


def entry_of(hass: HomeAssistant, port: int, **changes: Any) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Grid",
        data={
            CONF_KIND: "sttp_subscriber",
            "connection": "listen",
            "host": "127.0.0.1",
            "port": port,
            "filter_expression": ALL,
            "interval_s": 0.1,
            "use_tls": False,
            "allowed_networks": ["127.0.0.0/8"],
            **changes,
        },
    )
    entry.add_to_hass(hass)
    return entry


async def test_a_publisher_that_dials_in_is_shown_and_taken_again(
    hass: HomeAssistant, port: int, dial: Dial
) -> None:
    entry = entry_of(hass, port)
    assert await hass.config_entries.async_setup(entry.entry_id)
    publisher = await dial(port)
    await until(lambda: any(info.signals for info in publisher.subscribers()))
    await until(lambda: entry.runtime_data._sensors)
    publish(publisher, 1, 50)
    await shown(hass, "shelby_frequency", lambda state: state.state == "50.0")
    link = "custom_components.grid_telemetry.links.sttp_subscriber.link"
    with (
        patch(f"{link}.NEXT_ARRIVAL_S", 0.0),
        patch.object(entry.runtime_data.recovery, "note") as note,
    ):
        publisher.disconnect(publisher.subscribers()[0].id)
        await shown(hass, "shelby_frequency", lambda state: state.state == "unavailable")
        await until(lambda: any(info.signals for info in publisher.subscribers()))
        publish(publisher, 1, 51)
        await shown(hass, "shelby_frequency", lambda state: state.state == "51.0")
    # There is no second connection to ask for the past.
    note.assert_not_called()
    told = await async_get_config_entry_diagnostics(hass, entry)
    assert told["link"]["listener"] == {"refused": 0, "last_refusal": None}
    assert await hass.config_entries.async_unload(entry.entry_id)
    await until(lambda: not publisher.subscribers())


async def test_who_was_turned_away_is_told_where_no_publisher_comes(
    hass: HomeAssistant, port: int, dial: Dial
) -> None:
    entry = entry_of(hass, port, allowed_networks=["10.0.0.0/8"])
    client = "custom_components.grid_telemetry.links.sttp_subscriber.client"
    with patch(f"{client}.ARRIVES_WITHIN_S", 0.2):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await dial(port)
        health = entry.runtime_data.health
        await until(lambda: health.last_error == "sttp_no_publisher" and health.last_error_detail)
    assert health.last_error_detail == "127.0.0.1: Not in an allowed network"
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_expression_that_is_refused_is_told_and_the_publisher_is_taken_again(
    hass: HomeAssistant, port: int, dial: Dial
) -> None:
    entry = entry_of(hass, port, filter_expression="FILTER nonsense")
    link = "custom_components.grid_telemetry.links.sttp_subscriber.link"
    with patch(f"{link}.NEXT_ARRIVAL_S", 0.0):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await dial(port)
        health = entry.runtime_data.health
        await until(lambda: health.last_error == "sttp_refused")
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_port_that_another_one_has_is_tried_again(hass: HomeAssistant, port: int) -> None:
    entry = entry_of(hass, port)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", port))
        sock.listen()
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert str(port) in (entry.reason or "")


async def test_a_certificate_that_cannot_be_read_is_told(hass: HomeAssistant, port: int) -> None:
    entry = entry_of(hass, port, use_tls=True, certificate="/nowhere.pem")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
