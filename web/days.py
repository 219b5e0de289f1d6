"""The days of a pipeline, as all workers together judge them."""

from collections.abc import Iterable

import msgspec

from agents.pipelines import DayStatus, ScoredStatus

#: Features that are named of a day.
FARTHEST = 5


class FeatureView(msgspec.Struct):
    """How far a feature was from what the champion has learnt, in the partition where it was farthest.

    Attributes:
        feature: its column.
        shift: population stability index of its values.
        missing: that of whether there is one.
        limit: above it, it has drifted in that partition.
        partition: its number.
    """

    feature: str
    shift: float
    missing: float
    limit: float
    partition: int


class DayView(msgspec.Struct):
    """A day that is over, by event time; each partition judges it by itself.

    Attributes:
        day: its date in UTC.
        partitions: how many have judged it.
        drifted: how many of these told an anomaly.
        records: that were scored.
        alarms: among them.
        budget: so many were to be expected; None where the threshold is from labels.
        unseen: the largest share of words that are in no vocabulary.
        features: the farthest five.
    """

    day: str
    partitions: int = 0
    drifted: int = 0
    records: int = 0
    alarms: int = 0
    budget: float | None = None
    unseen: float = 0.0
    features: list[FeatureView] = []


def add_days(days: list[DayView], partition: ScoredStatus) -> None:
    """Have what a partition says of its days among those of the others, the newest first."""
    known = {each.day: each for each in days}
    for said in partition.days:
        view = known.setdefault(said.day, DayView(said.day))
        view.partitions += 1
        view.drifted += bool(said.drifted)
        view.records += said.records
        view.alarms += said.alarms
        if said.budget is not None:
            view.budget = round((view.budget or 0.0) + said.budget, 1)
        view.unseen = max(view.unseen, said.unseen)
        view.features = _farthest([*view.features, *_features(said, partition.partition)])
    days[:] = sorted(known.values(), key=lambda each: each.day, reverse=True)


def _features(said: DayStatus, partition: int) -> Iterable[FeatureView]:
    return (
        FeatureView(each.feature, each.shift, each.missing, said.limit, partition) for each in said.features
    )


def _farthest(views: Iterable[FeatureView]) -> list[FeatureView]:
    """Each feature once."""
    order = sorted(views, key=lambda each: -max(each.shift, each.missing))
    by_name = {each.feature: each for each in reversed(order)}
    return [each for each in order if by_name[each.feature] is each][:FARTHEST]
