"""Users that are counted exactly, with evidence."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

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


class _Sheaf(NamedTuple):
    """Clicks of suspects, by row, not yet folded into their evidence."""

    rows: NDArray[np.intp]
    times: NDArray[np.float64]
    event: NDArray[np.intp]
    events: list[str]
    product_rows: NDArray[np.intp]
    products: NDArray[np.uint64]

    def tell(self, row: int, suspect: Suspect) -> None:
        """Add the clicks of one row to what is known of its suspect."""
        clicks = np.flatnonzero(self.rows == row)
        if not len(clicks):
            return
        times = self.times[clicks]
        suspect.exact += len(clicks)
        suspect.first = min(suspect.first, float(times.min()))
        suspect.last = max(suspect.last, float(times.max()))
        for event in self.event[clicks].tolist():
            suspect.count_event(self.events[event], 1)
        if suspect.wants_products:
            suspect.see_products(self.products[self.product_rows == row].tolist())


class Suspects:
    """The suspects of one window.

    Until it crosses the threshold a suspect is followed click by click. From
    then on the clicks of many are counted in one step; what they say is
    gathered in sheaves and folded in when somebody asks (:meth:`all`), once a
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
        self._sheaves: list[_Sheaf] = []
        self._gathered = 0
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
        users = selected.batch.users
        return np.fromiter(map(self._rows.get, users, repeat(-1)), np.intp, len(users))[selected.user]

    def _crossing(self, row: int, evidence: Evidence, clicks: list[int]) -> Crossing:
        """What is known of a suspect with these clicks, the last of which takes it over the threshold."""
        suspect = self._by_row[row].copy()
        for sheaf in self._sheaves:
            sheaf.tell(row, suspect)
        suspect.add(evidence, clicks)
        return Crossing(clicks[-1], self._names[row], suspect)

    def _gather(self, clicks: Selection, rows: NDArray[np.intp]) -> None:
        batch, positions = clicks.batch, clicks.positions
        wanted = self._wants_products[rows]
        sheaf = _Sheaf(
            rows,
            batch.times[positions],
            batch.event[positions],
            batch.events,
            rows[wanted],
            batch.products[positions[wanted]],
        )
        self._sheaves.append(sheaf)
        self._gathered += len(rows)
        if self._gathered >= GATHERED_MAX:
            self._fold()

    def _fold(self) -> None:
        sheaves, self._sheaves = self._sheaves, []
        self._gathered = 0
        if not sheaves:
            return
        rows = np.concatenate([sheaf.rows for sheaf in sheaves])
        if not len(rows):
            return
        times = np.concatenate([sheaf.times for sheaf in sheaves])
        order = np.argsort(rows, kind="stable")
        present, starts = np.unique(rows[order], return_index=True)
        firsts = np.minimum.reduceat(times[order], starts).tolist()
        lasts = np.maximum.reduceat(times[order], starts).tolist()
        exact = self._exact[present].tolist()
        for row, first, last, clicks in zip(present.tolist(), firsts, lasts, exact, strict=True):
            suspect = self._by_row[row]
            suspect.exact = clicks
            suspect.first = min(suspect.first, first)
            suspect.last = max(suspect.last, last)
        self._fold_events(rows, sheaves)
        self._fold_products(sheaves)

    def _fold_events(self, rows: NDArray[np.intp], sheaves: list[_Sheaf]) -> None:
        code: dict[str, int] = {}
        codes = np.concatenate(
            [
                np.array([code.setdefault(event, len(code)) for event in sheaf.events], np.intp)[sheaf.event]
                for sheaf in sheaves
            ]
        )
        names = list(code)
        pairs, at, clicks = np.unique(rows * len(names) + codes, return_index=True, return_counts=True)
        # In the order of their first clicks: only the first distinct ones are kept.
        for pair in np.argsort(at).tolist():
            row, event = divmod(int(pairs[pair]), len(names))
            self._by_row[row].count_event(names[event], int(clicks[pair]))

    def _fold_products(self, sheaves: list[_Sheaf]) -> None:
        rows = np.concatenate([sheaf.product_rows for sheaf in sheaves])
        products = np.concatenate([sheaf.products for sheaf in sheaves])
        if not len(rows):  # nobody's are wanted
            return
        order = np.argsort(rows, kind="stable")
        present, starts = np.unique(rows[order], return_index=True)
        for row, found in zip(present.tolist(), np.split(products[order], starts[1:]), strict=True):
            suspect = self._by_row[row]
            suspect.see_products(found.tolist())
            self._wants_products[row] = suspect.wants_products
