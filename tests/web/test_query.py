"""What may be asked of the anomalies, and how the answer is written."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickwarden.alerts.feed import Feed
from tests.anomalies import MINUTES, record
from web.export import csv_head, csv_rows, ndjson
from web.query import Filter, QueryError, cursor, limit, place, wanted

HOSTILE = '=HYPERLINK("//evil")\u202e<img onerror=x>\n\0😀,"'


def test_a_query() -> None:
    query = {"rule": "bot", "user": HOSTILE, "status": "closed", "category": "bot", "pipeline": HOSTILE}
    assert wanted(query) == Filter(**query)
    assert wanted({}) == Filter()


@pytest.mark.parametrize(
    ("given", "since", "until"),
    [
        ("2026-01-01T00:00:00Z", MINUTES[0], MINUTES[0]),
        ("2026-01-01T01:00:00+01:00", MINUTES[0], MINUTES[0]),
        ("2026-01-01T00:00:00", MINUTES[0], MINUTES[0]),
        ("2026-01-01", MINUTES[0], MINUTES[0]),
        ("2026-01-01T00:00:59.25Z", "2026-01-01T00:00:59Z", MINUTES[1]),
    ],
)
def test_times_are_whole_seconds_in_utc(given: str, since: str, until: str) -> None:
    assert wanted({"since": given, "until": given}) == Filter(since=since, until=until)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "open"),
        ("category", "human"),
        *(("since", value) for value in ("", "yesterday", "12", "0001-01-01T00:00:00+23:00")),
        *(("limit", value) for value in ("", "0", "-1", "1001", "1e2", "٣", "9" * 5000)),
        *(("cursor", value) for value in ("", "x", "e30=", "WzFd", "WyJhIiwx", "ü", "/+==")),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(QueryError, match=f"^{name}: "):
        wanted({name: value}), limit({name: value}), place({name: value})


@given(st.tuples(st.text(), st.text()))
def test_a_cursor_is_the_place_it_was_made_of(given: tuple[str, str]) -> None:
    try:
        text = cursor(given)
    except UnicodeEncodeError:  # half a surrogate pair, which no anomaly holds
        return
    assert place({"cursor": text}) == given


async def test_a_pipeline_is_its_champion_and_its_challengers() -> None:
    feed = Feed()
    rules = ("pipeline/fraud", "pipeline/fraud/461ec8cb3a6c", "pipeline/frauds", "fraud", "pipeline")
    for rule in rules:
        feed.take(record(rule, "closed", rule=rule))

    async def found(pipeline: str) -> set[str]:
        return {entry.rule async for some in feed.select(Filter(pipeline=pipeline)) for entry in some}

    assert await found("fraud") == {*rules[:2]}
    assert await found("frauds") == {rules[2]}
    assert await found("") == await found("frau") == set()


async def test_exports_hold_what_the_records_hold_and_no_formula() -> None:
    feed = Feed()
    for number, user_id in enumerate([HOSTILE, "+1", "-1", "@a", "\t=1", "\r=1", "plain", "a=1"]):
        evil = {"=cmd()": 1}
        feed.take(
            record(f"{number}", "corrected", revision=number, user_id=user_id, events=evil, reasons=["=1"])
        )
    entries = sorted(
        [entry async for some in feed.select() for entry in some], key=lambda each: each.alert_id
    )
    lines = [json.loads(line) for line in ndjson(entries).splitlines()]
    rows = list(csv.DictReader(io.StringIO((csv_head() + csv_rows(entries)).decode(), newline="")))
    assert [line["user_id"] for line in lines[:2]] == [HOSTILE, "+1"]
    assert [row["user_id"] for row in rows] == [
        f"'{HOSTILE}", "'+1", "'-1", "'@a", "'\t=1", "'\r=1", "plain", "a=1",
    ]  # fmt: skip
    assert [row["user_id"].removeprefix("'") for row in rows] == [line["user_id"] for line in lines]
    assert not [cell for row in rows for cell in row.values() if cell.startswith(tuple("=+-@\t\r"))]
    assert json.loads(rows[0]["events"]) == {"=cmd()": 1}
    assert [row["status"] for row in rows] == ["corrected"] * 8
    assert [row["revision"] for row in rows] == [str(line["revision"]) for line in lines] == [*"01234567"]
