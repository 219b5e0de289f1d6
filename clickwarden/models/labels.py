"""Labels: which records are known to be abnormal."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import SettingsError
from clickwarden.models.fields import text
from clickwarden.models.pipeline import Pipeline

#: What says that a record is not abnormal, whatever its case; so does nothing at all.
USUAL = frozenset(
    {"", "0", "0.0", "-1", "false", "no", "none", "null", "normal", "benign", "legit", "genuine", "ok"}
)
#: Columns of a file of labels that are taken where the pipeline names none.
COLUMNS = ("label", "anomaly", "abnormal", "is_anomaly", "fraud", "attack", "class")


def abnormal(labels: Iterable[str | None]) -> NDArray[np.bool_]:
    """bool[n], which of these say that a record is abnormal.

    >>> abnormal(["1", "0", None, "neptune", "Normal", "0.0"]).tolist()
    [True, False, False, True, False, False]
    """
    return np.array([label is not None and label.strip().lower() not in USUAL for label in labels], bool)


class Labels:
    """Labels that do not stand in the records.

    With an id in the pipeline, one is of the record with that id; of a record that none is of, they say
    that it is usual. Without one, there is a label for each record, in their order.

    Args:
        what: they stand in, for people.
        rows: the labels in their order.
        by_id: the same by id; None where the pipeline has none.
    """

    def __init__(
        self, what: str, rows: Sequence[str | None], by_id: Mapping[str | None, str | None] | None
    ) -> None:
        self.what = what
        self.by_id = by_id
        self._rows = rows

    @classmethod
    def read(cls, path: Path, pipeline: Pipeline) -> Self:
        """Those of a file: CSV with a header, or NDJSON.

        Raises:
            SettingsError: it cannot be read, or has no column of labels or of ids.
        """
        columns, rows = _read(path)
        own = [name for name in columns if name != pipeline.id]
        wanted = (pipeline.label, *COLUMNS, *(own if len(own) == 1 else ()))
        label = next((name for name in wanted if name in columns), "")
        if not label:
            raise SettingsError(
                f"{path}: has no column of labels among {', '.join(columns)}; name it 'label', or as "
                "pipeline.toml does in label"
            )
        if pipeline.id and pipeline.id not in columns:
            raise SettingsError(
                f"{path}: has no column {pipeline.id!r}, the id of pipeline.toml, among "
                f"{', '.join(columns)}; add it"
            )
        labels = [text(row.get(label)) for row in rows]
        ids = (text(row.get(pipeline.id)) for row in rows)
        return cls(str(path), labels, dict(zip(ids, labels, strict=True)) if pipeline.id else None)

    def of(self, ids: Sequence[str | None], first: int) -> list[str | None]:
        """The labels of records with these ids, the first of which has this number in its file, from 0.

        Raises:
            SettingsError: there are fewer labels than records.
        """
        if self.by_id is not None:
            return [self.by_id.get(id) for id in ids]
        found = list(self._rows[first : first + len(ids)])
        if len(found) < len(ids):
            raise SettingsError(
                f"{self.what}: has {len(self._rows):,} labels, and there are more records; give each "
                "one, or an id in pipeline.toml"
            )
        return found


def _read(path: Path) -> tuple[list[str], list[Mapping[str, object]]]:
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; name a file that can be read") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8; labels are CSV or NDJSON, not compressed") from None
    if content.lstrip().startswith("{"):
        try:
            rows = msgspec.json.Decoder(dict[str, object]).decode_lines(content)
        except msgspec.DecodeError as error:
            raise SettingsError(f"{path}: is not NDJSON: {error}") from None
        return list(dict.fromkeys(name for row in rows for name in row)), list(rows)
    try:
        reader = csv.DictReader(content.splitlines())
        return list(reader.fieldnames or ()), list(reader)
    except csv.Error as error:
        raise SettingsError(f"{path}: is not CSV: {error}") from None
