"""The topics: their layout in Kafka, and their creation."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import monotonic

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from clickwarden.errors import BrokerError
from clickwarden.kafka.diagnosis import unreachable
from clickwarden.kafka.rights import Right, denied
from clickwarden.settings import Settings

MINUTE_MS = 60 * 1000
DAY_MS = 24 * 60 * MINUTE_MS
#: How long a new topic may be without a leader.
LEADER_SECONDS = 30.0
#: Largest record we write: a snapshot of many open windows.
RECORD_BYTES = 32 * 1024 * 1024
#: The tables, and the largest row of each in bytes.
TABLES = {"snapshots": RECORD_BYTES, "activity": 1024 * 1024, "features": RECORD_BYTES}
#: Those of them that are there only where there are pipelines.
OF_PIPELINES = ("features",)


def layout(settings: Settings) -> Iterator[NewTopic]:
    """Every topic we read or write, tables' changelogs aside.

    Kafka's own clock stamps what it receives (LogAppendTime): it judges
    whether a click comes from the future, the same at every replay, and
    retention then never deletes a replay of old data at once.
    """
    received = {"message.timestamp.type": "LogAppendTime"}
    week = {"retention.ms": str(7 * DAY_MS)}
    # A record that the clicks topic took must fit with our headers on it.
    roomy = {"max.message.bytes": str(4 * 1024 * 1024)}
    month_compacted = {"cleanup.policy": "compact,delete", "retention.ms": str(30 * DAY_MS)}
    for name, config in (
        (settings.clicks_topic, received | week),
        (settings.rejected_topic, received | week | roomy),
        (settings.late_topic, received | week | roomy),
        (settings.anomalies_topic, received | month_compacted),
        (settings.incidents_topic, received | month_compacted),
    ):
        yield NewTopic(name, settings.partitions, settings.replication, topic_configs=config)
    # Kafka deletes whole segments: short ones, or it would keep a week.
    hours = {"retention.ms": str(120 * MINUTE_MS), "segment.ms": str(10 * MINUTE_MS)}
    yield NewTopic(settings.status_topic, 1, settings.replication, topic_configs=received | hours)
    for name in (settings.told_topic, settings.feedback_topic):
        yield NewTopic(name, 1, settings.replication, topic_configs=received | month_compacted)
    kept = {"cleanup.policy": "compact"}
    yield NewTopic(settings.rules_topic, 1, settings.replication, topic_configs=received | kept | roomy)
    if settings.pipeline_folders:
        yield NewTopic(settings.models_topic, 1, settings.replication, topic_configs=received | kept | roomy)


def scored(settings: Settings, topic: str) -> NewTopic:
    """The topic of a pipeline, where nobody has made it yet."""
    config = {"message.timestamp.type": "LogAppendTime", "retention.ms": str(7 * DAY_MS)}
    return NewTopic(topic, settings.partitions, settings.replication, topic_configs=config)


def labelled(settings: Settings, topic: str) -> NewTopic:
    """The topic of a pipeline's labels, where nobody has made it yet."""
    config = {"message.timestamp.type": "LogAppendTime", "retention.ms": str(30 * DAY_MS)}
    return NewTopic(topic, settings.partitions, settings.replication, topic_configs=config)


def changelogs(settings: Settings) -> Iterator[NewTopic]:
    """The tables' changelogs, which hold the state of the application.

    Faust would create them when the tables start, but it assigns nobody a
    changelog partition that Kafka does not list yet.
    """
    for table, record_bytes in TABLES.items():
        if table in OF_PIPELINES and not settings.pipeline_folders:
            continue
        config = {"cleanup.policy": "compact", "max.message.bytes": str(record_bytes)}
        name = f"{settings.app_id}-{table}-changelog"
        yield NewTopic(name, settings.partitions, settings.replication, topic_configs=config)


async def declare(settings: Settings, *more: NewTopic) -> dict[str, int]:
    """Create the topics that are missing, of our layout and these, and wait until they can be used.

    Returns the number of partitions of each. The clicks topic rules: what is created beside an existing one
    has as many as that.

    Raises:
        BrokerError: Kafka cannot be reached, or refuses to create one.
        AccessError: Kafka refuses us, or denies the right to create one.
    """
    async with administration(settings) as admin:
        wanted = {topic.name: topic for topic in (*layout(settings), *more)}
        present = set(await admin.list_topics())
        absent = [topic for name, topic in wanted.items() if name not in present]
        if settings.clicks_topic not in present:
            await _create(settings, admin, [wanted[settings.clicks_topic]], absent)
        missing = [topic for topic in absent if topic.name != settings.clicks_topic]
        if missing:
            # Asked also when we have just created it: somebody else may have been first.
            clicks = (await partitions(admin, [settings.clicks_topic]))[settings.clicks_topic]
            alone = (
                settings.status_topic,
                settings.rules_topic,
                settings.told_topic,
                settings.feedback_topic,
                settings.models_topic,
            )
            for topic in missing:
                if topic.name not in alone:
                    topic.num_partitions = clicks
            await _create(settings, admin, missing, absent)
        return await partitions(admin, list(wanted))


@asynccontextmanager
async def administration(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client that administers Kafka.

    Raises:
        BrokerError: Kafka cannot be reached.
        AccessError: it refuses us.
    """
    admin = AIOKafkaAdminClient(**settings.client_options())
    try:
        try:
            await admin.start()
        except KafkaError as error:
            raise await unreachable(settings, error) from None
        yield admin
    finally:
        await admin.close()


async def _create(
    settings: Settings, admin: AIOKafkaAdminClient, topics: list[NewTopic], absent: list[NewTopic]
) -> None:
    """Create topics, some of those that are absent: where that is denied, all of these are named."""
    response = await admin.create_topics(topics)
    for name, code, *message in response.topic_errors:
        failure = for_code(code)
        if failure is TopicAuthorizationFailedError:
            raise denied(settings, [Right("Create", "topic", topic.name) for topic in absent])
        if code and failure is not TopicAlreadyExistsError:
            raise BrokerError(f"Kafka did not create topic {name}: {failure.__name__} {message}")


async def partitions(admin: AIOKafkaAdminClient, names: list[str], least: int = 1) -> dict[str, int]:
    """Number of partitions of each topic, once all of them have a leader, and each as many as ``least``.

    Raises:
        BrokerError: one does not after some time.
    """
    deadline = monotonic() + LEADER_SECONDS
    while True:
        topics = await admin.describe_topics(names)
        leaderless = [
            topic["topic"]
            for topic in topics
            if len(topic["partitions"]) < least
            or any(partition["leader"] < 0 for partition in topic["partitions"])
        ]
        if not leaderless:
            return {topic["topic"]: len(topic["partitions"]) for topic in topics}
        if monotonic() > deadline:
            raise BrokerError(
                f"Kafka has no leader for {', '.join(leaderless)} after {LEADER_SECONDS:.0f} s: "
                "are all brokers up?"
            )
        await asyncio.sleep(0.1)
