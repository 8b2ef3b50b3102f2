"""Who may call the actions."""

from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.exceptions import Unauthorized
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockUser

from custom_components.grid_telemetry.const import DOMAIN


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
