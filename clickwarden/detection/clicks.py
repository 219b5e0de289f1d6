"""Clicks as columns."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from types import NoneType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Rejected(NamedTuple):
    """A record that cannot be counted, and why; see :class:`clickwarden.errors.ClickError`.

    Attributes:
        value: the record's; of one that holds several clicks, only what is wrong.
        record: its position in the run it was decoded from.
        element: which of the several things in the record it is, from 0; None where it is all of it.
        headers: of the record.
    """

    offset: int
    key: bytes | None
    value: bytes
    reason: str
    detail: str
    record: int = 0
    element: int | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


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
        records: int64[n], position of each click's record in the run it was
            decoded from; None where every record of the run became a click.
        elements: int64[n], which of the things in its record each click is,
            from 0; None where every record holds one.
        sizes: int64, how many things each record of the run holds, one at
            least; None where every record holds one.
        rejected: what cannot be counted.
        ignored: tombstones, and whatever else says that nothing was clicked.
        stamps: float64, time stamp of each record of the run, epoch seconds;
            None where they have none.
        requests: what each click was as a request; None where they were none.
        fields: what stands in further fields of each click as text, by the field's name as a rule has it;
            None where nothing does.
    """

    users: list[str]
    events: list[str]
    products: list[str | int | None]
    times: NDArray[np.float64]
    received: NDArray[np.float64] | None = None
    records: NDArray[np.int64] | None = None
    elements: NDArray[np.int64] | None = None
    sizes: NDArray[np.int64] | None = None
    rejected: list[Rejected] = field(default_factory=list)
    ignored: int = 0
    stamps: NDArray[np.float64] | None = None
    requests: list[Request] | None = None
    fields: dict[str, list[str | None]] = field(default_factory=dict)

    def column(self, name: str) -> Sequence[str | int | None]:
        """What stands in a field of each click, by the field's name as a rule has it.

        ``path`` is of a request, and, where a click names none, its product: a log's path is one.

        Raises:
            KeyError: nobody has looked what stands there.
        """
        if name == "user_id":
            return self.users
        if name == "event":
            return self.events
        if name == "product_id":
            return self.products
        if self.requests is not None:
            return self._of_requests(name, self.requests)
        if not self.users:
            return []
        found = self.fields[name]
        if name == "path" and NoneType in set(map(type, found)):
            pairs = zip(found, self.products, strict=True)
            return [product if path is None else path for path, product in pairs]
        return found

    def _of_requests(self, name: str, requests: list[Request]) -> Sequence[str | int | None]:
        if name == "path":
            return self.products
        if name == "method":
            return [request.method or None for request in requests]
        if name == "status":
            return [request.status or None for request in requests]
        return [None] * len(requests)

    def split(self, size: int | None) -> Iterator["Clicks"]:
        """The clicks in parts of whole records, which hold at most so many things if no record holds more."""
        if size is None or self.sizes is None or self.records is None or self.elements is None:
            yield self
            return
        ends = np.cumsum(self.sizes)
        begin = 0
        while begin < len(ends):
            done = int(ends[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, done + size, "right")))
            part = slice(*np.searchsorted(self.records, (begin, end)).tolist())
            bad = slice(*(bisect_left(self.rejected, at, key=attrgetter("record")) for at in (begin, end)))
            rejected = [record._replace(record=record.record - begin) for record in self.rejected[bad]]
            things = int(ends[end - 1]) - done
            yield Clicks(
                self.users[part],
                self.events[part],
                self.products[part],
                self.times[part],
                None if self.received is None else self.received[part],
                self.records[part] - begin,
                self.elements[part],
                self.sizes[begin:end],
                rejected,
                things - (part.stop - part.start) - len(rejected),
                None if self.stamps is None else self.stamps[begin:end],
                fields={name: column[part] for name, column in self.fields.items()},
            )
            begin = end

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
                fields={name: column[part] for name, column in self.fields.items()},
            )

    def pick(self, rows: Sequence[int]) -> "Clicks":
        """Those of the clicks at these positions, in this order, without what became of other records."""
        return Clicks(
            [self.users[row] for row in rows],
            [self.events[row] for row in rows],
            [self.products[row] for row in rows],
            self.times[list(rows)],
            requests=self.requests and [self.requests[row] for row in rows],
            fields={name: [column[row] for row in rows] for name, column in self.fields.items()},
        )

    @classmethod
    def together(cls, parts: Sequence["Clicks"]) -> "Clicks":
        """All clicks of some, and the records they reject, in their order; nothing else of them."""
        if len(parts) == 1:
            return parts[0]
        requests = [part.requests for part in parts if part.requests is not None]
        names = {name for part in parts for name in part.fields}
        return cls(
            [user for part in parts for user in part.users],
            [event for part in parts for event in part.events],
            [product for part in parts for product in part.products],
            np.concatenate([part.times for part in parts]) if parts else np.empty(0),
            rejected=[record for part in parts for record in part.rejected],
            requests=[request for column in requests for request in column] if requests else None,
            fields={
                name: [value for part in parts if part.users for value in part.fields[name]] for name in names
            },
        )
