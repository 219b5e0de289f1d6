"""Anomalies as CSV and NDJSON."""

import csv
import io
from collections.abc import Iterable

import msgspec

from clickwarden.alerts.feed import Entry
from clickwarden.detection.anomaly import Anomaly

#: A spreadsheet takes a cell that begins so for a formula (OWASP: CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def ndjson(entries: Iterable[Entry]) -> bytes:
    """The records as they are in the topic, one a line."""
    return b"".join(bytes(entry.record) + b"\n" for entry in entries)


def csv_head() -> bytes:
    """The names of the columns, those of the record's fields."""
    return _csv([Anomaly.__struct_fields__])


def csv_rows(entries: Iterable[Entry]) -> bytes:
    """A row each (RFC 4180), lists and mixes as JSON."""
    return _csv([_cell(value) for value in msgspec.structs.astuple(entry.anomaly)] for entry in entries)


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    r"""A value as text; what a spreadsheet would run gets an apostrophe in front.

    >>> _cell("=1+1"), _cell("\t=1"), _cell("a=1"), _cell(-1), _cell({"view": 3})
    ("'=1+1", "'\t=1", 'a=1', '-1', '{"view":3}')
    """
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return f"'{value}" if value.startswith(FORMULA) else value
