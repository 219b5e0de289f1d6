"""Nothing that arrives stops a worker, moves a watermark by itself, or gets lost."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tests.site import ReadRecord, Site, Worker, click, clicks, window_before

T = window_before(time.time())
START = datetime.fromtimestamp(T, UTC)
KEY = b"\xff\x00 no UTF-8"
#: Of every record; one has the name of a header that copies may have.
HEADERS = [("trace", b"7"), ("element", b"mine")]
#: A batch of one record may have 1,048,588 bytes, Kafka's default; some are the batch's and the record's own.
LARGEST = 1_048_588 - 140
ATTACK, HALF = 61, 30

Value = bytes | None | Callable[[], bytes]


def field(name: str, literal: str) -> bytes:
    """A click with one field as JSON text."""
    fields = {"user_id": '"odd"', "event": '"view"', "timestamp": str(T)} | {name: literal}
    return ("{" + ",".join(f'"{name}":{literal}' for name, literal in fields.items()) + "}").encode()


def without(name: str) -> bytes:
    return field(name, "0").replace(f'"{name}":0'.encode(), b'"other":0')


def ahead(seconds: float) -> Callable[[], bytes]:
    return lambda: click("odd", time.time() + seconds)


#: What arrives, and what becomes of it: accepted, ignored, late, or a reason to reject it.
ROWS: dict[str, tuple[Value, str]] = {
    "tombstone": (None, "ignored"),
    "empty value": (b"", "not_json"),
    "no JSON": (b"user_id=odd&event=view", "not_json"),
    "no UTF-8": (field("user_id", '"\xff"').decode().encode("latin-1"), "not_json"),
    "half a click": (click("odd", T)[:-1], "not_json"),
    "two clicks": (click("odd", T) * 2, "not_json"),
    "half a surrogate pair": (field("user_id", r'"\ud800"'), "not_json"),
    "nested deeply": (b"[" * 100_000, "not_json"),
    "nested 200 deep": (field("other", "[" * 199 + "]" * 199), "accepted"),
    "nested 201 deep": (field("other", "[" * 200 + "]" * 200), "not_json"),
    "brackets in a text": (field("other", '"' + r"\"[{" * 300 + '"'), "accepted"),
    "a list": (b"[" + click("odd", T) + b"]", "accepted"),
    "an empty list": (b"[]", "ignored"),
    "a number": (b"17", "not_object"),
    "null": (b"null", "not_object"),
    "no user_id": (without("user_id"), "missing_field"),
    "no event": (without("event"), "missing_field"),
    "no timestamp": (without("timestamp"), "missing_field"),
    "user_id a number": (field("user_id", "17"), "accepted"),
    "user_id no whole number": (field("user_id", "17.5"), "wrong_field"),
    "user_id null": (field("user_id", "null"), "missing_field"),
    "event a list": (field("event", '["view"]'), "wrong_field"),
    "event of 65 characters": (click("odd", T, "e" * 65), "huge_event"),
    "product_id an object": (field("product_id", "{}"), "wrong_field"),
    "timestamp a list": (field("timestamp", f"[{T}]"), "wrong_field"),
    "timestamp true": (field("timestamp", "true"), "wrong_field"),
    "user_id empty": (click("", T), "empty_user_id"),
    "user_id of 257 characters": (click("ä" * 257, T), "huge_user_id"),
    "user_id of 256 characters": (click("ä" * 256, T), "accepted"),
    "timestamp NaN": (field("timestamp", "NaN"), "not_json"),
    "timestamp Infinity": (field("timestamp", "Infinity"), "not_json"),
    "timestamp 1e400": (field("timestamp", "1e400"), "bad_timestamp"),
    "timestamp 1e300": (field("timestamp", "1e300"), "future"),
    "timestamp negative": (field("timestamp", "-1"), "bad_timestamp"),
    "timestamp a word": (click("odd", "yesterday"), "bad_timestamp"),
    "timestamp of no calendar": (click("odd", "2023-02-30T00:00:00Z"), "bad_timestamp"),
    "timestamp ISO-8601": (click("odd", START.isoformat()), "accepted"),
    "timestamp ISO-8601, Z": (click("odd", f"{START:%Y-%m-%dT%H:%M:%SZ}"), "accepted"),
    "timestamp ISO-8601, no zone": (click("odd", f"{START:%Y-%m-%dT%H:%M:%S.5}"), "accepted"),
    "timestamp in milliseconds": (click("odd", T * 1000), "accepted"),
    "ahead of Kafka's clock": (ahead(90), "future"),
    "milliseconds ahead": (lambda: click("odd", (time.time() + 90) * 1000), "future"),
    "ISO-8601 ahead": (click("odd", (START + timedelta(days=999)).isoformat()), "future"),
    "behind, window closed": (click("eve", T - 61), "late"),
    "behind, window open": (click("odd", T), "accepted"),
    "minutes ahead of the others": (click("odd", T + 300), "accepted"),
    "unknown fields": (click("odd", T, page="/", nested={"deeply": [[[1]]]}), "accepted"),
    "no product_id": (click("odd", T, product_id=None), "accepted"),
    "product_id a number": (click("odd", T, product_id=17), "accepted"),
    "as large as can be, no JSON": (b"x" * LARGEST, "not_json"),
    "as large as can be, user_id": (field("user_id", f'"{"u" * (LARGEST - 100)}"'), "huge_user_id"),
    "as large as can be, timestamp": (
        field("timestamp", '"' + "\U000e0001" * (LARGEST // 4 - 100) + '"'),
        "bad_timestamp",
    ),
    "as large as can be, timestamp of controls": (
        field("timestamp", '"' + "\x7f" * (LARGEST - 100) + '"'),
        "bad_timestamp",
    ),
    "as large as can be, a click": (click("odd", T, page="x" * (LARGEST - 100)), "accepted"),
}


class Outcome(NamedTuple):
    """What became of one row."""

    sent: ReadRecord
    status: dict[str, Any]
    rejected: list[ReadRecord]
    late: list[ReadRecord]
    closed: list[dict[str, Any]]


class Aftermath(NamedTuple):
    """The site when every row was counted, each in a partition of its own."""

    site: Site
    worker: Worker
    outcomes: dict[str, Outcome]


@pytest.fixture(scope="module")
def aftermath(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Each row came between two halves of an attack, and then a click that closes the window."""
    site = Site(kafka, tmp_path_factory.mktemp("site"), partitions=len(ROWS))
    try:
        worker = site.start()
        for partition, (value, _) in enumerate(ROWS.values()):
            attack = clicks(f"eve-{partition}", ATTACK, T, T + 59)
            row = value() if callable(value) else value
            records = *attack[:HALF], row, *attack[HALF:], click("ann", T + 65)
            site.send(*records, partition=partition, key=KEY, headers=HEADERS)
        site.await_counted(worker)
        sent = {each.partition: each for each in site.clicks() if each.offset == HALF}
        statuses, closed = worker.partitions(), site.anomalies("closed")
        rejected, late = _by_origin(site.rejected()), _by_origin(site.late())
        outcomes = {
            name: Outcome(
                sent[number],
                statuses[number],
                rejected[number],
                late[number],
                [anomaly for anomaly in closed if anomaly["partition"] == number],
            )
            for number, name in enumerate(ROWS)
        }
        yield Aftermath(site, worker, outcomes)
    finally:
        site.close()


