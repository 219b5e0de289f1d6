"""Half-space trees: they score from the 251st record on, the same in any batches and behind a restart."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from clickwarden import zstd
from clickwarden.errors import SnapshotError
from clickwarden.models import untrained
from clickwarden.models.fields import NO_TIME
from clickwarden.models.online import WINDOW, HalfSpaceTrees
from clickwarden.models.pipeline import Pipeline


def rows(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Two clusters in three columns, one constant, and one record in fifty between and beyond them."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, 4)) + 6 * random.integers(0, 2, count)[:, None]
    values[:, 3] = 7
    abnormal = random.random(count) < 0.02
    values[abnormal, :3] = random.choice([-8.0, 14.0], (int(abnormal.sum()), 3))
    values[random.random(count) < 0.01, 0] = np.nan
    return values.astype(np.float32), np.arange(count) * 60_000, abnormal


def test_they_score_from_the_second_window_on_and_keep_to_the_budget() -> None:
    values, times, abnormal = rows(6_000)
    judged = HalfSpaceTrees(4, "0", None).judge(values, times)
    assert np.isnan(judged.scores[:WINDOW]).all()
    assert np.isfinite(judged.scores[WINDOW:]).all()
    scores, really = judged.scores[WINDOW:], abnormal[WINDOW:]
    assert np.quantile(scores[~really], 0.95) < np.quantile(scores[really], 0.2)
    alarmed = scores >= judged.thresholds[WINDOW:]
    assert 0.003 * len(scores) <= alarmed.sum() <= 0.02 * len(scores)
    assert really[alarmed].mean() > 0.8


def test_batches_and_restarts_change_nothing() -> None:
    values, times, _ = rows(2_300, seed=1)
    whole = HalfSpaceTrees(4, "3", 20.0).judge(values, times)
    trees, parts, begin = HalfSpaceTrees(4, "3", 20.0), [], 0
    for size in np.random.default_rng(2).integers(1, 400, 40).tolist():
        data = trees.encode()
        trees = HalfSpaceTrees(4, "3", 20.0)
        trees.restore(data)
        parts.append(trees.judge(values[begin : begin + size], times[begin : begin + size]))
        begin += size
    for field in range(3):
        assert np.concatenate([part[field] for part in parts]).tobytes() == whole[field].tobytes()
    assert HalfSpaceTrees(4, "4", 20.0).judge(values, times).scores.tobytes() != whole.scores.tobytes()


def alarms(values: NDArray[np.float32], times: NDArray[np.int64], budget: float) -> NDArray[np.bool_]:
    judged = HalfSpaceTrees(values.shape[1], "0", budget).judge(values, times)
    return judged.scores >= judged.thresholds


@pytest.mark.parametrize("a_day", [500, 20_000])
def test_the_budget_of_a_day_is_kept_however_many_records_there_are(a_day: int) -> None:
    days = 8 if a_day < 20_000 else 3
    values = np.random.default_rng(4).normal(size=(days * a_day, 3)).astype(np.float32)
    times = np.arange(len(values)) * (86_400_000 // a_day)
    told = alarms(values, times, 20.0).reshape(days, a_day).sum(1)
    assert told[1:].min() > 5
    assert told.max() < 40


def test_days_on_which_nothing_comes_give_no_more_than_their_own_budget() -> None:
    values, times, _ = rows(6_000)
    times[3_000:] += 5 * 86_400_000
    days = (times[-1] - times[0]) / 86_400_000
    assert alarms(values, times, 20.0).sum() < 1.2 * 20 * days


def test_a_budget_of_more_alarms_than_there_are_records_breaks_nothing() -> None:
    values, times, _ = rows(1_000)
    assert alarms(values, times * 1_000, 1e6)[WINDOW:].mean() > 0.5
    assert alarms(values, times * 100_000, 0.5).sum() < 500


def test_what_is_kept_of_two_windows_is_small() -> None:
    values, times, _ = rows(9_125)
    trees = HalfSpaceTrees(4, "0", 50.0)
    trees.judge(values, times)
    assert len(zstd.compress(trees.encode(), 3)) < 20_000


def test_wild_values_are_scored() -> None:
    values, _, _ = rows(600)
    values[300], values[301] = np.nan, np.inf
    values[302:, 1] = 3e38
    judged = HalfSpaceTrees(4, "0", None).judge(values, np.full(600, NO_TIME))
    assert np.isfinite(judged.scores[WINDOW:]).all()


@pytest.mark.parametrize("data", [b"", b"\x99", HalfSpaceTrees(5, "0", None).encode()])
def test_what_is_broken_or_of_others_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError, match="it is of another pipeline"):
        HalfSpaceTrees(4, "0", None).restore(data)


def test_a_file_is_scored_without_any_model(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(
        'name = "new"\nversion = 1\ndetector = "online"\n[fields]\nf0 = { type = "number" }\n'
        '[[feature]]\nkind = "raw"\nfield = "f0"\n'
    )
    numbers = np.random.default_rng(1).normal(size=3_000).tolist()
    numbers[2_000] = 60
    (tmp_path / "data.csv").write_text("\n".join(["f0", *map(str, numbers)]))
    pipeline = Pipeline.load(tmp_path)
    found = [each for part in untrained.score(tmp_path / "data.csv", pipeline) for each in part]
    assert [each.record for each in found] == list(range(1, 3_001))
    assert {each.aside for each in found[:WINDOW]} == {untrained.EARLY}
    assert {each.aside for each in found[WINDOW:]} == {""}
    assert found[2_000].anomaly
    assert json.loads(msgspec.json.encode(found[0]))["threshold"] is None
    assert json.loads(msgspec.json.encode(found[2_000]))["anomaly"] is True
    assert {each.model for each in found} == {"new/online"}
