"""What is remembered is bounded: blocks are used again, keys are forgotten, a hot key has its share."""

import numpy as np
import pytest

from clickwarden.models.histories import BLOCK, RUN_MAX, Histories

KEEP = 40
WINDOW = 1000


def histories() -> Histories:
    return Histories({"x": np.int64}, WINDOW, KEEP)


def add(to: Histories, keys: list[str], moments: list[int], forgotten: int = -(2**63)) -> list[list[int]]:
    """Records with the places of their log as values; what each has in its window."""
    view = to.add(keys, np.array(moments), {"x": np.array(moments)}, forgotten)
    begins = view.since(WINDOW, KEEP)
    found = [view.columns["x"][begin:place].tolist() for begin, place in zip(begins, view.place, strict=True)]
    return [found[place] for place in np.argsort(view.order)]


def test_a_record_sees_those_of_its_key_in_its_window() -> None:
    some = histories()
    assert add(some, ["a", "b", "a", "a"], [0, 5, 10, 999]) == [[], [], [0], [0, 10]]
    assert add(some, ["a", "b"], [1000, 1004]) == [[10, 999], [5]]


def test_a_record_counts_no_earlier_than_the_newest_of_its_key() -> None:
    some = histories()
    add(some, ["a", "a"], [0, 900])
    assert add(some, ["a"], [-500]) == [[0, 900]]
    assert add(some, ["a", "a"], [1000, 1899]) == [[900, -500], [900, -500, 1000]]


@pytest.mark.parametrize("run", [1, 7, 64, RUN_MAX])
def test_a_hot_key_has_no_more_than_is_kept(run: int) -> None:
    some = histories()
    for begin in range(0, 10 * RUN_MAX if run == RUN_MAX else 2000, run):
        seen = add(some, ["hot"] * run, [begin // 100] * run)
        assert len(seen[-1]) <= KEEP
        assert some.used == some.reachable <= KEEP // BLOCK + 2


def test_blocks_are_used_again_and_keys_are_forgotten() -> None:
    some = histories()
    for second in range(400):
        moment = second * 1000
        keys = [f"{second // 2}-{number % 500}" for number in range(1000)]
        add(some, keys, [moment] * 1000, moment - 2 * WINDOW)
        assert some.used == some.reachable
    assert some.keys < 70 * 1000
    assert some.bytes < 20_000_000


def test_records_of_a_moment_become_one() -> None:
    some = Histories({"x": np.int64}, WINDOW, 2**31, merging=True)
    for moment in (0, 0, 100, 100, 100, 500):
        view = some.add(["a"] * 50, np.full(50, moment), {"x": np.ones(50, np.int64)}, -(2**63))
    assert view.columns["x"][: view.place[0]].tolist() == [100, 150]
    assert some.used == some.reachable == 1
