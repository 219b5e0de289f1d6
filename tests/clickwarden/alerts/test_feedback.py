"""What people say of incidents: what stands, who is muted by it, and how often a rule was right."""

from typing import Any

import msgspec
import pytest

from clickwarden.alerts.feedback import (
    SNOOZE_MOST,
    Feedback,
    FeedbackError,
    KnownFeedback,
    Precision,
    meanwhile,
    muted,
    noted,
    precisions,
    proposal,
)
from clickwarden.alerts.incidents import Incident
from clickwarden.times import epoch, isotime

NOW = epoch("2026-03-10T14:30:00Z")
HOUR = 3600.0


def incident(incident_id: str = "a", **more: Any) -> Incident:
    given: dict[str, Any] = {
        "incident_id": incident_id, "rule": "bot", "user_id": "eve", "category": "bot", "owasp": "OAT-003",
        "owasp_label": "", "status": "ongoing", "since": "2026-03-10T14:20:00Z", "until": None, "windows": 1,
        "count": 60, "count_low": 60, "count_high": 60, "threshold": 50, "window": 60, "peak": 60,
        "reasons": [], "spark": [60], "partition": 0, "caught_up": False, "corrected": False,
        "window_start": "2026-03-10T14:20:00Z", "window_end": "2026-03-10T14:21:00Z",
        "last_seen": "2026-03-10T14:20:30Z", "severity": "medium", "rules": [], "ended": None,
    }  # fmt: skip
    return msgspec.convert(given | more, Incident)


def say(before: Feedback | None, statement: Any, *, of: str = "a", at: float = NOW, **more: Any) -> Feedback:
    given: dict[str, Any] = {"who": "ann", "now": at, **more}
    return noted(before, incident(of), statement, **given)


def known(*said: Feedback) -> KnownFeedback:
    feedback = KnownFeedback()
    for each in said:
        assert feedback.take(msgspec.json.encode(each)) == each
    return feedback


def test_the_last_word_holds_and_a_snooze_takes_back_no_verdict() -> None:
    first = say(None, "bot", why="a  proxy\n")
    assert (first.verdict, first.who, first.when, first.why) == ("bot", "ann", isotime(NOW), "a proxy")
    snoozed = say(first, "snooze", until=NOW + HOUR, at=NOW + 1)
    assert (snoozed.verdict, snoozed.snoozed, snoozed.until) == ("bot", isotime(NOW + 1), isotime(NOW + HOUR))
    human = say(snoozed, "human", at=NOW + 2)
    assert (human.verdict, human.until, human.why) == ("human", isotime(NOW + HOUR), "")


def test_to_say_it_twice_is_to_say_it_once() -> None:
    human = say(None, "human", why="a fair")
    assert say(human, "human", at=NOW + 9, who="joe") is human
    assert say(human, "human", at=NOW + 9, why="a fair") is human
    assert say(human, "human", at=NOW + 9, why="a school").why == "a school"
    snoozed = say(None, "snooze", until=NOW + HOUR)
    assert say(snoozed, "snooze", until=NOW + HOUR, at=NOW + 9) is snoozed
    over = say(snoozed, "snooze", until=0, at=NOW + 10)
    assert over.until == over.snoozed == isotime(NOW + 10)
    assert say(over, "snooze", until=0, at=NOW + 20) is over
    assert say(over, "snooze", until=-1e12, at=NOW + 20) is over  # before the year 1


@pytest.mark.parametrize(
    ("statement", "given", "field"),
    [
        ("human", {"until": NOW + 1}, "until"),
        ("snooze", {}, "until"),
        ("snooze", {"until": NOW + SNOOZE_MOST + 1}, "until"),
        ("bot", {"why": "x" * 201}, "why"),
    ],
    ids=str,
)
def test_what_cannot_be_said(statement: str, given: dict[str, Any], field: str) -> None:
    with pytest.raises(FeedbackError, match=f"^{field}: "):
        say(None, statement, **given)


SNOOZE = say(None, "snooze", until=NOW + HOUR)


