"""What a draft of rules would have changed: who would have been reported and was not, and who no longer."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest

import msgspec

from clickwarden.audit.labels import Labels, Score
from clickwarden.audit.told import Reported
from clickwarden.audit.trial import Sides
from clickwarden.detection.rules import Rule, by_name
from clickwarden.times import isotime

#: Users that are named of those who are new, and of those who are gone.
NAMED = 20


class Amount(msgspec.Struct):
    """How much some rules tell.

    Attributes:
        users: who are reported.
        windows: in which they are.
        messages: people are told once an incident.
        shadow: messages that nobody gets, since the rule is on trial in the worker.
    """

    users: int = 0
    windows: int = 0
    messages: int = 0
    shadow: int = 0


class RuleChange(msgspec.Struct):
    """What becomes of one rule.

    Attributes:
        rule: its name.
        kept: whether the draft leaves it as it is.
        before: by the rule that was in force; nothing where there was none.
        draft: by the draft's; nothing where it has none.
        new: users who would have been reported and were not.
        gone: users who were, and would not have been.
    """

    rule: str
    kept: bool
    before: Amount
    draft: Amount
    new: int
    gone: int


class Case(msgspec.Struct):
    """A user under a rule, in the worst of its windows.

    Attributes:
        rule: its name.
        user_id: as it stood in the click: an attacker's text.
        count: clicks, or different values (``distinct``), the best estimate.
        threshold: of the rule.
        window_start: ISO-8601 UTC.
        windows: in how many the user is reported.
        messages: of it.
        distinct: the field of which different values are counted; None where clicks are.
    """

    rule: str
    user_id: str
    count: int
    threshold: int
    window_start: str
    windows: int
    messages: int
    distinct: str | None = None


class About(msgspec.Struct, kw_only=True):
    """What was counted, and what the draft is held against.

    Attributes:
        source: the topic or the files, in words.
        against: the rules that it is held against, in words.
        since: the moment from which on records are read, ISO-8601 UTC; None where all are.
        begin, end: of the clicks by their own time, ISO-8601 UTC; None where there are too few to say.
        seconds: from the one to the other.
        partial: whether windows that began before what was read are left out.
        clicks: that were counted, the late ones among them.
        late: clicks whose window was closed.
        rejected: what could not be counted, by reason.
        took: seconds.
    """

    source: str
    against: str
    since: str | None
    begin: str | None
    end: str | None
    seconds: float
    partial: bool
    clicks: int
    late: int
    rejected: dict[str, int]
    took: float


class Comparison(About, kw_only=True):
    """What a draft would have changed.

    Attributes:
        rules: what becomes of each.
        before, draft: all rules together; a user is counted once.
        new, gone: users under any rule.
        changed: whether anything would have been told otherwise.
        newest: of the users new under a rule the :data:`NAMED` with most clicks.
        lost: of those gone the same.
        labels: how well each agrees with them, ``before`` and ``draft``; empty where none are given.
    """

    rules: list[RuleChange]
    before: Amount
    draft: Amount
    new: int
    gone: int
    changed: bool
    newest: list[Case]
    lost: list[Case]
    labels: dict[str, Score]


def compare(
    sides: Sides, rules: Sequence[Rule], draft: Sequence[Rule], labels: Labels | None, about: About
) -> Comparison:
    """Hold what a draft would have told against what was told.

    Args:
        sides: what the two told.
        rules: that are in force now; what others told that were before is counted, too.
        draft: of rules.
        labels: of users; None where there are none.
        about: what was counted.
    """
    told = {rule for side in sides for rule, _ in side.reported}
    names = dict.fromkeys([*by_name(draft), *by_name(rules), *sorted(told)])
    changes = [_change(name, sides, by_name(rules).get(name), by_name(draft).get(name)) for name in names]
    before, after = sides.before.users, sides.draft.users
    return Comparison(
        **msgspec.structs.asdict(about),
        rules=changes,
        before=_all(before, [change.before for change in changes]),
        draft=_all(after, [change.draft for change in changes]),
        new=len(after - before),
        gone=len(before - after),
        changed=any(change.new or change.gone or change.before != change.draft for change in changes),
        newest=_worst(sides.draft.reported, sides.before.reported.keys()),
        lost=_worst(sides.before.reported, sides.draft.reported.keys()),
        labels={"before": labels.score(before), "draft": labels.score(after)} if labels else {},
    )


def _change(name: str, sides: Sides, rule: Rule | None, draft: Rule | None) -> RuleChange:
    before, after = dict(sides.before.of(name)), dict(sides.draft.of(name))
    return RuleChange(
        rule=name,
        kept=rule == draft,
        before=_amount(before.values(), rule),
        draft=_amount(after.values(), draft),
        new=len(after.keys() - before.keys()),
        gone=len(before.keys() - after.keys()),
    )


def _amount(reported: Iterable[Reported], rule: Rule | None) -> Amount:
    users, windows, messages = 0, 0, 0
    for one in reported:
        users, windows, messages = users + 1, windows + one.windows, messages + one.incidents
    if rule is not None and rule.shadow:
        return Amount(users, windows, 0, messages)
    return Amount(users, windows, messages)


def _all(users: set[str], amounts: Iterable[Amount]) -> Amount:
    total = Amount(len(users))
    for one in amounts:
        total.windows += one.windows
        total.messages += one.messages
        total.shadow += one.shadow
    return total


def _worst(reported: Mapping[tuple[str, str], Reported], others: Iterable[tuple[str, str]]) -> list[Case]:
    """The users under a rule with most clicks, but for those who are among the others."""
    known = set(others)
    apart = ((case, one) for case, one in reported.items() if case not in known)
    worst = nlargest(NAMED, apart, key=lambda found: (found[1].count, found[0]))
    return [
        Case(
            rule, user, one.count, one.threshold, isotime(one.worst), one.windows, one.incidents, one.distinct
        )
        for (rule, user), one in worst
    ]
