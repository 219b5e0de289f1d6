"""The users that are counted exactly in one pane."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import NO_PRODUCT, Evidence, Selection
from clickwarden.detection.gathered import Gathered, least, runs
from clickwarden.detection.measure import Distinct
from clickwarden.detection.roster import Roster
from clickwarden.detection.rules import Rule
from clickwarden.detection.suspect import Suspect

#: Suspects of a window with a full profile; of those behind, their first event and no product is
#: kept, or a flood of them would make the snapshot larger than a record can be.
PROFILES_MAX = 1000

#: Different values of a window that are kept, of all suspects, where a rule counts them.
VALUES_ALL = 131_072

#: Clicks of suspects that are gathered before they are folded into what is known of them.
GATHERED_MAX = 8192


class Suspects:
    """The suspects of one pane.

    The clicks of many are counted in one step; what they say is
    gathered and folded in when somebody asks (:meth:`all`), once a
    second instead of once a batch. It leaves what adding click by click would.

    Args:
        roster: where they have their numbers.
        rule: of the pane; the panes of a window share out full profiles, and places for values.
        known: those that there are.

    Attributes:
        room: places for further values.
    """

    def __init__(self, roster: Roster, rule: Rule, known: dict[str, Suspect] | None = None) -> None:
        overlap = rule.overlap
        self._distinct = isinstance(rule.measure, Distinct)
        self.room = max(1, VALUES_ALL // overlap)
        self._roster = roster
        self._row_of = np.full(16, -1, np.intp)
        self._profiles = max(1, PROFILES_MAX // overlap)
        self._suspects: dict[str, Suspect] = {}
        self._rows: dict[str, int] = {}
        self._by_row: list[Suspect] = []
        self._names: list[str] = []
        self._promoted = np.zeros(16, np.int64)
        self._exact = np.zeros(16, np.int64)
        self._told = np.zeros(16, np.uint16)
        self._wants_products = np.zeros(16, np.bool_)
        self._gathered = Gathered()
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

    def high(self, user_id: str) -> int | None:
        """At most so many clicks of one user; None if it is no suspect."""
        row = self._rows.get(user_id)
        return None if row is None else int(self._promoted[row] + self._exact[row]) - 1

    def highs(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """At most so many clicks of each of the suspects in these rows."""
        return self._promoted[rows] + self._exact[rows] - 1

    def lows(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Clicks of each of some users that were counted exactly, by their rows: 0 of who is no suspect."""
        return np.where(rows >= 0, self._exact[rows], 0)

    def told(self, rows: NDArray[np.intp]) -> NDArray[np.uint16]:
        """In which windows of the pane it was noted that the suspects in these rows are told of, as bits."""
        return self._told[rows]

    def is_told(self, user_id: str, window: int) -> bool:
        """Whether it was noted that a suspect is told of in a window of the pane, a bit."""
        return bool(self._told[self._rows[user_id]] & window)

    def note_told(self, user_id: str, window: int) -> None:
        """Note that a suspect is told of in a window of the pane, a bit."""
        self._told[self._rows[user_id]] |= window

    def compete(self, comers: int, others: int, places: int) -> bool:
        """Whether it matters when others come among the comers, of whom it is known when each comes.

        It does where there are fewer places left than so many users may take, and where there are fewer
        full profiles, if others come at all.
        """
        limits = (places, self._profiles) if others else (places,)
        return any(len(self) < limit < len(self) + comers + others for limit in limits)

    def promote(self, user_id: str, estimate: int) -> None:
        """Let a user in, before the click that brought it to this estimate is added."""
        products: set[int] | None = set() if len(self) < self._profiles else None
        values: set[int] | None = set() if self._distinct else None
        self._enter(user_id, Suspect(promoted=estimate, products=products, values=values))

    def _enter(self, user_id: str, suspect: Suspect) -> None:
        row = len(self._by_row)
        if row == len(self._exact):
            for name in ("_promoted", "_exact", "_told", "_wants_products"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate((column, np.zeros_like(column))))
        self._suspects[user_id] = suspect
        self._rows[user_id] = row
        self._number(user_id, row)
        self._by_row.append(suspect)
        self._names.append(user_id)
        self._promoted[row] = suspect.promoted
        self._exact[row] = suspect.exact
        self._wants_products[row] = suspect.wants_products
        self.room -= len(suspect.values or ())

    def rows_of(self, numbers: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows of users, by their numbers in the roster; -1 where one is no suspect, or has none."""
        rows: NDArray[np.intp] = self._row_of[np.minimum(numbers, len(self._row_of) - 1)]
        return rows

    def enroll(self, roster: Roster) -> None:
        """Have the suspects' numbers from another roster."""
        self._roster = roster
        self._row_of = np.full(16, -1, np.intp)
        for row, user_id in enumerate(self._names):
            self._number(user_id, row)

    def _number(self, user_id: str, row: int) -> None:
        number = self._roster.number(user_id)
        if number >= len(self._row_of) - 1:  # the last one stays for those without
            more = np.full(2 * number + 16, -1, np.intp)
            more[: len(self._row_of)] = self._row_of
            self._row_of = more
        self._row_of[number] = row

    def add(self, user_id: str, evidence: Evidence, positions: list[int]) -> None:
        """Count clicks of one suspect, in their order."""
        row = self._rows[user_id]
        suspect = self._by_row[row]
        if suspect.exact != self._exact[row]:
            self._fold()
        suspect.add(evidence, positions)
        self._exact[row] = suspect.exact
        self._wants_products[row] = suspect.wants_products

    def add_all(self, clicks: Selection, rows: NDArray[np.intp]) -> None:
        """Count clicks of the suspects in these rows, one for each click."""
        self._exact[: len(self)] += np.bincount(rows, minlength=len(self))
        self._gather(clicks, rows)

    def get(self, user_id: str) -> Suspect | None:
        """All that is known of a user now, to be looked at; None if it is no suspect."""
        row = self._rows.get(user_id)
        if row is None:
            return None
        suspect = self._by_row[row]
        if suspect.exact != self._exact[row]:
            suspect = suspect.copy()
            self._gathered.tell(row, suspect)
        return suspect

    def _gather(self, clicks: Selection, rows: NDArray[np.intp]) -> None:
        self._gathered.add(clicks, rows, self._wants_products[rows])
        if len(self._gathered) >= GATHERED_MAX:
            self._fold()

    def _fold(self) -> None:
        if not len(self._gathered):
            return
        rows = least(self._gathered.rows, len(self))
        order = np.argsort(rows, kind="stable")
        present, starts = runs(rows[order])
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
        self._gathered = Gathered()

    def _fold_events(self) -> None:
        names = list(self._gathered.events)
        pairs = self._gathered.rows.astype(np.intp) * len(names) + self._gathered.event
        pairs, at, clicks = np.unique(
            least(pairs, len(self) * len(names)), return_index=True, return_counts=True
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
        present, starts = runs(rows)
        found = products.tolist()
        ends = [*starts[1:].tolist(), len(found)]
        for row, start, end in zip(present.tolist(), starts.tolist(), ends, strict=True):
            suspect = self._by_row[row]
            suspect.see_products(found[start:end])
            self._wants_products[row] = suspect.wants_products