def _by_origin(records: list[ReadRecord]) -> dict[int, list[ReadRecord]]:
    found = defaultdict(list)
    for record in records:
        found[int(record.about["partition"])].append(record)
    return found


@pytest.mark.parametrize("name", ROWS)
def test_it_is_accounted_for_and_the_attack_around_it_is_counted_to_the_click(
    aftermath: Aftermath, name: str
) -> None:
    outcome, fate = aftermath.outcomes[name], ROWS[name][1]
    reasons = {} if fate in ("accepted", "ignored", "late") else {fate: 1}
    assert outcome.status["rejected"] == reasons
    assert outcome.status["late"] == (fate == "late")
    assert outcome.status["ignored"] == (fate == "ignored")
    assert outcome.status["accepted"] == ATTACK + 1 + (fate == "accepted")
    assert [(each["user_id"], each["count"]) for each in outcome.closed] == [
        (f"eve-{outcome.sent.partition}", ATTACK)
    ]

    copies = outcome.late if fate == "late" else outcome.rejected
    assert len(outcome.late) + len(outcome.rejected) == len(copies) == (fate not in ("accepted", "ignored"))
    for copy in copies:
        assert (copy.key, copy.value) == (KEY, outcome.sent.value)
        assert copy.about.items() >= {
            "topic": aftermath.site.settings.clicks_topic,
            "partition": str(outcome.sent.partition),
            "offset": str(outcome.sent.offset),
            "reason": fate,
        }.items()  # fmt: skip
        assert ("rules" if fate == "late" else "detail") in copy.about
        assert copy.headers[:2] == (("trace", b"7"), ("original.element", b"mine"))
    assert aftermath.worker.alive


def test_the_recount_agrees_on_every_row(aftermath: Aftermath) -> None:
    verdict = aftermath.site.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    assert verdict.expected == verdict.exact == len(ROWS)
    statuses = [outcome.status for outcome in aftermath.outcomes.values()]
    assert verdict.accepted == sum(status["accepted"] for status in statuses)
    assert verdict.rejected == sum(sum(status["rejected"].values()) for status in statuses)


def test_fields_may_have_other_names(site: Callable[..., Site]) -> None:
    topic = site(field_user_id="uid", field_timestamp="ts", field_event="what")
    worker = topic.start()
    named = [b'{"uid":"eve","ts":%d,"what":"view"}' % (T + second) for second in range(60)]
    topic.send(click("eve", T), *named, b'{"uid":"ann","ts":%d,"what":"view"}' % (T + 65))
    topic.await_counted(worker)
    assert [copy.about["reason"] for copy in topic.rejected()] == ["missing_field"]
    assert [(each["user_id"], each["count"]) for each in topic.anomalies("closed")] == [("eve", 60)]
    assert topic.verdict().ok
