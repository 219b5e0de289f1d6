"""The load: one topic of clicks, made once and read by every contender."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from numpy.typing import NDArray
from rich.progress import Progress

from clickwarden.audit.recount import Recount
from clickwarden.detection import rulesfile
from clickwarden.errors import BrokerError
from clickwarden.kafka.reader import reader, to_end
from clickwarden.kafka.topics import declare
from clickwarden.settings import Settings

#: Shoppers where their number is not what is varied, and the exponent of
#: Zipf's law: how unequally active they are.
USERS = 100_000
ZIPF = 1.3
#: Attackers of one window, and their share of its clicks.
ATTACKERS = 20
ATTACKING = 0.05
EVENTS = {"view": 0.6, "click": 0.25, "add_to_cart": 0.1, "purchase": 0.03, "login": 0.02}
PRODUCTS = 5_000
#: Epoch seconds of the first click, the start of a minute (and ten, and an hour).
BEGIN = 1_760_000_400
CHUNK = 20_000
QUEUE = 200_000

VALUE = b'{"user_id":"%b","event":"%b","product_id":"product-%d","timestamp":%.3f}'
GARBAGE = (
    b"not JSON",
    b"17",
    b'{"user_id":"shopper-1","event":"view"}',
    b'{"user_id":true,"event":"view","timestamp":1760000400}',
    b'{"user_id":"","event":"view","timestamp":1760000400}',
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the clicks are like.

    Attributes:
        rate: clicks in a minute of event time.
        users: so many shoppers, each as busy as the other; None: unequally busy ones.
        garbage: share of records that are no click.
        disorder: seconds by which a click may come late.
        size: bytes of a record at least; what is added is a field nobody reads.
    """

    rate: float = 1_000_000
    users: int | None = None
    garbage: float = 0.0
    disorder: float = 0.0
    size: int = 0


USUAL = Shape()


class Load:
    """A clicks topic keyed by user, lz4, in order of event time where the shape does not say otherwise.

    The same seed and shape give the same clicks.

    Attributes:
        clicks: records in it.
    """

    def __init__(self, settings: Settings, seed: int, shape: Shape = USUAL) -> None:
        self.settings = settings
        self.clicks = 0
        self._shape = shape
        self._random = np.random.default_rng(seed)
        # Letters that lz4 cannot make much of.
        self._padding = self._random.integers(97, 123, 65_536, np.uint8).tobytes()

    def produce(self, clicks: int, progress: Progress) -> None:
        """Add so many records to the topic, which is created where it is missing.

        Raises:
            BrokerError: Kafka did not take every one.
        """
        asyncio.run(declare(self.settings))
        topic = self.settings.clicks_topic
        producer = Producer(
            {
                "bootstrap.servers": self.settings.bootstrap,
                "acks": "all",
                "compression.type": "lz4",
                "partitioner": "murmur2_random",  # the one of Kafka's own clients
                "linger.ms": 20,
                "batch.size": 256 * 1024,
                "queue.buffering.max.messages": QUEUE + CHUNK,
                "log_level": 3,
            }
        )
        task = progress.add_task("Producing the load", total=clicks)
        for messages in self._chunks(clicks):
            producer.produce_batch(topic, messages)
            while len(producer) > QUEUE:
                producer.poll(0.01)
            progress.update(task, advance=len(messages))
        producer.flush()
        progress.remove_task(task)
        if (taken := self._taken()) != self.clicks:
            raise BrokerError(f"Kafka took {taken:,} of {self.clicks:,} clicks")

    def messages(self, clicks: int) -> Iterator[dict[str, bytes]]:
        """The next so many records, key and value of each, produced or not."""
        for chunk in self._chunks(clicks):
            yield from chunk

    def _chunks(self, clicks: int) -> Iterator[list[dict[str, bytes]]]:
        end = self.clicks + clicks
        while self.clicks < end:
            chunk = min(CHUNK, end - self.clicks)
            messages = self._messages(self.clicks, chunk)
            self.clicks += chunk
            yield messages

    def _messages(self, first: int, clicks: int) -> list[dict[str, bytes]]:
        random, shape = self._random, self._shape
        numbers = first + np.arange(clicks)
        times = BEGIN + numbers * (60 / shape.rate)
        shoppers = random.zipf(ZIPF, clicks) % USERS if shape.users is None else numbers % shape.users
        attackers = random.integers(ATTACKERS, size=clicks)
        attacking = random.random(clicks) < ATTACKING
        events = random.choice([event.encode() for event in EVENTS], clicks, p=list(EVENTS.values()))
        products = random.integers(PRODUCTS, size=clicks)
        users = [
            b"attacker-%d-%d" % (minute, attacker) if attacks else b"shopper-%d" % shopper
            for minute, attacker, attacks, shopper in _rows(times // 60, attackers, attacking, shoppers)
        ]
        if shape.disorder:
            times -= random.random(clicks) * shape.disorder
        values = [
            VALUE % (user, *click) for user, click in zip(users, _rows(events, products, times), strict=True)
        ]
        if shape.garbage:
            for spoilt in np.flatnonzero(random.random(clicks) < shape.garbage).tolist():
                values[spoilt] = GARBAGE[spoilt % len(GARBAGE)]
        if shape.size:
            offsets = random.integers(len(self._padding) - shape.size, size=clicks).tolist()
            values = [self._padded(value, at) for value, at in zip(values, offsets, strict=True)]
        return [{"key": user, "value": value} for user, value in zip(users, values, strict=True)]

    def _padded(self, value: bytes, at: int) -> bytes:
        missing = self._shape.size - len(value) - len(b',"page":""')
        return b'%b,"page":"%b"}' % (value[:-1], self._padding[at : at + missing]) if missing > 0 else value

    def _taken(self) -> int:
        consumer = Consumer({"bootstrap.servers": self.settings.bootstrap, "group.id": "bench"})
        topic, partitions = self.settings.clicks_topic, range(self.settings.partitions)
        ends = [
            consumer.get_watermark_offsets(TopicPartition(topic, partition))[1] for partition in partitions
        ]
        consumer.close()
        return sum(ends)

    @cached_property
    def truth(self) -> Recount:
        """The exact recount of the topic under the rules; produce everything before."""
        return asyncio.run(self._recount())

    async def _recount(self) -> Recount:
        truth = Recount(self.settings, rulesfile.load(self.settings.rules))
        async with reader(self.settings, self.settings.clicks_topic) as consumer:
            async for partition, records in to_end(consumer):
                truth.add(partition, records)
        return truth


def _rows(*columns: NDArray[Any]) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)
