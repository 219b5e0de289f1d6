"""Whether a channel is told of an incident, when, and in which message."""

from typing import Any

import pytest

from clickwarden.alerts.feedback import Muted
from clickwarden.channels.routing import (
    BACKLOG_MOST,
    BACKLOG_SECONDS,
    Decision,
    Pending,
    Routing,
    Silence,
    Told,
    decide,
)
from clickwarden.times import epoch
from tests.channels import incident

BEGAN = epoch("2026-03-10T12:00:00Z")
NOW = epoch("2026-03-10T14:30:00Z")
NIGHT = Routing(quiet="14:00-15:00")


ENDED = {"status": "closed", "ended": "2026-03-10T14:25:00Z"}
OVER_BEFORE = {"status": "closed", "ended": "2026-03-10T12:00:00Z"}


@pytest.mark.parametrize(
    ("of", "told", "routing", "expected"),
    [
        ({}, None, Routing(), Decision("opening")),
        (ENDED, None, Routing(), Decision("opening")),
        (OVER_BEFORE, None, Routing(), Decision(None, silence="past")),
        ({}, None, Routing(rules=("bot",), categories=("bot",), severity="medium"), Decision("opening")),
        ({}, None, Routing(rules=("slow",)), Decision(None, silence="rule")),
        ({}, None, Routing(categories=("scraper",)), Decision(None, silence="category")),
        ({}, None, Routing(severity="high"), Decision(None, silence="severity")),
        ({"severity": "high"}, None, Routing(severity="high"), Decision("opening")),
        ({}, None, NIGHT, Decision("opening", "quiet")),
        ({"caught_up": True}, None, Routing(), Decision("opening", "backlog")),
        ({"caught_up": True}, None, NIGHT, Decision("opening", "backlog")),
        (
            {"caught_up": True, "ended": "2026-11-26T12:00:00Z"},
            Told(0, False),
            Routing(),
            Decision("end", "backlog"),
        ),
        (
            {"caught_up": True, "ended": "2026-11-26T12:00:00Z"},
            Told(0, False, "ts"),
            Routing(),
            Decision("end"),
        ),
        ({"caught_up": True, "severity": "high"}, Told(1, False, "ts"), Routing(), Decision("escalation")),
        (
            {"caught_up": True, "severity": "high"},
            Told(1, False, "ts"),
            NIGHT,
            Decision("escalation", "quiet"),
        ),
        ({"shadow": True}, None, Routing(), Decision(None, silence="shadow")),
        ({"allowed": "Our monitor"}, None, Routing(), Decision(None, silence="allowed")),
        ({"category": "drift", "pipeline": "fraud"}, None, Routing(), Decision("opening")),
        ({"category": "drift", "severity": "high"}, Told(1, False), Routing(), Decision("escalation")),
        # Whoever was told that it begins is told that it is over, and of nothing between.
        (
            {"allowed": "Our monitor", "severity": "high"},
            Told(1, ended=False),
            Routing(),
            Decision(None, silence="allowed"),
        ),
        ({"allowed": "Our monitor", **ENDED}, Told(1, ended=False), Routing(), Decision("end")),
        ({}, Told(1, ended=False), Routing(), Decision(None, silence="told")),
        ({}, Told(0, ended=False), Routing(), Decision("escalation")),
        ({}, Told(0, ended=False), NIGHT, Decision("escalation", "quiet")),
        ({"severity": "low"}, Told(1, ended=False), Routing(), Decision(None, silence="told")),
        (ENDED, Told(0, ended=False), Routing(), Decision("end")),
        # What was begun is ended, whatever the channel wants by now.
        (ENDED, Told(0, ended=False), Routing(rules=("slow",)), Decision("end")),
        # It went on after its end: late clicks.
        ({"severity": "critical"}, Told(1, ended=True), Routing(), Decision(None, silence="told")),
    ],
    ids=str,
)
def test_decisions(of: dict[str, Any], told: Told | None, routing: Routing, expected: Decision) -> None:
    assert decide(incident(**of), told, routing, BEGAN, NOW) == expected


@pytest.mark.parametrize("muted", ["human", "snoozed"])
@pytest.mark.parametrize(
    ("of", "told", "expected"),
    [
        ({}, None, None),
        ({"severity": "high"}, Told(1, ended=False), None),
        (ENDED, Told(1, ended=False), None),
        # Only what is told of otherwise is muted: the rest has a reason of its own, and is counted by that.
        ({}, Told(1, ended=False), "told"),
        (OVER_BEFORE, None, "past"),
        ({"shadow": True}, None, "shadow"),
    ],
    ids=str,
)
def test_what_people_said_mutes_and_is_the_reason(
    of: dict[str, Any], told: Told | None, expected: Silence | None, muted: Muted
) -> None:
    decision = decide(incident(**of), told, Routing(), BEGAN, NOW, muted)
    assert decision == Decision(None, silence=expected or muted)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"categories": ("bots",)}, "categories"),
        ({"group_wait": -1}, "group_wait"),
        ({"group_interval": 1e9}, "group_interval"),
        ({"quiet": "22:00"}, "quiet"),
        ({"quiet": "22:00-25:00"}, "quiet"),
        ({"zone": "Europe/Atlantis"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        Routing(**given)


def test_those_who_come_while_the_first_waits_share_its_message() -> None:
    pending = Pending(Routing(group_wait=5, group_interval=60), 0)
    pending.add("a", "now", 100)
    pending.add("b", "now", 104)
    pending.add("a", "now", 104)
    assert pending.due(104.9, is_quiet=False) is None
    assert pending.due(105, is_quiet=False) == ("now", ["a", "b"])
    pending.remove(["a", "b"])
    pending.sent(105)
    pending.add("c", "now", 106)
    assert pending.due(164.9, is_quiet=False) is None
    assert pending.due(165, is_quiet=False) == ("now", ["c"])
    pending.remove(["c"])
    assert pending.due(1000, is_quiet=False) is None


def test_nothing_is_due_in_quiet_hours_and_all_of_it_behind_them() -> None:
    pending = Pending(Routing(group_wait=0), 0)
    pending.add("a", "now", 100)
    pending.add("b", "quiet", 100)
    pending.add("c", "quiet", 100)
    assert (pending.due(200, is_quiet=True), len(pending)) == (None, 3)
    assert pending.due(200, is_quiet=False) == ("now", ["a"])
    pending.remove(["a"])
    assert pending.due(200, is_quiet=False) == ("quiet", ["b", "c"])


def test_a_backlog_is_told_of_when_it_is_over_or_goes_on_for_long() -> None:
    pending = Pending(Routing(group_wait=0), 0)
    pending.add("a", "backlog", 100)
    pending.add("b", "backlog", 120)
    assert pending.due(120 + BACKLOG_SECONDS - 1, is_quiet=False) is None
    assert pending.due(120 + BACKLOG_SECONDS, is_quiet=False) == ("backlog", ["a", "b"])
    for second in range(120, 100 + int(BACKLOG_MOST)):
        pending.add(f"{second}", "backlog", second)
        assert pending.due(second, is_quiet=False) is None
    assert pending.due(100 + BACKLOG_MOST, is_quiet=False) is not None
    # What goes on while it waits is told at once.
    pending.add("b", "now", 900)
    assert pending.due(900, is_quiet=False) == ("now", ["b"])
