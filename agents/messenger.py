"""The messenger: has people told of incidents, and only once, whoever told them before."""

import asyncio
import logging
from collections.abc import Callable, Iterable

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord

from agents.courier import AT_ONCE, Courier, Desk
from clickwarden.alerts.feedback import KnownFeedback
from clickwarden.alerts.incidents import Incident
from clickwarden.channels.channelsfile import Channels
from clickwarden.channels.ledger import Entry, Ledger
from clickwarden.detection.rules import Rule
from clickwarden.kafka import rights, roles
from clickwarden.kafka.following import ALL, Followed, Following
from clickwarden.settings import Settings

log = logging.getLogger(__name__)

#: After so long Kafka ends a transaction that a dead worker has left open, milliseconds.
TRANSACTION_MS = 10_000


class Messenger:
    """Owns the ledger while it runs: Kafka refuses what an earlier one has yet to note, and so to send.

    Args:
        settings: name the topics.
        channels: where people are told.
        get: what is known of an incident now.
        rule: the rule of a name; None: it is not in force.
        now: by Kafka's clock, epoch seconds.
        known: ids of all incidents that are known now.
        blind: that clicks cannot be counted now, in words; empty where they can.
    """

    def __init__(
        self,
        settings: Settings,
        channels: Channels,
        get: Callable[[str], Incident | None],
        rule: Callable[[str], Rule | None],
        now: Callable[[], float],
        known: Callable[[], Iterable[str]],
        blind: Callable[[], str] = str,
    ) -> None:
        self._settings = settings
        self._channels = channels
        self._desk = Desk(
            channels.page,
            channels.links,
            get,
            rule,
            now,
            Ledger(),
            KnownFeedback(),
            self._write,
            known,
            blind,
        )
        self._producer: AIOKafkaProducer | None = None
        self._writing = asyncio.Lock()
        self._couriers: dict[str, Courier] = {}

    @property
    def works(self) -> bool:
        """Whether people are told."""
        return bool(self._couriers)

    def consider(self, incident: Incident) -> None:
        """Have people told of an incident as it stands, where they are to be."""
        for courier in self._couriers.values():
            courier.consider(incident)

    async def run(self) -> None:
        """Tell until cancelled, beginning with the incidents that are known.

        Raises:
            KafkaError: Kafka does not answer, or another worker has taken over.
            AccessError: it denies the right to write in transactions.
        """
        settings = self._settings
        await rights.check(settings, roles.teller(settings))
        following = Following(
            [
                Followed(settings.told_topic, self._take, newest=ALL),
                Followed(settings.feedback_topic, self._heed, newest=ALL),
            ]
        )
        producer = AIOKafkaProducer(
            **settings.client_options(),
            transactional_id=settings.told_topic,
            transaction_timeout_ms=TRANSACTION_MS,
            compression_type="zstd",
        )
        tasks: list[asyncio.Task[None]] = []
        try:
            await producer.start()
            self._producer = producer
            # Only now: what the one before has noted is all there, and nothing is added to it.
            tasks.append(asyncio.create_task(following.follow(settings)))
            await following.loaded.wait()
            await self._open()
            for number, incident_id in enumerate(self._desk.known()):
                incident = self._desk.get(incident_id)
                if incident is not None:
                    self.consider(incident)
                if not number % AT_ONCE:
                    await asyncio.sleep(0)
            tasks += [asyncio.create_task(courier.run()) for courier in self._couriers.values()]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._couriers = {}
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await producer.stop()
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _open(self) -> None:
        for name, opened in self._channels.by_name.items():
            if name not in self._desk.ledger.channels:
                await self._write(Entry(channel=name, at=self._desk.now()))
                log.info("Channel %s is told from now on", name)
            self._couriers[name] = Courier(opened, self._desk)

    def _take(self, record: ConsumerRecord) -> None:
        entry = self._desk.ledger.take(record.value)
        if entry is not None and entry.state == "again" and entry.channel in self._couriers:
            self._couriers[entry.channel].repeat(entry)

    def _heed(self, record: ConsumerRecord) -> None:
        said = self._desk.feedback.take(record.value)
        if said is not None:
            for courier in self._couriers.values():
                courier.heed(said)

    async def _write(self, entry: Entry) -> None:
        assert self._producer is not None
        value = msgspec.json.encode(entry)
        async with self._writing, self._producer.transaction():
            await self._producer.send_and_wait(self._settings.told_topic, value, entry.name, 0)
        self._desk.ledger.note(entry)
