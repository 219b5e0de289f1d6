"""Whatever way clicks lie in Kafka, each is read once and the position goes on to the end."""

import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition

from tests.site import Site, Worker, click, clicks, window_before

T = window_before(time.time())
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
#: Larger than a fetch, and many runs.
MANY = 20_000
TRANSACTIONS, RUNNING, OTHER, EMPTY = range(len(CODECS), len(CODECS) + 4)


def attack(user: str, count: int, window: int = 0) -> list[bytes]:
    return clicks(user, count, T + 60 * window, T + 60 * window + 59)


def closing(window: int = 0) -> bytes:
    """A click after which the window is closed."""
    return click("ann", T + 60 * window + 65)


def counts(site: Site, partition: int) -> dict[str, int]:
    """Final counts by user."""
    return {
        each["user_id"]: each["count"] for each in site.anomalies("closed") if each["partition"] == partition
    }


@pytest.fixture(scope="module")
def stream(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Worker]]:
    """A topic as the worker makes it, and a worker on it; each test takes a partition of its own."""
    site = Site(kafka, tmp_path_factory.mktemp("site"), partitions=EMPTY + 1)
    try:
        yield site, site.start()
    finally:
        site.close()


@pytest.mark.parametrize("codec", CODECS)
def test_batches_of_every_codec_are_read_whole(stream: tuple[Site, Worker], codec: str) -> None:
    site, worker = stream
    partition = CODECS.index(codec)
    by = site.producer(**{"compression.type": codec})
    site.send(*attack(codec, MANY), closing(), partition=partition, by=by)
    site.await_counted(worker)
    assert worker.partitions()[partition]["accepted"] == MANY + 1
    assert counts(site, partition) == {codec: MANY}


def test_clicks_of_a_transaction_count_when_it_commits_and_never_when_it_aborts(
    stream: tuple[Site, Worker],
) -> None:
    site, worker = stream
    by = site.producer(**{"transactional.id": uuid4().hex})
    by.init_transactions()
    for user, end in (
        ("kept", by.commit_transaction),
        ("dropped", by.abort_transaction),
        ("dropped", by.abort_transaction),
        ("kept", by.commit_transaction),
    ):
        by.begin_transaction()
        site.send(*attack(user, 60), partition=TRANSACTIONS, by=by)
        end()
    by.begin_transaction()
    site.send(closing(), partition=TRANSACTIONS, by=by)
    by.commit_transaction()
    by.begin_transaction()
    site.send(*attack("dropped", 60, window=1), partition=TRANSACTIONS, by=by)
    by.abort_transaction()
    site.await_counted(worker)
    status = worker.partitions()[TRANSACTIONS]
    # 60 clicks and a marker, five times; one click and a marker.
    assert (status["next_offset"], site.committed()[TRANSACTIONS]) == (307, 307)
    assert (status["accepted"], status["late"]) == (121, 0)
    assert counts(site, TRANSACTIONS) == {"kept": 120}


def test_a_running_transaction_holds_back_what_lies_behind_it(stream: tuple[Site, Worker]) -> None:
    site, worker = stream
    by = site.producer(**{"transactional.id": uuid4().hex})
    by.init_transactions()
    by.begin_transaction()
    site.send(*attack("first", 60), partition=RUNNING, by=by)
    site.send(*attack("second", 60), closing(), partition=RUNNING)
    site.send(*attack("other", 60), closing(), partition=OTHER)
    site.until(lambda: counts(site, OTHER), worker)
    assert worker.partitions()[RUNNING]["accepted"] == 0
    by.commit_transaction()
    site.await_counted(worker)
    assert counts(site, RUNNING) == {"first": 60, "second": 60}


def test_a_partition_without_a_click_keeps_nobody_waiting(stream: tuple[Site, Worker]) -> None:
    site, worker = stream
    status = worker.partitions()[EMPTY]
    assert (status["next_offset"], status["watermark"], status["accepted"]) == (None, None, 0)
    assert site.verdict().ok


