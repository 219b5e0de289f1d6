"""Additions: partitions that the clicks topic was given, and that other topics have to be given too."""

from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import InvalidPartitionsError, KafkaError

from clickwarden.errors import BrokerError, SettingsError
from clickwarden.kafka.topics import (
    administration,
    changelogs,
    declare,
    labelled,
    partitions,
    scored,
)
from clickwarden.settings import Settings


async def follow(
    settings: Settings, scored_topics: Sequence[str] = (), labels_topics: Sequence[str] = ()
) -> int:
    """Declare a worker's topics, with as many partitions as the clicks topic where they go by its number.

    These are the tables' changelogs, and the topics of what was rejected or
    late. Anomalies and incidents go by their key, and keep their number: with
    another one, what is said of one later would not be behind what was said first.

    The topics of pipelines are others' own, and are given nothing: they have to have as many.

    Args:
        settings: name the topics.
        scored_topics: of the pipelines.
        labels_topics: of their labels, with as many partitions as they like.

    Returns the number, when all of them can be used.

    Raises:
        BrokerError: Kafka cannot be reached, or does not add the partitions, or a pipeline's topic has not
            as many.
        SettingsError: the state has more partitions than the clicks topic.
    """
    logs = list(changelogs(settings))
    theirs = [scored(settings, topic) for topic in scored_topics]
    numbers = await declare(settings, *logs, *theirs, *(labelled(settings, topic) for topic in labels_topics))
    clicks = numbers[settings.clicks_topic]
    for topic in scored_topics:
        if numbers[topic] != clicks:
            raise BrokerError(unlike(settings, topic, numbers[topic], clicks))
    for log in logs:
        if numbers[log.name] > clicks:
            raise SettingsError(
                f"CLICKWARDEN_APP_ID={settings.app_id}: its state in {log.name} has {numbers[log.name]} "
                f"partitions, topic {settings.clicks_topic!r} only {clicks}: it was made anew with fewer; "
                "begin anew with another CLICKWARDEN_APP_ID"
            )
    names = [*(log.name for log in logs), settings.rejected_topic, settings.late_topic]
    fewer = [name for name in names if numbers[name] < clicks]
    if fewer:
        async with administration(settings) as admin:
            for name in fewer:
                await _grow(admin, name, clicks)
            await partitions(admin, fewer, least=clicks)
    return clicks


def unlike(settings: Settings, topic: str, number: int, clicks: int) -> str:
    """What to say of a pipeline's topic that has not as many partitions as the clicks topic."""
    return (
        f"CLICKWARDEN_PIPELINES: topic {topic!r} has {number} partitions, and {settings.clicks_topic!r} has "
        f"{clicks}: a worker takes both together; give the smaller one as many (kafka-topics.sh --alter), or "
        "score it by a worker with another CLICKWARDEN_APP_ID, CLICKWARDEN_CLICKS_TOPIC and "
        "CLICKWARDEN_PARTITIONS"
    )


async def _grow(admin: AIOKafkaAdminClient, topic: str, number: int) -> None:
    try:
        await admin.create_partitions({topic: NewPartitions(number)})
    except InvalidPartitionsError:
        pass  # another worker was first
    except KafkaError as error:
        raise BrokerError(
            f"Kafka did not give {topic} as many partitions as the clicks topic has ({error}); give the "
            f"worker the right to ALTER it, or do it yourself: kafka-topics.sh --alter --topic {topic} "
            f"--partitions {number}"
        ) from None
