"""Additions: partitions that the clicks topic was given, and that other topics have to be given too."""

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import InvalidPartitionsError, KafkaError

from clickwarden.errors import BrokerError, SettingsError
from clickwarden.kafka.topics import administration, changelogs, declare, partitions
from clickwarden.settings import Settings


async def follow(settings: Settings) -> int:
    """Declare a worker's topics, with as many partitions as the clicks topic where they go by its number.

    These are the tables' changelogs, and the topics of what was rejected or
    late. Anomalies and incidents go by their key, and keep their number: with
    another one, what is said of one later would not be behind what was said first.

    Returns the number, when all of them can be used.

    Raises:
        BrokerError: Kafka cannot be reached, or does not add the partitions.
        SettingsError: the state has more partitions than the clicks topic.
    """
    logs = list(changelogs(settings))
    numbers = await declare(settings, *logs)
    clicks = numbers[settings.clicks_topic]
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
