"""Drift: whether what a model sees of a day is still what it has learnt from."""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import SnapshotError
from clickwarden.models.calibration import DAY_MS
from clickwarden.models.fields import NO_TIME

#: The population stability index from which a feature has drifted: .1 is commonly called a moderate shift.
DRIFTED = 0.1
#: What chance alone adds to the index of records that are alike, in 9,999 of 10,000 cases, by their number.
CHANCE = 40.0
#: Days that are kept, the newest ones.
DAYS = 64
#: A day of which less has been seen is not judged: mornings differ from evenings.
WHOLE_MS = 20 * 3_600_000
#: Records of no time are one day.
TIMELESS = 0
#: Keys are told apart by so many places, into which they are hashed.
PLACES = 1024
#: Features of the time of day differ by what part of it was seen, and say nothing else.
_SEASONAL = ("tod_sin", "tod_cos")
_UNSEEN = "=(other)"
_QUANTILES = np.arange(1, 10) / 10

Counts = NDArray[np.int64]


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a feature was distributed in what was learnt from.

    Attributes:
        edges: the upper ends of bins: below all, tenths, above all; finite.
        counts: how many were in each bin; the last one is of missing values.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Day(NamedTuple):
    """A day held against what was learnt from.

    Attributes:
        name: its date in UTC; empty of records without time.
        records: that were seen.
        alarms: among them.
        shift: float64[d], the population stability index of each feature.
        missing: float64[d], the same of whether it is missing.
        unseen: the largest share of words outside a vocabulary.
        worth: how many independent records they are worth (Kish, 1965): fewer than there are, where some keys
            have many of them and those were counted.
        limit: what a shift is above where there is drift; chance is in it.
    """

    name: str
    records: int
    alarms: int
    shift: NDArray[np.float64]
    missing: NDArray[np.float64]
    unseen: float
    worth: float
    limit: float

    @property
    def drifted(self) -> NDArray[np.int64]:
        """int64[k], the features that have drifted, the farthest first."""
        farthest = np.maximum(self.shift, self.missing)
        order = np.argsort(-farthest, kind="stable")
        found: NDArray[np.int64] = order[farthest[order] > self.limit]
        return found


class _Counted(NamedTuple):
    """A day's counts: records, alarms, first and last moment, int64[d, bins] in C order, int64[PLACES]."""

    records: int
    alarms: int
    first: int
    last: int
    counts: bytes
    places: bytes


class _Seen(NamedTuple):
    """The same, to count with."""

    records: int
    alarms: int
    first: int
    last: int
    counts: Counts
    places: Counts

    def joined(self, other: "_Seen") -> "_Seen":
        return _Seen(
            self.records + other.records,
            self.alarms + other.alarms,
            min(self.first, other.first),
            max(self.last, other.last),
            self.counts + other.counts,
            self.places + other.places,
        )


def expected_of(values: NDArray[np.float32]) -> tuple[Expected, ...]:
    """How each column of float32[n, d] is distributed."""
    found = []
    for column in values.T:
        known = column[np.isfinite(column)]
        edges = np.zeros(0, np.float32)
        if len(known):
            tenths = np.quantile(known, _QUANTILES, method="inverted_cdf")
            # Not beyond the least number there is: JSON has no infinity.
            below = np.nextafter(known.min(), np.finfo(np.float32).min)
            edges = np.unique([below, *tenths, known.max()])
        found.append(Expected(tuple(edges.tolist()), tuple(_binned(column, edges).tolist())))
    return tuple(found)


