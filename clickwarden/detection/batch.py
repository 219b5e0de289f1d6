"""A batch of clicks, grouped once for all rules."""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from functools import cached_property
from itertools import count
from types import NoneType
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clauses import Written, text_of
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.conditions import condition_of
from clickwarden.detection.measure import Distinct
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import DEPTH, SHARING, cells_of, hashes_of

T = TypeVar("T", bound=Hashable)

#: Stands for the hash where a click names no product.
NO_PRODUCT = 0


class Evidence:
    """What a batch of clicks says about suspects, by position of the click."""

    def __init__(self, batch: "Batch") -> None:
        self.products = batch.products
        self._times: list[float] = batch.times.tolist()
        self._events = batch.events
        self._event: list[int] = batch.event.tolist()

    def times(self, positions: Iterable[int]) -> list[float]:
        """When clicks happened."""
        return list(map(self._times.__getitem__, positions))

    def events(self, positions: Iterable[int]) -> dict[str, int]:
        """How many clicks there are of each event, in the order in which the events appear."""
        clicks = Counter(map(self._event.__getitem__, positions))
        return {self._events[event]: count for event, count in clicks.items()}


class Column(NamedTuple):
    """What stands in a field of clicks.

    Attributes:
        values: as text, by number; None where nothing does. Some may stand there twice, as 404 and "404" do.
        number: intp[n], the value's number of each click.
    """

    values: list[str | None]
    number: NDArray[np.intp]


