"""The anomalies of all partitions, whichever worker found them: the anomalies topic, followed."""

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
from aiohttp.web import Application
from aiokafka.errors import KafkaError

from app.application import app, settings
from app.clicks import UNREADABLE
from app.errors import BrokerError
from app.reader import poll, reader, to_end
from app.records import Anomaly
from app.settings import Settings

log = logging.getLogger(__name__)

#: Anomalies that are kept.
KEEP = 10_000
#: A larger record is none of ours, whose fields are all bounded.
RECORD_BYTES = 64 * 1024
#: Pause before Kafka is tried again.
RETRY_SECONDS = 1.0


class _Entry(NamedTuple):
    """A record and its place in the list: what is ongoing first, then by window, then as emitted."""

    ongoing: bool
    window_end: str
    emitted_at: str
    alert_id: str
    record: msgspec.Raw


class Feed:
    """The newest anomalies, one record an ``alert_id``: ``closed`` replaces ``ongoing``.

    Attributes:
        loaded: the topic was read to its end once.
        trouble: why Kafka cannot be read now; empty when it can.
    """

    def __init__(self, keep: int = KEEP) -> None:
        self.loaded = False
        self.trouble = ""
        self._keep = keep
        self._latest: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._latest)

    @property
    def ongoing(self) -> int:
        """Anomalies whose window is open."""
        return sum(entry.ongoing for entry in self._latest.values())

    def newest(self, limit: int) -> list[msgspec.Raw]:
        """Records as they are in the topic, ongoing ones first, then the newest windows."""
        return [entry.record for entry in heapq.nlargest(limit, self._latest.values())]

    def take(self, value: bytes | None) -> None:
        """Take over a record of the topic; what is no anomaly is passed over.

        Fields that a newer version added are kept.
        """
        if value is None or len(value) > RECORD_BYTES:
            return
        try:
            content = msgspec.json.decode(value)
            anomaly = msgspec.convert(content, Anomaly)
            record = msgspec.Raw(msgspec.json.encode(content))
        except UNREADABLE:
            return
        ongoing = anomaly.status == "ongoing"
        known = self._latest.get(anomaly.alert_id)
        if ongoing and known is not None and not known.ongoing:
            return  # said again after a crash
        self._latest[anomaly.alert_id] = _Entry(
            ongoing, anomaly.window_end, anomaly.emitted_at, anomaly.alert_id, record
        )
        if len(self._latest) > 1.1 * self._keep:
            kept = heapq.nlargest(self._keep, self._latest.values())
            self._latest = {entry.alert_id: entry for entry in kept}

    async def follow(self, settings: Settings) -> None:
        """Read the anomalies topic from its beginning and go on until cancelled."""
        while True:
            try:
                await self._read(settings)
            except BrokerError as error:
                self._lose(str(error))
            except Exception as error:
                # Whatever it is, the worker counts on and the page says so.
                log.exception("The page's reader of %s failed", settings.anomalies_topic)
                self._lose(repr(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, settings: Settings) -> None:
        async with reader(settings, settings.anomalies_topic) as consumer:
            async for _, records in to_end(consumer):
                for record in records:
                    self.take(record.value)
            self.loaded, self.trouble = True, ""
            while True:
                try:
                    for records in (await poll(consumer)).values():
                        for record in records:
                            self.take(record.value)
                    self.trouble = ""
                except KafkaError as error:  # the consumer finds Kafka again and reads on
                    self._lose(f"Kafka does not answer ({error})")

    def _lose(self, trouble: str) -> None:
        if not self.trouble:
            log.warning("The page shows what it knows, no new anomalies: %s", trouble)
        self.trouble = trouble


feed = Feed()


async def _following(_: Application) -> AsyncIterator[None]:
    following = asyncio.create_task(feed.follow(settings))
    yield
    following.cancel()
    await asyncio.wait([following])


# With the web server, which starts before the tables are recovered.
app.web.web_app.cleanup_ctx.append(_following)