class Drift:
    """What was seen of each day, as counts: the same in whatever batches and order; at most 64 days."""

    def __init__(
        self, names: Sequence[str], expected: Sequence[Expected], warm: int, first: int | None = None
    ) -> None:
        """Begin with no record.

        Args:
            names: of the features.
            expected: of each.
            warm: milliseconds from the first record on in which windows are not yet full.
            first: when that was, epoch milliseconds; None: the first one is yet to come.
        """
        self._expected = expected
        self._edges = [np.array(each.edges, np.float32) for each in expected]
        self._bins = max((len(each.counts) for each in expected), default=0)
        self._unseen = [place for place, name in enumerate(names) if name.endswith(_UNSEEN)]
        self._ageless = np.array([not name.endswith(_SEASONAL) for name in names], bool)
        self._warm = warm
        self._first = first
        self._days: dict[int, _Seen] = {}

    def add(
        self,
        values: NDArray[np.float32],
        times: NDArray[np.int64],
        alarmed: NDArray[np.bool_],
        places: NDArray[np.int64] | None = None,
    ) -> None:
        """Count records.

        Args:
            values: float32[n, d], their features.
            times: int64[n], epoch milliseconds; NO_TIME where they have none.
            alarmed: bool[n].
            places: int64[n], those of their keys (:func:`place_of`); None: each record stands for itself.
        """
        days = np.where(times == NO_TIME, TIMELESS, times // DAY_MS)
        for day in np.unique(days).tolist():
            here = np.flatnonzero(days == day)
            columns = np.ascontiguousarray(values[here].T)
            counts = np.zeros((len(self._expected), self._bins), np.int64)
            for place, edges in enumerate(self._edges):
                binned = _binned(columns[place], edges)
                counts[place, : len(binned)] = binned
            moments, keys = times[here], np.zeros(PLACES, np.int64)
            if places is not None:
                keys += np.bincount(places[here], minlength=PLACES)
            seen = len(here), int(alarmed[here].sum()), int(moments.min()), int(moments.max()), counts, keys
            self._take(day, _Seen(*seen))
        self._forget()

    def _take(self, day: int, seen: _Seen) -> None:
        known = self._days.get(day)
        self._days[day] = seen if known is None else known.joined(seen)
        self._first = seen.first if self._first is None else min(self._first, seen.first)

    def _forget(self) -> None:
        for day in sorted(self._days)[:-DAYS]:
            del self._days[day]

    def encode(self) -> bytes:
        """All of it, for :meth:`merge`."""
        days = {
            day: _Counted(*seen[:4], seen.counts.astype("<i8").tobytes(), seen.places.astype("<i8").tobytes())
            for day, seen in sorted(self._days.items())
        }
        return msgspec.msgpack.encode((self._first, days))

    def merge(self, data: bytes) -> None:
        """Add what :meth:`encode` gave of another one, or of this one before a restart.

        Raises:
            SnapshotError: it is broken, or of other features.
        """
        shape = (len(self._expected), self._bins)
        try:
            first, days = msgspec.msgpack.decode(data, type=tuple[int | None, dict[int, _Counted]])
            found = {
                day: _Seen(
                    *seen[:4],
                    np.frombuffer(seen.counts, "<i8").reshape(shape).astype(np.int64),
                    np.frombuffer(seen.places, "<i8").reshape(PLACES).astype(np.int64),
                )
                for day, seen in days.items()
            }
        except (msgspec.DecodeError, ValueError) as error:
            raise SnapshotError(f"drift: cannot be read: {error}; it is of another model") from None
        for day, seen in found.items():
            self._take(day, seen)
        if first is not None:
            self._first = first if self._first is None else min(self._first, first)
        self._forget()

    @property
    def days(self) -> list[Day]:
        """Those that can be judged, in their order: whole ones, behind the time in which windows fill."""
        return [
            self._judged(day, seen)
            for day, seen in sorted(self._days.items())
            if seen.first == NO_TIME
            or (seen.last - seen.first >= WHOLE_MS and day * DAY_MS >= (self._first or 0) + self._warm)
        ]

    def over(self, now: int) -> list[Day]:
        """Those before the day of a moment, epoch milliseconds, that can be judged; forgets all before it."""
        going_on = {day: seen for day, seen in self._days.items() if day >= now // DAY_MS}
        self._days = {day: seen for day, seen in self._days.items() if day not in going_on}
        days = self.days
        self._days = going_on
        return days

    def _judged(self, day: int, known: _Seen) -> Day:
        records, counts = known.records, known.counts
        learnt = [np.array(each.counts, np.int64) for each in self._expected]
        shift, missing = np.zeros(len(learnt)), np.zeros(len(learnt))
        for place, expected in enumerate(learnt):
            seen = counts[place, : len(expected)]
            shift[place] = _index(expected[:-1], seen[:-1]) * self._ageless[place]
            missing[place] = _index(_whether(expected), _whether(seen)) * self._ageless[place]
        size = max(int(learnt[0].sum()), 1) if learnt else 1
        squares = int((known.places**2).sum())
        worth = records**2 / squares if squares else float(records)
        others = [counts[place, 2 : len(learnt[place]) - 1].sum() / records for place in self._unseen]
        return Day(
            "" if known.first == NO_TIME else date_of(day),
            records,
            known.alarms,
            shift,
            missing,
            float(max(others, default=0.0)),
            worth,
            DRIFTED + CHANCE * (1 / worth + 1 / size),
        )


def place_of(key: str) -> int:
    """The place of a key, among :data:`PLACES`."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % PLACES


def date_of(day: int) -> str:
    """A day, by its number since the epoch.

    >>> date_of(20_454)
    '2026-01-01'
    """
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date().isoformat()


def lines_of(days: Sequence[Day], names: Sequence[str], share: float | None) -> list[str]:
    """What there is to say of days, a sentence each; ``share`` of the records is to be alarmed."""
    if not days:
        return []
    told = []
    for day in days:
        if not len(day.drifted):
            continue
        features = (
            f"{names[place]} {max(day.shift[place], day.missing[place]):.2f}" for place in day.drifted[:3]
        )
        more = f" and {len(day.drifted) - 3} more" if len(day.drifted) > 3 else ""
        budget = "" if share is None else f"; {day.alarms:,} alarms, budget {share * day.records:,.0f}"
        told.append(
            f"drift{' on ' if day.name else ''}{day.name}: {', '.join(features)}{more} "
            f"(usual up to {day.limit:.2f}){budget}"
        )
    if told or not days[0].name:
        return told or ["no drift"]
    return [f"no drift in {len(days):,} whole {'day' if len(days) == 1 else 'days'}"]


def _binned(column: NDArray[Any], edges: NDArray[np.float32]) -> Counts:
    """How many values are up to each edge and beyond the one before, beyond all of them, and missing."""
    finite = np.isfinite(column)
    known = column if finite.all() else column[finite]
    # A pass an edge is several times faster than a search a value.
    up_to = np.array([0, *(np.count_nonzero(known <= edge) for edge in edges), len(known)], np.int64)
    return np.append(np.diff(up_to), len(column) - len(known))


def _whether(counts: Counts) -> Counts:
    """How many there are, and how many are missing."""
    return np.array([counts[:-1].sum(), counts[-1]])


def _index(expected: Counts, seen: Counts) -> float:
    """The population stability index of counts; half a record is added to each bin, so that none is empty."""
    if not expected.sum() or not seen.sum():
        return 0.0
    usual, now = ((each + 0.5) / (each.sum() + 0.5 * len(each)) for each in (expected, seen))
    return float(((now - usual) * np.log(now / usual)).sum())
