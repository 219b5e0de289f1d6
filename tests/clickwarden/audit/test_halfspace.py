"""The oracle's half-space trees say what the worker's do, cut anywhere and taken up again anywhere."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from clickwarden.audit.halfspace import HalfSpaceReference
from clickwarden.models.fields import NO_TIME
from clickwarden.models.online import WINDOW, HalfSpaceTrees, Judged, seed_of

BUDGETS = (None, 0.5, 20.0, 5e6)


def stream(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Odd records: some of one value, missing, infinite, or far away, of a length that no window divides."""
    random = np.random.default_rng(seed)
    count, columns = int(random.integers(300, 1_800)), int(random.integers(1, 9))
    values = random.normal(size=(count, columns)) * 10.0 ** random.integers(-3, 6, columns)
    values[random.random(values.shape) < 0.03] = random.choice([np.nan, np.inf, -np.inf, 3e38, 0.0])
    if seed % 2:
        values[:, 0] = random.choice([7.0, np.nan])
    step = int(random.choice([10, 60_000, 900_000]))
    times = 1_760_000_000_000 + np.cumsum(random.integers(0, step, count))
    times[: int(random.choice([0, 5, count]))] = NO_TIME
    return values.astype(np.float32), times


def judged(
    trees: HalfSpaceTrees, values: NDArray[np.float32], times: NDArray[np.int64], cuts: list[int]
) -> Judged:
    """By a worker that is killed at each cut."""
    parts = []
    for begin, end in zip([0, *cuts], [*cuts, len(values)], strict=True):
        data = trees.encode()
        half = slice(begin, (begin + end) // 2)
        trees.judge(values[half], times[half])
        trees.restore(data)  # what was judged behind that is judged again
        parts.append(trees.judge(values[begin:end], times[begin:end]))
    return Judged(*(np.concatenate([part[field] for part in parts]) for field in range(3)))


@pytest.mark.parametrize("seed", range(8))
def test_both_say_the_same_of_any_stream(seed: int) -> None:
    values, times = stream(seed)
    budget = BUDGETS[seed % 4]
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(values) + 1, 30)).tolist()
    trees = HalfSpaceTrees(values.shape[1], seed_of("payments", 3), budget)
    found = judged(trees, values, times, cuts)
    reference = HalfSpaceReference("payments", 3, values.shape[1], budget)
    for place, row in enumerate(values.tolist()):
        moment = int(times[place])
        said = reference.judge(row, None if moment == NO_TIME else moment)
        here = [float(each[place]) for each in found]
        assert (said is None) == (place < WINDOW) == math.isnan(here[0])
        if said is not None:
            assert tuple(said) == tuple(here), place
