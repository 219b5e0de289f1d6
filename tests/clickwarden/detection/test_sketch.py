from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickwarden.detection.sketch import DEPTH, LOAD, Sharing, Sketch, cells_of, hashes_of

WIDTH = 1024


def cells(users: list[str], seed: int = 7) -> np.ndarray:
    return cells_of(hashes_of(users, seed), WIDTH)


names = st.lists(st.integers(0, 400).map(str), min_size=1, max_size=300)


@given(names)
def test_never_undercounts(clicks: list[str]) -> None:
    sketch = Sketch(WIDTH, ceiling=255)
    for user in clicks:
        sketch.add(cells([user])[:, 0].tolist())
    users = sorted(set(clicks))
    truth = [clicks.count(user) for user in users]
    assert (sketch.estimate(cells(users)) >= np.array(truth)).all()


@given(names)
def test_adds_as_a_dict_would(clicks: list[str]) -> None:
    sketch = Sketch(WIDTH, ceiling=255)
    reference: dict[int, int] = defaultdict(int)
    for user in clicks:
        own = cells([user])[:, 0].tolist()
        new = min(reference[cell] for cell in own) + 1
        for cell in own:
            reference[cell] = max(reference[cell], new)
        assert sketch.add(cells([user])[:, 0].tolist()) == new
    assert {cell: int(value) for cell, value in enumerate(sketch.cells) if value} == reference


@given(st.dictionaries(st.integers(0, 10**6).map(str), st.integers(1, 40), min_size=1, max_size=200))
def test_users_that_share_no_cell_may_be_added_at_once(clicks: dict[str, int]) -> None:
    users = list(clicks)
    alone = ~Sharing().among(cells(users), DEPTH * WIDTH)
    users = [user for user, is_alone in zip(users, alone, strict=True) if is_alone]
    if not users:
        return
    at_once, one_by_one = Sketch(WIDTH, ceiling=255), Sketch(WIDTH, ceiling=255)
    before = at_once.estimate(cells(users))
    at_once.raise_to(cells(users), before, before + np.array([clicks[user] for user in users]))
    for user in users:
        for _ in range(clicks[user]):
            one_by_one.add(cells([user])[:, 0].tolist())
    assert (at_once.cells == one_by_one.cells).all()


@given(st.sets(st.integers(0, 10**6).map(str), min_size=1, max_size=200).map(sorted))
def test_finds_exactly_the_users_that_share_a_cell(users: list[str]) -> None:
    own = [set(column) for column in cells(users).T.tolist()]
    shared = [any(a & b for j, b in enumerate(own) if i != j) for i, a in enumerate(own)]
    assert Sharing().among(cells(users), DEPTH * WIDTH).tolist() == shared


@given(st.integers(0, 2**32), st.sampled_from([20, 60, 200]), st.sampled_from([0, 300, 1000]))
def test_users_who_are_not_entangled_may_be_added_at_once_before_the_others(
    seed: int, users: int, earlier: int
) -> None:
    random, width = np.random.default_rng(seed), 256
    columns = cells_of(hashes_of([str(user) for user in range(1000)], seed=7), width)
    sketch, one_by_one = Sketch(width, ceiling=255), Sketch(width, ceiling=255)
    for user in random.integers(0, 1000, earlier):
        sketch.add(columns[:, user].tolist())
    one_by_one.restore(sketch.cells.tobytes(), sketch.clicks)
    clicks = random.integers(0, users, 3 * users) % random.integers(1, users + 1)
    for user in clicks:
        one_by_one.add(columns[:, user].tolist())

    present = columns[:, :users]
    before = sketch.estimate(present)
    sharing = Sharing()
    shared = sharing.cells(present, DEPTH * width)
    entangled = sharing.entangled(sketch, present, shared, before)
    after = before + np.bincount(clicks, minlength=users)
    sketch.raise_to(present[:, ~entangled], before[~entangled], after[~entangled])
    for user in clicks:
        if entangled[user]:
            sketch.add(columns[:, user].tolist())
    assert (sketch.cells == one_by_one.cells).all()


@pytest.mark.parametrize(("ceiling", "dtype"), [(255, "uint8"), (256, "uint16"), (65_536, "uint32")])
def test_cells_hold_the_ceiling_and_saturate(ceiling: int, dtype: str) -> None:
    sketch = Sketch(WIDTH, ceiling)
    largest = np.iinfo(dtype).max
    assert sketch.cells.dtype == dtype
    sketch.cells[cells(["ann"])] = largest
    assert sketch.add(cells(["ann"])[:, 0].tolist()) == largest


def test_a_flood_of_users_doubles_the_width_and_keeps_every_estimate() -> None:
    sketch = Sketch(WIDTH, ceiling=51)
    hashes = np.random.default_rng(1).integers(0, 2**64, 10 * LOAD * WIDTH, np.uint64)
    for number in range(len(hashes)):
        if number == LOAD * WIDTH - 1:
            before = sketch.estimate(cells_of(hashes[:number], sketch.width))
            assert sketch.width == WIDTH
            assert 3 < before.mean() < 4
            assert before.max() <= 9
        if number == LOAD * WIDTH:
            assert sketch.width == 2 * WIDTH
            assert (sketch.estimate(cells_of(hashes[: number - 1], sketch.width)) >= before).all()
        sketch.add(cells_of(hashes[number : number + 1], sketch.width)[:, 0].tolist())
    after = sketch.estimate(cells_of(hashes, sketch.width))
    assert sketch.width == 16 * WIDTH
    assert after.min() >= 1
    assert after.max() <= 16


def test_the_seed_decides_who_shares_cells() -> None:
    assert (cells(["ann"], seed=1) != cells(["ann"], seed=2)).any()
