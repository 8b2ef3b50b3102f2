"""What is asked for in one request: all of it, as long as the replies are not too large."""

from collections.abc import Callable, Collection, Iterable, Sequence
import json
from typing import Final

# A node closes above 4096 bytes.
_MAX_REQUEST_BYTES: Final = 3_500
# One connection that breaks while a reply is due may be an accident.
_TIMES: Final = 2

type Request = tuple[str, ...]
"""Source ids or Ant patterns of them; none is everything."""


class Plan:
    """The requests of one round; one whose reply breaks the connection again and again is split.

    Where a request was split down to the ids of known sources, new sources are not found by it
    any more, until the plan is made anew.
    """

    def __init__(self, patterns: Sequence[str], matches: Callable[[str, str], bool]) -> None:
        """Begin with all of the patterns at once; `matches` says whether one matches a source."""
        self.requests: list[Request] = list(_in_pieces(patterns))
        self._matches = matches
        self._broken: dict[Request, int] = {}

    def worked(self, request: Request) -> None:
        """Take note of a reply."""
        self._broken.pop(request, None)

    def broke(self, request: Request, known: Collection[str]) -> bool:
        """Take note of a connection that broke before the reply; False if nothing is left to split.

        `known` are the sources known so far.
        """
        times = self._broken[request] = self._broken.get(request, 0) + 1
        if times < _TIMES:
            return True
        parts: Sequence[str] = request
        if len(parts) < 2:
            parts = sorted(
                source for source in known if not request or self._matches(request[0], source)
            )
            if set(parts) <= set(request):
                return False
        middle = (len(parts) + 1) // 2
        place = self.requests.index(request)
        self.requests[place : place + 1] = [
            piece for half in (parts[:middle], parts[middle:]) if half for piece in _in_pieces(half)
        ]
        del self._broken[request]
        return True


def body_of(request: Request) -> str:
    """Return the body that asks for the sources."""
    return json.dumps(request, separators=(",", ":"), ensure_ascii=False) if request else ""


def _in_pieces(patterns: Iterable[str]) -> Iterable[Request]:
    """Return requests that a node takes in."""
    piece: Request = ()
    for pattern in patterns:
        if piece and len(body_of((*piece, pattern)).encode()) > _MAX_REQUEST_BYTES:
            yield piece
            piece = ()
        piece = (*piece, pattern)
    yield piece
