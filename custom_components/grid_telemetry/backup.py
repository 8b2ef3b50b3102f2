"""Backup platform: what is done before and after Home Assistant archives the configuration."""

from homeassistant.core import HomeAssistant

from .outbox.backup import async_hold_checkpoints


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Have the outboxes leave their files as they are."""
    await async_hold_checkpoints(hass, hold=True)


async def async_post_backup(hass: HomeAssistant) -> None:
    """Let the outboxes go on as usual."""
    await async_hold_checkpoints(hass, hold=False)
