"""Who may call the actions, and what their forms offer."""

from collections.abc import Generator
from unittest.mock import patch

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers.service import async_get_all_descriptions
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN


@pytest.fixture
def no_setup() -> Generator[None]:
    """Keep the entries from being set up."""
    with patch("custom_components.grid_telemetry.async_setup_entry", return_value=True):
        yield


@pytest.mark.usefixtures("enable_custom_integrations")
async def test_every_action_is_for_administrators(
    hass: HomeAssistant, hass_read_only_user: MockUser
) -> None:
    """Each sends, writes, deletes or reveals something."""
    assert await async_setup_component(hass, DOMAIN, {})
    actions = hass.services.async_services_for_domain(DOMAIN)
    assert len(actions) > 20
    for name, action in actions.items():
        call = ServiceCall(hass, DOMAIN, name, {}, Context(user_id=hass_read_only_user.id))
        with pytest.raises(Unauthorized):
            await action.job.target(call)


@pytest.mark.usefixtures("enable_custom_integrations", "no_setup")
async def test_the_form_of_an_action_offers_what_fits(hass: HomeAssistant) -> None:
    """Entries of its own kind, and the devices and resources that there are."""
    assert await async_setup_component(hass, DOMAIN, {})

    async def options(action: str, field: str) -> list[tuple[str, str]] | None:
        described = (await async_get_all_descriptions(hass))[DOMAIN][action]["fields"][field]
        select = described["selector"].get("select")
        return select and [(each["value"], each["label"]) for each in select["options"]]

    assert await options("scout_send_event", "config_entry_id") is None
    scout = MockConfigEntry(
        domain=DOMAIN,
        title="Roof",
        data={CONF_KIND: "scout"},
        subentries_data=[
            ConfigSubentryData(
                subentry_type="device",
                title="MAIN",
                unique_id=None,
                data={"gateway_device_id": "MAIN", "points": []},
            )
        ],
    )
    await hass.config_entries.async_add(scout)
    platform = MockConfigEntry(
        domain=DOMAIN,
        title="Site",
        data={CONF_KIND: "powernaut"},
        subentries_data=[
            ConfigSubentryData(
                subentry_type="resource",
                title="Battery",
                unique_id=None,
                data={"resource_id": "5b0a"},
            )
        ],
    )
    await hass.config_entries.async_add(platform)
    assert await options("scout_send_event", "config_entry_id") == [(scout.entry_id, "Roof")]
    assert await options("scout_send_event", "gateway_device_id") == [("MAIN", "MAIN")]
    assert await options("powernaut_place_bid", "config_entry_id") == [(platform.entry_id, "Site")]
    assert await options("powernaut_place_bid", "resource_id") == [("5b0a", "Battery")]
    hass.config_entries.async_update_entry(scout, title="Barn")
    assert await options("scout_send_metrics", "config_entry_id") == [(scout.entry_id, "Barn")]
