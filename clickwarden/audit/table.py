"""Whether a topic tells of the rows that a table has: by counting Debezium's records, one by one.

A row exists that came once more than it went, since the table was read last: no order of records is needed,
which those of a row have only while their key is the same.
"""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clickwarden.audit.reading import AuditRecord
from clickwarden.errors import DecodingError

#: Rows that are shown of a fault.
EXAMPLES = 5
#: Before any snapshot.
NEVER = -1

Id = tuple[str, ...]


@dataclass(slots=True)
class TableJudgement:
    """What the topic tells of, against what the table has.

    Attributes:
        rows: of the table.
        told: rows that there are by the topic.
        missing: rows of the table of which the topic does not tell.
        extra: rows of which the topic tells, and the table has them not.
        twice: rows of which the topic tells that they came, and came again without having gone.
        unborn: rows of which the topic tells that they went, and not that they had come.
        records: by what they say: snapshot, inserted, updated, deleted, truncated.
        repeated: of the rows of snapshots, those that a snapshot had told before.
        vanished: rows that a later snapshot had no longer, and of whose end nobody told.
        later: records of what happened after the table was read.
        partial: partitions whose first records are gone.
        examples: of rows, by fault.
    """

    rows: int
    told: int
    missing: int
    extra: int
    twice: int
    unborn: int
    records: dict[str, int]
    repeated: int
    vanished: int
    later: int
    partial: list[int]
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong that can be judged: what is missing may be in records that are gone."""
        return not self.extra and not self.twice and (bool(self.partial) or not self.missing + self.unborn)


class _Change(NamedTuple):
    """That a row came (1) or went (-1), or was read by a snapshot (0).

    Attributes:
        lsn: where it is in PostgreSQL's log; of a snapshot, the position that it was made at.
        snapshot: the newest one that the partition had told of by then, by its position.
    """

    kind: int
    lsn: int
    snapshot: int


class ToldRows:
    """The rows that there are by a topic's records, those of each partition in their order.

    Args:
        key: columns that say which row it is.
        seen: whether a transaction, by its number in the log, was over when the table was read.
    """

    def __init__(self, key: tuple[str, ...], seen: Callable[[int], bool]) -> None:
        self._key = key
        self._seen = seen
        self._changes: dict[Id, list[_Change]] = {}
        self._truncated = NEVER
        self._newest: dict[int, int] = {}
        self._snapshots: set[int] = set()
        self._counts: Counter[str] = Counter()
        self._later = 0

    def add(self, partition: int, record: AuditRecord) -> None:
        """Take a record of the topic.

        Raises:
            DecodingError: it does not say what happened to which row.
        """
        if record.value is None:  # the tombstone behind a delete
            return
        try:
            said = json.loads(record.value)
            said = said.get("payload", said)
            operation, lsn, transaction = said["op"], int(said["source"]["lsn"]), said["source"]["txId"]
            if transaction is not None and not self._seen(int(transaction)):
                self._later += 1
                return
            self._counts[operation] += 1
            self._take(operation, partition, lsn, said)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DecodingError(
                f"partition {partition}, offset {record.offset} is no change in Debezium's envelope "
                f"({type(error).__name__}: {error}), by which alone a table can be verified"
            ) from None

    def _take(self, operation: str, partition: int, lsn: int, said: dict[str, Any]) -> None:
        newest = self._newest.get(partition, NEVER)
        if operation == "t":
            self._truncated = max(self._truncated, lsn)
        elif operation == "r":
            self._snapshots.add(lsn)
            self._newest[partition] = max(newest, lsn)
            self._note(said["after"], _Change(0, lsn, lsn))
        elif operation in ("c", "d", "u"):
            # A primary key may change, and what records are keyed by not: that is told as an update.
            if operation != "c" and said["before"] is not None:
                self._note(said["before"], _Change(-1, lsn, newest))
            if operation != "d" and (operation == "c" or said["before"] is not None):
                self._note(said["after"], _Change(1, lsn, newest))

    def _note(self, row: dict[str, Any], change: _Change) -> None:
        row_id = tuple(str(row[column]) for column in self._key)
        self._changes.setdefault(row_id, []).append(change)

    def judge(self, ids: set[Id], partial: list[int]) -> TableJudgement:
        """Hold them against what the table has.

        Args:
            ids: of the rows of the table.
            partial: partitions of the topic whose first records are gone.
        """
        snapshots = sorted(self._snapshots)
        told: set[Id] = set()
        twice: set[Id] = set()
        unborn: set[Id] = set()
        vanished = 0
        for row_id, changes in self._changes.items():
            last, before = self._balance(changes, snapshots)
            if last > 0:
                told.add(row_id)
            if last > 1:
                twice.add(row_id)
            if last < 0:
                unborn.add(row_id)
            vanished += last == 0 and before > 0
        faults = {"missing": ids - told, "extra": told - ids, "twice": twice, "unborn": unborn}
        names = {"r": "snapshot", "c": "inserted", "u": "updated", "d": "deleted", "t": "truncated"}
        read = sum(any(change.kind == 0 for change in changes) for changes in self._changes.values())
        return TableJudgement(
            rows=len(ids),
            told=len(told),
            missing=len(faults["missing"]),
            extra=len(faults["extra"]),
            twice=len(twice),
            unborn=len(unborn),
            records={name: self._counts[operation] for operation, name in names.items()},
            repeated=self._counts["r"] - read,
            vanished=vanished,
            later=self._later,
            partial=partial,
            examples={
                fault: [", ".join(row_id) for row_id in sorted(rows)[:EXAMPLES]]
                for fault, rows in faults.items()
                if rows
            },
        )

    def _balance(self, changes: list[_Change], snapshots: list[int]) -> tuple[int, int]:
        """How often a row is there since the newest snapshot, and was by what was told before it."""
        last = before = 0
        was_read = {NEVER: False}
        for change in changes:
            if change.lsn < self._truncated:
                continue
            snapshot = _since(change, snapshots)
            is_last = not snapshots or snapshot == snapshots[-1]
            if change.kind == 0:
                if was_read.get(snapshot):
                    continue  # a snapshot may be told twice
                was_read[snapshot] = True
            count = change.kind or 1
            last, before = (last + count, before) if is_last else (last, before + count)
        return last, before


def _since(change: _Change, snapshots: list[int]) -> int:
    """The snapshot behind which something happened, as far as position and order say.

    A transaction that is open while the table is read begins before the snapshot and is told behind it.
    """
    if not snapshots or change.kind == 0:
        return change.snapshot
    number = bisect_left(snapshots, change.lsn)
    return max(change.snapshot, snapshots[max(0, number - 1)])
