"""The fixtures of the STTP tests, whose peers these are."""

from tests.protocols.sttp.conftest import reference, stack, start_peer

__all__ = ["reference", "stack", "start_peer"]
