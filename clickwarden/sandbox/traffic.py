"""Made-up clicks as columns of numbers: a day of them is made and sorted in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks
from clickwarden.sandbox import shoppers
from clickwarden.sandbox.shoppers import PRODUCTS

EVENTS = (*shoppers.EVENTS, "login_failed")
VIEW, SEARCH, ADD_TO_CART, PURCHASE, LOGIN, LOGIN_FAILED = range(len(EVENTS))

_EVENT_OF = EVENTS.__getitem__
_PRODUCT_OF = [None, *(f"product-{rank}" for rank in range(1, PRODUCTS + 1))].__getitem__


@dataclass(frozen=True, slots=True)
class Traffic:
    """n clicks.

    Attributes:
        times: float64[n], when each says it happened, epoch seconds to the millisecond.
        received: float64[n], when Kafka received it.
        users: int64[n], numbers of users.
        events: int64[n], positions in :data:`EVENTS`.
        products: int64[n], ranks from 1; 0 where a click names none.
    """

    times: NDArray[np.float64]
    received: NDArray[np.float64]
    users: NDArray[np.int64]
    events: NDArray[np.int64]
    products: NDArray[np.int64]

    def __len__(self) -> int:
        """How many clicks."""
        return len(self.times)

    @classmethod
    def together(cls, parts: Sequence["Traffic"]) -> "Traffic":
        """The clicks of all parts, one at least, in the order in which Kafka received them."""
        joined = cls(*map(np.concatenate, zip(*map(_columns, parts), strict=True)))
        return joined.pick(np.argsort(joined.received, kind="stable"))

    def pick(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Traffic":
        """Some of the clicks, in this order."""
        return Traffic(*(column[rows] for column in _columns(self)))

    def before(self, moment: float) -> tuple["Traffic", "Traffic"]:
        """What Kafka received before a moment, and the rest; of clicks in the order of :meth:`together`."""
        end = int(np.searchsorted(self.received, moment))
        return self.pick(slice(0, end)), self.pick(slice(end, None))

    def clicks(self, names: Sequence[str]) -> Clicks:
        """The clicks as detection takes them; ``names`` are the users', by number."""
        return Clicks(
            users=list(map(names.__getitem__, self.users.tolist())),
            events=list(map(_EVENT_OF, self.events.tolist())),
            products=list(map(_PRODUCT_OF, self.products.tolist())),
            times=self.times,
            received=self.received,
        )


def _columns(traffic: Traffic) -> tuple[NDArray[Any], ...]:
    return traffic.times, traffic.received, traffic.users, traffic.events, traffic.products
