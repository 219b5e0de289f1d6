"""Topics read from their beginning, by a consumer in no group."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from clickwarden.errors import TopicMissing
from clickwarden.kafka import rights, roles, topics
from clickwarden.settings import Settings

#: From about so long on a consumer knows of new partitions.
METADATA_MS = 5_000
#: How long the end of a consumer is waited for, seconds.
FAREWELL = 1.0


def _cure(settings: Settings, topic: str) -> str:
    ours = {each.name for each in topics.layout(settings)}
    if topic in ours or topic.startswith(f"{settings.app_id}-"):
        return f"'faust -A app worker' creates it, {settings.named_by(topic)} names another"
    return "nobody has written to it yet, or it has another name"


@asynccontextmanager
async def reader(settings: Settings, *names: str, fetch_bytes: int = 1) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer at the beginning of every partition of the topics with these names.

    Kafka answers it when there are ``fetch_bytes`` to read, or a tenth of a second has passed.

    Raises:
        TopicMissing: a topic does not exist.
        BrokerError: Kafka does not answer, now or while the consumer is in use.
        AccessError: Kafka refuses us, or denies the right to read one.
    """
    needed = roles.reader(*names)
    await rights.check(settings, needed)
    options = settings.client_options() | {"request_timeout_ms": 10_000}
    admin = AIOKafkaAdminClient(**options)
    consumer = AIOKafkaConsumer(
        **options,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        fetch_min_bytes=fetch_bytes,
        metadata_max_age_ms=METADATA_MS,
    )
    try:
        await admin.start()
        # A topic is asked for by its name only once it is known: a broker may create what it is asked for.
        for topic in set(names).difference(await admin.list_topics()):
            raise TopicMissing(
                f"Kafka at {settings.bootstrap} has no topic {topic!r}; {_cure(settings, topic)}"
            )
        consumer.assign(
            [
                TopicPartition(described["topic"], partition["partition"])
                for described in await admin.describe_topics(list(names))
                for partition in described["partitions"]
            ]
        )
        await consumer.start()
        yield consumer
    except KafkaError as error:
        raise await rights.explain(settings, needed, error) from None
    finally:
        # A TLS connection on which something lies unread takes asyncio half a minute to close.
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await consumer.stop()
        await admin.close()


async def poll(
    consumer: AIOKafkaConsumer, *partitions: TopicPartition, limit: int | None = None
) -> dict[TopicPartition, list[ConsumerRecord]]:
    """The next records, at most ``limit``, by partition; none where a second brings none.

    Raises:
        KafkaError: it brought none because Kafka is away, which the consumer alone would not say.
    """
    batches: dict[TopicPartition, list[ConsumerRecord]]
    batches = await consumer.getmany(*partitions, timeout_ms=1000, max_records=limit)
    if not batches:
        await consumer.end_offsets(consumer.assignment())
    return batches


async def to_end(consumer: AIOKafkaConsumer) -> AsyncIterator[tuple[int, list[ConsumerRecord]]]:
    """Records with their partition, up to what is the end of the topic now."""
    ends = await consumer.end_offsets(consumer.assignment())
    while behind := [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
        for partition, records in (await poll(consumer, *behind)).items():
            yield partition.partition, records
