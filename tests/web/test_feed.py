"""What the feed makes of the anomalies topic."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import Producer

from app.broker import Broker
from app.records import Anomaly
from app.settings import Settings
from app.topics import declare
from web.feed import RECORD_BYTES, Feed


def record(
    alert_id: str, status: str = "ongoing", window_end: str = "2026-01-01T00:01:00Z", **more: object
) -> bytes:
    fields: dict[str, object] = {
        "alert_id": alert_id, "rule": "bot", "status": status, "user_id": "u",
        "window_start": "2026-01-01T00:00:00Z", "window_end": window_end,
        "count": 51, "count_low": 27, "count_high": 51, "threshold": 50,
        "first_seen": "2026-01-01T00:00:01Z", "last_seen": "2026-01-01T00:00:02Z",
        "events": {"view": 27}, "distinct_products": 3, "category": "bot", "owasp": "OAT-003",
        "reasons": ["why"], "partition": 0, "emitted_at": "2026-01-01T00:00:02Z", "version": 1, "worker": "w",
    }  # fmt: skip
    return json.dumps(fields | more).encode()


def known(feed: Feed, limit: int = 100) -> list[tuple[str, str]]:
    anomalies = [msgspec.json.decode(each, type=Anomaly) for each in feed.newest(limit)]
    return [(anomaly.alert_id, anomaly.status) for anomaly in anomalies]


def test_closed_replaces_ongoing_and_not_the_other_way() -> None:
    feed = Feed()
    feed.take(record("a"))
    assert (known(feed), feed.ongoing) == ([("a", "ongoing")], 1)
    feed.take(record("a", "closed"))
    feed.take(record("a"))
    assert (known(feed), feed.ongoing, len(feed)) == ([("a", "closed")], 0, 1)


def test_ongoing_come_first_then_the_newest_window() -> None:
    feed = Feed()
    feed.take(record("old", "closed", "2026-01-01T00:01:00Z"))
    feed.take(record("new", "closed", "2026-01-01T00:03:00Z"))
    feed.take(record("now", "ongoing", "2026-01-01T00:02:00Z"))
    assert [alert for alert, _ in known(feed)] == ["now", "new", "old"]
    assert [alert for alert, _ in known(feed, 2)] == ["now", "new"]


def test_it_keeps_so_many_and_the_newest_of_them() -> None:
    feed = Feed(keep=10)
    for minute in range(40):
        feed.take(record(f"{minute:02}", "closed", f"2026-01-01T00:{minute:02}:00Z"))
        assert len(feed) <= 11
    assert [alert for alert, _ in known(feed, 10)] == [f"{minute}" for minute in range(39, 29, -1)]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"not JSON",
        b"[]",
        b"{}",
        b"\xff",
        b'{"alert_id": ' * 20_000,
        record("a", "opened"),
        record("a", count="many"),
        record("a", user_id=None),
        record("a").replace(b'"why"', b'"\xff"'),
        record("a").replace(b'"why"', rb'"\ud800"'),
        record("a", more="x" * RECORD_BYTES),
    ],
    ids=repr,
)
def test_what_is_no_anomaly_is_passed_over(value: bytes | None) -> None:
    feed = Feed()
    feed.take(value)
    feed.take(record("b"))
    assert known(feed) == [("b", "ongoing")]


def test_fields_of_a_newer_version_are_kept() -> None:
    feed = Feed()
    feed.take(record("a", version=2, story={"so": "far"}))
    (kept,) = feed.newest(1)
    assert json.loads(bytes(kept))["story"] == {"so": "far"}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - of anything, no event says it
            await asyncio.sleep(0.05)


async def test_it_outlives_kafka(tmp_path: Path) -> None:
    feed = Feed()
    broker = Broker(tmp_path, port=0)
    settings = Settings(broker=f"kafka://{broker.bootstrap}", anomalies_topic=f"anomalies-{uuid4().hex}")

    def produce(value: bytes) -> None:
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        producer.produce(settings.anomalies_topic, value, key=b"a")
        assert producer.flush(60) == 0

    following = asyncio.create_task(feed.follow(settings))
    try:
        await until(lambda: "Kafka does not answer" in feed.trouble)
        assert not feed.loaded
        with broker:
            await declare(settings)
            produce(record("a"))
            await until(lambda: known(feed) == [("a", "ongoing")] and not feed.trouble)
            assert feed.loaded
            broker.stop()
            await until(lambda: bool(feed.trouble))
            assert known(feed) == [("a", "ongoing")]
            broker.start()
            produce(record("a", "closed"))
            await until(lambda: known(feed) == [("a", "closed")] and not feed.trouble)
    finally:
        following.cancel()
        await asyncio.wait([following])
