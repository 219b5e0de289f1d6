"""Conditions as they are written: what is refused, with which cure, and what a rule makes of the others."""

from typing import Any

import msgspec
import pytest

from clickwarden.detection import rulesfile
from clickwarden.detection.clauses import FIELDS_MAX, VALUES_MAX, normal
from clickwarden.detection.rules import Rule, digest_of, fields_of
from clickwarden.detection.ruletest import Draft
from clickwarden.errors import SettingsError

BOT = '[[rule]]\nname = "bot"\nwindow = 60\nthreshold = 50\n[rule.where]\n'


def rule(**where: Any) -> Rule:
    return Rule(name="bot", window=60, threshold=50, where=where)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('status = "=> 404"', "where.status: '=> 404': there is no comparison =>; did you mean '>= 404'?"),
        ('status = "== 404"', "where.status: '== 404': there is no comparison ==; did you mean '404'?"),
        ('status = "!= 404"', "where.status: '!= 404': there is no comparison !=; did you mean '!404'?"),
        (
            'status = "!>= 404"',
            "where.status: '!>= 404': a comparison cannot be excluded; write the opposite",
        ),
        ('status = ">= many"', "where.status: '>= many': 'many' is no number; write one, as in '>= 400'"),
        ('status = ">= 1, 2"', "where.status: '>= 1, 2': '2' is no comparison; write one, as in"),
        ('status = ">= 500, < 400"', "where.status: '>= 500, < 400' contradicts itself, for no number is in"),
        ('status = "> 5, <= 5"', "where.status: '> 5, <= 5' contradicts itself"),
        ("status = []", "where.status: is an empty list, which nothing is in; name a value"),
        (f"status = {list(range(VALUES_MAX + 1))}", f"where.status: lists {VALUES_MAX + 1} values, and"),
        ('method = ["GET", "!HEAD"]', "where.method: mixes values and exclusions; a list means any of its"),
        ('path = ""', 'where.path: is empty, which no value is like; "!*" is for clicks that lack the field'),
        ('path = "!"', "where.path: '!' excludes nothing; write one value behind the !"),
        ('path = "/[ab"', "where.path: '/[ab': a [ is not closed, so that nothing fits; close it"),
        ('path = "[z-a]"', "where.path: '[z-a]': no sign is in [z-a]; name one"),
        ('path = "a\\nb"', "where.path: 'a\\nb' has signs that nobody sees; write ? for each"),
        (f'path = "{"x" * 300}"', "where.path: has 300 signs, and 256 are the most; a glob"),
        ("path = 2020-01-01", "where.path: datetime.date(2020, 1, 1) is no value; write text, a number"),
        ("path = inf", "where.path: inf is no value; write text, a number, true or false"),
        ('"user..plan" = "pro"', "where.user..plan: 'user..plan' names no field; write a name, a path"),
        ('"@time" = 5', "where.@time: '@time' names no field; write a name, a path (user.plan), @key"),
        (
            "timestamp = 5",
            "where.timestamp: the time of a click is no matter of conditions, but of the window",
        ),
        ('user.plan = "pro"\n"user.plan" = 5', "where.user.plan: stands there twice; leave one out"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_field_and_cure(written: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        rulesfile.parse((BOT + written).encode(), "my.toml")
    line = 7 if "\n" in written else 5 if '"@' in written else 6
    assert str(error.value).startswith(f"my.toml, line {line}: rule 'bot': {said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("where = {}", "where: holds no condition; add one, as in status = 404, or leave it out"),
        ("where = 5", "where: must be a table, and is a whole number"),
        ("whre = { status = 4 }", "whre: there is no such field; did you mean where?"),
        ('events = ["x"]\nwhere.event = "x"', "where.event: events says already which events count; leave"),
        (
            f"where = {{ {', '.join(f'f{number} = 1' for number in range(FIELDS_MAX + 1))} }}",
            f"where: has conditions on {FIELDS_MAX + 1} fields, and a rule at most {FIELDS_MAX}; leave some",
        ),
    ],
)
def test_what_is_wrong_with_all_of_them(written: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        rulesfile.parse((BOT.replace("[rule.where]\n", "") + written).encode(), "my.toml")
    assert f": rule 'bot': {said}" in str(error.value)


def test_whichever_way_it_is_written_it_is_the_same_rule() -> None:
    (draft,) = rulesfile.parse((BOT + "user.plan = true\nstatus = [404]\n").encode(), "my.toml")
    ours = rule(status="404", user={"plan": "true"})
    assert draft.rule == ours
    assert hash(draft.rule) == hash(ours)
    assert digest_of([draft.rule]) == digest_of([ours])
    assert msgspec.json.decode(msgspec.json.encode(ours), type=Rule) == ours
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(ours), type=Rule) == ours
    assert normal(ours.conditions) == ours.conditions
    assert fields_of([ours, rule(path="/x")]) == {"status", "user.plan", "path"}
    assert rule(status=404) != rule(status=405)


def test_a_rule_without_conditions_is_written_as_before() -> None:
    bot = Rule(name="bot", window=60, threshold=50)
    assert b"where" not in msgspec.json.encode(bot)
    assert b"where" not in msgspec.msgpack.encode(bot)
    assert msgspec.json.encode(Draft(name="bot", window=60, threshold=50)) == (
        b'{"name":"bot","window":60,"threshold":50}'
    )


def with_test(fields: str) -> str:
    return (
        f'{BOT}status = ">= 400"\n[[rule.test]]\nname = "errors"\nclicks = [{{ user = "eve", times = 51, '
        f'fields = {{ {fields} }} }}]\nexpect = [{{ user = "eve", count = 51 }}]\n'
    )


def test_a_test_says_what_stands_in_fields() -> None:
    rulesfile.parse(with_test("status = 404").encode(), "my.toml")
    rulesfile.parse(with_test('status = "404", user.plan = "x"').encode(), "my.toml")
    for fields, said in (
        ("status = 200", "expected eve with 51 clicks, came nobody"),
        ("", "expected eve with 51 clicks, came nobody"),
        ("event = 'x'", "fields: event is no further field; write event = beside fields"),
        ("status = [1]", "fields: status = [1] is no text, number, true or false; write one"),
    ):
        with pytest.raises(SettingsError) as error:
            rulesfile.parse(with_test(fields).encode(), "my.toml")
        assert said in str(error.value)
