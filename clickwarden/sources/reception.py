"""Clicks of many requests, decoded and put on the disk together, each request answered by itself."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from clickwarden.detection.clicks import Rejected
from clickwarden.errors import ClickError, ClickwardenError
from clickwarden.formats.clicks import Decoder
from clickwarden.settings import Settings
from clickwarden.sources.producer import ClickProducer

#: What is decoded at once, about: some milliseconds in which nobody is answered.
GROUP_BYTES = 256 * 1024
GROUP_RECORDS = 2000
#: Requests that come within so long share the work and the fsync, seconds.
LINGER = 0.003
#: What a record in Kafka has around its value, and a request has not.
_SURROUNDING = ("@key", "@timestamp", "@header:")


class Received(NamedTuple):
    """What came over HTTP, as a record whose key is the client and whose time stamp is now."""

    value: bytes
    key: bytes | None
    timestamp: int
    offset: int = 0
    timestamp_type: int = 1
    headers: tuple[tuple[str, bytes], ...] = ()


class WrongClick(ClickwardenError):
    """One of the clicks of a request cannot be counted, so that none of them is taken.

    Attributes:
        reason: one of :data:`clickwarden.formats.clicks.REASONS`.
        number: which of the request's clicks, from 0.
        things: how many the request holds, good and wrong.
    """

    def __init__(self, rejected: Rejected, number: int, things: int) -> None:
        super().__init__(str(ClickError(rejected.reason, rejected.detail)))
        self.reason = rejected.reason
        self.number = number
        self.things = things


class _Request(NamedTuple):
    records: Sequence[Received]
    taken: asyncio.Future[int]


class Reception:
    """Takes what requests hold, and says when the disk has it.

    A click without a user is of the client that sent it, one without a time of
    the moment it came.

    Args:
        settings: where the fields of a click stand.
        producer: keeps the clicks, and sends them to Kafka.
    """

    def __init__(self, settings: Settings, producer: ClickProducer) -> None:
        names = posted_names(settings)
        self._decode = Decoder(names, settings.max_skew, settings.timestamp_format).decode
        self._producer = producer
        self._waiting: list[_Request] = []
        self._work: asyncio.Task[None] | None = None

    async def take(self, records: Sequence[Received]) -> int:
        """Take the clicks of one request, all or none; how many they are, when they are on the disk.

        Raises:
            WrongClick: one of them cannot be counted.
            OutboxError, SettingsError, AccessError: see :meth:`ClickProducer.send`.
        """
        request = _Request(records, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._take_all())
        return await request.taken

    async def _take_all(self) -> None:
        await asyncio.sleep(LINGER)
        while self._waiting:
            await self._take_group(self._next_group())

    def _next_group(self) -> list[_Request]:
        size = records = number = 0
        while number < len(self._waiting) and size < GROUP_BYTES and records < GROUP_RECORDS:
            request = self._waiting[number]
            size += sum(len(record.value) for record in request.records)
            records += len(request.records)
            number += 1
        group, self._waiting = self._waiting[:number], self._waiting[number:]
        return group

    async def _take_group(self, requests: list[_Request]) -> None:
        answers: Sequence[int | Exception]
        try:
            answers = await self._keep([request.records for request in requests])
        except Exception as error:
            answers = [error] * len(requests)
        for request, answer in zip(requests, answers, strict=True):
            if request.taken.done():
                continue  # nobody waits for it any more
            if isinstance(answer, Exception):
                request.taken.set_exception(answer)
            else:
                request.taken.set_result(answer)

    async def _keep(self, requests: list[Sequence[Received]]) -> list[int | WrongClick]:
        """Put the clicks of the good requests on the disk; how many each held, or what is wrong with it."""
        clicks = self._decode([record for records in requests for record in records])
        owners = np.repeat(np.arange(len(requests)), [len(records) for records in requests])
        sizes = np.ones(len(owners), np.int64) if clicks.sizes is None else clicks.sizes
        things = np.bincount(owners, sizes, len(requests)).astype(int).tolist()
        answers: list[int | WrongClick] = things[:]
        wrong = set()
        for rejected in reversed(clicks.rejected):  # of each request the first is told
            owner = int(owners[rejected.record])
            number = rejected.record - int(np.searchsorted(owners, owner)) + (rejected.element or 0)
            answers[owner] = WrongClick(rejected, number, things[owner])
            wrong.add(owner)
        if wrong:
            of = owners if clicks.records is None else owners[clicks.records]
            clicks = clicks.pick(np.flatnonzero(~np.isin(of, list(wrong))).tolist())
        if clicks.users:
            await self._producer.send_all(clicks)
        return answers


def posted_names(settings: Settings) -> Mapping[str, str]:
    """Where the fields of a click stand that comes over HTTP: as in the topic, or in what is known of it."""
    names = {
        field: "|".join(place for place in places.split("|") if not place.startswith(_SURROUNDING))
        for field, places in settings.field_names.items()
    }
    names["user_id"] = f"{names['user_id'] or 'user_id'}|@key"
    names["timestamp"] += "|@timestamp"
    return names
