"""What is remembered for the features of one size of bucket, and what is seen of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.histories import Histories, Ints, View
from clickwarden.models.kinds import OF_KEYS, WITHIN, Feature, span
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.windows import NO_TEXT, Numbers, Sums, Texts, running

#: Where a key's steps are remembered, all of those that a window can see are.
_ALL = 2**31


class Memory:
    """What is remembered of each key for the features of one size of bucket.

    Without buckets these are the latest records of the key; with them, sums of the records in each bucket.

    Attributes:
        longest: milliseconds that a window looks back, at most.
        histories: of the keys.
    """

    def __init__(self, pipeline: Pipeline, bucket: int) -> None:
        """Begin with no record; ``bucket`` is in milliseconds, 0 for windows that are exact."""
        self._pipeline = pipeline
        self._bucket = bucket
        ours = [
            feature
            for feature in pipeline.features
            if feature.kind in OF_KEYS and bucket_of(feature) == bucket
        ]
        self._fields = list(dict.fromkeys(feature.field for feature in ours if feature.field))
        self.longest = max(length for feature in ours for length in lengths_of(feature))
        if bucket:
            columns: dict[str, type[np.generic]] = dict.fromkeys(["", *self._fields], np.int64)
            for name in filter(self._is_number, self._fields):
                columns |= dict.fromkeys((f"{name}.{part}" for part in Sums._fields), np.int64)
        else:
            columns = {name: np.int32 if self._is_number(name) else np.uint32 for name in self._fields}
        keep = _ALL if bucket else pipeline.keep
        self.histories = Histories(columns, self.longest, keep, merging=bool(bucket))

    def _is_number(self, name: str) -> bool:
        return self._pipeline.fields[name].type != "text"

    def add(
        self, keys: Sequence[str], moments: Ints, columns: Mapping[str, NDArray[Any]], forgotten: int
    ) -> "Seen":
        """Remember records, and show them behind those before them.

        Args:
            keys: of each, at most RUN_MAX.
            moments: int64[m], epoch milliseconds.
            columns: of each: numbers on their grid, and hashes of texts.
            forgotten: epoch milliseconds; what is not newer cannot be seen by any record to come.
        """
        if not self._bucket:
            view = self.histories.add(keys, moments, columns, forgotten)
            return Seen(self._pipeline, view, self._pipeline.keep, columns)
        weights: dict[str, NDArray[Any]] = {"": np.ones(len(keys), np.int64)}
        for name in self._fields:
            if self._is_number(name):
                sums = Sums.of(columns[name])
                weights |= {f"{name}.{part}": getattr(sums, part) for part in Sums._fields}
                weights[name] = sums.counts
            else:
                weights[name] = (columns[name] != NO_TEXT).astype(np.int64)
        begins = moments - moments % self._bucket
        return Seen(
            self._pipeline, self.histories.add(keys, begins, weights, forgotten), _ALL, columns, merged=True
        )


class Seen:
    """The windows of some records.

    Attributes:
        moments: int64[m], when each counts as having happened, epoch milliseconds.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        view: View,
        keep: int,
        own: Mapping[str, NDArray[Any]],
        *,
        merged: bool = False,
    ) -> None:
        """Begin.

        Args:
            pipeline: what the windows are of.
            view: the records behind those before them.
            keep: how many of those before them a window has, at most.
            own: of the records, as they came: numbers on their grid, and hashes of texts.
            merged: whether what is before them are sums.
        """
        self._pipeline = pipeline
        self._view = view
        self._keep = keep
        self._own = own
        self._merged = merged
        self._begins: dict[int, Ints] = {}
        self._numbers: dict[str, Numbers] = {}
        self._texts: dict[str, Texts] = {}
        self.moments = np.empty(len(view.order), np.int64)
        self.moments[view.order] = view.moments

    def roll(self, feature: Feature, columns: NDArray[np.float32]) -> None:
        """Put a feature of windows into its columns."""
        place = 0
        for written in feature.windows:
            for values in self._stats(feature, self._begin(span(written))):
                columns[self._view.order, place] = values
                place += 1

    def wait(self, feature: Feature, columns: NDArray[np.float32]) -> None:
        """Put the seconds since the key's previous record into a column."""
        within = span(feature.within or WITHIN)
        ages = self._view.ages
        columns[self._view.order, 0] = np.where((ages >= 0) & (ages < within), ages, within) / 1000

    def _begin(self, window: int) -> Ints:
        if window not in self._begins:
            self._begins[window] = self._view.since(window, self._keep)
        return self._begins[window]

    def _stats(self, feature: Feature, begin: Ints) -> list[NDArray[np.float64]]:
        view, name = self._view, feature.field
        if name and self._pipeline.fields[name].type != "text":
            step = self._pipeline.fields[name].step or 1.0
            return self._number(name).stats(begin, view.place, step, feature.stats)
        if self._merged:
            counts = running(view.columns[name])
            return [(counts[view.place] - counts[begin]).astype(np.float64)]
        if not name:
            return [(view.place - begin).astype(np.float64)]
        if name not in self._texts:
            self._texts[name] = Texts(view, view.columns[name])
        return self._texts[name].stats(begin, view.place, feature.stats)

    def _number(self, name: str) -> Numbers:
        if name not in self._numbers:
            columns = self._view.columns
            if self._merged:
                sums = Sums(*(columns[f"{name}.{part}"] for part in Sums._fields))
            else:
                sums = Sums.of(columns[name])
            self._numbers[name] = Numbers(self._own[name][self._view.order], sums.running())
        return self._numbers[name]


def bucket_of(feature: Feature) -> int:
    """Milliseconds of the bucket of a feature; 0 where it has none."""
    return span(feature.bucket) if feature.bucket else 0


def lengths_of(feature: Feature) -> list[int]:
    """Milliseconds that the windows of a feature look back."""
    if feature.kind == "since_last":
        return [span(feature.within or WITHIN)]
    return [span(window) for window in feature.windows]
