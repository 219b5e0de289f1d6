"""What a rule counts, as it is written: what is taken, and what is refused with which words."""

from fractions import Fraction

import msgspec
import pytest

from clickwarden.detection import rulesfile
from clickwarden.detection.measure import Distinct, Portion, measure_of
from clickwarden.detection.rules import Rule, digest_of
from clickwarden.errors import SettingsError

GOOD = '[[rule]]\nname = "bot"\nwindow = 60\nthreshold = 50\n'
SHARED = GOOD + 'share = "login_failed of login, login_failed"\nat_least = 0.9\n'


def only(content: str) -> Rule:
    (draft,) = rulesfile.parse(content.encode(), "my.toml")
    return draft.rule


def test_a_rule_that_says_nothing_counts_clicks_and_is_written_as_ever() -> None:
    rule = only(GOOD)
    assert rule.measure is None
    assert rule == only(GOOD + 'count = "clicks"\n')
    assert not {"count", "share", "at_least"} & msgspec.to_builtins(rule).keys()
    assert digest_of([rule]) == digest_of([only(GOOD + 'count = "clicks"\n')])


def test_different_values_of_a_field() -> None:
    rule = only(GOOD + 'count = "distinct product_id"\n')
    assert rule.measure == Distinct("product_id")
    assert (rule.level, rule.events) == (12, ())
    assert rule.fields == {"product_id"}
    assert only(GOOD + 'count = "distinct user.plan"\npromote = 1\n').level == 1


def test_a_share_counts_all_its_events_under_all_their_names() -> None:
    rule = only(SHARED + '[events]\nlogin = ["Signed In"]\nlogin_failed = ["Login Failed"]\n')
    assert rule.events == ("login", "login_failed", "Signed In", "Login Failed")
    assert rule.measure == Portion(("login_failed", "Login Failed"), rule.events, Fraction(9, 10))
    assert rule.level == 1


@pytest.mark.parametrize("more", ["", 'count = "distinct product_id"\n', SHARED.removeprefix(GOOD)])
def test_what_is_written_is_read_again(more: str) -> None:
    rule = only(GOOD + more)
    assert msgspec.json.decode(msgspec.json.encode(rule), type=Rule) == rule


def test_a_name_may_hold_what_parts_the_part_from_all() -> None:
    share = measure_of("clicks", "Out of Stock of view, Out of Stock", 0.5)
    assert isinstance(share, Portion)
    assert (share.part, share.whole) == (("Out of Stock",), ("view", "Out of Stock"))


@pytest.mark.parametrize(("part", "whole", "reached"), [(9, 10, True), (899, 1000, False), (900, 1000, True)])
def test_nine_of_ten_are_nine_tenths_whatever_a_double_makes_of_them(
    part: int, whole: int, reached: bool
) -> None:
    share = measure_of("clicks", "a of a, b", 0.9)
    assert isinstance(share, Portion)
    assert share.reached(part, whole) == reached


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            GOOD + 'count = "users"\n',
            "line 5: rule 'bot': count: 'users' must be \"clicks\" or \"distinct FIELD\"",
        ),
        (GOOD + 'count = "distinct"\n', "line 5: rule 'bot': count: \"distinct\" does not say of what; name"),
        (GOOD + 'count = "distinct a b"\n', "line 5: rule 'bot': count: 'distinct a b' must be"),
        (GOOD + 'count = "distinct user_id"\n', "line 5: rule 'bot': count: a user has one user_id; name"),
        (
            GOOD + 'count = "distinct timestamp"\n',
            "line 5: rule 'bot': count: each click has a time of its own;",
        ),
        (
            GOOD + 'count = "distinct a..b"\n',
            "line 5: rule 'bot': count: 'a..b' names no field; write a name",
        ),
        (
            GOOD.replace("50", "10001") + 'count = "distinct product_id"\n',
            "line 4: rule 'bot': threshold: 10001 must be at most 10000 where different values",
        ),
        (
            SHARED.replace("login, login_failed", "login, logout"),
            "line 5: rule 'bot': share: login_failed must be among the events behind 'of', too; add it",
        ),
        (
            SHARED.replace(" of ", " in "),
            "line 5: rule 'bot': share: 'login_failed in login, login_failed'",
        ),
        (SHARED.replace("0.9", "0"), "line 6: rule 'bot': at_least: 0 must be more than 0, and at most 1"),
        (
            SHARED.replace("0.9", "1.5"),
            "line 6: rule 'bot': at_least: 1.5 must be more than 0, and at",
        ),
        (SHARED.replace("0.9", "nan"), "line 6: rule 'bot': at_least: nan must be more than 0, and at most"),
        (SHARED.replace("at_least = 0.9\n", ""), "line 1: rule 'bot': at_least: is missing; add from"),
        (GOOD + "at_least = 0.9\n", "line 5: rule 'bot': at_least: 0.9 is the share of what? Add share ="),
        (
            SHARED + 'count = "distinct product_id"\n',
            "line 7: rule 'bot': count: \"distinct product_id\" and a share make two rules; leave one of",
        ),
        (SHARED + 'events = ["view"]\n', "line 7: rule 'bot': events: a share counts the events behind its"),
        (
            SHARED + "promote = 51\n",
            "line 7: rule 'bot': promote: 51 must be 1 to the threshold",
        ),
        (
            SHARED + '[events]\nlogin = ["Logged in, at last"]\n',
            "line 7: events: 'Logged in, at last' cannot be part of a share, as of rule 'bot', for its comma",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused_with_file_line_field_and_cure(content: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        rulesfile.parse(content.encode(), "my.toml")
    assert f"my.toml, {said}" in str(refused.value)
