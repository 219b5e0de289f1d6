"""The features of a partition's records, batch by batch."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records

#: What becomes of a record: it has features; it is behind event time by more than the lateness; it has no key; it
#: does not say when; it is no record.
TAKEN, LATE, NO_KEY, NO_TIME_SAID, UNREADABLE = range(5)


class Rows(NamedTuple):
    """What a model sees of some records.

    Attributes:
        values: float32[n, d], a column for each of ``pipeline.feature_names``; NaN where the record lacks what the
            column is of, and in every column of a record that was set aside.
        fates: uint8[n]; TAKEN, or why it was set aside.
    """

    values: NDArray[np.float32]
    fates: NDArray[np.uint8]

    @property
    def taken(self) -> NDArray[np.bool_]:
        """bool[n], which have features."""
        return self.fates == TAKEN


class Segment(NamedTuple):
    """What was learnt of records between two checkpoints: a row of the changelog.

    Attributes:
        data: compressed.
        newest: the newest moment in it, epoch milliseconds.
    """

    data: bytes
    newest: int


class Features:
    """What the features of a partition's next record depend on.

    Attributes:
        forgotten: epoch milliseconds; a segment whose ``newest`` is not above it may be deleted, but for the last.
    """

    forgotten: int

    def __init__(self, pipeline: Pipeline) -> None: ...

    def of(self, records: Records) -> Rows:
        """The features of the next records of the partition, in the order of its log, each by those before it."""

    def segment(self) -> Segment | None:
        """What is new since the last call, for the changelog; None where there is nothing."""

    def restore(self, segments: Iterable[bytes]) -> None:
        """Go on where the last of the segments ended; before the first record.

        Raises:
            SnapshotError: one is broken, or of another definition or a newer release.
        """
