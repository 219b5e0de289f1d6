"""The rows that a model is trained with: the features of a file's records."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import SettingsError
from clickwarden.models import datafile
from clickwarden.models.features import KEYLESS, LATE, TAKEN, TIMELESS, UNREADABLE, Features, moments_of
from clickwarden.models.fields import NO_TIME
from clickwarden.models.labels import Labels, abnormal
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records

#: Why a record has no features, for people.
FATES = {
    LATE: "behind event time by more than the lateness",
    KEYLESS: "without a key",
    TIMELESS: "without a time",
    UNREADABLE: "no records at all",
}
#: Why a record is not learnt from although it has features.
ASTRAY = "their time is far from that of nearly all others"
#: What part of the rows may be astray at either end, and how far from those between they are then, in the
#: time that those took.
TAIL, FAR = 0.05, 0.5


class Dataset(NamedTuple):
    """Rows in the order of time; where records have none, in a random one, always the same.

    Attributes:
        values: float32[n, d], NaN where missing.
        times: int64[n], epoch milliseconds; None where the pipeline has no time.
        abnormal: bool[n]; None where there are no labels.
        records: of the file.
        aside: how many records were set aside, by why.
        sha256: of the file.
        apart: bool[n], rows of known incidents, from which nothing is to be learnt; None: there are none.
        share: of all rows that are these; 1 but for a sample.
        series: int32[n], the place of each row's key among ``names``; None where the pipeline has no key.
        names: of the keys.
    """

    values: NDArray[np.float32]
    times: NDArray[np.int64] | None
    abnormal: NDArray[np.bool_] | None
    records: int
    aside: dict[str, int]
    sha256: str
    apart: NDArray[np.bool_] | None = None
    share: float = 1.0
    series: NDArray[np.int32] | None = None
    names: tuple[str, ...] = ()

    def part(self, first: int, last: int) -> "Dataset":
        """The rows from one to before another."""
        return self.those(slice(first, last))

    @property
    def learnable(self) -> "Dataset":
        """It without what nothing is to be learnt from."""
        return self if self.apart is None else self.those(~self.apart)._replace(apart=None)

    def those(self, which: slice | NDArray[np.bool_]) -> "Dataset":
        """Some of the rows."""
        return self._replace(
            values=self.values[which],
            times=None if self.times is None else self.times[which],
            abnormal=None if self.abnormal is None else self.abnormal[which],
            apart=None if self.apart is None else self.apart[which],
            series=None if self.series is None else self.series[which],
        )

    @property
    def keys(self) -> list[str | None]:
        """The key of each row; None where the pipeline has no key."""
        if self.series is None:
            return [None] * len(self.values)
        return [self.names[number] for number in self.series.tolist()]

    @property
    def span(self) -> int:
        """Milliseconds from the first row to the last; 0 where they have no time."""
        return 0 if self.times is None or not len(self.times) else int(self.times[-1] - self.times[0])


def read(path: Path, pipeline: Pipeline, labels: Labels | None, told: Callable[[int], None]) -> Dataset:
    """Read a file of records.

    Args:
        path: of NDJSON, CSV or Parquet.
        pipeline: that says what is read.
        labels: beside the file; None: they are in the records, or nowhere.
        told: is called with the number of records that were read, now and then.

    Raises:
        SettingsError: a file cannot be read, a label is a feature, or nothing has features.
    """
    check_label(pipeline)
    reading = Reading(pipeline)
    for records in datafile.read(path, pipeline):
        found = abnormal(labels.of(records.ids, reading.count) if labels else records.labels)
        reading.add(records, found)
        told(reading.count)
    return dataset(pipeline, [reading], str(path), sha256_of(path), labelled=bool(labels or pipeline.label))


class Reading:
    """The rows of one log, as its records are read.

    Attributes:
        count: of the records so far.
        fates: int[256], what became of them.
        values: float32[n, d] of some each.
        times: int64[n] of some each.
        abnormal: bool[n] of some each.
        series: int32[n] of some each, the number of each row's key.
        numbers: of the keys.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.count = 0
        self.fates = np.zeros(256, int)
        self.values: list[NDArray[np.float32]] = []
        self.times: list[NDArray[np.int64]] = []
        self.abnormal: list[NDArray[np.bool_]] = []
        self.series: list[NDArray[np.int32]] = []
        self.numbers: dict[str | None, int] = {}
        self._features = Features(pipeline)

    def add(self, records: Records, abnormal: NDArray[np.bool_]) -> None:
        """Read on; ``abnormal`` is bool[n], which of the next records are."""
        rows = self._features.of(records)
        taken = rows.taken
        self.fates += np.bincount(rows.fates, minlength=256)
        self.values.append(rows.values[taken])
        self.times.append(moments_of(records)[taken])
        self.abnormal.append(abnormal[taken])
        self.series.append(self.numbered(records.keys)[taken])
        self.count += records.size

    def numbered(self, keys: Sequence[str | None]) -> NDArray[np.int32]:
        """int32[n], the number of each key."""
        numbers = self.numbers
        return np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), np.int32, len(keys))


