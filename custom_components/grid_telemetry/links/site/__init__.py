"""The site: its configuration, pulled from a centre as a signed file."""

from typing import Final

from ...link import LinkModule
from .const import CONF_ENROLMENT, CONF_SECRETS, CONF_VARIABLES, KIND

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    direction=None,
    # Variables tell claim ids and addresses.
    secrets=frozenset({CONF_ENROLMENT, CONF_SECRETS, CONF_VARIABLES}),
)
