"""Powernaut: power and state of charge out, activations in."""

from typing import Final

from ...link import LinkModule
from .actions import ACTIONS
from .automation import CONDITIONS, TRIGGERS
from .const import CONF_SECRET, CONF_SITE_KEY, KIND, SUBENTRY_RESOURCE

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    first_subentry=SUBENTRY_RESOURCE,
    forwards=True,
    actions=ACTIONS,
    triggers=TRIGGERS,
    conditions=CONDITIONS,
    secrets=frozenset({CONF_SECRET, CONF_SITE_KEY}),
)
