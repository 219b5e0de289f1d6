"""What a draft changes, rule by rule and user by user."""

import msgspec
import pytest

from clickwarden.audit import comparison
from clickwarden.audit.comparison import About, Amount, Case, Comparison, compare
from clickwarden.audit.labels import Labels
from clickwarden.audit.told import Reported, Told
from clickwarden.audit.trial import Sides
from clickwarden.detection.rules import Rule

T = 1_600_000_020
BOT, OTHER = Rule(name="bot", window=60, threshold=6), Rule(name="other", window=60, threshold=3)
ABOUT = About(
    source="topic clicks", against="the rules in force", since=None, begin=None, end=None, seconds=0.0,
    partial=False, clicks=9, late=0, rejected={}, took=1.0,
)  # fmt: skip


def told(*cases: tuple[str, str, int]) -> Told:
    side = Told()
    for rule, user, count in cases:
        side.reported[rule, user] = Reported(count, 6, T, 2, 1)
    return side


def compared(before: Told, draft: Told, labels: Labels | None = None) -> Comparison:
    return compare(Sides(before, draft), [BOT], [BOT, OTHER], labels, ABOUT)


def test_who_is_new_and_who_gone_by_rule_and_together() -> None:
    before = told(("bot", "eve", 9), ("bot", "joe", 7), ("past", "zoe", 8))
    draft = told(("bot", "eve", 9), ("bot", "ann", 12), ("other", "joe", 4), ("other", "eve", 11))
    found = compared(before, draft)
    rules = {rule.rule: (rule.before.users, rule.draft.users, rule.new, rule.gone) for rule in found.rules}
    assert rules == {"bot": (2, 2, 1, 1), "other": (0, 2, 2, 0), "past": (1, 0, 0, 1)}
    assert (found.before, found.draft) == (Amount(3, 6, 3), Amount(3, 8, 4))
    # All rules together, joe is reported as before, and only zoe is not.
    assert (found.new, found.gone, found.changed) == (1, 1, True)
    assert [(case.rule, case.user_id) for case in found.newest] == [
        ("bot", "ann"),
        ("other", "eve"),
        ("other", "joe"),
    ]
    assert found.lost[0] == Case("past", "zoe", 8, 6, "2020-09-13T12:27:00Z", 2, 1)


def test_the_same_is_no_change_and_the_worst_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "NAMED", 2)
    many = told(*(("bot", f"u{number}", number) for number in range(5)))
    assert not compared(many, many).changed
    found = compared(told(), many)
    assert [case.user_id for case in found.newest] == ["u4", "u3"]
    assert found.rules[0].new == 5


def test_more_messages_of_the_same_users_are_a_change() -> None:
    more = told(("bot", "eve", 9))
    more.reported["bot", "eve"].incidents = 5
    found = compared(told(("bot", "eve", 9)), more)
    assert (found.new, found.gone, found.changed) == (0, 0, True)


def test_each_side_is_held_against_the_labels() -> None:
    labels = Labels({"eve": True})
    labels.see(["eve", "ann"])
    found = compared(told(("bot", "ann", 9)), told(("bot", "eve", 9)), labels)
    assert {name: score.f1 for name, score in found.labels.items()} == {"before": 0.0, "draft": 1.0}
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found
