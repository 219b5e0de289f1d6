"""The samples of the shipped pipelines are what their maker makes, and what their pipelines can read."""

from pathlib import Path

import numpy as np
import pytest

from clickwarden import zstd
from clickwarden.models.datafile import read
from clickwarden.models.features import TAKEN, Features
from clickwarden.models.pipeline import Pipeline
from clickwarden.sandbox.samples import SAMPLES, sample

PIPELINES = Path(__file__).parents[3] / "pipelines"
#: More would weigh on every clone.
MOST_BYTES = 300_000


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_what_its_maker_makes(name: str) -> None:
    shipped = zstd.decompress((PIPELINES / name / "sample.ndjson.zst").read_bytes())
    assert sample(name) == shipped


@pytest.mark.parametrize("folder", sorted(PIPELINES.iterdir()), ids=lambda folder: folder.name)
def test_a_pipeline_reads_its_sample(folder: Path) -> None:
    path = folder / "sample.ndjson.zst"
    assert path.stat().st_size < MOST_BYTES
    pipeline = Pipeline.load(folder)
    assert pipeline.name == folder.name
    features = Features(pipeline)
    read_at_all = [(records, features.of(records)) for records in read(path, pipeline)]
    assert all((rows.fates == TAKEN).all() for _, rows in read_at_all)
    values = np.concatenate([rows.values for _, rows in read_at_all])
    assert np.isfinite(values).all()
    assert (values.std(axis=0) > 0).sum() > 0.8 * values.shape[1]
    abnormal = [bool(label) for records, _ in read_at_all for label in records.labels]
    first, second = abnormal[: len(abnormal) // 3], abnormal[len(abnormal) // 3 :]
    assert sum(first) < 0.01 * len(first) < sum(second)
