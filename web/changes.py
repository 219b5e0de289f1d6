"""How the rules in force came to be."""

import msgspec

from app.main import app
from clickwarden.detection.rulebook import Edition
from clickwarden.detection.rules import Rule
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


class RulesHistory(msgspec.Struct):
    """The changes of the rules.

    Attributes:
        warnings: what of this worker's file of rules, and of the way to the topic, is not as one may think.
        changes: the newest first; at most 100.
    """

    warnings: list[str]
    changes: list[ChangeStatus]


def history() -> RulesHistory:
    """The changes, as far as this worker has read them."""
    topic = app.rulestopic
    lists = topic.adoptions.last_lists
    counted: dict[tuple[tuple[Rule, ...], int], list[int]] = {}
    for partition, adoption in topic.adoptions.last.items():
        if adoption is not None:
            counted.setdefault((adoption.rules, lists[partition][1]), []).append(partition)
    partitions: dict[int, list[int]] = {}
    for (rules, allow_list), numbers in counted.items():
        partitions.setdefault(topic.book.numbered(rules, allow_list), []).extend(numbers)
    trouble = [topic.trouble] if topic.trouble else []
    newest = topic.book.editions[: -SHOWN - 1 : -1]
    changes = [_status(edition, partitions.get(edition.change.number, [])) for edition in newest]
    return RulesHistory([*app.founding.warnings.values(), *trouble], changes)


def _status(edition: Edition, partitions: list[int]) -> ChangeStatus:
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
