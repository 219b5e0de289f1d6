"""Users that are counted exactly, with evidence."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import NO_PRODUCT, Evidence, Selection

#: Bounds of what is kept of one suspect, who decides what to send.
EVENTS_MAX = 16
PRODUCTS_MAX = 256
#: Suspects of a window with a full profile; of those behind, their first event and no product is
#: kept, or a flood of them would make the snapshot larger than a record can be.
PROFILES_MAX = 1000

#: Clicks of suspects that are gathered before they are folded into what is known of them.
GATHERED_MAX = 8192


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
        for position in positions:
            time = evidence.time_of(position)
            if time < self.first:
                self.first = time
            if time > self.last:
                self.last = time
            self.count_event(evidence.event_of(position), 1)
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
        if len(self.products) >= PRODUCTS_MAX:
            self.many_products = True
            self.products.clear()

    def copy(self) -> "Suspect":
        """The suspect as it is now."""
        products = None if self.products is None else set(self.products)
        copied: Suspect = msgspec.structs.replace(self, events=dict(self.events), products=products)
        return copied


class Crossing(NamedTuple):
    """The moment a user went over the threshold.

    ``suspect`` is what was known at that click; ``click`` its position in the batch.
    """

    click: int
    user_id: str
    suspect: Suspect


class _Gathered:
    """Clicks of suspects in their order, by row, not yet folded into their evidence.

    Attributes:
        events: each distinct event, with its number.
    """

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self._clicks = 0
        self._rows = np.empty(0, np.int32)
        self._times = np.empty(0, np.float64)
        self._event = np.empty(0, np.int32)
        self._products = np.empty(0, np.uint64)

    def __len__(self) -> int:
        """How many clicks."""
        return self._clicks

    @property
    def rows(self) -> NDArray[np.int32]:
        """Row of each click's suspect."""
        return self._rows[: self._clicks]

    @property
    def times(self) -> NDArray[np.float64]:
        """When each happened."""
        return self._times[: self._clicks]

    @property
    def event(self) -> NDArray[np.int32]:
        """Number of each one's event."""
        return self._event[: self._clicks]

    @property
    def products(self) -> NDArray[np.uint64]:
        """Hash of each one's product, NO_PRODUCT where it names none, or nobody wants it."""
        return self._products[: self._clicks]

    def add(self, clicks: Selection, rows: NDArray[np.intp], wanted: NDArray[np.bool_]) -> None:
        """Add clicks of these rows, and their products where they are wanted."""
        batch, end = clicks.batch, self._clicks + len(rows)
        if end > len(self._rows):
            for name in ("_rows", "_times", "_event", "_products"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate((column, np.empty(end, column.dtype))))
        new = slice(self._clicks, end)
        number = self.events
        numbers = np.array([number.setdefault(event, len(number)) for event in batch.events], np.int32)
        self._rows[new] = rows
        self._times[new] = batch.times[clicks.positions]
        self._event[new] = numbers[batch.event[clicks.positions]]
        self._products[new] = np.where(wanted, batch.products[clicks.positions], NO_PRODUCT)
        self._clicks = end

    def tell(self, row: int, suspect: Suspect) -> None:
        """Add the clicks of one row to what is known of its suspect."""
        clicks = np.flatnonzero(self.rows == row)
        if not len(clicks):
            return
        times = self.times[clicks].tolist()
        suspect.exact += len(times)
        suspect.first = min(suspect.first, *times)
        suspect.last = max(suspect.last, *times)
        names = list(self.events)
        for event in self.event[clicks].tolist():
            suspect.count_event(names[event], 1)
        if suspect.wants_products:
            suspect.see_products(self.products[clicks].tolist())


