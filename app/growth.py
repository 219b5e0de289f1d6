"""Growth: the clicks topic is given more partitions while workers run."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from aiokafka.admin import AIOKafkaAdminClient

from app.room import make_room
from clickwarden.errors import AccessError, BrokerError, SettingsError
from clickwarden.kafka.additions import follow, unlike
from clickwarden.kafka.topics import administration
from clickwarden.settings import Settings

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
#: What Kafka refuses is told of so often.
TELL_SECONDS = 60.0


class Growth:
    """How many partitions there are to count.

    Every worker asks Kafka. One that finds more than it knew of first gives
    the other topics as many (:func:`clickwarden.kafka.additions.follow`), and
    then joins the group again, to which it tells the new number: the leader,
    whether it has noticed or not, assigns as many as any member knows of
    (:class:`app.assignor.Assignor`). So nobody is assigned clicks whose
    changelogs have no place for them yet. Whoever dies on the way leaves
    topics that the next look, or the next start, finds with too few.

    Attributes:
        partitions: that the clicks topic has, and every topic that goes by its number.
    """

    def __init__(
        self, settings: Settings, scored_topics: Sequence[str] = (), labels_topics: Sequence[str] = ()
    ) -> None:
        self.partitions = settings.partitions
        self._settings = settings
        self._scored_topics = scored_topics
        self._labels_topics = labels_topics
        self._told_at = -math.inf

    async def follow(self) -> None:
        """Have all topics follow the clicks topic.

        Raises:
            BrokerError: Kafka cannot be reached, or does not add partitions.
            SettingsError: the clicks topic has fewer than the state.
        """
        self.partitions = await follow(self._settings, self._scored_topics, self._labels_topics)

    async def watch(self, assigned: Callable[[], int], rejoin: Callable[[], Awaitable[None]]) -> None:
        """Notice new partitions until cancelled.

        Args:
            assigned: how many were shared out among the workers.
            rejoin: have them shared out again.

        Raises:
            SettingsError: the clicks topic has fewer than the state.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                async with administration(self._settings) as admin:
                    while True:
                        await self._look(admin)
                        if 0 < assigned() < self.partitions:
                            await rejoin()
                        await asyncio.sleep(LOOK_SECONDS)
            except SettingsError:
                raise
            except Exception as error:  # whatever it is, what is known is counted on
                log.debug("It is not known whether there are new partitions: %s", error)

    async def _look(self, admin: AIOKafkaAdminClient) -> None:
        topic, known = self._settings.clicks_topic, self.partitions
        described = await admin.describe_topics([topic, *self._scored_topics])
        numbers = {each["topic"]: len(each["partitions"]) for each in described}
        found = numbers[topic]
        if found == known:
            for name in self._scored_topics:
                if numbers[name] > known:
                    self._warn(unlike(self._settings, name, numbers[name], known))
        if not found or found == known:
            return
        try:
            make_room(self._settings, found)
        except SettingsError as error:
            self._tell(found, error)
            return
        try:
            await self.follow()
        except (BrokerError, AccessError, TimeoutError) as error:
            self._tell(found, error)
        else:
            log.info(
                "%s has %d partitions now, %d before; new ones are counted from their beginning",
                topic,
                self.partitions,
                known,
            )

    def _tell(self, found: int, error: Exception) -> None:
        topic = self._settings.clicks_topic
        self._warn(f"{topic} has {found} partitions now, of which {self.partitions} are counted: {error}")

    def _warn(self, words: str) -> None:
        if monotonic() - self._told_at >= TELL_SECONDS:
            self._told_at = monotonic()
            log.warning("%s", words)
