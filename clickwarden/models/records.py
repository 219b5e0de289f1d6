"""The records of a run as columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.pipeline import Pipeline

Column = NDArray[np.float64] | NDArray[np.int64] | list[str | None]


class Records:
    """A run of records in the order of their log, as columns.

    Attributes:
        columns: by the field's name. Numbers, integers and truths: float64[n], NaN where missing. Times: int64[n],
            epoch milliseconds, NO_TIME where missing. Text: a list, None where missing.
        keys: the key of each; None where it has none, or the pipeline names none.
        times: int64[n], when each happened, epoch milliseconds; NO_TIME where it does not say.
        received: int64[n], when Kafka received each, epoch milliseconds; NO_TIME where it does not say.
        ids: the id of each; None where it has none, or the pipeline names none.
        labels: what the pipeline's label says of each, as text; None where it says nothing.
        readable: bool[n], whether each is a record at all.
    """

    columns: dict[str, Column]
    keys: list[str | None]
    times: NDArray[np.int64]
    received: NDArray[np.int64]
    ids: list[str | None]
    labels: list[str | None]
    readable: NDArray[np.bool_]

    def __len__(self) -> int: ...

    @classmethod
    def of(
        cls, pipeline: Pipeline, rows: Iterable[Mapping[str, Any] | None], received: Sequence[float] | None = None
    ) -> "Records":
        """Records from what each has by name; None is a record that cannot be read.

        ``received`` is epoch seconds, NaN where Kafka does not say.
        """

    @classmethod
    def of_json(
        cls, pipeline: Pipeline, values: Iterable[bytes], received: Sequence[float] | None = None
    ) -> "Records":
        """The same, from a JSON object each."""

    def missing(self, name: str) -> NDArray[np.bool_]:
        """bool[n], where a field is missing."""

    def __getitem__(self, part: slice) -> "Records": ...
