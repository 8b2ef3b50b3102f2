"""Names of what a meter group's subentry stores."""

from enum import StrEnum
from typing import Final

KIND: Final = "group"

SUBENTRY_GROUP: Final = "group"
CONF_NAME: Final = "group_name"
CONF_GROUP_KIND: Final = "group_kind"
CONF_QUANTITY: Final = "quantity"

# Of the form only.
CONF_MAIN_DEVICE: Final = "main_device"


class GroupKind(StrEnum):
    """What is made of the members."""

    TOTAL = "total"
    DIFFERENCE = "difference"