@pytest.mark.parametrize(
    ("said", "snooze", "of", "now", "expected"),
    [
        (None, None, {}, NOW, None),
        (say(None, "bot"), None, {}, NOW, None),
        (say(None, "human"), None, {}, NOW, "human"),
        (say(None, "human"), SNOOZE, {}, NOW, "human"),
        (None, SNOOZE, {}, NOW + HOUR - 1, "snoozed"),
        # What goes on is told of, what was over meanwhile is not, and what was over before is.
        (None, SNOOZE, {}, NOW + HOUR, None),
        (None, SNOOZE, {"ended": isotime(NOW + 60)}, NOW + HOUR, "snoozed"),
        (None, SNOOZE, {"ended": isotime(NOW + HOUR)}, NOW + 2 * HOUR, "snoozed"),
        (None, SNOOZE, {"ended": isotime(NOW + HOUR + 1)}, NOW + 2 * HOUR, None),
        (None, SNOOZE, {"ended": isotime(NOW - 60)}, NOW + HOUR, None),
        (None, SNOOZE, {"ended": isotime(NOW - 60)}, NOW + 1, "snoozed"),
    ],
    ids=str,
)
def test_who_is_muted(said: Any, snooze: Any, of: dict[str, Any], now: float, expected: str | None) -> None:
    assert muted(incident(**of), said, snooze, now) == expected


def test_a_snooze_is_of_the_user_under_the_rule_and_the_newest_holds() -> None:
    feedback = known(SNOOZE)
    assert feedback.muted(incident("b"), NOW) == "snoozed"
    assert feedback.muted(incident("b", rule="other"), NOW) is None
    assert feedback.muted(incident("b", user_id="joe"), NOW) is None
    # Said of another incident of theirs, and then something else of the first.
    feedback.note(say(None, "snooze", of="b", until=NOW + 60, at=NOW + 1))
    assert feedback.muted(incident("a"), NOW + 61) is None
    feedback.note(say(SNOOZE, "bot", at=NOW + 2))
    assert feedback.muted(incident("a"), NOW + 61) is None
    feedback.note(say(None, "snooze", of="b", until=0, at=NOW + 3))
    assert feedback.muted(incident("a"), NOW + 3) is None


def test_how_much_a_snooze_has_covered() -> None:
    over = {"ended": isotime(NOW - 1)}
    later = {"since": isotime(NOW + HOUR)}
    others = [incident("c", user_id="joe"), incident("d", rule="other")]
    assert meanwhile(SNOOZE, [incident("a"), incident("b", **over), incident("e", **later), *others]) == 1


def test_what_the_topic_holds_besides_is_passed_over_and_the_oldest_is_forgotten() -> None:
    feedback = KnownFeedback(keep=2)
    bad = msgspec.structs.replace(SNOOZE, until="soon")
    for value in (None, b"", b"{", b"[]", b'{"incident_id": 1}', msgspec.json.encode(bad), b"[" * 20_000):
        assert feedback.take(value) is None
    for incident_id in "abc":
        feedback.note(msgspec.structs.replace(SNOOZE, incident_id=incident_id, user_id=incident_id))
    assert [each.incident_id for each in feedback.all()] == ["b", "c"]
    assert (feedback.get("a"), feedback.snooze("bot", "a")) == (None, None)
    assert feedback.snooze("bot", "b") == feedback.get("b")


def test_how_often_a_rule_was_right() -> None:
    told = {"a": "bot", "b": "bot", "c": "bot", "d": "logins"}
    said = [
        say(None, "bot", of="a"),
        say(None, "human", of="b"),
        say(None, "snooze", of="c", until=NOW + 60),
        say(None, "bot", of="nobody was told of"),
    ]
    assert precisions(told, said) == {
        "bot": Precision(told=3, confirmed=2, refuted=1, unanswered=1, share=0.6667),
        "logins": Precision(told=1, unanswered=1),
    }


def test_only_who_was_human_is_proposed_and_only_by_an_id_that_a_terminal_can_take() -> None:
    assert proposal(say(None, "bot"), NOW) is None
    human = say(None, "human")
    proposed = proposal(human, NOW)
    assert proposed is not None
    assert (proposed.reason, proposed.until) == ("said to be human, incident a", isotime(NOW + SNOOZE_MOST))
    nasty = proposal(msgspec.structs.replace(human, user_id="; rm -rf $(x) '"), NOW)
    assert nasty is not None
    assert nasty.command.endswith("""-- '; rm -rf $(x) '"'"''""")
    for user_id in ("\x1b[2J", "x" * 257, ""):
        assert proposal(msgspec.structs.replace(human, user_id=user_id), NOW) is None
