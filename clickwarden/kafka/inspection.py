"""Looks at the clicks topic: how it is set up, and where its newest clicks lie."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)

from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickwardenError
from clickwarden.formats.fields import Record
from clickwarden.kafka.diagnosis import unreachable
from clickwarden.kafka.findings import CONFIGS, Finding, Sampled, WatchedTopic, findings
from clickwarden.kafka.reader import poll, reader
from clickwarden.kafka.registry import TopicDecoder
from clickwarden.settings import Settings

log = logging.getLogger(__name__)

#: Between two looks, seconds.
INSPECTION_SECONDS = 60.0
#: Newest records that are looked at: enough to hold some users who clicked several times.
SAMPLE = 8000
#: So many of them are unpacked before others have their turn in the event loop.
AT_ONCE = 500
#: Partitions of which they are, drawn anew each time.
SAMPLED_PARTITIONS = 32
#: Reading them takes no longer, seconds.
SAMPLE_SECONDS = 10.0
#: Nor more than about so much of their values, bytes a record.
SAMPLE_BYTES = 4096
#: What was seen of the users once stands for so many looks: not every sample holds one who clicks often.
STANDS = 10


async def configuration(settings: Settings) -> dict[str, str] | None:
    """How the clicks topic is set up; None where Kafka may not, or cannot, tell.

    Raises:
        BrokerError: Kafka does not answer, or does not know the topic (yet).
    """
    admin = AIOKafkaAdminClient(**settings.client_options())
    wanted = dict.fromkeys(CONFIGS)
    try:
        await admin.start()
        (response,) = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, settings.clicks_topic, wanted)]
        )
        (topic,) = response.to_object()["resources"]
        if topic["error_code"]:
            raise for_code(topic["error_code"])(topic["error_message"])
    except (IncompatibleBrokerVersion, TopicAuthorizationFailedError):
        return None
    except KafkaError as error:
        raise await unreachable(settings, error) from None
    finally:
        await admin.close()
    return {
        entry["config_names"]: entry["config_value"]
        for entry in topic["config_entries"]
        if entry["config_value"] is not None
    }


async def look(settings: Settings) -> WatchedTopic:
    """Look at the clicks topic.

    Raises:
        BrokerError: Kafka does not answer, or has no such topic.
    """
    config = await configuration(settings)
    partitions, records = await newest(settings, SAMPLE)
    return WatchedTopic(
        name=settings.clicks_topic,
        bootstrap=settings.bootstrap,
        partitions=partitions,
        config=config,
        sample=await asyncio.to_thread(lambda: list(_sampled(records, settings))),
    )


async def newest(settings: Settings, most: int) -> tuple[int, dict[int, list[ConsumerRecord]]]:
    """How many partitions the clicks topic has, and the newest records of some of them, by partition.

    Args:
        settings: that name the topic.
        most: records; fewer where these are large.

    Raises:
        BrokerError: Kafka does not answer, or has no such topic.
    """
    async with reader(settings, settings.clicks_topic) as consumer:
        places = sorted(consumer.assignment())
        some = random.sample(places, min(SAMPLED_PARTITIONS, len(places)))
        records = await _newest(consumer, some, most)
    return len(places), {place.partition: run for place, run in records.items()}


async def _newest(
    consumer: AIOKafkaConsumer, places: list[TopicPartition], most: int
) -> dict[TopicPartition, list[ConsumerRecord]]:
    """The newest records of some partitions."""
    found: dict[TopicPartition, list[ConsumerRecord]] = {place: [] for place in places}
    consumer.pause(*consumer.assignment().difference(places))
    begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    left = most
    for number, place in enumerate(sorted(places, key=lambda place: ends[place] - begins[place])):
        taken = min(ends[place] - begins[place], left // (len(places) - number))
        left -= taken
        consumer.seek(place, ends[place] - taken)
    deadline, room = monotonic() + SAMPLE_SECONDS, SAMPLE_BYTES * most
    while monotonic() < deadline and room > 0:
        behind = [place for place in places if await consumer.position(place) < ends[place]]
        if not behind:
            break
        for place, records in (await poll(consumer, *behind, limit=AT_ONCE)).items():
            found[place] += records
            room -= sum(len(record.value or b"") for record in records)
    return found


def _sampled(records: Mapping[int, list[ConsumerRecord]], settings: Settings) -> Iterator[Sampled]:
    """The clicks that the records hold."""
    decoder = TopicDecoder(settings)
    for partition, run in records.items():
        yield from sampled(partition, run, decoder.decode(run))


def sampled(partition: int, run: Sequence[Record], clicks: Clicks) -> Iterator[Sampled]:
    """The clicks that a run of a partition's records was decoded to."""
    for user_id, time, record in zip(clicks.users, clicks.times, records_of(run, clicks), strict=True):
        yield Sampled(partition, user_id, float(time), record.timestamp / 1000)


def records_of(run: Sequence[Record], clicks: Clicks) -> Sequence[Record]:
    """The record of each click that a run was decoded to."""
    return run if clicks.records is None else [run[position] for position in clicks.records]


class Inspection:
    """Looks at the topic again and again, and logs what is found and what is over.

    Args:
        settings: where it is.
        counted: partitions that the workers count; asked at each look.

    Attributes:
        findings: what was found last.
    """

    def __init__(self, settings: Settings, counted: Callable[[], int]) -> None:
        self.findings: list[Finding] = []
        self._settings = settings
        self._counted = counted
        self._stray: Finding | None = None
        self._stands = 0

    async def watch(self, longest: Callable[[], float], seconds: float = INSPECTION_SECONDS) -> None:
        """Look every so many ``seconds`` until cancelled.

        Args:
            longest: the longest window of a rule, seconds.
            seconds: between two looks.
        """
        while True:
            try:
                topic = await look(self._settings)
                self._take(findings(topic, longest(), self._counted()))
            except ClickwardenError as error:  # others say that Kafka is away, or refuses us
                log.debug("Topic %s cannot be looked at: %s", self._settings.clicks_topic, error)
            except Exception:  # whatever it is, the worker counts on
                log.exception("Topic %s cannot be looked at", self._settings.clicks_topic)
            await asyncio.sleep(seconds)

    def _take(self, found: list[Finding]) -> None:
        """Log what is new and what is over."""
        found = self._standing(found)
        known = {finding.about: finding for finding in self.findings}
        for finding in found:
            if finding.about not in known or known[finding.about].summary != finding.summary:
                log.warning("%s", finding.text)
        for about in known.keys() - {finding.about for finding in found}:
            log.warning("No longer so: %s", known[about].summary)
        self.findings = found

    def _standing(self, found: list[Finding]) -> list[Finding]:
        """These, and one about the key for a while after it was found last."""
        stray = next((finding for finding in found if finding.about == "key"), None)
        if stray is not None:
            self._stray, self._stands = stray, STANDS
        elif self._stray is not None:
            self._stands -= 1
            if self._stands:
                return [self._stray, *found]
            self._stray = None
        return found
