"""Names of what an STTP publisher's entry and its subentries store."""

from typing import Final

from ...const import DOMAIN

KIND: Final = "sttp_publisher"
EVENT_USER_COMMAND: Final = f"{DOMAIN}_sttp_command"
"""What automations hear of a user command of a subscriber."""

CONF_MAX_SUBSCRIBERS: Final = "max_subscribers"
CONF_TARGETS: Final = "targets"
CONF_FINGERPRINTS: Final = "fingerprints"

DEFAULT_MAX_SUBSCRIBERS: Final = 32

# Not `device`, which is Scout's: the texts of a subentry belong to its type.
SUBENTRY_DEVICE: Final = "sttp_device"
CONF_ACRONYM: Final = "acronym"
CONF_MAX_AGE_S: Final = "max_age_s"
CONF_NAME: Final = "name"
CONF_SIGNAL: Final = "signal"
CONF_PHASE: Final = "phase"

CONF_MIN_CHANGE: Final = "min_change"
CONF_MAX_PAUSE_S: Final = "max_pause_s"

DEFAULT_MAX_PAUSE_S: Final = 60
DEFAULT_MAX_AGE_S: Final = 300
