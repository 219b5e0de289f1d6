"""How the clicks of a batch are counted in the panes of a rule.

What panes hold and what is reported is a function of the clicks in their
order, not of how they were cut into batches: a batch leaves the cells, the
suspects and their evidence as click-by-click counting would
(:meth:`Part.count_one`, the reference). Clicks are grouped by user and counted
at once wherever their order cannot matter.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import Batch, Selection
from clickwarden.detection.crossings import Crossing, Crossings, Neighbour
from clickwarden.detection.measure import Distinct
from clickwarden.detection.panes import Pane
from clickwarden.detection.rising import Rising, values_in
from clickwarden.detection.sketch import SHARING
from clickwarden.detection.steps import STEPS, all_reached
from clickwarden.detection.told import Told

#: Below so many clicks, one by one is faster than grouping.
FEW = 128


class Part:
    """The clicks of a batch that fall into one pane, and what it takes to count them.

    Args:
        batch: that holds them.
        clicks: intp[n], their positions in it, ascending.
        pane: that they fall into.
        windows: starts of those that they count in, ascending.
        neighbours: the other panes of these windows that hold clicks.
        told: who has gone over the threshold.
        numbers: of the users of the batch in the roster.

    Attributes:
        size: how many clicks there are; those that count are fewer where values are counted, and come again.
        users: intp[u], whose clicks they are, by number and ascending.
        comings: int64[u], how many clicks each of them has here.
        known: bool[u], who is a suspect.
        highs: int64[u], clicks of each in the pane, at most, before these.
        elsewhere: int64[windows, u], the same for the rest of each window.
        singly: bool[u], whose clicks are counted one by one, in their order.
        moving: bool[users of the batch], for whom ``elsewhere`` changes with other parts.
        rising: who may come to a further step; one of all parts.
    """

    def __init__(
        self,
        batch: Batch,
        clicks: NDArray[np.intp],
        pane: Pane,
        windows: Sequence[int],
        neighbours: Sequence[Neighbour],
        told: Told,
        numbers: NDArray[np.intp],
    ) -> None:
        self.batch = batch
        self.pane = pane
        self.windows = windows
        self.neighbours = neighbours
        self.size = len(clicks)
        self._crossings = Crossings(batch, pane, windows, neighbours, told)
        self._measuring = self._crossings.measuring
        self._numbers = numbers
        self.selected = Selection(batch, self._counting(clicks))
        self.users, self.comings = self.selected.by_user()
        self._cells_by_width: dict[int, NDArray[np.intp]] = {}
        self.rows, self.cells = self._rows_in(pane), self._cells_in(pane)
        self.known = self.rows >= 0
        self.highs = pane.highs(self.cells, self.rows)
        if pane.certain:
            self.highs[~self.known] = 0
        self.elsewhere = np.zeros((len(windows), len(self.users)), np.int64)
        for other, places in neighbours:
            self.elsewhere[places] += other.highs(self._cells_in(other), self._rows_in(other))
        self.moving = np.zeros(len(batch.users), np.bool_)
        self.rising = Rising(pane.rule)
        # By place, of whom the number of clicks here tells: starts of windows, and what is certain there.
        self._climbing: dict[int, list[tuple[int, int]]] = {}
        self.singly = self._order_matters()
        self._width = 0
        self._cells: dict[int, list[int]] = {}
        self._elsewhere: dict[int, list[int]] = {}

    def _rows_in(self, pane: Pane) -> NDArray[np.intp]:
        """intp[u], the users' rows among the suspects of a pane."""
        return pane.suspects.rows_of(self._numbers[self.users])

    def _cells_in(self, pane: Pane) -> NDArray[np.intp]:
        """The users' cells in the sketch of a pane, shape (DEPTH, u)."""
        width = pane.sketch.width
        if width not in self._cells_by_width:
            self._cells_by_width[width] = self.batch.cells(pane.seed, width)[:, self.users]
        return self._cells_by_width[width]

    def _order_matters(self) -> NDArray[np.bool_]:
        """Those whom the order of the clicks within this part decides upon."""
        unknown = ~self.known
        if self._scarce(self.size):
            return np.ones(len(self.users), np.bool_)
        if self.pane.certain:
            return np.zeros(len(self.users), np.bool_)
        if len(self.selected) < FEW:
            return np.ones(len(self.users), np.bool_)
        if self.comings[unknown].sum() > self.pane.sketch.room:
            # It is one click that doubles the width, and the next uses it.
            return unknown
        shared = self.batch.shared(self.pane.seed, self.pane.sketch.width)[:, self.users]
        entangled = np.zeros(len(self.users), np.bool_)
        entangled[unknown] = SHARING.entangled(
            self.pane.sketch, self.cells[:, unknown], shared[:, unknown], self.highs[unknown]
        )
        return entangled

    def _counting(self, clicks: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of the clicks that count, as far as that is known before the others are counted."""
        suspects = self.pane.suspects
        if not isinstance(self.pane.measure, Distinct) or self._scarce(len(clicks)):
            return clicks
        user = self.batch.user[clicks]
        known = suspects.rows_of(self._numbers[user]) >= 0
        counted = [clicks[~known]]
        for number, positions in by_user(user[known], clicks[known]).items():
            suspect = self._crossings.suspect(self.batch.users[number])
            fresh = self._measuring.counted(suspect, positions, suspects.room)
            counted.append(np.array(fresh, np.intp))
        return np.sort(np.concatenate(counted))

    def _scarce(self, clicks: int) -> bool:
        """Whether the order of the clicks decides which of their values are kept."""
        return 0 < self.pane.suspects.room < clicks and isinstance(self.pane.measure, Distinct)

    @cached_property
    def most(self) -> NDArray[np.int64]:
        """int64[u], the clicks of each user in the rest of that window where they are most."""
        most: NDArray[np.int64] = self.elsewhere.max(axis=0)
        return most

    def exposed(self, other: "Part") -> NDArray[np.bool_]:
        """bool[u], of whom more may be known in another pane, only because others click there."""
        pane = other.pane
        cells = self._cells_in(pane)
        values = pane.sketch.cells[cells]
        raised = SHARING.marked(other.cells[:, ~other.known], cells, len(pane.sketch.cells))
        fixed = ((values == values.min(axis=0)) & ~raised).any(axis=0)
        fixed |= self._rows_in(pane) >= 0
        fixed |= np.isin(self.users, other.users)
        moved: NDArray[np.bool_] = ~fixed
        return moved

    def torn(self, others: Sequence["Part"]) -> NDArray[np.bool_]:
        """bool[u], of whom it depends on their own clicks in other parts what becomes of them here."""
        comings = self._comings_in(others)
        reach = self.highs + self.comings + self.elsewhere + comings
        may = (reach.max(axis=0) >= self.pane.level) & ~self.known
        if len(self.pane.suspects) + len(self.users) <= self.pane.max_suspects:
            # Who is promoted by the first click here is so whatever comes.
            may &= self.highs + 1 + self.most < self.pane.level
        may |= self.singly
        may[self._crossing((reach > self.pane.rule.threshold) & (comings > 0))] = True
        torn: NDArray[np.bool_] = may & comings.any(axis=0)
        return torn

    def _comings_in(self, others: Sequence["Part"]) -> NDArray[np.int64]:
        """int64[windows, u], how many clicks each user has in other parts that fall into the window, too."""
        comings = np.zeros_like(self.elsewhere)
        for other in others:
            of_batch = np.zeros(len(self.batch.users), np.int64)
            of_batch[other.users] = other.comings
            comings[self._holding(other.pane)] += of_batch[self.users]
        return comings

    def _holding(self, pane: Pane) -> slice:
        """Places of the windows that hold another pane."""
        first = bisect_right(self.windows, pane.start - pane.rule.window)
        return slice(first, bisect_right(self.windows, pane.start))

    def _crossing(self, over: NDArray[np.bool_]) -> list[int]:
        """Places of those not told of in a window that they are ``over`` in, of shape (windows, u)."""
        places = np.flatnonzero(over.any(axis=0))
        noted = np.where(self.known[places], self.pane.suspects.told(self.rows[places]), 0)
        over = over[:, places] & (noted & np.array(self._crossings.bits)[:, None] == 0)
        return [
            int(place)
            for place, windows in zip(places[over.any(axis=0)], over[:, over.any(axis=0)].T, strict=True)
            if self._crossings.is_open(int(self.users[place]), np.flatnonzero(windows).tolist())
        ]

    def beside(self, other: "Part") -> bool:
        """Whether there is a window that the clicks of both fall into."""
        return abs(self.pane.start - other.pane.start) < self.pane.rule.window

    def tie(self, moving: NDArray[np.bool_]) -> None:
        """Count one by one the moving users, and who shares a cell with one of them."""
        self.moving = self.moving | moving
        pane = self.pane
        cells = self.batch.cells(pane.seed, pane.sketch.width)[:, moving]
        shares = SHARING.marked(cells, self.cells, len(pane.sketch.cells)).any(axis=0)
        self.singly |= moving[self.users] | (shares & ~self.known)

    def count_at_once(self) -> list[Crossing]:
        """Count the clicks whose order does not matter; which do is known better afterwards."""
        crossings = self._count_known(self.known & ~self.singly)
        rest = ~self.known & ~self.singly
        level, most = self.pane.level, self.most
        after = self.highs + self.comings
        promoted = rest & (after + most >= level)
        others, suspects = int((self.singly & ~self.known).sum()), self.pane.suspects
        if suspects.compete(int(promoted.sum()), others, self.pane.max_suspects):
            # The last places go to whom the order of the clicks brings up first.
            self.singly |= ~self.known
            return crossings

        # A promoted user's clicks enter the sketch up to the one that promotes it.
        after[promoted] = np.maximum(self.highs + 1, level - most)[promoted]
        if not self.pane.certain:
            self.pane.sketch.raise_to(self.cells[:, rest], self.highs[rest], after[rest])
        # The last click that the sketch took is the first that is counted exactly.
        first = (after - 1 - self.highs).tolist()
        comers = [
            (self._clicks_of(place)[first[place] :], place) for place in np.flatnonzero(promoted).tolist()
        ]
        for clicks, place in sorted(comers):
            user, high = int(self.users[place]), int(after[place]) - 1
            user_id = self.batch.users[user]
            self.pane.suspects.promote(user_id, high + 1)
            clicks = self._measuring.counted(
                self._crossings.suspect(user_id), clicks, self.pane.suspects.room
            )
            over = self._crossings.over(user, high, self.elsewhere[:, place].tolist(), clicks)
            crossings += over
            if place in self._climbing:
                crossings += self._crossings.further(user, self._climbing[place], clicks, over)
            self._add(user_id, clicks)
        return crossings

    def _count_known(self, counted: NDArray[np.bool_]) -> list[Crossing]:
        """Count clicks of suspects."""
        if not counted.any():
            return []
        over: dict[int, list[Crossing]] = {}
        may = (self.highs + self.comings + self.elsewhere > self.pane.rule.threshold) & counted
        for place in self._crossing(may):
            user, elsewhere = int(self.users[place]), self.elsewhere[:, place].tolist()
            clicks = self._clicks_of(place)
            over[place] = self._crossings.over(user, int(self.highs[place]), elsewhere, clicks)
        crossings = list(chain.from_iterable(over.values()))
        for place, climbing in self._climbing.items():
            if counted[place]:
                user, clicks = int(self.users[place]), self._clicks_of(place)
                crossings += self._crossings.further(user, climbing, clicks, over.get(place, ()))
        if self.pane.measure is not None:
            for place in np.flatnonzero(counted).tolist():
                self._add(self.batch.users[self.users[place]], self._clicks_of(place))
            return crossings
        counting = self.selected if counted.all() else self.selected.of_users(self.users[counted])
        self.pane.suspects.add_all(counting, self.pane.suspects.rows_of(self._numbers[counting.user]))
        return crossings

    def _add(self, user_id: str, clicks: list[int]) -> None:
        """Add clicks that count to what is known of a suspect."""
        suspects = self.pane.suspects
        suspects.add(user_id, self.batch.evidence, clicks)
        suspects.room -= self._measuring.note(self._crossings.suspect(user_id), clicks, suspects.room)

    def _clicks_of(self, place: int) -> list[int]:
        """Positions of the clicks of the user at this place of ``users``, ascending."""
        positions, ends = self._by_user
        clicks: list[int] = positions[ends[place] - int(self.comings[place]) : ends[place]].tolist()
        return clicks

    @cached_property
    def _by_user(self) -> tuple[NDArray[np.intp], list[int]]:
        """The clicks of one user after the other's, and where those of each end."""
        order = np.argsort(self.selected.user, kind="stable")
        return self.selected.positions[order], np.cumsum(self.comings).tolist()

    def count_one(self, position: int) -> list[Crossing]:
        """Count one click, wherever in the batch it is, after all that matter to it and are before it."""
        user = int(self.batch.user[position])
        user_id, suspects = self.batch.users[user], self.pane.suspects
        elsewhere = self._elsewhere_of(user)
        high = suspects.high(user_id)
        if high is None:
            high = 0 if self.pane.certain else self.pane.sketch.add(self._cells_of(user)) - 1
            if high + 1 + max(elsewhere) < self.pane.level:
                return []
            suspects.promote(user_id, high + 1)
        elif not self._measuring.counted(self._crossings.suspect(user_id), [position], suspects.room):
            return []
        over = high + 1 + max(elsewhere) > self.pane.rule.threshold
        crossings = self._crossings.over(user, high, elsewhere, [position]) if over else []
        room = suspects.room
        self._add(user_id, [position])
        is_certain = suspects.room < room or not isinstance(self.pane.measure, Distinct)
        if is_certain and user in self.rising:
            crossed = {crossing.start for crossing in crossings}
            crossings += self._crossings.risen(position, self.rising, crossed)
        return crossings

    def lift(self, others: Sequence["Part"]) -> None:
        """Find who may come to a further step in one of the windows."""
        threshold, is_distinct = self.pane.rule.threshold, isinstance(self.pane.measure, Distinct)
        furthest = int((self.highs + self.comings + self.most).max(initial=0))
        if furthest + sum(int(other.comings.max(initial=0)) for other in others) < STEPS[0] * threshold:
            return
        more = self.comings + self._comings_in(others)
        reach = self.highs + self.elsewhere + more
        places = np.flatnonzero((reach >= STEPS[0] * threshold).any(axis=0))
        more, lows = more[:, places], self._lows(places)
        # Of values, some may be in several panes.
        already = 0 if is_distinct else all_reached(lows, threshold)
        alone = (more == self.comings[places]).all(axis=0) & (not is_distinct)
        for window, column in np.argwhere(all_reached(lows + more, threshold) > already).tolist():
            place, low, start = int(places[column]), int(lows[window, column]), self.windows[window]
            user = int(self.users[place])
            if alone[column]:
                self._climbing.setdefault(place, []).append((start, low))
            elif is_distinct:
                low = values_in(self._crossings.panes_of(window), self.batch.users[user])
            self.rising.watch(start, user, low, int(more[window, column]), alone=bool(alone[column]))

    def _lows(self, places: NDArray[np.intp]) -> NDArray[np.int64]:
        """int64[windows, n], clicks of the users at these places that were counted exactly."""
        lows = np.zeros((len(self.windows), len(places)), np.int64)
        lows += self.pane.suspects.lows(self.rows[places])
        for other, windows in self.neighbours:
            lows[windows] += other.suspects.lows(self._rows_in(other)[places])
        return lows

    def _cells_of(self, user: int) -> list[int]:
        if self._width != self.pane.sketch.width:
            self._width = self.pane.sketch.width
            users = self.users[self.singly]
            cells = self.batch.cells(self.pane.seed, self._width)[:, users].T.tolist()
            self._cells = dict(zip(users.tolist(), cells, strict=True))
        return self._cells[user]

    def _elsewhere_of(self, user: int) -> list[int]:
        """At most so many clicks of a user in the rest of each window, now."""
        if self.moving[user]:
            elsewhere = [0] * len(self.windows)
            for neighbour in self.neighbours:
                high = neighbour.pane.high(self.batch, user)
                for window in range(*neighbour.windows.indices(len(elsewhere))):
                    elsewhere[window] += high
            return elsewhere
        if not self._elsewhere:
            columns = self.elsewhere[:, self.singly].T.tolist()
            self._elsewhere = dict(zip(self.users[self.singly].tolist(), columns, strict=True))
        return self._elsewhere[user]


def count(parts: Sequence[Part]) -> list[Crossing]:
    """Count clicks in the panes of one rule; returns who crossed, in the order of the clicks."""
    crossings: list[Crossing] = []
    _untie(parts)
    _lift(parts)
    for part in parts:
        part.pane.clicks += part.size
        crossings += part.count_at_once()
    turns = [
        (position, number)
        for number, part in enumerate(parts)
        for position in part.selected.of_users(part.users[part.singly]).positions.tolist()
    ]
    for position, number in sorted(turns):
        crossings += parts[number].count_one(position)
    return sorted(crossings, key=lambda crossing: (crossing.click, crossing.start))


def _untie(parts: Sequence[Part]) -> None:
    """Find those whom the order of the clicks between the parts decides upon: they are counted one by one.

    What is known of a user in the rest of a window changes with the user's
    own clicks there, if they are enough to matter, and where others raise
    all cells that hold its estimate. So whoever shares a cell with such a user
    is counted one by one, too.
    """
    near = [(part, [other for other in parts if other is not part and part.beside(other)]) for part in parts]
    if not any(others for _, others in near):
        return
    moving = np.zeros(len(parts[0].batch.users), np.bool_)
    for part, others in near:
        for other in others:
            moving[part.users[part.exposed(other)]] = True
        moving[part.users[part.torn(others)]] = True
    for part in parts:
        part.tie(moving)


def _lift(parts: Sequence[Part]) -> None:
    """Find those who may come to a further step: some of them are counted one by one for it."""
    rising = Rising(parts[0].pane.rule)
    for part in parts:
        part.rising = rising
        part.lift([other for other in parts if other is not part and part.beside(other)])
    if rising.torn:
        moving = np.zeros(len(parts[0].batch.users), np.bool_)
        moving[list(rising.torn)] = True
        for part in parts:
            part.tie(moving)


def by_user(user: NDArray[np.intp], positions: NDArray[np.intp]) -> dict[int, list[int]]:
    """The positions of each user, by number, in their order."""
    order = np.argsort(user, kind="stable")
    users, starts = np.unique(user[order], return_index=True)
    ordered, begins = positions[order].tolist(), starts.tolist()
    spans = zip(users.tolist(), begins, [*begins[1:], len(ordered)], strict=False)
    return {user: ordered[begin:end] for user, begin, end in spans}
