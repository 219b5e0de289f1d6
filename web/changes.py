"""How the rules in force came to be."""

import msgspec

from app.main import app
from clickwarden.alerts.words import limit
from clickwarden.detection.rulebook import Edition
from clickwarden.detection.rules import Rule
from clickwarden.detection.ruletest import Draft
from web.fresh import Fresh

#: Changes that are shown.
SHOWN = 100


class ChangeStatus(msgspec.Struct):
    """A change of the rules.

    Attributes:
        number: from 1; the rules that a first worker began with are 1.
        when: ISO-8601 UTC.
        who: made it.
        what: was done, in words.
        why: in the words of who made it; empty where nothing was said.
        rules: names of those in force by it.
        left_out: why a rule of it cannot be read by this worker's release, by name.
        partitions: those of the clicks topic that are counted by it now, or will be from their next click on.
    """

    number: int
    when: str
    who: str
    what: str
    why: str
    rules: list[str]
    left_out: dict[str, str]
    partitions: list[int]


class KnownRule(msgspec.Struct):
    """A rule of the newest change, in force or not.

    Attributes:
        name: its name.
        description: what it is for, in words.
        words: what it takes to break it.
        threshold: more clicks than this are an anomaly.
        shadow: what it finds is recorded, and nobody is told of it.
        enabled: whether it is in force.
        tests: names of the tests that it brings along.
    """

    name: str
    description: str
    words: str
    threshold: int
    shadow: bool
    enabled: bool
    tests: list[str]


class RulesHistory(msgspec.Struct):
    """The changes of the rules.

    Attributes:
        warnings: what of this worker's file of rules, and of the way to the topic, is not as one may think.
        changes: the newest first; at most 100.
        rules: those of the newest change, also those that are disabled.
        waiting: partitions that have not taken up the newest change yet.
    """

    warnings: list[str]
    changes: list[ChangeStatus]
    rules: list[KnownRule]
    waiting: list[int]


def history() -> RulesHistory:
    """The changes, as far as this worker has read them."""
    topic = app.rulestopic
    partitions = _counted_by()
    trouble = [topic.trouble] if topic.trouble else []
    editions = topic.book.editions[: -SHOWN - 1 : -1]
    changes = [status_of(edition, partitions.get(edition.change.number, [])) for edition in editions]
    return RulesHistory(
        warnings=[*app.founding.warnings, *trouble],
        changes=changes,
        rules=[
            _rule(draft, draft.name not in edition.change.disabled)
            for edition in editions[:1]
            for draft in edition.drafts
        ],
        waiting=waiting(),
    )


def waiting() -> list[int]:
    """Partitions that have not taken up the newest change yet."""
    taken_up = _counted_by().get(app.rulestopic.book.number, [])
    return [number for number in range(app.growth.partitions) if number not in taken_up]


def _counted_by() -> dict[int, list[int]]:
    """Partitions by the number of the change that they are counted by."""
    topic = app.rulestopic
    lists = topic.adoptions.last_lists
    counted: dict[tuple[tuple[Rule, ...], int], list[int]] = {}
    for partition, adoption in topic.adoptions.last.items():
        if adoption is not None:
            counted.setdefault((adoption.rules, lists[partition][1]), []).append(partition)
    partitions: dict[int, list[int]] = {}
    for (rules, allow_list), numbers in counted.items():
        partitions.setdefault(topic.book.numbered(rules, allow_list), []).extend(numbers)
    return partitions


def _rule(draft: Draft, enabled: bool) -> KnownRule:
    return KnownRule(
        name=draft.name,
        description=draft.description,
        words=limit(draft),
        threshold=draft.threshold,
        shadow=draft.shadow,
        enabled=enabled,
        tests=[test.name for test in draft.test],
    )


def status_of(edition: Edition, partitions: list[int]) -> ChangeStatus:
    """A change as it is told, counted by in these partitions."""
    change = edition.change
    return ChangeStatus(
        number=change.number,
        when=change.when,
        who=change.who,
        what=change.what,
        why=change.why,
        rules=[rule.name for rule in edition.rules],
        left_out=edition.unreadable,
        partitions=partitions,
    )


encoded = Fresh(history, seconds=1.0)
