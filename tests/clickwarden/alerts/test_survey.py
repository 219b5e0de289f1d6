"""What people are told of records that nobody has set anything for."""

import json
from typing import Any, NamedTuple

from clickwarden.alerts.survey import Survey, Surveyed
from clickwarden.detection.rules import Rule
from clickwarden.formats.gathered import LOG_APPEND_TIME
from clickwarden.settings import Settings

NOON = 1773152400
RULES = (
    Rule(name="bot", window=60, threshold=50),
    Rule(name="logins", window=60, threshold=15, events=("login", "login_failed")),
)
SETTINGS = Settings(_env_file=None)


class KeptRecord(NamedTuple):
    value: bytes | None
    key: bytes | None = None
    offset: int = 0
    timestamp: int = NOON * 1000
    timestamp_type: int = LOG_APPEND_TIME
    headers: tuple[tuple[str, bytes], ...] = ()


def visit(number: int, **more: Any) -> bytes:
    """A click of one of five users, at a second of the minute."""
    click = {"uid": f"u-{number % 5}", "verb": "view", "ts": NOON - 60 + number}
    return json.dumps(click | more).encode()


def survey(*partitions: list[KeptRecord]) -> Survey:
    runs = dict(enumerate(partitions))
    return Surveyed(runs, RULES, SETTINGS, in_kafka=True).survey("a topic")


def test_clicks_are_shown_as_they_would_be_counted_and_rules_say_how_many_they_see() -> None:
    found = survey(
        [KeptRecord(visit(number, verb="login" if number < 7 else "view")) for number in range(40)]
    )
    assert [(click.user_id, click.event, click.time) for click in found.examples] == [
        ("u-0", "login", "2026-03-10T14:19:00Z"),
        ("u-1", "login", "2026-03-10T14:19:01Z"),
        ("u-2", "login", "2026-03-10T14:19:02Z"),
    ]
    assert found.rules == {"bot": 40, "logins": 7}
    assert not any("logins" in warning for warning in found.warnings)
    none = survey([KeptRecord(visit(number)) for number in range(40)])
    assert none.rules == {"bot": 40, "logins": 0}
    assert any(
        "rule logins would see none of them" in warning and "view" in warning for warning in none.warnings
    )


def test_what_would_be_rejected_says_why_and_what_to_do() -> None:
    bad = [b"not JSON", visit(1, ts=NOON + 7200), visit(2, uid=None), visit(3, uid=None)]
    found = survey([KeptRecord(visit(number)) for number in range(20)] + list(map(KeptRecord, bad)))
    assert {rejection.reason: rejection.count for rejection in found.rejected} == {
        "missing_field": 2,
        "not_json": 1,
        "future": 1,
    }
    assert found.rejected[0].reason == "missing_field"  # the commonest first
    assert all(rejection.cure and rejection.meaning for rejection in found.rejected)
    assert "4 of 24 would be rejected" in found.warnings


def test_a_list_of_which_the_first_alone_would_be_counted_is_told_of() -> None:
    clicks = [json.loads(visit(number)) for number in range(40)]
    found = survey([KeptRecord(json.dumps({"hits": clicks}).encode())])
    assert [field.setting for field in found.fields][:1] == ["hits.0.uid"]
    assert any(
        "hits is a list of up to 40, of which hits.0.uid is the first" in one for one in found.warnings
    )
    alone = survey([KeptRecord(json.dumps({"hits": [click]}).encode()) for click in clicks])
    assert not any("is a list" in warning for warning in alone.warnings)


def test_order_and_lateness_are_of_each_partition() -> None:
    first = [KeptRecord(visit(number)) for number in (0, 1, 2, 3)]
    second = [KeptRecord(visit(number)) for number in (50, 20, 51, 49)]
    assert survey(first).facts["order"] == "in the order of their times"
    told = survey(first, second).facts["order"]
    assert told.startswith("up to 30 s out of order; 1 of 8 come more than CLICKWARDEN_LATENESS=5 s")


def test_the_key_is_the_user_or_another_or_there_is_none() -> None:
    own = [KeptRecord(visit(number), b"u-%d" % (number % 5)) for number in range(20)]
    assert survey(own).facts["key"] == "the user"
    others = [KeptRecord(visit(number), b"\xff\x1b[2J") for number in range(20)]
    assert survey(others).facts["key"].startswith("not the user; such as ")
    assert "\x1b" not in survey(others).facts["key"]
    none = survey([KeptRecord(visit(number)) for number in range(20)])
    assert none.facts["key"].startswith("no record has one")
    assert "the topic is not keyed by user: send each click with its user as the key" in none.warnings


def test_there_is_nothing_to_set_where_nothing_can_be_read() -> None:
    found = survey([KeptRecord(b"\0\0\0\0\x07\x02abc")] * 5 + [KeptRecord(None)])
    assert (found.clicks, found.settings, found.fields, found.ignored) == (0, {}, [], 1)
    assert [(one.count, "schema 7" in one.cure) for one in found.rejected] == [(5, True)]
