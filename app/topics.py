"""The topics: their layout in Kafka, and their creation."""

from collections.abc import Iterator

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from app.errors import BrokerError, SettingsError, unreachable
from app.settings import Settings

DAY_MS = 24 * 60 * 60 * 1000


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
    ):
        yield NewTopic(name, settings.partitions, settings.replication, topic_configs=config)


async def declare(settings: Settings) -> None:
    """Create the topics that are missing.

    Raises:
        BrokerError: Kafka cannot be reached, or refuses to create one.
        SettingsError: the clicks topic has another number of partitions.
    """
    admin = AIOKafkaAdminClient(**settings.client_options())
    try:
        await admin.start()
    except KafkaError as error:
        await admin.close()
        raise unreachable(settings.broker, error) from None
    try:
        wanted = list(layout(settings))
        present = set(await admin.list_topics())
        missing = [topic for topic in wanted if topic.name not in present]
        if missing:
            response = await admin.create_topics(missing)
            for name, code, *message in response.topic_errors:
                failure = for_code(code)
                if code and failure is not TopicAlreadyExistsError:
                    raise BrokerError(f"Kafka did not create topic {name}: {failure.__name__} {message}")
        if settings.clicks_topic in present:
            (topic,) = await admin.describe_topics([settings.clicks_topic])
            partitions = len(topic["partitions"])
            if partitions != settings.partitions:
                raise SettingsError(
                    f"CLICKWARDEN_PARTITIONS={settings.partitions}: topic {settings.clicks_topic!r} has "
                    f"{partitions} partitions; set CLICKWARDEN_PARTITIONS={partitions}"
                )
    finally:
        await admin.close()
