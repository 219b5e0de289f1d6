"""Judgement and calibration: figures as scikit-learn has them, p-values as they are defined."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from clickwarden.models.calibration import EXACT, SHARE, Calibration, best_threshold, limit_of
from clickwarden.models.judgement import Alarms, judge

RANDOM = np.random.default_rng(5)
SCORES = RANDOM.normal(size=4_000).round(2).astype(np.float32)
ABNORMAL = RANDOM.random(4_000) < 1 / (1 + np.exp(4 - 2 * SCORES))


def test_areas_are_those_of_scikit_learn_with_ties() -> None:
    found = judge(SCORES, ABNORMAL, threshold=1.5, seed=0)
    assert found is not None
    assert found.roc.figure == pytest.approx(roc_auc_score(ABNORMAL, SCORES), abs=1e-12)
    assert found.pr.figure == pytest.approx(average_precision_score(ABNORMAL, SCORES), abs=1e-12)
    assert found.f1 == pytest.approx(f1_score(ABNORMAL, SCORES >= 1.5))
    assert found.hits + found.false + found.missed + found.quiet == 4_000
    assert found.roc.low < found.roc.figure < found.roc.high < found.roc.low + 0.1


def test_where_all_are_of_one_kind_nothing_is_said() -> None:
    assert judge(SCORES, np.zeros(4_000, bool), 0.0, seed=0) is None
    assert judge(SCORES, np.ones(4_000, bool), 0.0, seed=0) is None


def test_p_values_count_those_held_back() -> None:
    calibration = Calibration.of(SCORES)
    asked = np.array([-9, -1, 0, 0.005, 1.23, 9], np.float32)
    expected = [(1 + (each <= SCORES).sum()) / 4_001 for each in asked]
    assert calibration.p_values(asked).tolist() == pytest.approx(expected, abs=0)


def test_p_values_of_many_are_kept_in_little_room_and_never_too_low() -> None:
    scores = np.random.default_rng(6).normal(size=200_000).astype(np.float32)
    calibration = Calibration.of(scores)
    assert len(calibration.scores) <= 2 * EXACT
    asked = np.sort(np.concatenate([scores[:3_000], np.linspace(-5, 5, 999, dtype=np.float32)]))
    exact = (1 + len(scores) - np.searchsorted(np.sort(scores), asked, "left")) / (1 + len(scores))
    found = calibration.p_values(asked)
    assert (found >= exact).all()
    assert (found <= exact + 1.2 / EXACT).all()
    assert (np.diff(found) <= 0).all()
    rare = exact <= EXACT / len(scores) / 2
    assert rare.sum() > 10
    assert found[rare].tolist() == exact[rare].tolist()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.5])
def test_the_threshold_alarms_no_more_than_the_share(share: float) -> None:
    calibration = Calibration.of(SCORES)
    threshold = np.float32(calibration.threshold(share))
    assert calibration.p_values(np.array([threshold]))[0] <= share
    below = SCORES[threshold > SCORES].max()
    assert calibration.p_values(np.array([below]))[0] > share


def test_with_too_few_held_back_only_what_is_above_them_all_is_alarmed() -> None:
    calibration = Calibration.of(SCORES[:20])
    threshold = np.float32(calibration.threshold(0.01))
    assert threshold == np.nextafter(SCORES[:20].max(), np.float32(np.inf))


def test_a_budget_is_a_share_of_the_records() -> None:
    assert limit_of(50.0, 60_000, 10 * 86_400_000) == (50 * 10 / 60_000, 50.0)
    assert limit_of(None, 60_000, 0) == (SHARE, None)
    assert limit_of(1e6, 10, 86_400_000).share == 1


def test_the_best_threshold_has_the_highest_f1() -> None:
    found = best_threshold(SCORES, ABNORMAL)
    best = max(f1_score(ABNORMAL, each <= SCORES) for each in np.unique(SCORES))
    assert f1_score(ABNORMAL, found <= SCORES) == best


def test_the_best_threshold_is_far_from_both_kinds() -> None:
    scores = np.array([1, 2, 8, 9], np.float32)
    assert best_threshold(scores, scores > 5) == 5
    assert best_threshold(scores, scores > 0) == 1


def test_alarms_a_day_need_time() -> None:
    assert Alarms.of(SCORES, 2.0, 86_400_000 * 2).a_day == (SCORES >= 2).sum() / 2
    assert Alarms.of(SCORES, 2.0, 0).a_day is None
