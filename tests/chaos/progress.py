"""Progress: how long no click was counted although there were some to count."""

import asyncio
import threading
import time

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from clickwarden.settings import Settings

LOOK_SECONDS = 0.25
ANSWER_SECONDS = 2.0


class Progress(threading.Thread):
    """Watches what the group commits: state that is durable, and so counted for good.

    Attributes:
        longest: pause of one partition, seconds; set it to 0 to begin anew.
        lag: clicks not yet counted for good, when last looked.
        trouble: why nothing could be seen the last time; empty if it could.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="progress", daemon=True)
        self.longest = 0.0
        self.lag = 0
        self.trouble = ""
        self._options = settings.client_options() | {"request_timeout_ms": int(ANSWER_SECONDS * 1000)}
        self._group = settings.app_id
        self._places = [
            TopicPartition(settings.clicks_topic, number) for number in range(settings.partitions)
        ]
        self._committed = dict.fromkeys(self._places, 0)
        self._moved = dict.fromkeys(self._places, time.monotonic())
        self._stopping = threading.Event()

    def run(self) -> None:
        asyncio.run(self._watch())

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self.join()

    def counted_since(self, moment: float) -> bool:
        """Whether each partition was counted, or had nothing to count, after the moment (monotonic)."""
        return min(self._moved.values()) > moment

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            group = AIOKafkaAdminClient(**self._options)
            topic = AIOKafkaConsumer(**self._options)
            try:
                await group.start()
                await topic.start()
                while not self._stopping.is_set():
                    await self._look(group, topic)
                    self.trouble = ""
                    await asyncio.sleep(LOOK_SECONDS)
            except KafkaError as error:  # away, which is a pause like any other
                self.trouble = str(error)
                await asyncio.sleep(LOOK_SECONDS)
            finally:
                await topic.stop()
                await group.close()

    async def _look(self, group: AIOKafkaAdminClient, topic: AIOKafkaConsumer) -> None:
        committed = await group.list_consumer_group_offsets(self._group, partitions=self._places)
        ends = await topic.end_offsets(self._places)
        lag, now = 0, time.monotonic()
        for place in self._places:
            if place not in committed:  # an error that aiokafka has overlooked
                raise KafkaError(f"Kafka does not say what is committed of {place}")
            offset = max(0, committed[place].offset)
            behind = ends[place] - offset
            lag += behind
            if offset > self._committed[place] or not behind:
                self.longest = max(self.longest, now - self._moved[place])
                self._committed[place], self._moved[place] = offset, now
        self.lag = lag
