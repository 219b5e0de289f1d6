"""Progress: how long no click was counted although there were some to count."""

import threading
import time
from contextlib import suppress

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.settings import Settings

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
        # Not a consumer: that one holds on to a coordinator that is gone.
        self._kafka = AdminClient({"bootstrap.servers": settings.bootstrap, "log_level": 0})
        self._group = settings.app_id
        self._places = [
            TopicPartition(settings.clicks_topic, number) for number in range(settings.partitions)
        ]
        self._committed = dict.fromkeys(range(settings.partitions), 0)
        self._moved = dict.fromkeys(range(settings.partitions), time.monotonic())
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._look()
            except KafkaException as error:  # away, which is a pause like any other
                self.trouble = str(error)
                with suppress(KafkaException):  # it asks the last known leaders until told of others
                    self._kafka.list_topics(timeout=ANSWER_SECONDS)
            else:
                self.trouble = ""

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self.join()

    def counted_since(self, moment: float) -> bool:
        """Whether each partition was counted, or had nothing to count, after the moment (monotonic)."""
        return min(self._moved.values()) > moment

    def _look(self) -> None:
        asked = ConsumerGroupTopicPartitions(self._group, self._places)
        timeout = {"request_timeout": ANSWER_SECONDS}
        (group,) = self._kafka.list_consumer_group_offsets([asked], **timeout).values()
        committed = group.result().topic_partitions
        latest = self._kafka.list_offsets(dict.fromkeys(self._places, OffsetSpec.latest()), **timeout)
        ends = {place.partition: end.result().offset for place, end in latest.items()}
        lag, now = 0, time.monotonic()
        for place in committed:
            if place.error:
                raise KafkaException(place.error)
            number, offset = place.partition, max(0, place.offset)
            behind = ends[number] - offset
            lag += behind
            if offset > self._committed[number] or not behind:
                self.longest = max(self.longest, now - self._moved[number])
                self._committed[number], self._moved[number] = offset, now
        self.lag = lag
