"""How the reference reads changes of a table that Debezium tells, in code of its own."""

from collections.abc import Mapping
from typing import Any

import msgspec

from clickwarden.audit.reading import AuditRecord

#: Numbers that are none, by Debezium's ways to write numbers.
_NO_NUMBERS = ("NAN", "NaN", "POSITIVE_INFINITY", "NEGATIVE_INFINITY", "Infinity", "-Infinity")


def new_row(record: AuditRecord, definition: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The row that was inserted; None where a record tells of one that was there before, or of none.

    Args:
        record: of the topic.
        definition: of the features, whose numbers must be some.

    Raises:
        ValueError: it cannot be read, or a value in it cannot be.
    """
    if record.value is None or "__debezium.oldkey" in dict(record.headers):
        return None
    try:
        found = msgspec.json.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("no JSON") from None
    if isinstance(found, dict) and {"schema", "payload"} <= set(found):
        if found["payload"] is None:
            return None
        found = found["payload"]
    row = _inserted(found)
    if row is not None:
        _check(row, definition)
    return row


def _inserted(found: Any) -> Mapping[str, Any] | None:
    if not isinstance(found, dict):
        raise ValueError("no object")
    if "op" in found and any(name in found for name in ("before", "after", "message")):
        if found["op"] in (*"udtmr",):
            return None
        if found["op"] != "c" or not isinstance(found.get("after"), dict):
            raise ValueError("no operation that is known, or no row")
        row: Mapping[str, Any] = found["after"]
        return row
    if found.get("__op") in (*"udtmr",) or found.get("__deleted") == "true":
        return None
    return found


def _check(row: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    if "__debezium_unavailable_value" in row.values():
        raise ValueError("a text that is not told")
    for name, about in definition["fields"].items():
        if about["type"] in ("number", "integer") and row.get(name) in _NO_NUMBERS:
            raise ValueError("a number that is none")
