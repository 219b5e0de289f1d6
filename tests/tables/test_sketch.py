from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tables.sketch import DEPTH, Sharing, Sketch, cells_of, hash_of

WIDTH = 1024


def cells(users: list[str], seed: int = 7) -> np.ndarray:
    return cells_of(np.array([hash_of(user, seed) for user in users], np.uint64), WIDTH)


names = st.lists(st.integers(0, 400).map(str), min_size=1, max_size=300)


@given(names)
def test_never_undercounts(clicks: list[str]) -> None:
    sketch = Sketch(WIDTH, ceiling=255)
    for user in clicks:
        sketch.add(cells([user])[:, 0])
    users = sorted(set(clicks))
    truth = [clicks.count(user) for user in users]
    assert (sketch.estimate(cells(users)) >= np.array(truth)).all()


@given(names)
def test_adds_as_a_dict_would(clicks: list[str]) -> None:
    sketch, reference = Sketch(WIDTH, ceiling=255), defaultdict(int)
    for user in clicks:
        own = cells([user])[:, 0].tolist()
        new = min(reference[cell] for cell in own) + 1
        for cell in own:
            reference[cell] = max(reference[cell], new)
        assert sketch.add(cells([user])[:, 0]) == new
    assert {cell: int(value) for cell, value in enumerate(sketch.cells) if value} == reference


@given(st.dictionaries(st.integers(0, 10**6).map(str), st.integers(1, 40), min_size=1, max_size=200))
def test_users_that_share_no_cell_may_be_added_at_once(clicks: dict[str, int]) -> None:
    users = list(clicks)
    alone = ~Sharing().among(cells(users), DEPTH * WIDTH)
    users = [user for user, is_alone in zip(users, alone, strict=True) if is_alone]
    if not users:
        return
    at_once, one_by_one = Sketch(WIDTH, ceiling=255), Sketch(WIDTH, ceiling=255)
    at_once.raise_to(cells(users), at_once.estimate(cells(users)) + [clicks[user] for user in users])
    for user in users:
        for _ in range(clicks[user]):
            one_by_one.add(cells([user])[:, 0])
    assert (at_once.cells == one_by_one.cells).all()


@given(st.sets(st.integers(0, 10**6).map(str), min_size=1, max_size=200).map(sorted))
def test_finds_exactly_the_users_that_share_a_cell(users: list[str]) -> None:
    own = [set(column) for column in cells(users).T.tolist()]
    shared = [any(a & b for j, b in enumerate(own) if i != j) for i, a in enumerate(own)]
    assert Sharing().among(cells(users), DEPTH * WIDTH).tolist() == shared


@pytest.mark.parametrize(("ceiling", "dtype"), [(255, "uint8"), (256, "uint16"), (65_536, "uint32")])
def test_cells_hold_the_ceiling_and_saturate(ceiling: int, dtype: str) -> None:
    sketch = Sketch(WIDTH, ceiling)
    largest = np.iinfo(dtype).max
    assert sketch.cells.dtype == dtype
    sketch.raise_to(cells(["ann"]), np.array([largest + 5]))
    assert sketch.add(cells(["ann"])[:, 0]) == largest


def test_the_seed_decides_who_shares_cells() -> None:
    assert (cells(["ann"], seed=1) != cells(["ann"], seed=2)).any()


def test_a_million_clicks_of_many_users_raise_no_false_alert() -> None:
    """The figure of the class docstring, with the default width, in batches as the worker cuts them."""
    random = np.random.default_rng(1)
    clicks = random.zipf(1.115, 1_000_000) % 1_000_000
    users, user = np.unique(clicks, return_inverse=True)
    hashes = np.array([hash_of(str(number), 7) for number in users], np.uint64)
    own = cells_of(hashes, 65_536)
    truth = np.bincount(user)
    human = truth <= 50
    sketch, sharing = Sketch(65_536, ceiling=255), Sharing()
    for start in range(0, len(user), 2000):
        present, counts = np.unique(user[start : start + 2000], return_counts=True)
        batch = own[:, present]
        shares = sharing.among(batch, len(sketch.cells))
        alone = batch[:, ~shares]
        sketch.raise_to(alone, sketch.estimate(alone) + counts[~shares])
        for column, count in zip(batch[:, shares].T, counts[shares], strict=True):
            for _ in range(min(int(count), 60)):
                sketch.add(column)
    estimates = sketch.estimate(own)
    assert len(users) > 250_000
    assert (estimates >= np.minimum(truth, 60)).all()
    assert (estimates[human] <= 50).all()
