"""The rules topic: changes of rules and allow-list, and since which offset a partition goes by which."""

import asyncio
import logging
import re
from collections.abc import Sequence
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from clickwarden.detection.adoption import AdoptionRows
from clickwarden.detection.allowlist import Allowance, Members
from clickwarden.detection.rulebook import Change, Edition, Rulebook
from clickwarden.detection.ruletest import Draft
from clickwarden.errors import ClickwardenError, RulesChanged, SettingsError
from clickwarden.formats.json import DEPTH_MAX, UNREADABLE, is_deep
from clickwarden.kafka import rights, roles
from clickwarden.kafka.reader import poll, reader, to_end
from clickwarden.settings import Settings
from clickwarden.times import isotime

log = logging.getLogger(__name__)

#: Between two looks whether the rules have changed.
PAUSE_SECONDS = 0.2
#: Largest change: the rules of a file, each with all names of its events; or some 100,000 networks allowed.
CHANGE_BYTES = 4 * 1024 * 1024
#: Of these, what Kafka adds to a record left out.
MOST_BYTES = CHANGE_BYTES - 4096
#: Pause before Kafka is tried again.
RETRY_SECONDS = 1.0

_CHANGE = re.compile(rb"change/\d+/[0-9a-f]+")
#: A partition, and its owner as :class:`agents.snapshots.SnapshotRows` names it.
_ADOPTED = re.compile(rb"adopted/(\d{1,9})/(\d{1,20}/\d{1,20})")


def adoption_key(partition: int, owner: str) -> bytes:
    """Of what the owner of a partition tells of it."""
    return f"adopted/{partition}/{owner}".encode()


class RulesTopic:
    """What the topic holds, as far as it was read.

    Attributes:
        book: the rules in force, and all before.
        adoptions: since when they are, in each partition.
        trouble: why it cannot be read now; empty when it can.
    """

    def __init__(self, settings: Settings) -> None:
        self.book = Rulebook()
        self.adoptions = AdoptionRows()
        self.trouble = ""
        self._settings = settings
        self._partition = TopicPartition(settings.rules_topic, 0)
        self._next = 0
        self._followed = False
        self._waiting: list[asyncio.Future[None]] = []

    def _take(self, records: Sequence[ConsumerRecord]) -> None:
        number = self.book.number
        for record in records:
            self._next = record.offset + 1
            if adopted := _ADOPTED.fullmatch(record.key or b""):
                self.adoptions.take(int(adopted[1]), adopted[2].decode(), record.value)
            elif _CHANGE.fullmatch(record.key or b""):
                self._take_change(record)
        if self.book.number > number:
            for name, why in self.book.editions[-1].unreadable.items():
                log.error(
                    "Rule %s of change %s cannot be read by this release, and is left out until a newer "
                    "worker takes over: %s",
                    name,
                    self.book.number,
                    why,
                )

    def _take_change(self, record: ConsumerRecord) -> None:
        value = record.value or b""
        try:
            if is_deep(value):  # which one release may read, and another not
                raise RecursionError(f"nested deeper than {DEPTH_MAX}")
            self.book.take(value)
        except UNREADABLE as error:
            log.error(
                "Offset %s of %s holds no change of rules that this release can read; it is left out: %s",
                record.offset,
                self._settings.rules_topic,
                error,
            )

    async def read(self) -> None:
        """Read the topic to its end.

        Raises:
            BrokerError: Kafka does not answer, or there is no such topic.
            AccessError: Kafka refuses us, or denies the right to read it.
        """
        async with reader(self._settings, self._settings.rules_topic) as consumer:
            consumer.seek(self._partition, self._next)
            async for _, records in to_end(consumer):
                self._take(records)

    async def write(self, change: Change) -> Edition:
        """Make a change; returns it as it is in force.

        Raises:
            RulesChanged: somebody else made another meanwhile.
            BrokerError, AccessError: as :meth:`read`.
        """
        settings, needed = self._settings, roles.author(self._settings)
        value = msgspec.json.encode(change)
        if len(value) > MOST_BYTES:
            raise SettingsError(
                f"this change has {len(value):,} bytes, and the rules topic takes {MOST_BYTES:,} at once; "
                "make it in several parts"
            )
        await rights.check(settings, needed)
        producer = AIOKafkaProducer(**settings.client_options(), acks="all", max_request_size=CHANGE_BYTES)
        key = f"change/{change.number}/{uuid4().hex}".encode()
        try:
            await producer.start()
            await producer.send_and_wait(settings.rules_topic, value, key, 0)
        except KafkaError as error:
            raise await rights.explain(settings, needed, error) from None
        finally:
            await producer.stop()
        await (self.caught_up() if self._followed else self.read())
        edition = self.book.editions[change.number - 1]
        if edition.change != change:
            raise outrun(edition)
        return edition

    async def follow(self) -> None:
        """Read on until cancelled, also where Kafka is away for a time."""
        self._followed = True
        while True:
            waiting: list[asyncio.Future[None]] = []
            try:
                async with reader(self._settings, self._settings.rules_topic) as consumer:
                    consumer.seek(self._partition, self._next)
                    while True:
                        waiting, self._waiting = [*waiting, *self._waiting], []
                        end = (await consumer.end_offsets([self._partition]))[self._partition]
                        while await consumer.position(self._partition) < end:
                            for records in (await poll(consumer)).values():
                                self._take(records)
                        self.trouble = ""
                        while waiting:
                            _settle(waiting.pop())
                        await asyncio.sleep(PAUSE_SECONDS)
            except ClickwardenError as error:
                self._lose(str(error))
            except Exception as error:
                log.exception("The rules cannot be read")
                self._lose(repr(error))
            self._waiting += waiting
            await asyncio.sleep(RETRY_SECONDS)

    def _lose(self, trouble: str) -> None:
        if not self.trouble:
            log.warning("A change of the rules would not be noticed now: %s", trouble)
        self.trouble = trouble

    async def caught_up(self) -> None:
        """Wait until all is read that was there when this was called, by :meth:`follow`."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting


def _settle(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def outrun(edition: Edition) -> RulesChanged:
    """What to say to who has made a change of older rules than these."""
    return RulesChanged(
        f"{edition.change.who} was first, and has changed the rules, too ({edition.change.what}); "
        "look at what they are now, and do it again if it is still wanted"
    )


def written(drafts: Sequence[Draft]) -> list[msgspec.Raw]:
    """The rules as they stand in a change."""
    return [msgspec.Raw(msgspec.json.encode(draft)) for draft in drafts]


def change_of(
    book: Rulebook,
    rules: Sequence[msgspec.Raw],
    disabled: Sequence[str] = (),
    *,
    what: str,
    who: str,
    why: str,
    now: float,
    disallow: Sequence[Members] = (),
    allow: Sequence[Allowance] = (),
) -> Change:
    """The next change: these are the rules, but for those that are disabled, ``now`` in epoch seconds."""
    return Change(
        number=book.number + 1,
        rules=list(rules),
        disabled=list(disabled),
        what=what,
        who=who,
        when=isotime(now),
        why=why,
        disallow=list(disallow),
        allow=[msgspec.Raw(msgspec.json.encode(each)) for each in allow],
    )
