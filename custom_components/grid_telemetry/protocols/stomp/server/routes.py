"""The subscriptions of one client: which of them a destination goes to."""

from typing import Final

from ..patterns import matches

_MAX_KNOWN: Final = 256


class Routes:
    """Subscriptions by id, each to a destination or to a pattern of them."""

    def __init__(self) -> None:
        self._patterns: dict[str, str] = {}
        # Clients send to few destinations, again and again.
        self._known: dict[str, list[str]] = {}

    def __len__(self) -> int:
        """Return how many subscriptions there are."""
        return len(self._patterns)

    def add(self, subscription: str, pattern: str) -> None:
        """Subscribe; an id that is there already goes elsewhere from now on."""
        self._patterns[subscription] = pattern
        self._known.clear()

    def remove(self, subscription: str) -> None:
        """End a subscription, if there is one of this id."""
        self._patterns.pop(subscription, None)
        self._known.clear()

    def to(self, destination: str) -> list[str]:
        """Return the ids of the subscriptions to a destination, in order."""
        if (known := self._known.get(destination)) is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            known = self._known[destination] = sorted(
                subscription
                for subscription, pattern in self._patterns.items()
                if matches(pattern, destination)
            )
        return known
