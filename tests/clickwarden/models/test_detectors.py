"""Detectors: the graph scores as scikit-learn does, row by row, whatever is in a row."""

import numpy as np
import pytest
from numpy.typing import NDArray

from clickwarden.errors import SettingsError
from clickwarden.models.detectors.choice import NAMES, detector_of, learn
from clickwarden.models.detectors.cleaning import Cleaning
from clickwarden.models.session import Session

#: Of what scikit-learn says, or where that is larger, of its magnitude.
NEAR = 1e-5
COLUMNS = ("a", "b", "c", "tod_sin", "tod_cos", "d", "e")


def rows(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Seven columns, one in a hundred abnormal: correlated, heavy-tailed, of few values, constant."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, 7))
    values[:, 1] = values[:, 0] * 3 + random.normal(size=count) * 0.1 + 1_000
    values[:, 2] = np.exp(values[:, 2] * 2)
    values[:, 3] = random.integers(0, 3, count)
    values[:, 4] = 7
    values[:, 5] = values[:, 5] * 1e-6
    abnormal = random.random(count) < 0.01
    values[abnormal, 1] += 30
    values[abnormal, 6] += 6
    return values.astype(np.float32), abnormal


WILD = np.array(
    [
        [np.nan] * 7,
        [np.inf] * 7,
        [-np.inf] * 7,
        [3.4e38] * 7,
        [-3.4e38, 1e-45, 0, -0.0, np.nan, 1, 1e30],
        [0] * 7,
    ],
    np.float32,
)


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_scores_as_the_library_does(name: str) -> None:
    values, abnormal = rows(2_000)
    detector = detector_of(name, 3, COLUMNS)
    session = Session(learn(detector, values, abnormal))
    judged = np.concatenate([rows(1_500, seed=1)[0], WILD])
    scores = session.score(judged)
    expected = detector.expected(Cleaning.of(values)(judged))
    assert np.isfinite(scores).all()
    assert np.abs(scores - expected).max() <= NEAR or np.allclose(scores, expected, rtol=NEAR, atol=NEAR)


@pytest.mark.parametrize("name", NAMES)
def test_a_score_depends_on_its_row_alone(name: str) -> None:
    values, abnormal = rows(2_000)
    session = Session(learn(detector_of(name, 3, COLUMNS), values, abnormal))
    judged = np.concatenate([rows(5_000, seed=1)[0], WILD])
    whole = session.score(judged)
    for size in (1, 3, 7, 17, 2_047):
        some = judged[: size * 20]
        apart = np.concatenate([session.score(some[at : at + size]) for at in range(0, len(some), size)])
        assert apart.tobytes() == whole[: len(some)].tobytes(), size
    backwards = session.score(judged[::-1])[::-1]
    assert backwards.tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_model(name: str) -> None:
    values, abnormal = rows(600)
    once, again = (learn(detector_of(name, 3, COLUMNS), values, abnormal) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("name", NAMES)
def test_what_is_far_out_scores_higher(name: str) -> None:
    values, abnormal = rows(4_000)
    session = Session(learn(detector_of(name, 3, COLUMNS), values, abnormal))
    fresh, really = rows(4_000, seed=1)
    scores = session.score(fresh)
    assert np.median(scores[really]) > np.quantile(scores[~really], 0.9)


@pytest.mark.parametrize("name", NAMES)
def test_columns_that_say_nothing_do_no_harm(name: str) -> None:
    """All missing, all infinite, constant, missing now and then; and but one column."""
    values, abnormal = rows(600)
    empty = np.full((600, 1), np.nan, np.float32)
    some = np.where(np.arange(600) % 3 == 0, np.nan, values[:, :1].T).T.astype(np.float32)
    odd = np.concatenate([values, empty, empty + np.float32(0), np.full_like(empty, np.inf), some], 1)
    for matrix in (odd, values[:, :1], np.zeros((600, 2), np.float32)):
        columns = [f"f{place}" for place in range(matrix.shape[1])]
        session = Session(learn(detector_of(name, 3, columns), matrix, abnormal))
        assert np.isfinite(
            session.score(np.concatenate([matrix, WILD[:, :1].repeat(matrix.shape[1], 1)]))
        ).all()


def series(days: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A value every ten minutes that grows, with day and night, the statistics of its windows, and spikes."""
    random = np.random.default_rng(seed)
    when = np.arange((days + 1) * 144)
    value = when / 100 + 2 * np.sin(when * np.pi / 72) + random.normal(size=len(when)) * 0.3
    spikes = np.zeros(len(when), bool)
    spikes[random.choice(np.arange(len(when) // 2, len(when)), 12, replace=False)] = True
    value[spikes] += 8
    value[-40:] = value[-41]  # stuck
    spikes[-30:] = True
    columns = [value]
    for size in (6, 144):
        windows = [value[max(place - size, 0) : max(place, 1)] for place in when]
        columns += [np.array([window.mean() for window in windows]), np.array([w.std() for w in windows])]
    clock = when * np.pi / 72
    matrix = np.stack([*columns, np.sin(clock), np.cos(clock)], 1)
    return matrix.astype(np.float32)[144:], spikes[144:]


def test_a_series_is_held_against_itself_while_it_grows() -> None:
    names = ("x", "x.mean.1h", "x.std.1h", "x.mean.24h", "x.std.24h", "tod_sin", "tod_cos")
    values, abnormal = series(28, seed=3)
    half = len(values) // 2
    found = {}
    for name in ("residual", "zscore"):
        detector = detector_of(name, 3, names)
        session = Session(learn(detector, values[:half], None))
        scores = session.score(values[half:])
        assert np.allclose(scores, detector.expected(values[half:]), rtol=NEAR, atol=NEAR)
        found[name] = (scores, abnormal[half:])
    scores, really = found["residual"]
    assert np.quantile(scores[~really], 0.97) < np.quantile(scores[really], 0.2)
    scores, really = found["zscore"]
    assert np.quantile(scores[~really], 0.97) > np.quantile(scores[really], 0.2)


def test_an_unknown_detector_is_told_what_there_is() -> None:
    with pytest.raises(SettingsError, match="'forest' is none of iforest, logreg"):
        detector_of("forest", 0, COLUMNS)
