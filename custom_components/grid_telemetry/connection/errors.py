"""Why a platform takes nothing now: every link maps what goes wrong to one of these."""

from typing import Final

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
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s


class CredentialsRefused(LinkError):  # noqa: N818 - named after what happened
    """The platform refuses the credentials; the user is asked for new ones."""


class DestinationRefused(LinkError):  # noqa: N818
    """The platform refuses what is sent, or where to; somebody must set it right there."""

    retry_after_s = SLOW_RETRY_S


class ConnectionFailed(LinkError):  # noqa: N818
    """There is no connection, or no longer."""
