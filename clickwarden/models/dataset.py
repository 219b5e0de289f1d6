"""The rows that a model is trained with: the features of a file's records."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import SettingsError
from clickwarden.models import datafile
from clickwarden.models.features import KEYLESS, LATE, TAKEN, TIMELESS, UNREADABLE, Features
from clickwarden.models.fields import NO_TIME
from clickwarden.models.labels import Labels, abnormal
from clickwarden.models.pipeline import Pipeline

#: Why a record has no features, for people.
FATES = {
    LATE: "behind event time by more than the lateness",
    KEYLESS: "without a key",
    TIMELESS: "without a time",
    UNREADABLE: "no records at all",
}


class Dataset(NamedTuple):
    """Rows in the order of time; where records have none, in a random one, always the same.

    Attributes:
        values: float32[n, d], NaN where missing.
        times: int64[n], epoch milliseconds; None where the pipeline has no time.
        abnormal: bool[n]; None where there are no labels.
        records: of the file.
        aside: how many records have no features, by why.
        sha256: of the file.
    """

    values: NDArray[np.float32]
    times: NDArray[np.int64] | None
    abnormal: NDArray[np.bool_] | None
    records: int
    aside: dict[str, int]
    sha256: str

    def part(self, first: int, last: int) -> "Dataset":
        """The rows from one to before another."""
        return self._replace(
            values=self.values[first:last],
            times=None if self.times is None else self.times[first:last],
            abnormal=None if self.abnormal is None else self.abnormal[first:last],
        )

    @property
    def span(self) -> int:
        """Milliseconds from the first row to the last; 0 where they have no time."""
        return 0 if self.times is None or not len(self.times) else int(self.times[-1] - self.times[0])


def read(path: Path, pipeline: Pipeline, labels: Path | None, told: Callable[[int], None]) -> Dataset:
    """Read a file of records.

    Args:
        path: of NDJSON, CSV or Parquet.
        pipeline: that says what is read.
        labels: a file of labels; None: they are in the records, or nowhere.
        told: is called with the number of records that were read, now and then.

    Raises:
        SettingsError: a file cannot be read, a label is a feature, or nothing has features.
    """
    _check_label(pipeline)
    given = Labels(labels, pipeline) if labels else None
    features = Features(pipeline)
    values: list[NDArray[np.float32]] = []
    times: list[NDArray[np.int64]] = []
    said: list[NDArray[np.bool_]] = []
    fates = np.zeros(256, int)
    count = 0
    for records in datafile.read(path, pipeline):
        rows = features.of(records)
        taken = rows.taken
        fates += np.bincount(rows.fates, minlength=256)
        values.append(rows.values[taken])
        times.append(records.times[taken])
        said.append(abnormal(given.of(records.ids, count) if given else records.labels)[taken])
        count += records.size
        told(count)
    if not fates[TAKEN]:
        raise SettingsError(f"{path}: none of its {count:,} records has features; does pipeline.toml fit it?")
    matrix, moments = np.concatenate(values), np.concatenate(times)
    if pipeline.time:
        order = np.argsort(moments, kind="stable")
        order = order[moments[order] != NO_TIME]
        fates[TIMELESS] += len(moments) - len(order)
        if not len(order):
            raise SettingsError(
                f"{path}: none of its {count:,} records says when in {pipeline.time!r}; name another time in "
                "pipeline.toml, or none"
            )
    else:
        order = np.random.default_rng(0).permutation(len(moments))
    if not np.isfinite(matrix).any():
        raise SettingsError(
            f"{path}: no feature has a value in any of its {count:,} records; are they numbers, as 1234.5?"
        )
    return Dataset(
        matrix[order],
        moments[order] if pipeline.time else None,
        np.concatenate(said)[order] if given or pipeline.label else None,
        count,
        {why: int(fates[fate]) for fate, why in FATES.items() if fates[fate]},
        _sha256(path),
    )


def _check_label(pipeline: Pipeline) -> None:
    used = {feature.field for feature in pipeline.features}
    if pipeline.label and pipeline.label in used:
        raise SettingsError(
            f"{pipeline.folder}: label {pipeline.label!r} is a field of a feature, so that the model "
            "would be shown the answer; take that feature out"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