def dataset(
    pipeline: Pipeline,
    readings: Sequence[Reading],
    what: str,
    sha256: str,
    *,
    labelled: bool,
    span: int | None = None,
) -> Dataset:
    """The rows of logs, in the order of time.

    Args:
        pipeline: of the records.
        readings: of each log.
        what: they were read of, for people.
        sha256: of that.
        labelled: whether it is known which records are abnormal.
        span: only the newest of so many milliseconds; None: all.

    Raises:
        SettingsError: nothing has features.
    """
    fates = np.sum([reading.fates for reading in readings], axis=0) if readings else np.zeros(256, int)
    count = sum(reading.count for reading in readings)
    if not fates[TAKEN]:
        why = ", ".join(f"{fates[fate]:,} {why}" for fate, why in FATES.items() if fates[fate])
        named = ", ".join(f"{name} = {getattr(pipeline, name)!r}" for name in ("key", "time"))
        raise SettingsError(
            f"{what}: none of its {count:,} records has features ({why or 'there are none'}); does "
            f"{pipeline.folder}/pipeline.toml fit it, where {named}?"
        )
    matrix, moments, said = (
        np.concatenate([part for reading in readings for part in getattr(reading, name)])
        for name in ("values", "times", "abnormal")
    )
    astray = 0
    if pipeline.time:
        order = np.argsort(moments, kind="stable")
        order = order[moments[order] != NO_TIME]
        fates[TIMELESS] += len(moments) - len(order)
        if not len(order):
            raise SettingsError(
                f"{what}: none of its {count:,} records says when in {pipeline.time!r}; name another time in "
                "pipeline.toml, or none"
            )
        usual = _together(moments[order])
        astray = len(order) - int(usual.sum())
        order = order[usual]
        if span is not None:
            order = order[moments[order] > moments[order[-1]] - span]
    else:
        order = np.random.default_rng(0).permutation(len(moments))
    series, names = _series(readings)
    if not np.isfinite(matrix).any():
        raise SettingsError(
            f"{what}: no feature has a value in any of its {count:,} records; are they numbers, as 1234.5?"
        )
    return Dataset(
        matrix[order],
        moments[order] if pipeline.time else None,
        said[order] if labelled else None,
        count,
        {why: int(fates[fate]) for fate, why in FATES.items() if fates[fate]}
        | ({ASTRAY: astray} if astray else {}),
        sha256,
        series=series[order] if pipeline.key else None,
        names=names if pipeline.key else (),
    )


def _together(moments: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool[n], which of moments, in their order, are not far from nearly all others.

    One clock in the year 5138 would make a day's records those of three thousand years, by which any budget
    is more than there are, and the last fifth, or the newest week, no time of the others.
    """
    tail = int(len(moments) * TAIL)
    first, last = moments[tail], moments[-1 - tail]
    if first == last:
        return np.ones(len(moments), np.bool_)
    far = (last - first) * FAR
    together: NDArray[np.bool_] = (moments >= first - far) & (moments <= last + far)
    return together


def _series(readings: Sequence[Reading]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """The key of each row of logs by its number, and the names of the numbers; no key is in two logs."""
    names: list[str] = []
    series = []
    for reading in readings:
        series += [part + np.int32(len(names)) for part in reading.series]
        names += [key or "" for key in reading.numbers]
    return np.concatenate(series), tuple(names)


def check_label(pipeline: Pipeline) -> None:
    """Refuse a label that a model would be shown.

    Raises:
        SettingsError: it is a field of a feature.
    """
    used = {feature.field for feature in pipeline.features}
    if pipeline.label and pipeline.label in used:
        raise SettingsError(
            f"{pipeline.folder}: label {pipeline.label!r} is a field of a feature, so that the model "
            "would be shown the answer; take that feature out"
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
