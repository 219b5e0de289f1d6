"""Users that are counted exactly, with evidence."""

from collections.abc import Sequence

import msgspec
import xxhash

from app.clicks import Clicks

#: Bounds of what is kept of one suspect, who decides what to send.
EVENTS_MAX = 16
PRODUCTS_MAX = 256


class Suspect(msgspec.Struct, array_like=True):
    """A user whose estimate reached the promotion level, profiled from that click on.

    Attributes:
        promoted: estimate at the click that promoted it, that click included.
        exact: clicks since, that one included.
        first, last: earliest and latest event time of those, epoch seconds.
        events: those by event, the first 16 distinct ones.
        other_events: those of any further event.
        products: hashes of the distinct products among them; dropped when
            they become 256, which is as far as they are counted.
        many_products: they did.
    """

    promoted: int
    exact: int = 0
    first: float = float("inf")
    last: float = 0.0
    events: dict[str, int] = {}
    other_events: int = 0
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
        """Distinct products among the clicks counted exactly, up to 256."""
        return PRODUCTS_MAX if self.many_products else len(self.products)

    @property
    def event_mix(self) -> dict[str, int]:
        """Clicks counted exactly by event, most frequent first; the rest as ``(other)``."""
        mix = dict(sorted(self.events.items(), key=lambda item: (-item[1], item[0])))
        return mix | {"(other)": self.other_events} if self.other_events else mix

    def add(self, evidence: "Evidence", positions: Sequence[int]) -> None:
        """Count the clicks at ``positions``, of which there is at least one."""
        self.exact += len(positions)
        times = [*map(evidence.time_of, positions)]
        self.first = min(self.first, min(times))
        self.last = max(self.last, max(times))
        events = self.events
        for event in map(evidence.event_of, positions):
            if event in events:
                events[event] += 1
            elif len(events) < EVENTS_MAX:
                events[event] = 1
            else:
                self.other_events += 1
        if not self.many_products:
            products = self.products
            products.update(map(evidence.hash_of, map(evidence.product_of, positions)))
            products.discard(NO_PRODUCT)
            if len(products) >= PRODUCTS_MAX:
                self.many_products = True
                products.clear()

    def copy(self) -> "Suspect":
        """The suspect as it is now."""
        copied: Suspect = msgspec.structs.replace(self, events=dict(self.events), products=set(self.products))
        return copied


#: Stands for the hash where a click names no product.
NO_PRODUCT = -1


class _Hashes(dict[str | int | None, int]):
    """Hash (XXH3) of each product, made when first asked for."""

    def __missing__(self, product: str | int) -> int:
        digest = self[product] = xxhash.xxh3_64_intdigest(str(product).encode())
        return digest


class Evidence:
    """What a batch of clicks says about suspects, by position of the click."""

    def __init__(self, clicks: Clicks) -> None:
        self.time_of = clicks.times.tolist().__getitem__
        self.event_of = clicks.events.__getitem__
        self.product_of = clicks.products.__getitem__
        self.hash_of = _Hashes({None: NO_PRODUCT}).__getitem__
