"""Why a platform takes nothing now: every link maps what goes wrong to one of these."""

from enum import StrEnum
from typing import Final

from .wording import in_words

SLOW_RETRY_S: Final = 300.0
"""The wait after the platform refused the destination, which time alone does not heal."""


class LinkError(Exception):
    """Why nothing can be delivered now."""

    retry_after_s: float | None = None
    """A fixed wait before the next attempt; None is the growing one."""

    def __init__(
        self, reason: str, detail: str = "", *, retry_after_s: float | None = None
    ) -> None:
        """Take a short reason, which names its translation, and a detail without secrets."""
        detail = in_words(detail)
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s


class CredentialsRefused(LinkError):  # noqa: N818 - named after what happened
    """The platform refuses the credentials; the user is asked for new ones.

    It may be a passing mistake of the platform, so they are tried again.
    """

    retry_after_s = SLOW_RETRY_S


class DestinationRefused(LinkError):  # noqa: N818
    """The platform does not know where we want to; somebody must set it right there."""

    retry_after_s = SLOW_RETRY_S


class Blame(StrEnum):
    """What a platform says that it refuses."""

    UNKNOWN = "unknown"
    """It only ended the session."""
    KIND = "kind"
    """Everything of a kind: where it goes is missing or forbidden."""
    PACKET = "packet"
    """One packet: too large, or not understood."""


class SendingRefused(LinkError):  # noqa: N818
    """The platform ended the session over something that it was sent."""

    retry_after_s = 1.0

    def __init__(self, reason: str, detail: str = "", *, blame: Blame = Blame.UNKNOWN) -> None:
        """Take the platform's words as the detail."""
        super().__init__(reason, detail)
        self.blame = blame


class ConnectionFailed(LinkError):  # noqa: N818
    """There is no connection, or no longer."""
