"""How rare a score is among records that the model has not learnt from, and the threshold that follows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

#: Ranks that are kept one by one, where thresholds are; behind them, so many more in equal steps.
EXACT, STEPS = 1_000, 1_000
#: Of records that are alarmed where nobody has said how many a day.
SHARE = 0.01
DAY_MS = 86_400_000
#: Series that have a threshold of their own, at most: those with the most records.
SERIES = 10_000


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Scores of records that were held back, as far as p-values need them.

    A p-value is conformal (Bates and others, 2023): where records are alike, it is at most p for at most p of
    them, whatever the detector. Anomalies among the records held back make it too high, and so alarms fewer.

    Attributes:
        records: how many were held back.
        scores: some of their scores, each once, the highest first.
        ranks: how many of all have at least that score, for each of ``scores``.
    """

    records: int
    scores: tuple[float, ...]
    ranks: tuple[int, ...]

    @classmethod
    def of(cls, scores: NDArray[np.float32]) -> "Calibration":
        """Keep what is needed of float32[n], in any order."""
        ordered = np.sort(scores)[::-1]
        different, first = np.unique(-ordered, return_index=True)
        ranks = np.append(first[1:], len(ordered))
        steps = np.linspace(EXACT, len(ranks) - 1, STEPS).round().astype(int)
        kept = np.unique(np.append(np.arange(min(EXACT, len(ranks))), steps[steps < len(ranks)]))
        return cls(len(scores), tuple((-different[kept]).tolist()), tuple(ranks[kept].tolist()))

    def p_values(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64[n], the share of records held back that scored as high or higher.

        The record itself is one of them. Between the scores that are kept it is rounded up.
        """
        kept, ranks = self._arrays
        place = np.searchsorted(-kept, -scores.astype(np.float64), "right")
        found = ranks[place]
        gap = (place < len(kept)) & (scores < np.append(kept, 0)[np.maximum(place - 1, 0)])
        ahead = ranks[np.minimum(place + 1, len(kept))] - 1
        found = np.where(gap & (place >= EXACT), np.maximum(found, ahead), found)
        return (1 + found) / (1 + self.records)

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The scores, and the ranks behind a 0; made once, as every run asks."""
        return np.array(self.scores, np.float64), np.array([0, *self.ranks])

    def threshold(self, share: float) -> float:
        """The least score whose p-value is not above a share; above all of them where they are too few."""
        allowed = int(np.floor(share * (1 + self.records) + 1e-9)) - 1
        within = [score for score, rank in zip(self.scores, self.ranks, strict=True) if rank <= allowed]
        if within:
            return within[-1]
        return float(np.nextafter(np.float32(self.scores[0]), np.float32(np.inf)))


class Limit(NamedTuple):
    """What alarms are to be.

    Attributes:
        share: of the records.
        a_day: alarms a day; None where it is a share of records that have no time.
    """

    share: float
    a_day: float | None


def limit_of(budget: float | None, records: int, span: int) -> Limit:
    """The alarm budget as a share of the records.

    Args:
        budget: alarms a day; None: one record in a hundred.
        records: how many there were.
        span: the milliseconds in which they were; 0 where they have no time.
    """
    days = span / DAY_MS
    if not days:
        return Limit(SHARE, None)
    if budget is None:
        return Limit(SHARE, SHARE * records / days)
    return Limit(min(budget * days / records, 1.0), budget)


def own_thresholds(
    scores: NDArray[np.float32], series: NDArray[np.int32], names: Sequence[str], share: float
) -> dict[str, float]:
    """The threshold of each series by its own scores, of those that have enough for a p-value of the share.

    Args:
        scores: float32[n].
        series: int32[n], the place of each record's key among ``names``.
        names: of the keys.
        share: of the records that are to be alarmed.
    """
    found = {
        number: own
        for number, own in _by_series(scores, series)
        if np.floor(share * (1 + len(own)) + 1e-9) >= 1
    }
    most = sorted(found, key=lambda number: (-len(found[number]), names[number]))[:SERIES]
    return {names[number]: Calibration.of(found[number]).threshold(share) for number in most}


def _by_series(
    scores: NDArray[np.float32], series: NDArray[np.int32]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    order = np.argsort(series, kind="stable")
    numbers, begins = np.unique(series[order], return_index=True)
    yield from zip(numbers.tolist(), np.split(scores[order], begins[1:]), strict=True)


def limits_of(threshold: float, own: Mapping[str, float], keys: Sequence[str | None]) -> NDArray[np.float64]:
    """float64[n], the threshold of each record by its key: that of its series, or the one for all others."""
    if not own:
        return np.full(len(keys), threshold)
    return np.array([threshold if key is None else own.get(key, threshold) for key in keys], np.float64)


def best_threshold(scores: NDArray[np.float32], abnormal: NDArray[np.bool_]) -> float:
    """The threshold with the highest F1 among labelled records, some of which are abnormal.

    It is in the middle between the least score that is to be alarmed and the next lower one: on the score
    itself, half of the abnormal records like that would be missed.
    """
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(abnormal[order])
    f1 = 2 * found / (np.arange(1, len(scores) + 1) + found[-1])
    last = np.append(
        scores[order][1:] != scores[order][:-1], True
    )  # of equal scores all are alarmed, or none
    ordered = scores[order]
    place = int(np.argmax(np.where(last, f1, -1)))
    least, below = ordered[place], ordered[min(place + 1, len(ordered) - 1)]
    middle = below + (least - below) / np.float32(2)
    return float(middle if middle > below else least)
