"""Changes of a table, as Debezium tells them: which of them is a row that is new.

It may be in the envelope (``op``, ``before``, ``after``) or unwrapped (``__op``, ``__deleted``), and with
Kafka Connect's schema around it. All that is told of a row that was there before is nothing new.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from clickwarden.formats.fields import Record
from clickwarden.formats.json import UNREADABLE

#: How it names that a row was inserted; and what else became of one: updated, deleted, gone with all, none (a
#: message), or read in a snapshot, which may be told twice.
BORN, KNOWN = "c", frozenset({"u", "d", "t", "m", "r"})
#: What an unwrapped row says where it was inserted.
UNWRAPPED = {"__op": BORN, "__deleted": "false"}
#: The header of an insert that is a row whose key has changed: there was one of it before.
MOVED = "__debezium.oldkey"

#: What stands for a number that is none, and for a text that an update did not touch.
_NO_NUMBER = frozenset({"NAN", "POSITIVE_INFINITY", "NEGATIVE_INFINITY", "NaN", "Infinity", "-Infinity"})
_UNTOLD = "__debezium_unavailable_value"


class Change(NamedTuple):
    """What a record tells.

    Attributes:
        new: whether something happened, or it cannot be read; else it tells of a row that was there before.
        row: the row; None where it cannot be read.
    """

    new: bool
    row: Mapping[str, Any] | None = None


_OF_KNOWN = Change(new=False)
_UNREADABLE = Change(new=True)


def is_move(record: Record) -> bool:
    """Whether a record is a row whose key has changed, and nothing new."""
    return MOVED in dict(record.headers)


def change_of(record: Record, numbers: Collection[str]) -> Change:
    """What a record tells; ``numbers`` are fields that must be finite numbers where they are there.

    A row without any sign of Debezium's is new: so an insert is unwrapped where nothing is added.
    """
    if record.value is None or is_move(record):
        return _OF_KNOWN
    try:
        found = msgspec.json.decode(record.value)
    except UNREADABLE:
        return _UNREADABLE
    if isinstance(found, dict) and "schema" in found and "payload" in found:
        found = found["payload"]
        if found is None:
            return _OF_KNOWN
    if not isinstance(found, dict):
        return _UNREADABLE
    change = _change(found)
    return change if change.row is None or _can_be(change.row, numbers) else _UNREADABLE


def _change(found: Mapping[str, Any]) -> Change:
    if "op" in found and found.keys() & {"before", "after", "message"}:
        if _is_one_of(found["op"], KNOWN):
            return _OF_KNOWN
        row = found.get("after") if found["op"] == BORN else None
        return Change(new=True, row=row if isinstance(row, dict) else None)
    if _is_one_of(found.get("__op"), KNOWN) or found.get("__deleted") == "true":
        return _OF_KNOWN
    return Change(new=True, row=found)


def _can_be(row: Mapping[str, Any], numbers: Collection[str]) -> bool:
    untold = any(isinstance(value, str) and value == _UNTOLD for value in row.values())
    return not (untold or any(_is_one_of(row.get(name), _NO_NUMBER) for name in numbers))


def _is_one_of(found: Any, words: frozenset[str]) -> bool:
    return isinstance(found, str) and found in words
