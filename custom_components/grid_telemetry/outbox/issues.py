"""Repair issues of a forwarder: its outbox, and what the platform refuses."""

from homeassistant.core import callback

from ..connection.issues import Issues
from .store import Trouble

REFUSED = "outbox_refused"
PAUSED = "outbox_paused"
# Of a file that was set aside, which the user may delete.
_SET_ASIDE = (Trouble.CORRUPT, Trouble.FOREIGN)


@callback
def show_trouble(issues: Issues, trouble: Trouble, detail: str | None) -> None:
    """Show the begin of an outbox's trouble, which has a detail, or its end."""
    issues.set(
        detail is not None,
        trouble,
        fixable=trouble in _SET_ASIDE,
        data={"set_aside": detail or ""},
        detail=detail or "",
    )


@callback
def show_paused(issues: Issues, kind: str, words: str | None) -> None:
    """Show that the platform takes nothing of a kind, with its words; None when it does again."""
    issues.set(words is not None, PAUSED, kind.lower(), kind=kind, words=words or "")


@callback
def show_refused(issues: Issues, count: int) -> None:
    """Show that messages were refused; the user may have them sent again or delete them."""
    issues.set(count > 0, REFUSED, fixable=True, count=str(count))
