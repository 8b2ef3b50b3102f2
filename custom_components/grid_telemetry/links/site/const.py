"""Names of the data of a site's entry."""

from typing import Final

KIND: Final = "site"

CONF_ENROLMENT: Final = "enrolment"
CONF_INTERVAL_MIN: Final = "interval_min"
CONF_PUBLIC_KEY: Final = "public_key"
CONF_SECRETS: Final = "secrets"
"""The secrets that came with the enrolment, by the names that a file calls them."""
CONF_UNATTENDED: Final = "unattended"
CONF_VARIABLES: Final = "variables"
"""What the enrolment says of this site, for the variables of a file that many sites share."""

DEFAULT_INTERVAL_MIN: Final = 60
