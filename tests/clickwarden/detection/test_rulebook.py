"""What the rules topic holds, as it is read: change by change, each whole, and none that came second."""

from typing import Any

import msgspec
import pytest

from clickwarden.detection.rulebook import Rulebook
from clickwarden.detection.rules import Rule
from clickwarden.detection.ruletest import Draft

BOT = {"name": "bot", "window": 60, "threshold": 50}
LOGINS = {"name": "logins", "window": 60, "threshold": 5, "events": ["login"]}


def change(number: int, *rules: Any, **more: Any) -> bytes:
    about = {"what": "put", "who": "ann", "when": "2026-01-01T00:00:00Z"}
    return msgspec.json.encode({"number": number, "rules": rules} | about | more)


def names(book: Rulebook) -> list[str]:
    return [rule.name for rule in book.rules]


def test_the_last_change_is_in_force_and_a_rule_that_is_disabled_is_not() -> None:
    book = Rulebook()
    assert (book.number, book.rules) == (0, ())
    book.take(change(1, BOT))
    assert book.rules == (Rule(name="bot", window=60, threshold=50),)
    book.take(change(2, BOT, LOGINS, disabled=["bot"]))
    assert names(book) == ["logins"]
    assert [draft.name for draft in book.editions[-1].drafts] == ["bot", "logins"]


def test_of_two_with_one_number_the_second_is_none_and_a_number_is_not_left_out() -> None:
    book = Rulebook()
    for number in (1, 2, 2, 4):
        book.take(change(number, BOT, LOGINS if number == 2 else BOT))
    assert (book.number, names(book)) == (2, ["bot", "logins"])


def test_the_rules_are_the_same_object_until_they_change() -> None:
    book = Rulebook()
    book.take(change(1, BOT))
    rules = book.rules
    assert book.take(change(1, LOGINS)) is None
    assert book.rules is rules


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (BOT | {"slope": 3}, "bot"),
        (BOT | {"window": "P1D"}, "bot"),
        ({"name": "half"}, "half"),
        ({"rule": 1}, "?"),
        (5, "?"),
        (BOT | {"test": [{"name": "odd"}]}, "bot"),
    ],
)
def test_a_rule_that_cannot_be_read_is_left_out_and_named_and_the_others_are_in_force(
    wrong: Any, name: str
) -> None:
    book = Rulebook()
    edition = book.take(change(1, wrong, LOGINS, later="field"))
    assert names(book) == ["logins"]
    assert edition is not None
    assert list(edition.unreadable) == [name]
    # It stays as it was written, for whoever can read it.
    assert msgspec.json.decode(edition.change.rules[0]) == wrong


def test_a_rule_is_written_with_what_it_says_alone() -> None:
    """A field that is named though it is left as it is has a release leave the rule out that has no such."""
    draft = msgspec.convert(LOGINS, Draft)
    raw = msgspec.json.encode(draft)
    assert msgspec.json.decode(raw) == LOGINS
    assert msgspec.json.decode(raw, type=Draft) == draft


@pytest.mark.parametrize("value", [None, b"", b"{}", b"no change", b"[]"])
def test_what_is_no_change_is_said_to_be_none(value: bytes | None) -> None:
    book = Rulebook()
    with pytest.raises(msgspec.MsgspecError):
        book.take(value)
    assert book.number == 0


def test_a_change_is_known_by_its_rules_in_any_order_the_newest_first() -> None:
    book = Rulebook()
    for number, rules in enumerate([(BOT,), (BOT, LOGINS), (BOT,)], 1):
        book.take(change(number, *rules))
    bot, logins = book.editions[1].rules
    assert [book.numbered(rules, 0) for rules in ((logins, bot), (bot,), (logins,))] == [2, 3, 0]