def _runs(ordered: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The distinct ones of some numbers in order, of which there is one at least, and where each begins."""
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[starts], starts


def _least(numbers: NDArray[Any], below: int) -> NDArray[Any]:
    """Numbers ``below`` one in the smallest type that holds them, which is the fastest to sort."""
    return numbers.astype(np.min_scalar_type(below))


class Suspects:
    """The suspects of one window.

    Until it crosses the threshold a suspect is followed click by click. From
    then on the clicks of many are counted in one step; what they say is
    gathered and folded in when somebody asks (:meth:`all`), once a
    second instead of once a batch. Both leave what adding click by click would.
    """

    def __init__(self, threshold: int, known: dict[str, Suspect] | None = None) -> None:
        self._threshold = threshold
        self._suspects: dict[str, Suspect] = {}
        self._rows: dict[str, int] = {}
        self._by_row: list[Suspect] = []
        self._names: list[str] = []
        self._exact = np.zeros(16, np.int64)
        self._crosses = np.zeros(16, np.int64)
        self._wants_products = np.zeros(16, np.bool_)
        self._gathered = _Gathered()
        for user_id, suspect in (known or {}).items():
            self._enter(user_id, suspect)

    def __len__(self) -> int:
        """How many suspects."""
        return len(self._by_row)

    def __contains__(self, user_id: str) -> bool:
        """Whether a user is a suspect."""
        return user_id in self._rows

    def all(self) -> dict[str, Suspect]:
        """The suspects by user, with all their evidence."""
        self._fold()
        return self._suspects

    def get(self, user_id: str) -> Suspect | None:
        """A suspect, without its newest evidence; None if it is none."""
        return self._suspects.get(user_id)

    def over(self, suspect: Suspect) -> bool:
        """Whether the suspect is an anomaly."""
        return suspect.count_high > self._threshold

    def compete(self, comers: int, places: int) -> bool:
        """Whether there are fewer places, or full profiles, left than so many users may take."""
        return any(len(self) < limit < len(self) + comers for limit in (places, PROFILES_MAX))

    def promote(self, user_id: str, estimate: int) -> None:
        """Let a user in, before the click that brought it to this estimate is added."""
        products: set[int] | None = set() if len(self) < PROFILES_MAX else None
        self._enter(user_id, Suspect(promoted=estimate, products=products))

    def _enter(self, user_id: str, suspect: Suspect) -> None:
        row = len(self._by_row)
        if row == len(self._exact):
            for name in ("_exact", "_crosses", "_wants_products"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate((column, np.zeros_like(column))))
        self._suspects[user_id] = suspect
        self._rows[user_id] = row
        self._by_row.append(suspect)
        self._names.append(user_id)
        self._exact[row] = suspect.exact
        # Promoted over the threshold at once, it crosses with its first click.
        self._crosses[row] = max(1, self._threshold + 2 - suspect.promoted)
        self._wants_products[row] = suspect.wants_products

    def add(self, user_id: str, evidence: Evidence, positions: list[int]) -> list[Crossing]:
        """Count clicks of one suspect, in their order; returns its crossing if one of them brings it."""
        row = self._rows[user_id]
        suspect = self._by_row[row]
        if suspect.exact != self._exact[row]:
            self._fold()
        crossings = []
        crossing = int(self._crosses[row]) - suspect.exact
        if 0 < crossing <= len(positions):
            crossings.append(self._crossing(row, evidence, positions[:crossing]))
        suspect.add(evidence, positions)
        self._exact[row] = suspect.exact
        self._wants_products[row] = suspect.wants_products
        return crossings

    def add_known(self, selected: Selection) -> tuple[list[Crossing], Selection]:
        """Count the clicks of suspects; returns who of them crossed, and the clicks of the other users."""
        rows = self._rows_of(selected)
        known = rows >= 0
        if not known.any():
            return [], selected
        clicks, rows = selected.where(known), rows[known]
        exact, crosses = self._exact[: len(self)], self._crosses[: len(self)]
        after = exact + np.bincount(rows, minlength=len(self))
        crossings = []
        for row in np.flatnonzero((exact < crosses) & (crosses <= after)).tolist():
            until = clicks.positions[rows == row][: crosses[row] - exact[row]]
            crossings.append(self._crossing(row, clicks.batch.evidence, until.tolist()))
        exact[:] = after
        self._gather(clicks, rows)
        return crossings, selected.where(~known)

    def _rows_of(self, selected: Selection) -> NDArray[np.intp]:
        """intp[n], the row of each click's user; -1 where that is no suspect."""
        users, suspects = selected.batch.users, len(self)
        if suspects < len(users):
            numbers = selected.batch.numbers
            found = np.fromiter(map(numbers.get, self._names, repeat(-1)), np.intp, suspects)
            rows = np.full(len(users) + 1, -1, np.intp)
            rows[found] = np.arange(suspects)
            rows[-1] = -1  # of those who are not found
        else:
            rows = np.fromiter(map(self._rows.get, users, repeat(-1)), np.intp, len(users))
        return rows[selected.user]

    def _crossing(self, row: int, evidence: Evidence, clicks: list[int]) -> Crossing:
        """What is known of a suspect with these clicks, the last of which takes it over the threshold."""
        suspect = self._by_row[row].copy()
        self._gathered.tell(row, suspect)
        suspect.add(evidence, clicks)
        return Crossing(clicks[-1], self._names[row], suspect)

    def _gather(self, clicks: Selection, rows: NDArray[np.intp]) -> None:
        self._gathered.add(clicks, rows, self._wants_products[rows])
        if len(self._gathered) >= GATHERED_MAX:
            self._fold()

    def _fold(self) -> None:
        if not len(self._gathered):
            return
        rows = _least(self._gathered.rows, len(self))
        order = np.argsort(rows, kind="stable")
        present, starts = _runs(rows[order])
        times = self._gathered.times[order]
        firsts = np.minimum.reduceat(times, starts).tolist()
        lasts = np.maximum.reduceat(times, starts).tolist()
        exact = self._exact[present].tolist()
        for row, first, last, clicks in zip(present.tolist(), firsts, lasts, exact, strict=True):
            suspect = self._by_row[row]
            suspect.exact = clicks
            suspect.first = min(suspect.first, first)
            suspect.last = max(suspect.last, last)
        self._fold_events()
        self._fold_products(rows[order], self._gathered.products[order])
        self._gathered = _Gathered()

    def _fold_events(self) -> None:
        names = list(self._gathered.events)
        pairs = self._gathered.rows.astype(np.intp) * len(names) + self._gathered.event
        pairs, at, clicks = np.unique(
            _least(pairs, len(self) * len(names)), return_index=True, return_counts=True
        )
        # In the order of their first clicks: only the first distinct ones are kept.
        order = np.argsort(at)
        rows, events = np.divmod(pairs[order].astype(np.intp), len(names))
        for row, event, count in zip(rows.tolist(), events.tolist(), clicks[order].tolist(), strict=True):
            self._by_row[row].count_event(names[event], count)

    def _fold_products(self, rows: NDArray[Any], products: NDArray[np.uint64]) -> None:
        """Fold the products in of clicks that are ordered by row."""
        named = products != NO_PRODUCT
        rows, products = rows[named], products[named]
        if not len(rows):  # nobody's are wanted
            return
        present, starts = _runs(rows)
        found = products.tolist()
        ends = [*starts[1:].tolist(), len(found)]
        for row, start, end in zip(present.tolist(), starts.tolist(), ends, strict=True):
            suspect = self._by_row[row]
            suspect.see_products(found[start:end])
            self._wants_products[row] = suspect.wants_products
