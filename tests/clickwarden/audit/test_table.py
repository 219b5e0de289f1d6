"""Rows are counted as they came and went, whatever was told twice, in whatever partition."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from clickwarden.audit.table import TableJudgement, ToldRows
from clickwarden.errors import DecodingError
from clickwarden.sources.rows import Moment


class Told(NamedTuple):
    """A record, as far as the judge reads it."""

    value: bytes | None
    offset: int = 0
    timestamp: int = 0
    timestamp_type: int = 1
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


#: What happened, to which row, where in the log, by which transaction, told in which partition.
Change = tuple[str, int, int, int, int]


def told(operation: str, row_id: int, lsn: int, transaction: int) -> Told:
    row: dict[str, Any] = {"id": row_id, "card": "c"}
    before = row if operation in "ud" else None
    after = row if operation in "rcu" else None
    source = {"lsn": lsn, "txId": transaction}
    return Told(json.dumps({"before": before, "after": after, "op": operation, "source": source}).encode())


def judged(changes: Iterable[Change], *rows: int, partial: tuple[int, ...] = ()) -> TableJudgement:
    held = ToldRows(("id",), lambda transaction: transaction < 100)
    for operation, row_id, lsn, transaction, partition in changes:
        held.add(partition, told(operation, row_id, lsn, transaction))
    return held.judge({(str(row),) for row in rows}, list(partial))


FIRST: list[Change] = [("r", 1, 10, 1, 0), ("r", 2, 10, 1, 0), ("r", 3, 10, 1, 1)]
BUSY: list[Change] = [*FIRST, ("c", 4, 20, 2, 0), ("u", 1, 30, 3, 0), ("d", 2, 40, 4, 0), ("c", 5, 50, 5, 2)]


@pytest.mark.parametrize(
    ("changes", "rows", "missing", "extra", "twice"),
    [
        ([], (), 0, 0, 0),
        (BUSY, (1, 3, 4, 5), 0, 0, 0),
        (BUSY, (1, 3, 4, 5, 6), 1, 0, 0),
        (BUSY, (1, 3, 4), 0, 1, 0),
        (BUSY[:-1], (1, 3, 4, 5), 1, 0, 0),
        ([*BUSY, BUSY[3]], (1, 3, 4, 5), 0, 0, 1),
        # A snapshot is told twice, and some rows have gone meanwhile.
        ([*FIRST, ("r", 1, 15, 2, 0), ("r", 3, 15, 2, 1), ("c", 4, 20, 3, 2)], (1, 3, 4), 0, 0, 0),
        ([*FIRST, *FIRST], (1, 2, 3), 0, 0, 0),
        # What was told before a later snapshot is no second row.
        ([*BUSY, ("r", 1, 60, 6, 0), ("r", 4, 60, 6, 0), ("d", 4, 70, 7, 0)], (1,), 0, 0, 0),
        # A row moves to another partition, and back; its records are read in the order of partitions.
        (
            [*FIRST, ("d", 1, 20, 2, 0), ("c", 1, 40, 3, 0), ("c", 1, 20, 2, 1), ("d", 1, 40, 3, 1)],
            (1, 2, 3),
            0,
            0,
            0,
        ),
        # Of a transaction that was open at the snapshot, what it did before.
        ([*FIRST, ("c", 4, 9, 2, 0), ("c", 5, 9, 2, 3), ("d", 3, 8, 2, 1)], (1, 2, 4, 5), 0, 0, 0),
        # Emptied, and filled again.
        ([*BUSY, ("t", 0, 60, 6, 3), ("c", 1, 70, 7, 0)], (1,), 0, 0, 0),
        # What happened later is not in the table yet.
        ([*BUSY, ("c", 6, 90, 100, 0), ("d", 1, 91, 101, 0)], (1, 3, 4, 5), 0, 0, 0),
    ],
)
def test_rows(changes: list[Change], rows: tuple[int, ...], missing: int, extra: int, twice: int) -> None:
    found = judged(changes, *rows)
    assert (found.missing, found.extra, found.twice) == (missing, extra, twice)
    assert found.ok == (not missing and not extra and not twice)


def test_what_is_said_of_repeated_and_vanished_rows() -> None:
    found = judged([*FIRST, ("r", 1, 15, 2, 0), ("r", 3, 15, 2, 1), ("c", 9, 20, 100, 0)], 1, 3)
    assert (found.repeated, found.vanished, found.later) == (2, 1, 1)
    assert found.records == {"snapshot": 5, "inserted": 0, "updated": 0, "deleted": 0, "truncated": 0}


def test_a_row_that_went_and_had_not_come() -> None:
    found = judged([*BUSY[:1], *BUSY[2:]], 1, 3, 4, 5)
    assert (found.unborn, found.missing, found.ok) == (1, 0, False)
    assert judged([*BUSY[:1], *BUSY[2:]], 1, 3, 4, 5, partial=(0,)).ok


def test_what_is_missing_may_be_in_records_that_are_gone() -> None:
    assert judged(BUSY[1:], 1, 3, 4, 5, partial=(0,)).ok
    assert not judged(BUSY, 3, 4, 5, partial=(0,)).ok


@pytest.mark.parametrize(
    "value", [b"{", b"[]", b'{"id": 1, "__op": "c"}', b'{"op": "c", "source": {"lsn": 1}}']
)
def test_what_is_no_envelope_is_said(value: bytes) -> None:
    with pytest.raises(DecodingError, match="partition 0, offset 7 is no change"):
        ToldRows(("id",), lambda _: True).add(0, Told(value, offset=7))


def test_numbers_of_transactions_begin_anew_in_the_log() -> None:
    begun = 3 << 32
    moment = Moment(begun + 10, begun + 20, frozenset({begun + 12}), 0)
    assert [moment.sees(number) for number in (9, 11, 12, 19, 20, 0xFFFFFFF0)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
