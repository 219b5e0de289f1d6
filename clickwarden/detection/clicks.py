"""Clicks as columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Rejected(NamedTuple):
    """A record that cannot be counted, and why; see :class:`clickwarden.errors.ClickError`.

    ``record`` is its position in the run it was decoded from.
    """

    offset: int
    key: bytes | None
    value: bytes
    reason: str
    detail: str
    record: int = 0


class Request(NamedTuple):
    """The HTTP request that a click was, where it comes from a web server's log.

    ``method`` is empty where it was not HTTP, ``status`` 0 where the answer is not known. Its path is the
    click's product.
    """

    method: str
    status: int


@dataclass(slots=True)
class Clicks:
    """Clicks as columns of equal length ``n``, in the order of their records.

    Attributes:
        users: who.
        events: what they did.
        products: on which product; None where the click names none.
        times: float64[n], event time in epoch seconds.
        received: float64[n], when Kafka received each, epoch seconds; NaN, or
            None for all of them, where nobody knows.
        records: int64[n], position of each click in the run it was decoded
            from; None where every record of the run became a click.
        rejected: the records that cannot be counted.
        ignored: tombstones in the run.
        stamps: float64, time stamp of each record of the run, epoch seconds;
            None where they have none.
        requests: what each click was as a request; None where they were none.
    """

    users: list[str]
    events: list[str]
    products: list[str | int | None]
    times: NDArray[np.float64]
    received: NDArray[np.float64] | None = None
    records: NDArray[np.int64] | None = None
    rejected: list[Rejected] = field(default_factory=list)
    ignored: int = 0
    stamps: NDArray[np.float64] | None = None
    requests: list[Request] | None = None

    def cut(self, size: int) -> Iterator["Clicks"]:
        """The clicks in parts of at most ``size``, without what became of other records."""
        for first in range(0, len(self.users), size):
            part = slice(first, first + size)
            yield Clicks(
                self.users[part],
                self.events[part],
                self.products[part],
                self.times[part],
                requests=self.requests and self.requests[part],
            )

    def pick(self, rows: Sequence[int]) -> "Clicks":
        """Those of the clicks at these positions, in this order, without what became of other records."""
        return Clicks(
            [self.users[row] for row in rows],
            [self.events[row] for row in rows],
            [self.products[row] for row in rows],
            self.times[list(rows)],
            requests=self.requests and [self.requests[row] for row in rows],
        )

    @classmethod
    def together(cls, parts: Sequence["Clicks"]) -> "Clicks":
        """All clicks of some, and the records they reject, in their order; nothing else of them."""
        if len(parts) == 1:
            return parts[0]
        requests = [part.requests for part in parts if part.requests is not None]
        return cls(
            [user for part in parts for user in part.users],
            [event for part in parts for event in part.events],
            [product for part in parts for product in part.products],
            np.concatenate([part.times for part in parts]) if parts else np.empty(0),
            rejected=[record for part in parts for record in part.rejected],
            requests=[request for column in requests for request in column] if requests else None,
        )
