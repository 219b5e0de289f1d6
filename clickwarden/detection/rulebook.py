"""The rules and the allow-list in force, and how they came to be: the rules topic, change by change."""

from collections.abc import Sequence

import msgspec

from clickwarden.detection.allowlist import Allowance, AllowList, Members
from clickwarden.detection.rules import Rule, by_name
from clickwarden.detection.ruletest import Draft


class Change(msgspec.Struct, kw_only=True, frozen=True):
    """One change: all rules as they are from now on, and what becomes another on the allow-list.

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
        disallow: :class:`Members` that are on the allow-list no more.
        allow: each an :class:`Allowance`, as JSON; one that a release cannot read is left out by it.
    """

    number: int
    rules: list[msgspec.Raw]
    disabled: list[str] = []
    what: str
    who: str
    when: str
    why: str = ""
    disallow: list[Members] = []
    allow: list[msgspec.Raw] = []


class _Name(msgspec.Struct):
    name: str = "?"


class Edition(msgspec.Struct, frozen=True):
    """A change as this release reads it.

    Attributes:
        change: as it was written.
        drafts: the rules, with their tests, also those that are disabled.
        rules: those in force.
        unreadable: why a rule cannot be read, by its name.
        allow_list: number of the change that made the allow-list as it is; 0 where none has.
    """

    change: Change
    drafts: tuple[Draft, ...]
    rules: tuple[Rule, ...]
    unreadable: dict[str, str]
    allow_list: int = 0

    def is_of(self, drafts: Sequence[Draft]) -> bool:
        """Whether these rules with their tests, all of them in force, are what it says."""
        others = {draft.name: draft for draft in drafts}
        mine = {draft.name: draft for draft in self.drafts}
        return mine == others and not self.change.disabled and not self.unreadable


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
        rules: those in force by the last.
        allow_list: the allow-list as of all of them.
    """

    def __init__(self) -> None:
        self.editions: list[Edition] = []
        self.rules: tuple[Rule, ...] = ()
        self.allow_list = AllowList()

    @property
    def number(self) -> int:
        """Of the last change; 0 before the first."""
        return len(self.editions)

    @property
    def names(self) -> set[str]:
        """Of all rules that there are, in force or not, and of those that there were."""
        drafts = {draft.name for edition in self.editions for draft in edition.drafts}
        return drafts.union(*(edition.unreadable for edition in self.editions))

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
        try:
            allowances = [msgspec.json.decode(raw, type=Allowance) for raw in change.allow]
            self.allow_list.take(change.number, change.disallow, allowances)
        except (ValueError, msgspec.MsgspecError) as error:
            edition.unreadable["(allow-list)"] = str(error)
        edition = msgspec.structs.replace(edition, allow_list=self.allow_list.number)
        self.editions.append(edition)
        self.rules = edition.rules
        return edition

    def numbered(self, rules: Sequence[Rule], allow_list: int) -> int:
        """The newest change by which these are the rules and the allow-list in force; 0: there is none."""
        wanted = by_name(rules)
        found = (
            edition.change.number
            for edition in reversed(self.editions)
            if edition.allow_list == allow_list and by_name(edition.rules) == wanted
        )
        return next(found, 0)
