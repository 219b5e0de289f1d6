"""Where a partition stands: which segments it is made of, and when other models score it."""

import pytest

from clickwarden.detection.lineup import Lineup, Since, told
from clickwarden.errors import SnapshotError
from clickwarden.models.standing import Comparison, Standing, dump, load

A, B, C = Lineup("a"), Lineup("b"), Lineup("a", ("b",))


def test_segments_are_named_in_their_order_whoever_wrote_them() -> None:
    standing = Standing("d")
    for owner, number in (("1", 0), ("1", 1), ("2", 0), ("2", 1), ("2", 3)):
        standing.add(owner, number)
    names = [("1", 0), ("1", 1), ("2", 0), ("2", 1), ("2", 3)]
    assert standing.names == names
    assert [standing.drop(), standing.drop(), standing.pop(), standing.pop()] == [
        names[0], names[1], names[4], names[3],
    ]  # fmt: skip
    assert standing.names == [("2", 0)]


def test_before_the_first_record_models_score_at_once_and_then_from_an_offset_on() -> None:
    standing = Standing("d")
    assert standing.plan(A, 0)
    assert not standing.plan(A, 0)
    assert standing.lineup == A
    standing.next_offset = 10
    assert standing.plan(B, 20)
    assert not standing.plan(B, 25)
    assert standing.plan(A, 30)
    assert standing.adopt(10) == 20
    assert standing.lineup == A
    assert standing.adopt(20) == 30
    assert standing.lineup == B
    assert standing.adopt(30) is None
    assert standing.lineup == A


def test_challengers_are_compared_with_one_champion() -> None:
    standing = Standing("d", 10, C, compared={"b": Comparison(5)}, incidents={"": {}, "b": {}})
    standing.plan(Lineup("a", ("b", "c")), 10)
    standing.adopt(10)
    assert standing.compared == {"b": Comparison(5)}
    standing.plan(Lineup("c", ("b",)), 10)
    standing.adopt(10)
    assert standing.compared == {}
    standing.plan(A, 10)
    standing.adopt(10)
    assert standing.incidents == {"": {}}


def test_it_is_read_as_it_was_written() -> None:
    standing = Standing("d", 10, C, [Since(20, A)], compared={"b": Comparison(5)}, fates={"accepted": 3})
    standing.add("0000000001/0000", 0)
    standing.incidents = {"": {"card": ("id", 5)}}
    assert load(dump(standing)) == standing


@pytest.mark.parametrize("data", [b"", b"\1", b"\2" + dump(Standing("d"))[1:], dump(Standing("d"))[:-3]])
def test_what_is_broken_or_newer_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        load(data)


def test_what_was_planned_and_is_in_no_state_is_told_no_more() -> None:
    known = [Since(0, A), Since(50, B)]
    assert told(known, 40, A, []) == [Since(0, A)]
    assert told(known, 60, B, []) == known
    assert told(known, 40, A, [Since(45, C)]) == [Since(0, A), Since(45, C)]
    assert told([], 7, A, []) == [Since(7, A)]
    assert told([Since(0, A)], 30, B, []) == [Since(0, A), Since(30, B)]
