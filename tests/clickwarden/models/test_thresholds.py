"""Each series by itself: a threshold from its own records, and one for all others."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from clickwarden import zstd
from clickwarden.models import artefact, training
from clickwarden.models.calibration import Calibration, limits_of, own_thresholds
from clickwarden.models.dataset import Dataset, read
from clickwarden.models.manifest import Manifest, encoded
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.scoring import score

SAMPLE = Path("pipelines/maintenance/sample.ndjson.zst")
NAMES = [f"k{number}" for number in range(20)]


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 20 series, of which each is half as wide again as the one before."""
    random = np.random.default_rng(seed)
    series = np.repeat(np.arange(20), count).astype(np.int32)
    return (random.exponential(size=len(series)) * 1.5**series).astype(np.float32), series


def test_each_series_alarms_its_own_share() -> None:
    scores, series = drawn(3_000, 0)
    own = own_thresholds(scores, series, NAMES, 0.01)
    fresh, _ = drawn(3_000, 1)
    limits = limits_of(0.0, own, [NAMES[number] for number in series])
    shares = (fresh >= limits).reshape(20, -1).mean(1)
    assert shares == pytest.approx(np.full(20, 0.01), abs=0.006)
    common = (fresh >= Calibration.of(scores).threshold(0.01)).reshape(20, -1).mean(1)
    assert common[:10].max() == 0 < 0.1 < common[19]


def test_what_happened_to_one_series_is_no_others_threshold() -> None:
    scores, series = drawn(400, 2)
    own = own_thresholds(scores, series, NAMES, 0.01)
    scores[series == 3] += 1_000
    changed = own_thresholds(scores, series, NAMES, 0.01)
    assert changed["k3"] > own["k3"] + 900
    assert {name: limit for name, limit in changed.items() if name != "k3"} == {
        name: limit for name, limit in own.items() if name != "k3"
    }


def test_a_series_with_too_few_records_and_one_that_is_new_have_the_common_one() -> None:
    scores, series = drawn(99, 3)
    scores, series = scores[: 98 + 99], np.append(np.zeros(98), np.ones(99)).astype(np.int32)
    own = own_thresholds(scores, series, NAMES, 0.01)
    assert own.keys() == {"k1"}
    assert limits_of(7.0, own, ["k0", "k1", None, "new"]).tolist() == [7.0, own["k1"], 7.0, 7.0]


def trained(name: str, dataset: Dataset, pipeline: Pipeline) -> Manifest:
    parts, limit = training.split(dataset), training.limit(pipeline, dataset)
    found = training.train(name, pipeline.feature_names, parts, limit, budgeted=True, seed=0)
    manifest = training.manifest_of(found, pipeline, dataset, limit, 0, 1_800_000_000)
    artefact.save(pipeline, found.model, manifest, {})
    return manifest


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Dataset]:
    folder = tmp_path_factory.mktemp("maintenance")
    (folder / "pipeline.toml").write_bytes(SAMPLE.with_name("pipeline.toml").read_bytes())
    pipeline = Pipeline.load(folder)
    return pipeline, read(SAMPLE, pipeline, None, lambda count: None)


def test_a_fault_of_one_machine_hides_none_of_another(machines: tuple[Pipeline, Dataset]) -> None:
    pipeline, dataset = machines
    manifest = trained("residual", dataset, pipeline)
    assert len(manifest.thresholds) == 12
    assert (manifest.metrics["precision"] or 0) > 0.5
    judged = training.split(dataset).judged
    assert judged.abnormal is not None
    scores = artefact.load(pipeline).session.score(judged.values)
    assert not (judged.abnormal & (scores >= np.float32(manifest.threshold))).any()


def test_records_are_judged_by_their_series_and_a_new_machine_by_the_common_one(
    machines: tuple[Pipeline, Dataset], tmp_path: Path
) -> None:
    pipeline, dataset = machines
    manifest = trained("residual", dataset, pipeline)
    lines = zstd.decompress(SAMPLE.read_bytes()).splitlines()[:3_000]
    renamed = [json.loads(line) for line in lines]
    for row in renamed:
        row["machine"] = row["machine"].replace("press-01", "new")
    (tmp_path / "day.ndjson").write_text("\n".join(map(json.dumps, renamed)))
    model = artefact.load(pipeline)
    found = [each for part in score(tmp_path / "day.ndjson", pipeline, model) for each in part]
    assert {each.key for each in found} == {*manifest.thresholds, "new"} - {"press-01"}
    for each in found:
        assert each.threshold == manifest.thresholds.get(each.key or "", manifest.threshold)
        assert each.anomaly == (each.score is not None and each.score >= each.threshold)
    assert any(each.anomaly for each in found)


def test_other_thresholds_are_another_version(machines: tuple[Pipeline, Dataset]) -> None:
    pipeline, dataset = machines
    manifest = trained("residual", dataset, pipeline)
    changed = {**manifest.thresholds, "press-01": 9.0}
    assert msgspec.structs.replace(manifest, thresholds=changed).version != manifest.version
    assert msgspec.structs.replace(manifest, trained="").version == manifest.version


def test_other_detectors_and_a_single_series_have_one_threshold(machines: tuple[Pipeline, Dataset]) -> None:
    pipeline, dataset = machines
    forest = trained("iforest", dataset, pipeline)
    assert forest.thresholds == {}
    assert b'"thresholds"' not in encoded(forest)  # so that the release before takes it
    assert dataset.series is not None
    alone = dataset.those(dataset.series == 0)
    assert trained("residual", alone, pipeline).thresholds == {}
