"""Where the record is kept of what a file made."""

from typing import Final

from ..const import DOMAIN

RECORD_VERSION: Final = 1
RECORD_KEY: Final = f"{DOMAIN}.configuration"
