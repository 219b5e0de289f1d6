"""The load: one topic of clicks, made once and read by every contender."""

import asyncio
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from numpy.typing import NDArray
from rich.progress import Progress

from app import rules
from app.errors import BrokerError
from app.reader import reader, to_end
from app.recount import Recount
from app.settings import Settings
from app.topics import declare

#: Clicks in a minute of event time.
RATE = 1_000_000
USERS = 100_000
#: Exponent of Zipf's law: how unequally active the users are.
ZIPF = 1.3
#: Attackers of one window, and their share of its clicks.
ATTACKERS = 20
ATTACKING = 0.05
EVENTS = {"view": 0.6, "click": 0.25, "add_to_cart": 0.1, "purchase": 0.03, "login": 0.02}
PRODUCTS = 5_000
#: Epoch seconds of the first click, the start of a minute.
BEGIN = 1_760_000_040
CHUNK = 20_000
QUEUE = 200_000

VALUE = b'{"user_id":"%b","event":"%b","product_id":"product-%d","timestamp":%.3f}'


class Load:
    """A clicks topic with ``clicks`` clicks in it, keyed by user, lz4, in order of event time.

    The same seed gives the same clicks.
    """

    def __init__(self, settings: Settings, clicks: int, seed: int) -> None:
        self.settings = settings
        self.clicks = clicks
        self._random = np.random.default_rng(seed)

    def produce(self, progress: Progress) -> None:
        """Create the topic and fill it.

        Raises:
            BrokerError: Kafka did not take every click.
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
        task = progress.add_task("Producing the load", total=self.clicks)
        for first in range(0, self.clicks, CHUNK):
            producer.produce_batch(topic, self._messages(first, min(CHUNK, self.clicks - first)))
            while len(producer) > QUEUE:
                producer.poll(0.01)
            progress.update(task, completed=first)
        producer.flush()
        progress.remove_task(task)
        if (taken := self._taken()) != self.clicks:
            raise BrokerError(f"Kafka took {taken:,} of {self.clicks:,} clicks")

    def _messages(self, first: int, clicks: int) -> list[dict[str, bytes]]:
        random = self._random
        times = BEGIN + (first + np.arange(clicks)) * (60 / RATE)
        shoppers = random.zipf(ZIPF, clicks) % USERS
        attackers = random.integers(ATTACKERS, size=clicks)
        attacking = random.random(clicks) < ATTACKING
        events = random.choice([event.encode() for event in EVENTS], clicks, p=list(EVENTS.values()))
        products = random.integers(PRODUCTS, size=clicks)
        users = [
            b"attacker-%d-%d" % (minute, attacker) if attacks else b"shopper-%d" % shopper
            for minute, attacker, attacks, shopper in _rows(times // 60, attackers, attacking, shoppers)
        ]
        return [
            {"key": user, "value": VALUE % (user, *click)}
            for user, click in zip(users, _rows(events, products, times), strict=True)
        ]

    def _taken(self) -> int:
        consumer = Consumer({"bootstrap.servers": self.settings.bootstrap, "group.id": "bench"})
        topic, partitions = self.settings.clicks_topic, range(self.settings.partitions)
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, each))[1] for each in partitions]
        consumer.close()
        return sum(ends)

    @cached_property
    def truth(self) -> Recount:
        """The exact recount of the topic under the rules."""
        return asyncio.run(self._recount())

    async def _recount(self) -> Recount:
        truth = Recount(self.settings, rules.load(self.settings.rules))
        async with reader(self.settings, self.settings.clicks_topic) as consumer:
            async for partition, records in to_end(consumer):
                truth.add(partition, records)
        return truth


def _rows(*columns: NDArray[Any]) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)
