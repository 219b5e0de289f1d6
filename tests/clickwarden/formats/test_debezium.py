"""What Debezium tells of a table: which records are new rows, by the format and by the reference."""

import json
import random
from typing import Any, NamedTuple

import pytest

from clickwarden.audit.changes import new_row
from clickwarden.formats.debezium import change_of

ROW = {"tx_id": 7, "card_id": "c1", "amount": "12.30", "timestamp": "2026-11-25T20:22:25.141521Z"}
DEFINITION = {"fields": {"amount": {"type": "number", "step": 0.01}, "mcc": {"type": "text"}}}
MOVED = (("__debezium.oldkey", b'{"card_id":"c0"}'),)


class Record(NamedTuple):
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int = 0
    timestamp: int = 0
    timestamp_type: int = 1
    key: bytes | None = b'{"card_id":"c1"}'


def envelope(op: Any, after: Any, before: Any = None) -> dict[str, Any]:
    return {"before": before, "after": after, "source": {"lsn": 1, "snapshot": "false"}, "op": op, "ts_ms": 1}


UNREADABLE = "unreadable"
TOLD: dict[str, tuple[Any, Any]] = {
    "insert": (envelope("c", ROW), ROW),
    "update": (envelope("u", ROW, ROW), None),
    "delete": (envelope("d", None, ROW), None),
    "snapshot": (envelope("r", ROW), None),
    "truncate": (envelope("t", None), None),
    "message": ({"op": "m", "ts_ms": 1, "message": {"prefix": "p", "content": ""}}, None),
    "unknown operation": (envelope("x", ROW), UNREADABLE),
    "operation that is a list": (envelope(["c"], ROW), UNREADABLE),
    "insert of no row": (envelope("c", None), UNREADABLE),
    "with schema": ({"schema": {}, "payload": envelope("c", ROW)}, ROW),
    "update with schema": ({"schema": {}, "payload": envelope("u", ROW)}, None),
    "tombstone with schema": ({"schema": None, "payload": None}, None),
    "unwrapped insert": (
        ROW | {"__op": "c", "__deleted": "false"},
        ROW | {"__op": "c", "__deleted": "false"},
    ),
    "unwrapped update": (ROW | {"__op": "u", "__deleted": "false"}, None),
    "unwrapped delete": (ROW | {"__deleted": "true"}, None),
    "unwrapped snapshot": (ROW | {"__op": "r"}, None),
    "unwrapped with schema": ({"schema": {}, "payload": ROW}, ROW),
    "unwrapped without a sign": (ROW, ROW),
    "a table with a column op": (ROW | {"op": "u"}, ROW | {"op": "u"}),
    "NaN": (envelope("c", ROW | {"amount": "NAN"}), UNREADABLE),
    "infinity": (envelope("c", ROW | {"amount": "POSITIVE_INFINITY"}), UNREADABLE),
    "infinity as double": (ROW | {"amount": "-Infinity"}, UNREADABLE),
    "a text that says NaN": (envelope("c", ROW | {"mcc": "NAN"}), ROW | {"mcc": "NAN"}),
    "a text that was not told": (envelope("c", ROW | {"mcc": "__debezium_unavailable_value"}), UNREADABLE),
    "list": ([envelope("c", ROW)], UNREADABLE),
    "number": (5, UNREADABLE),
}


def judged(record: Record) -> Any:
    """What both make of a record."""
    change = change_of(record, {"amount"})
    said = (UNREADABLE if change.row is None else change.row) if change.new else None
    try:
        expected = new_row(record, DEFINITION)
    except ValueError:
        expected = UNREADABLE  # type: ignore[assignment]
    assert said == expected
    return said


@pytest.mark.parametrize(("value", "expected"), TOLD.values(), ids=TOLD)
def test_what_a_record_tells(value: Any, expected: Any) -> None:
    assert judged(Record(json.dumps(value).encode())) == expected
    assert judged(Record(json.dumps(value).encode(), MOVED)) is None


@pytest.mark.parametrize("value", [b"", b"{", b'{"op":"c","after":{"amount":NaN}}', b"\xff", b"[" * 100_000])
def test_what_is_no_json(value: bytes) -> None:
    assert judged(Record(value)) == UNREADABLE


def test_a_tombstone_tells_nothing() -> None:
    assert judged(Record(None)) is None


def test_made_up_changes_are_judged_alike() -> None:
    draw = random.Random(7)
    odd: list[Any] = [None, 5, "c", "u", "true", True, [], {}, ROW, "NAN", "__debezium_unavailable_value"]
    names = ["op", "before", "after", "schema", "payload", "__op", "__deleted", "message", "amount", "mcc"]
    objects = [value for value, _ in TOLD.values() if isinstance(value, dict)]
    said = []
    for _ in range(5000):
        value = dict(draw.choice(objects)) if draw.random() < 0.9 else {}
        for _ in range(draw.randrange(3)):
            value[draw.choice(names)] = draw.choice(odd)
        said.append(judged(Record(json.dumps(value).encode())))
    assert sum(isinstance(one, dict) for one in said) > 500
    assert said.count(None) > 500
    assert said.count(UNREADABLE) > 500
