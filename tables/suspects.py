"""Users that are counted exactly, with evidence."""

from collections.abc import Sequence

import msgspec
import xxhash

from app.clicks import Clicks

#: Bounds of what is kept of one suspect, who decides what to send.
EVENTS_MAX = 16
PRODUCTS_MAX = 1000
OTHER = "(other)"


class Suspect(msgspec.Struct, array_like=True):
    """A user whose estimate reached the promotion level, profiled from that click on.

    Attributes:
        promoted: estimate at the click that promoted it, that click included.
        exact: clicks since, that one included.
        first, last: earliest and latest event time of those, epoch seconds.
        events: those by event; from the 17th distinct one on, ``(other)``.
        products: hashes of the distinct products among them; dropped when
            they become 1,000, which is as far as they are counted.
        many_products: they did.
    """

    promoted: int
    exact: int = 0
    first: float = float("inf")
    last: float = 0.0
    events: dict[str, int] = {}
    products: set[int] = set()
    many_products: bool = False

    @property
    def count_low(self) -> int:
        """Certainly at least as many clicks in the window."""
        return self.exact

    @property
    def count_high(self) -> int:
        """Certainly at most as many clicks in the window."""
        return self.promoted + self.exact - 1

    @property
    def distinct_products(self) -> int:
        """Distinct products among the clicks counted exactly, up to 1,000."""
        return PRODUCTS_MAX if self.many_products else len(self.products)

    def add(self, evidence: "Evidence", positions: Sequence[int]) -> None:
        """Count the clicks at ``positions``, of which there is at least one."""
        self.exact += len(positions)
        times = [evidence.times[position] for position in positions]
        self.first = min(self.first, min(times))
        self.last = max(self.last, max(times))
        counts = self.events
        for position in positions:
            event = evidence.events[position]
            if event in counts:
                counts[event] += 1
            elif len(counts) < EVENTS_MAX:
                counts[event] = 1
            else:
                counts[OTHER] = counts.get(OTHER, 0) + 1
        if not self.many_products:
            self.products.update(evidence.products(positions))
            if len(self.products) >= PRODUCTS_MAX:
                self.many_products = True
                self.products.clear()

    def copy(self) -> "Suspect":
        """The suspect as it is now."""
        copied: Suspect = msgspec.structs.replace(self, events=dict(self.events), products=set(self.products))
        return copied


class Evidence:
    """What a batch of clicks says about suspects, by position of the click."""

    def __init__(self, clicks: Clicks) -> None:
        self.times: list[float] = clicks.times.tolist()
        self.events = clicks.events
        self._products = clicks.products
        self._hashes: dict[str | int, int] = {}

    def products(self, positions: Sequence[int]) -> set[int]:
        """Hashes (XXH3) of the products of these clicks."""
        hashes = self._hashes
        found = set()
        for position in positions:
            product = self._products[position]
            if product is None:
                continue
            digest = hashes.get(product)
            if digest is None:
                digest = hashes[product] = xxhash.xxh3_64_intdigest(str(product).encode())
            found.add(digest)
        return found
