"""The rules topic: changes of rules and allow-list, and since which offset a partition goes by which."""

import logging
import re
from collections.abc import Sequence
from uuid import uuid4

import msgspec
from aiokafka import ConsumerRecord

from clickwarden.detection.adoption import AdoptionRows
from clickwarden.detection.allowlist import Allowance, Members
from clickwarden.detection.rulebook import Change, Edition, Rulebook
from clickwarden.detection.ruletest import Draft
from clickwarden.errors import RulesChanged, SettingsError
from clickwarden.formats.json import DEPTH_MAX, UNREADABLE, is_deep
from clickwarden.kafka import roles
from clickwarden.kafka.wholetopic import WholeTopic
from clickwarden.settings import Settings
from clickwarden.times import isotime

log = logging.getLogger(__name__)

#: Largest change: the rules of a file, each with all names of its events; or some 100,000 networks allowed.
CHANGE_BYTES = 4 * 1024 * 1024
#: Of these, what Kafka adds to a record left out.
MOST_BYTES = CHANGE_BYTES - 4096

_CHANGE = re.compile(rb"change/\d+/[0-9a-f]+")
#: A partition, and its owner as :class:`agents.snapshots.SnapshotRows` names it.
_ADOPTED = re.compile(rb"adopted/(\d{1,9})/(\d{1,20}/\d{1,20})")


def adoption_key(partition: int, owner: str) -> bytes:
    """Of what the owner of a partition tells of it."""
    return f"adopted/{partition}/{owner}".encode()


class RulesTopic(WholeTopic):
    """What the topic holds, as far as it was read.

    Attributes:
        book: the rules in force, and all before.
        adoptions: since when they are, in each partition.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.rules_topic, "rules")
        self.book = Rulebook()
        self.adoptions = AdoptionRows()

    def _take(self, records: Sequence[ConsumerRecord]) -> None:
        number = self.book.number
        for record in records:
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

    async def write(self, change: Change) -> Edition:
        """Make a change; returns it as it is in force.

        Raises:
            RulesChanged: somebody else made another meanwhile.
            BrokerError, AccessError: as :meth:`~WholeTopic.read`.
        """
        value = msgspec.json.encode(change)
        if len(value) > MOST_BYTES:
            raise SettingsError(
                f"this change has {len(value):,} bytes, and the rules topic takes {MOST_BYTES:,} at once; "
                "make it in several parts"
            )
        key = f"change/{change.number}/{uuid4().hex}".encode()
        await self._write([(key, value)], roles.author(self._settings), CHANGE_BYTES)
        edition = self.book.editions[change.number - 1]
        if edition.change != change:
            raise outrun(edition)
        return edition


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
