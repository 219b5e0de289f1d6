"""The rules in force, and how they came to be: what the rules topic holds, change by change."""

from collections.abc import Sequence

import msgspec

from clickwarden.detection.rules import Rule, by_name
from clickwarden.detection.ruletest import Draft


class Change(msgspec.Struct, kw_only=True, frozen=True):
    """One change: all rules as they are from now on.

    Attributes:
        number: of the change, from 1; one that is not the next number came
            second of two at once, and is none.
        rules: each as JSON, with its tests; one that a release cannot read is
            left out by it, and the others are in force.
        disabled: names of those that are not in force.
        what: was done, in words.
        who: did it.
        when: ISO-8601 UTC.
        why: in the words of who did it.
    """

    number: int
    rules: list[msgspec.Raw]
    disabled: list[str] = []
    what: str
    who: str
    when: str
    why: str = ""


class _Name(msgspec.Struct):
    name: str = "?"


class Edition(msgspec.Struct, frozen=True):
    """A change as this release reads it.

    Attributes:
        change: as it was written.
        drafts: the rules, with their tests, also those that are disabled.
        rules: those in force.
        unreadable: why a rule cannot be read, by its name.
    """

    change: Change
    drafts: tuple[Draft, ...]
    rules: tuple[Rule, ...]
    unreadable: dict[str, str]


def edition_of(change: Change) -> Edition:
    """A change as this release reads it."""
    drafts: dict[str, Draft] = {}
    unreadable: dict[str, str] = {}
    for raw in change.rules:
        try:
            draft = msgspec.json.decode(raw, type=Draft)
        except msgspec.MsgspecError as error:
            unreadable[name_of(raw)] = str(error)
        else:
            drafts.setdefault(draft.name, draft)
    rules = tuple(draft.rule for draft in drafts.values() if draft.name not in change.disabled)
    return Edition(change, tuple(drafts.values()), rules, unreadable)


def name_of(raw: msgspec.Raw) -> str:
    """The name of a rule as it stands in a change, also of one that this release cannot read."""
    try:
        return msgspec.json.decode(raw, type=_Name).name
    except msgspec.MsgspecError:
        return "?"


class Rulebook:
    """All changes so far.

    Attributes:
        editions: the changes, the first first.
        rules: those in force by the last; the same object until there is another.
    """

    def __init__(self) -> None:
        self.editions: list[Edition] = []
        self.rules: tuple[Rule, ...] = ()

    @property
    def number(self) -> int:
        """Of the last change; 0 before the first."""
        return len(self.editions)

    def take(self, value: bytes | None) -> Edition | None:
        """The next record of the topic; None where it changes nothing.

        Raises:
            msgspec.MsgspecError: it is no change, or one of a newer release.
            UnicodeError, RecursionError: it is not even JSON that can be read.
        """
        change = msgspec.json.decode(value or b"", type=Change)
        if change.number != self.number + 1:
            return None
        edition = edition_of(change)
        self.editions.append(edition)
        self.rules = edition.rules
        return edition

    def numbered(self, rules: Sequence[Rule]) -> int:
        """The newest change by which these are the rules in force; 0 where there is none."""
        wanted = by_name(rules)
        found = (
            edition.change.number for edition in reversed(self.editions) if by_name(edition.rules) == wanted
        )
        return next(found, 0)