def test_the_gaps_of_a_compacted_topic_are_passed_over(site: Callable[..., Site]) -> None:
    topic = site()
    topic.create(**{
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.001",
        "max.compaction.lag.ms": "1000",
    })  # fmt: skip
    for keys in (20, 40, 60):
        for number, value in enumerate(attack("eve", 60)):
            topic.send(value, key=b"%d" % (number % keys))
    written = topic.bounds()[0][1]

    def is_compacted() -> bool:
        topic.send(click("ann", T), key=b"rolls the segment")
        return len(topic.clicks()) < written // 2

    topic.until(is_compacted)
    topic.configure("cleanup.policy", "delete")
    topic.send(closing(), key=b"closes the window")
    kept = [record.value for record in topic.clicks()]
    worker = topic.start()
    topic.await_counted(worker)
    status = worker.partitions()[0]
    assert status["accepted"] == len(kept) < status["next_offset"]
    assert topic.committed()[0] == topic.bounds()[0][1]
    eves = sum(b'"eve"' in (value or b"") for value in kept)
    assert counts(topic, 0) == {"eve": eves}


def test_the_producers_clock_judges_where_the_topic_has_it_so(site: Callable[..., Site]) -> None:
    topic = site(max_skew=60)
    topic.create(**{"message.timestamp.type": "CreateTime"})
    worker = topic.start()
    for time_, stamp in ((T + 60, T), (T + 60.001, T), (T + 61, T), (T + 61, T + 1)):
        topic.send(click("ann", time_), timestamp=stamp * 1000)
    topic.await_counted(worker)
    assert [(copy.about["offset"], copy.about["reason"]) for copy in topic.rejected()] == [
        ("1", "future"),
        ("2", "future"),
    ]
    assert worker.partitions()[0]["accepted"] == 2


def test_a_producers_own_time_stamp_vouches_for_no_clock(site: Callable[..., Site]) -> None:
    topic = site()
    topic.create(**{"message.timestamp.type": "CreateTime"})
    worker = topic.start()
    first, rest = attack("eve", 61)[:30], attack("eve", 61)[30:]
    topic.send(*first, timestamp=T * 1000)
    topic.send(click("fast", T + 3600), timestamp=(T + 3600) * 1000)
    topic.send(*rest, *[closing()] * 5, timestamp=(T + 65) * 1000)
    topic.await_counted(worker)
    assert (worker.partitions()[0]["late"], counts(topic, 0)) == (0, {"eve": 61})
    assert topic.verdict().ok


def test_a_group_that_has_committed_without_a_state_is_counted_from_the_beginning(
    site: Callable[..., Site],
) -> None:
    topic = site()
    topic.create()
    topic.send(*attack("eve", 61), closing())
    topic.commit(30)
    worker = topic.start()
    topic.await_counted(worker)
    assert worker.partitions()[0]["accepted"] == 62
    assert counts(topic, 0) == {"eve": 61}


def test_what_retention_took_before_the_first_start_is_no_loss(site: Callable[..., Site]) -> None:
    topic = site()
    topic.create()
    topic.send(*attack("bob", 60), *attack("eve", 60), closing())
    delete_before(topic, 60)
    worker = topic.start()
    topic.await_counted(worker)
    assert (worker.partitions()[0]["accepted"], worker.partitions()[0]["lost"]) == (61, 0)
    assert counts(topic, 0) == {"eve": 60}


def test_what_retention_took_before_it_was_counted_is_reported_with_its_range(
    site: Callable[..., Site],
) -> None:
    topic = site()
    worker = topic.start()
    topic.send(*attack("eve", 30))
    topic.await_counted(worker)
    worker.terminate()
    topic.send(*attack("eve", 40), *attack("eve", 31), closing())
    delete_before(topic, 70)
    worker = topic.start()
    topic.await_counted(worker)
    assert "retention deleted offsets 30 to 69 before they were counted: 40 records lost" in worker.log
    assert worker.partitions()[0]["lost"] == 40
    assert counts(topic, 0) == {"eve": 61}
    assert topic.verdict().ok


def delete_before(site: Site, offset: int) -> None:
    place = TopicPartition(site.settings.clicks_topic, 0, offset)
    for deleted in site.admin.delete_records([place]).values():
        deleted.result()