class Batch:
    """Clicks with their users and events numbered in order of appearance.

    Args:
        clicks: the clicks.
        fields: of them that rules look at (:attr:`clickwarden.detection.rules.Rule.fields`).

    Attributes:
        numbers: of each distinct user.
        users: each distinct user, by number.
        user: intp[n], the user's number of each click.
        events: each distinct event, by number.
        event: intp[n], the event's number of each click.
        products: uint64[n], hash of each click's product, NO_PRODUCT where it names none.
        times: float64[n], event time in epoch seconds.
        seconds: int64[n], event time in whole seconds.
        received: float64[n], when Kafka received each click, epoch seconds; NaN where it does not say.
        records: intp[n], position of each click's record among those it was
            decoded from; None where every record became a click.
        elements: intp[n], which of the things in its record each click is, from
            0; None where every record holds one.
        sizes: intp, how many things each record holds; None where every record holds one.
        rejected: what cannot be counted.
        ignored: tombstones, and what else says that nothing was clicked.
        stamps: float64[size], time stamp of each record, epoch seconds; None where they have none.
        columns: what stands in each of the fields.
    """

    def __init__(self, clicks: Clicks, fields: Collection[str] = ()) -> None:
        self.numbers, self.user = _numbered(clicks.users)
        self.users = list(self.numbers)
        events, self.event = _numbered(clicks.events)
        self.events = list(events)
        self.products = _hashes(clicks.products)
        self.times = clicks.times
        self.seconds = clicks.times.astype(np.int64)
        received = clicks.received
        self.received = np.full(len(self.times), np.nan) if received is None else received
        self.records = clicks.records
        self.elements = clicks.elements
        self.sizes = clicks.sizes
        self.rejected = clicks.rejected
        self.ignored = clicks.ignored
        self.stamps = clicks.stamps
        self.columns = {field: _column(clicks.column(field)) for field in fields}
        self._hashes: dict[int, NDArray[np.uint64]] = {}
        self._cells: dict[tuple[int, int], NDArray[np.intp]] = {}
        self._fulfilled: dict[tuple[str, Written], NDArray[np.bool_]] = {}
        self._values: dict[tuple[str, int], NDArray[np.uint64]] = {}
        self._shared: dict[tuple[int, int], NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        """How many clicks."""
        return len(self.user)

    @property
    def size(self) -> int:
        """How many things the records hold that it was decoded from, each a click or not."""
        return len(self) + len(self.rejected) + self.ignored

    @property
    def taken(self) -> int:
        """How many records it was decoded from."""
        return self.size if self.sizes is None else len(self.sizes)

    def record(self, click: int) -> int:
        """Position of the record that became this click."""
        return click if self.records is None else int(self.records[click])

    def element(self, click: int) -> int | None:
        """Which of the several things in its record this click is; None where it is all of it."""
        if self.sizes is None or self.elements is None or self.sizes[self.record(click)] == 1:
            return None
        return int(self.elements[click])

    @cached_property
    def firsts(self) -> NDArray[np.int64]:
        """Position, among all things that the records hold, of the first of each record."""
        return np.arange(self.size) if self.sizes is None else np.cumsum(self.sizes) - self.sizes

    @cached_property
    def things(self) -> NDArray[np.int64]:
        """Position of each click among all things that the records hold."""
        if self.records is None:
            return np.arange(len(self))
        firsts = self.firsts[self.records]
        return firsts if self.elements is None else firsts + self.elements

    @property
    def thing_stamps(self) -> NDArray[np.float64] | None:
        """The stamp of each thing's record; None where they have none."""
        return (
            self.stamps if self.sizes is None or self.stamps is None else np.repeat(self.stamps, self.sizes)
        )

    def hashes(self, seed: int) -> NDArray[np.uint64]:
        """Hash of each distinct user, by number."""
        if seed not in self._hashes:
            self._hashes[seed] = hashes_of(self.users, seed)
        return self._hashes[seed]

    def cells(self, seed: int, width: int) -> NDArray[np.intp]:
        """Cells of each distinct user by number, shape (DEPTH, users), in sketches of this make."""
        if (seed, width) not in self._cells:
            self._cells[seed, width] = cells_of(self.hashes(seed), width)
        return self._cells[seed, width]

    def shared(self, seed: int, width: int) -> NDArray[np.bool_]:
        """Which of their cells two users or more have, shape (DEPTH, users), in sketches of this make.

        Raises:
            OverflowError: there are more than 65,536 users.
        """
        if (seed, width) not in self._shared:
            self._shared[seed, width] = SHARING.cells(self.cells(seed, width), DEPTH * width)
        return self._shared[seed, width]

    @cached_property
    def evidence(self) -> Evidence:
        """What the clicks say about suspects."""
        return Evidence(self)

    @cached_property
    def earliest(self) -> int:
        """Smallest of ``seconds``."""
        return int(self.seconds.min())

    @cached_property
    def latest(self) -> int:
        """Largest of ``seconds``."""
        return int(self.seconds.max())

    def matching(self, rule: Rule) -> NDArray[np.intp]:
        """Positions of the clicks that a rule counts."""
        if not rule.events and not rule.fields:
            return self._all
        wanted = []
        if rule.events:
            wanted.append(np.array([event in rule.events for event in self.events], np.bool_)[self.event])
        wanted += [self._fulfilling(field, written) for field, written in rule.conditions.items()]
        if isinstance(rule.measure, Distinct):
            values, number = self.columns[rule.measure.field]
            if None in values:
                wanted.append(np.array([value is not None for value in values], np.bool_)[number])
        return np.flatnonzero(np.logical_and.reduce(wanted)) if wanted else self._all

    def _fulfilling(self, field: str, written: Written) -> NDArray[np.bool_]:
        """Which of the clicks fulfil what is written of a field; each distinct value is judged once."""
        if (field, written) not in self._fulfilled:
            values, number = self.columns[field]
            judged = np.fromiter(map(condition_of(written).__getitem__, values), np.bool_, len(values))
            self._fulfilled[field, written] = judged[number]
        return self._fulfilled[field, written]

    def values(self, field: str, seed: int) -> NDArray[np.uint64]:
        """Hash of what stands in a field of each click, which nobody predicts without the seed."""
        if (field, seed) not in self._values:
            values, number = self.columns[field]
            self._values[field, seed] = hashes_of([value or "" for value in values], seed)[number]
        return self._values[field, seed]

    @cached_property
    def _all(self) -> NDArray[np.intp]:
        return np.arange(len(self), dtype=np.intp)


class Selection:
    """Some clicks of a batch, in their order.

    Attributes:
        batch: whose clicks they are.
        positions: intp[n], where they stand in the batch, ascending.
        user: intp[n], the user's number of each.
    """

    __slots__ = ("batch", "positions", "user")

    def __init__(self, batch: Batch, positions: NDArray[np.intp]) -> None:
        self.batch = batch
        self.positions = positions
        self.user = batch.user[positions]

    def __len__(self) -> int:
        """How many clicks."""
        return len(self.positions)

    def where(self, wanted: NDArray[np.bool_]) -> "Selection":
        """Those of the clicks for which ``wanted``, of the same length, is true."""
        return Selection(self.batch, self.positions[wanted])

    def of_users(self, users: NDArray[np.intp]) -> "Selection":
        """Those of the clicks that are of these users, by number."""
        wanted = np.zeros(len(self.batch.users), np.bool_)
        wanted[users] = True
        return self.where(wanted[self.user])

    def by_user(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The users, by number and ascending, and how many of the clicks are of each."""
        clicks = np.bincount(self.user, minlength=len(self.batch.users))
        users = np.flatnonzero(clicks)
        return users, clicks[users]


def _numbered(names: Sequence[T]) -> tuple[dict[T, int], NDArray[np.intp]]:
    numbers: defaultdict[T, int] = defaultdict(count().__next__)
    numbered = np.fromiter(map(numbers.__getitem__, names), np.intp, len(names))
    return dict(numbers), numbered


def _column(found: Sequence[str | int | None]) -> Column:
    values, number = _numbered(found)
    return Column([value if type(value) is str else text_of(value) for value in values], number)


def _hashes(products: list[str | int | None]) -> NDArray[np.uint64]:
    kinds = set(map(type, products))
    names = cast(list[str], products) if kinds == {str} else list(map(str, products))
    hashes = hashes_of(names, seed=0)
    if NoneType in kinds:
        hashes[[product is None for product in products]] = NO_PRODUCT
    return hashes
