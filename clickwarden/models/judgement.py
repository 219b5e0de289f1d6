"""How well scores tell abnormal records from usual ones."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.calibration import DAY_MS

#: Samples of the bootstrap, and the share of them that an interval holds.
SAMPLES, HELD = 200, 0.95
Threshold = float | NDArray[np.float64]


class Interval(NamedTuple):
    """A figure, and where 95 % of bootstrap samples have it."""

    figure: float
    low: float
    high: float


class Alarms(NamedTuple):
    """Records at or over the threshold.

    Attributes:
        records: that were judged.
        alarmed: of them.
        a_day: alarms a day; None where records have no time.
    """

    records: int
    alarmed: int
    a_day: float | None

    @classmethod
    def of(cls, scores: NDArray[np.float32], threshold: Threshold, span: int, share: float = 1.0) -> "Alarms":
        """Count them.

        Args:
            scores: float32[n].
            threshold: of an alarm; of all, or of each.
            span: the milliseconds in which the records were; 0 without time.
            share: of the records there are, those that have these scores.
        """
        alarmed = int((scores >= np.asarray(threshold, np.float32)).sum())
        return cls(len(scores), alarmed, alarmed * DAY_MS / span / share if span else None)


class Judgement(NamedTuple):
    """Scores beside labels.

    Attributes:
        roc: area under the ROC curve; .5 is a coin's.
        pr: average precision, the area under the precision-recall curve; the share of abnormal records is a
            coin's.
        hits: abnormal records that are alarmed.
        false: usual records that are.
        missed: abnormal records that are not.
        quiet: usual records that are not.
    """

    roc: Interval
    pr: Interval
    hits: int
    false: int
    missed: int
    quiet: int

    @property
    def precision(self) -> float:
        """Share of the alarms that are right; 0 where there is none."""
        return self.hits / max(self.hits + self.false, 1)

    @property
    def recall(self) -> float:
        """Share of the abnormal records that are alarmed."""
        return self.hits / max(self.hits + self.missed, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.hits / max(2 * self.hits + self.false + self.missed, 1)


def judge(
    scores: NDArray[np.float32],
    abnormal: NDArray[np.bool_],
    threshold: Threshold,
    seed: int,
    samples: int = SAMPLES,
) -> Judgement | None:
    """Hold scores against labels; None where all records are of one kind, so that nothing can be said.

    Args:
        scores: float32[n].
        abnormal: bool[n].
        threshold: of an alarm; of all, or of each.
        seed: of the bootstrap.
        samples: of the bootstrap.
    """
    if abnormal.all() or not abnormal.any():
        return None
    random = np.random.default_rng(seed)
    ranking = _Ranking.of(scores, abnormal)
    count = len(scores)
    drawn = [
        ranking.areas(np.bincount(random.integers(0, count, count), minlength=count)) for _ in range(samples)
    ]
    roc, pr = np.array([areas for areas in drawn if areas] or [(np.nan, np.nan)]).T
    whole = ranking.areas(np.ones(count, int))
    assert whole is not None  # there are both kinds
    alarmed = scores >= np.asarray(threshold, np.float32)
    return Judgement(
        _interval(whole[0], roc),
        _interval(whole[1], pr),
        int((alarmed & abnormal).sum()),
        int((alarmed & ~abnormal).sum()),
        int((~alarmed & abnormal).sum()),
        int((~alarmed & ~abnormal).sum()),
    )


def coin(count: int, seed: int) -> NDArray[np.float32]:
    """float32[n], scores that know nothing."""
    return np.random.default_rng(seed).random(count, np.float32)


class _Ranking(NamedTuple):
    """Labels in the order of their scores, the highest first; sorted once for all samples of a bootstrap.

    Attributes:
        order: int64[n], the records.
        starts: int64[m], where each different score begins.
        abnormal: bool[n], in that order.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    abnormal: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: NDArray[np.float32], abnormal: NDArray[np.bool_]) -> "_Ranking":
        order = np.argsort(-scores, kind="stable")
        ordered = scores[order]
        return cls(order, np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])), abnormal[order])

    def areas(self, weights: NDArray[np.int64]) -> tuple[float, float] | None:
        """ROC area and average precision of records that count so often; None where all are of one kind."""
        ordered = weights[self.order]
        hits = np.add.reduceat(ordered * self.abnormal, self.starts)
        false = np.add.reduceat(ordered * ~self.abnormal, self.starts)
        found, alarmed = np.cumsum(hits), np.cumsum(hits + false)
        positive, negative = int(found[-1]), int(alarmed[-1] - found[-1])
        if not positive or not negative:
            return None
        roc = (false * (found - hits / 2)).sum() / (positive * negative)
        precision = found / np.maximum(alarmed, 1)
        return float(roc), float((hits * precision).sum() / positive)


def _interval(figure: float, drawn: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(drawn, [(1 - HELD) / 2, (1 + HELD) / 2])
    return Interval(figure, float(low), float(high))
