"""Kafka's clock, by which a worker judges what is live: its own may be wrong."""

from time import monotonic, time

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from clickwarden.errors import BrokerError
from clickwarden.settings import Settings

#: How far the worker's clock may be off before it is told, seconds.
TOLERATED_SECONDS = 5.0
#: An answer that took longer says too little, seconds.
PATIENCE_SECONDS = 2.0
#: ``timestamp_type`` of what Kafka's clock has stamped.
LOG_APPEND_TIME = 1


class KafkaClock:
    """What Kafka's clock shows, as far as this worker can know.

    Kafka stamps what it receives in the status topic, and its answer names the
    stamp, which is of a moment between request and answer. In between a steady
    clock goes on, so that nobody who sets the worker's clock changes it.

    Attributes:
        known: whether Kafka names its stamp; not where the topic has the senders' own.
    """

    def __init__(self) -> None:
        self.known = True
        self._begin: float | None = None

    def learn(self, answer: RecordMetadata, sent: float) -> None:
        """Take the time from an answer that has just come; ``sent``: when it was asked for, monotonic."""
        received = monotonic()
        self.known = answer.timestamp_type == LOG_APPEND_TIME
        if self.known and received - sent <= PATIENCE_SECONDS:
            self._begin = answer.timestamp / 1000 - (sent + received) / 2

    def now(self) -> float:
        """Epoch seconds; by the worker's clock while nothing is known of Kafka's."""
        return time() if self._begin is None else self._begin + monotonic()

    @property
    def ahead(self) -> float:
        """Seconds that the worker's clock is ahead of Kafka's; negative: behind."""
        return time() - self.now()


def wrong(ahead: float) -> str:
    """By how much a clock is wrong that is so far ahead of Kafka's, and the cure; empty where it is right.

    >>> wrong(-7200.4)
    "7,200 s behind Kafka's, by which it judges what is live: have both machines keep time, with NTP"
    """
    if abs(ahead) <= TOLERATED_SECONDS:
        return ""
    side = "ahead of" if ahead > 0 else "behind"
    return (
        f"{abs(ahead):,.0f} s {side} Kafka's, by which it judges what is live: have both machines keep time, "
        "with NTP"
    )


async def mark(settings: Settings, clock: KafkaClock) -> RecordMetadata:
    """Write a record that says nothing to the status topic: where it stands, and what the time is there.

    Raises:
        BrokerError: Kafka does not answer, or refuses it.
    """
    try:
        async with AIOKafkaProducer(**settings.client_options()) as producer:
            await producer.partitions_for(settings.status_topic)
            sent = monotonic()
            answer: RecordMetadata = await producer.send_and_wait(settings.status_topic, b"", partition=0)
            clock.learn(answer, sent)
    except KafkaError as error:
        raise BrokerError(
            f"CLICKWARDEN_BROKER={settings.broker}: Kafka takes no record for topic {settings.status_topic} "
            f"({error}); is all of it up, and may the worker write there?"
        ) from None
    return answer
