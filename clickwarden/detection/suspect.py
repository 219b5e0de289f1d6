"""A user that is counted exactly, with evidence."""

from collections.abc import Iterable, Sequence

import msgspec

from clickwarden.detection.batch import NO_PRODUCT, Evidence

#: Bounds of what is kept of one suspect, who decides what to send.
EVENTS_MAX = 16
PRODUCTS_MAX = 256


class Suspect(msgspec.Struct, array_like=True):
    """A user whose estimate reached the promotion level, profiled from that click on.

    Attributes:
        promoted: estimate at the click that promoted it, that click included.
        exact: clicks since, that one included.
        first, last: earliest and latest event time of those, epoch seconds.
        events: those by event, the first 16 distinct ones; the first one without a full profile.
        other_events: those of any further event.
        products: hashes of the distinct products among them; dropped when
            they become 256, which is as far as they are counted; None without a full profile.
        many_products: they did.
        incident: start of the window that its incident began with; None while it is no anomaly.
        values: hashes of the different values that are counted, as far as there is place for them; None
            where clicks are counted. Only clicks that brought another are then counted, and looked at.
        part: of the clicks counted exactly, those of which the rule wants a share.
    """

    promoted: int
    exact: int = 0
    first: float = float("inf")
    last: float = 0.0
    events: dict[str, int] = {}
    other_events: int = 0
    products: set[int] | None = set()
    many_products: bool = False
    incident: int | None = None
    values: set[int] | None = None
    part: int = 0

    @property
    def count_low(self) -> int:
        """Certainly at least as many clicks, or different values, in the window."""
        return self.exact if self.values is None else len(self.values)

    @property
    def count_high(self) -> int:
        """Certainly at most as many clicks, or different values, in the window."""
        return self.promoted + self.exact - 1

    @property
    def part_high(self) -> int:
        """Certainly at most as many clicks of which the rule wants a share."""
        return self.promoted + self.part - 1

    @property
    def distinct_products(self) -> int:
        """Distinct products among the clicks counted exactly, up to 256; 0 where they are not kept."""
        return PRODUCTS_MAX if self.many_products else len(self.products or ())

    @property
    def wants_products(self) -> bool:
        """Whether another product may add to what is known."""
        return self.products is not None and not self.many_products

    @property
    def event_mix(self) -> dict[str, int]:
        """Clicks counted exactly by event, most frequent first; the rest as ``(other)``."""
        mix = dict(sorted(self.events.items(), key=lambda item: (-item[1], item[0])))
        return mix | {"(other)": self.other_events} if self.other_events else mix

    def add(self, evidence: Evidence, positions: Sequence[int]) -> None:
        """Count the clicks at ``positions``, of which there is at least one."""
        self.exact += len(positions)
        times = evidence.times(positions)
        self.first = min(self.first, *times)
        self.last = max(self.last, *times)
        for event, clicks in evidence.events(positions).items():
            self.count_event(event, clicks)
        if self.wants_products:
            self.see_products(evidence.products[positions].tolist())

    def count_event(self, event: str, clicks: int) -> None:
        """Note what the user did, so many times."""
        if event in self.events:
            self.events[event] += clicks
        elif len(self.events) < (1 if self.products is None else EVENTS_MAX):
            self.events[event] = clicks
        else:
            self.other_events += clicks

    def see_products(self, hashes: Iterable[int]) -> None:
        """Note on which products, by their hashes; only where :attr:`wants_products`."""
        assert self.products is not None
        self.products.update(hashes)
        self.products.discard(NO_PRODUCT)
        self._cap_products()

    def _cap_products(self) -> None:
        assert self.products is not None
        if len(self.products) >= PRODUCTS_MAX:
            self.many_products = True
            self.products.clear()

    def figures(self) -> "Suspect":
        """What is counted, without evidence."""
        values = None if self.values is None else set(self.values)
        return Suspect(self.promoted, self.exact, values=values, part=self.part)

    def join(self, other: "Suspect") -> None:
        """Add what is counted of the user in another pane; the values of both are one set."""
        self.promoted += other.promoted - 1
        self.exact += other.exact
        self.part += other.part
        if self.values is not None and other.values is not None:
            kept = len(self.values) + len(other.values)
            self.values |= other.values
            self.exact -= kept - len(self.values)

    def merge(self, other: "Suspect") -> None:
        """Add what is known of the user in another pane, which is a later one."""
        self.join(other)
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        if self.products is None and other.products is not None:
            self.products = set()
        self.many_products |= other.many_products
        if self.many_products:
            self.products = set()
        elif self.products is not None and other.products:
            self.products |= other.products
            self._cap_products()
        for event, clicks in other.events.items():
            self.count_event(event, clicks)
        self.other_events += other.other_events

    def copy(self) -> "Suspect":
        """The suspect as it is now."""
        products = None if self.products is None else set(self.products)
        values = None if self.values is None else set(self.values)
        copied: Suspect = msgspec.structs.replace(
            self, events=dict(self.events), products=products, values=values
        )
        return copied
