"""Topics of a real Kafka that comes and goes, followed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from aiokafka.admin import NewPartitions
from confluent_kafka import Producer

from clickwarden.kafka.following import Followed, Following
from clickwarden.kafka.topics import administration, declare, partitions
from clickwarden.sandbox.broker import Broker
from clickwarden.settings import Settings


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - of anything, no event says it
            await asyncio.sleep(0.05)


@asynccontextmanager
async def followed(following: Following, settings: Settings) -> AsyncIterator[None]:
    task = asyncio.create_task(following.follow(settings))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def produce(settings: Settings, *values: str, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": settings.bootstrap})
    for value in values:
        producer.produce(settings.anomalies_topic, value, key=value, partition=partition)
    assert producer.flush(60) == 0


async def test_it_outlives_kafka_and_reads_each_record_once(tmp_path: Path) -> None:
    broker = Broker(tmp_path, port=0)
    settings = Settings(broker=f"kafka://{broker.bootstrap}", anomalies_topic=f"anomalies-{uuid4().hex}")
    read: list[bytes | None] = []
    topic = Followed(settings.anomalies_topic, lambda record: read.append(record.value), newest=100)
    following = Following([topic])
    async with followed(following, settings):
        await until(lambda: "Kafka does not answer" in following.trouble)
        assert not following.loaded.is_set()
        with broker:
            await declare(settings)
            produce(settings, "a")
            await until(lambda: read == [b"a"] and not following.trouble)
            assert following.loaded.is_set()
            broker.stop()
            await until(lambda: bool(following.trouble))
            broker.start()
            produce(settings, "b")
            await until(lambda: b"b" in read and not following.trouble)
        await until(lambda: bool(following.trouble))
        with broker:
            produce(settings, "c")
            await until(lambda: b"c" in read)
    assert read == [b"a", b"b", b"c"]


async def test_where_it_begins(kafka: str) -> None:
    name = uuid4().hex
    settings = Settings(
        broker=f"kafka://{kafka}", clicks_topic=name, anomalies_topic=f"anomalies-{name}", partitions=2
    )
    await declare(settings)
    produce(settings, *map(str, range(10)))
    read: list[bytes | None] = []
    begun: dict[int, int] = {}
    for newest, seconds, expected in (3, 0, ["7", "8", "9"]), (0, 3600, list("0123456789")):
        read.clear()
        topic = Followed(
            settings.anomalies_topic,
            lambda record: read.append(record.value),
            newest,
            seconds,
            begun.__setitem__,
        )
        following = Following([topic])
        async with followed(following, settings), asyncio.timeout(60):
            await following.loaded.wait()
        assert [(value or b"").decode() for value in read] == expected
    assert begun == {0: 0, 1: 0}


async def test_a_topic_that_is_given_more_partitions_is_followed_whole(kafka: str) -> None:
    name = uuid4().hex
    settings = Settings(
        broker=f"kafka://{kafka}", clicks_topic=name, anomalies_topic=f"anomalies-{name}", partitions=1
    )
    await declare(settings)
    produce(settings, "a")
    read: list[bytes | None] = []
    topic = Followed(settings.anomalies_topic, lambda record: read.append(record.value), newest=10)
    async with followed(Following([topic]), settings):
        await until(lambda: read == [b"a"])
        async with administration(settings) as admin:
            await admin.create_partitions({settings.anomalies_topic: NewPartitions(2)})
            await partitions(admin, [settings.anomalies_topic], least=2)
        produce(settings, "b", partition=1)
        await until(lambda: b"b" in read)
        produce(settings, "c")
        await until(lambda: b"c" in read)
    assert read == [b"a", b"b", b"c"]


async def test_a_taker_that_fails_does_not_end_it(kafka: str) -> None:
    name = uuid4().hex
    settings = Settings(broker=f"kafka://{kafka}", clicks_topic=name, anomalies_topic=f"anomalies-{name}")
    await declare(settings)
    produce(settings, "a", "b", "c")
    read: list[bytes | None] = []

    def take(value: bytes | None) -> None:
        if value == b"b":
            raise ValueError("no b")
        read.append(value)

    following = Following([Followed(settings.anomalies_topic, lambda record: take(record.value), newest=10)])
    async with followed(following, settings):
        await until(lambda: read == [b"a", b"c"])
