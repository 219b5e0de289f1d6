"""Where a partition stands: which segments it is made of, and when other models score it."""

import msgspec
import pytest

from clickwarden import zstd
from clickwarden.detection.lineup import Lineup, Since, learning, told
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


def test_a_worker_that_died_before_its_first_checkpoint_may_have_told_of_records() -> None:
    standing = Standing("d")
    assert standing.plan(A, 30)
    assert standing.plan(B, 30)
    assert (standing.lineup, standing.adopt(0)) == (A, 30)


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


def test_what_a_champion_has_learnt_is_kept_beside_others_and_goes_with_it() -> None:
    one, beside = learning(Lineup(), 50, 4), learning(Lineup("", ("b",)), 50, 4)
    standing = Standing("d")
    assert standing.plan(one, 0)
    assert not standing.plan(one, 0)
    standing.next_offset, standing.learnt = 10, b"trees"
    assert standing.plan(beside, 20)
    assert standing.plan(A, 30)
    standing.adopt(20)
    assert load(dump(standing)).learnt == b"trees"
    standing.adopt(30)
    assert (standing.lineup, standing.learnt) == (A, b"")


@pytest.mark.parametrize(
    ("budget", "partitions", "version", "each"),
    [
        (50, 4, "online-12.5", 12.5),
        (50, 3, "online-16.6667", 16.6667),
        (None, 4, "online", None),
        (1e9, 1, "online-1e+09", 1e9),
        (1e-3, 1000, "online-1e-06", 1e-6),
    ],
)
def test_the_version_of_one_that_learns_says_what_it_depends_on(
    budget: float | None, partitions: int, version: str, each: float | None
) -> None:
    lineup = learning(Lineup("", ("b",)), budget, partitions)
    assert lineup == Lineup(version, ("b",))
    assert (lineup.learns, lineup.budget, lineup.trained) == (True, each, ("b",))
    assert lineup.meets(Lineup("", ("b",)))
    assert not lineup.meets(Lineup())
    assert not lineup.meets(C)
    assert not C.learns
    assert not C.meets(Lineup("", ("b",)))


def test_the_state_of_a_release_that_knew_no_learning_is_read() -> None:
    older = msgspec.msgpack.encode(msgspec.structs.astuple(Standing("d", 10, C))[:-1])
    assert load(bytes([1]) + zstd.compress(older, 3)) == Standing("d", 10, C)
