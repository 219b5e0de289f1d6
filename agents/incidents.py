"""Incidents become records of the incidents topic, by the worker that counts the first partition."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError, ProducerFenced

from agents.clicks import partitions
from agents.heard import heard
from agents.keeper import Keeper
from agents.messenger import Messenger
from agents.worker import sight
from app.main import app, settings
from clickwarden.alerts.incidents import Incident
from clickwarden.channels.channelsfile import Channels
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.rules import Rule, by_name
from clickwarden.errors import ClickwardenError
from clickwarden.kafka import rights, roles
from clickwarden.kafka.following import end
from clickwarden.kafka.partitioner import partition_of

log = logging.getLogger(__name__)

#: Between two looks whether there is something to write.
PAUSE_SECONDS = 0.1
#: Pause before Kafka is tried again.
RETRY_SECONDS = 1.0
#: So long what was read is kept by a worker whose turn it is no longer: a rebalance may give it back.
FORGET_SECONDS = 60.0


def is_keeper() -> bool:
    """Whether it is this worker that writes the incidents, and certain that no other does."""
    return (
        app.membership.holds
        and app.membership.is_certain
        and any(partition.tp.partition == 0 for partition in partitions)
    )


class _Keeping:
    """What one turn of this worker consists of."""

    def __init__(self) -> None:
        self._messenger: Messenger | None = None
        self.keeper = Keeper(settings, app.clock.now, self._tell, heard.stories)
        self._kept_at = monotonic()

    @property
    def lasts(self) -> bool:
        """Whether it is this worker's turn, or may be again."""
        return monotonic() - self._kept_at < FORGET_SECONDS

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """In this context the keeper hears what comes."""
        heard.anomaly.append(self._hear)
        heard.incident.append(self.keeper.read)
        try:
            async with heard.wanted():
                yield
        finally:
            heard.anomaly.remove(self._hear)
            heard.incident.remove(self.keeper.read)

    def _hear(self, record: ConsumerRecord, anomaly: Anomaly | None, changed: Sequence[str]) -> None:
        self.keeper.mark(changed)

    def _tell(self, incident: Incident) -> None:
        if self._messenger is not None:
            self._messenger.consider(incident)

    async def write(self) -> None:
        """Write the incidents until the turn is over."""
        while self.lasts:
            producer = AIOKafkaProducer(
                **settings.client_options(),
                acks="all",
                compression_type="zstd",
                partitioner=partition_of,
            )
            try:
                async with _told("Incidents are not written"):
                    await self._write(producer)
            finally:
                await producer.stop()
            await asyncio.sleep(RETRY_SECONDS)

    async def _write(self, producer: AIOKafkaProducer) -> None:
        await producer.start()
        while self.lasts:
            is_behind = False
            if is_keeper():
                self._kept_at = monotonic()
                is_behind = await self.keeper.write(producer)
            await asyncio.sleep(0 if is_behind else PAUSE_SECONDS)

    async def tell(self, channels: Channels) -> None:
        """Tell people until the turn is over."""
        await self.keeper.following.loaded.wait()
        while self.lasts:
            if is_keeper():
                self._messenger = Messenger(
                    settings, channels, self._get, _rule, app.clock.now, self._known, _blind
                )
                async with _told("Nobody is told of incidents"):
                    await _while_keeper(self._messenger.run())
                self._messenger = None
            await asyncio.sleep(RETRY_SECONDS)

    def _known(self) -> Iterable[str]:
        return heard.stories

    def _get(self, incident_id: str) -> Incident | None:
        return heard.stories.get(incident_id, app.clock.now())


async def _while_keeper(telling: Coroutine[Any, Any, None]) -> None:
    """Run until it is certain no longer that this worker is the one that tells."""
    task = asyncio.create_task(telling)
    try:
        while is_keeper() and not task.done():  # noqa: ASYNC110 - it becomes so in another thread
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()):
        raise error


def _rule(name: str) -> Rule | None:
    return by_name(app.rules).get(name)


def _blind() -> str:
    blindness = sight().blindness(settings.blind_share)
    return "" if blindness is None else blindness.text


_troubles: set[str] = set()


@asynccontextmanager
async def _told(what: str) -> AsyncIterator[None]:
    """Log once why something cannot be done now."""
    try:
        yield
    except ProducerFenced:
        log.info("Another worker tells people of incidents now")
    except (KafkaError, ClickwardenError) as error:
        why = str(error)
        if isinstance(error, KafkaError):
            needed = [*roles.worker(settings), *roles.teller(settings)]
            why = str(await rights.explain(settings, needed, error))
        if what not in _troubles:
            log.warning("%s: %s", what, why)
        _troubles.add(what)
    except Exception:
        log.exception("%s", what)
    else:
        _troubles.discard(what)


@app.companion
async def keep() -> None:
    """Write the incidents, and tell people, while it is this worker that does, until cancelled."""
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        if is_keeper():
            keeping = _Keeping()
            async with keeping.listening():
                await _done(keeping)


async def _done(keeping: _Keeping) -> None:
    """Do what there is to do in one turn of this worker."""
    tasks = [asyncio.create_task(keeping.write()), asyncio.create_task(keeping.keeper.catch_up())]
    if app.channels is not None:
        tasks.append(asyncio.create_task(keeping.tell(app.channels)))
    try:
        await tasks[0]
    finally:
        await asyncio.gather(*map(end, tasks))
