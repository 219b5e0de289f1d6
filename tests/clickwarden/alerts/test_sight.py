"""When is it blind, why, and what makes the rules count something else than is meant."""

import pytest

from clickwarden.alerts.sight import (
    COMMON_CLICKS,
    CURE_MAX,
    EXAMPLE_MAX,
    HANDFUL,
    UNHEARD_CLICKS,
    Complaint,
    Sight,
)
from clickwarden.detection.clicks import Rejected
from clickwarden.detection.intake import BLOCK, EVENTS, WINDOWS, Commonest, Counts, Intake
from clickwarden.detection.rules import Rule

OURS = {name: name for name in ("user_id", "event", "timestamp", "product_id")}
BOT = Rule(name="bot", window=60, threshold=50)
LOGINS = Rule(name="logins", window=60, threshold=15, events=("login", "login_failed"))
VIEWS = Rule(name="views", window=600, threshold=200, events=("view",))
TRUTH = b'{"user_id": true, "event": "view", "timestamp": 1773152400}'
HALF = 0.5


def unreadable(count: int, of: int, reason: str = "wrong_field") -> Counts:
    return Counts(accepted=of - count, rejected={reason: count} if count else {})


def complaining(intake: Intake, value: bytes = TRUTH, detail: str = "Expected `str`, got `int`") -> Intake:
    intake.reject([Rejected(0, None, value, "wrong_field", detail)])
    return intake


# -- blind or not -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recent", "total", "blind"),
    [
        (unreadable(200, 200), unreadable(200, 200), True),
        (unreadable(100, 200), unreadable(100, 200), True),
        (unreadable(99, 200), unreadable(99, 200), False),
        (unreadable(200, 200), unreadable(200, 1_000_000), True),  # it was well until now
        (unreadable(0, BLOCK), unreadable(1_000_000, 1_000_064), False),  # it is well again
        (Counts(), unreadable(200, 200), True),  # it has just started
        (Counts(), unreadable(99, 200), False),
        (unreadable(10, 10), unreadable(10, 1_000_000), False),  # so few may be chance
        (unreadable(HANDFUL, HANDFUL), unreadable(HANDFUL, HANDFUL), True),
        (unreadable(HANDFUL - 1, HANDFUL - 1), unreadable(HANDFUL - 1, HANDFUL - 1), False),
        (Counts(), Counts(), False),
        (Counts(late=200), Counts(late=200), False),  # late, and counted all the same
        (Counts(late=200, uncounted=150), Counts(late=200, uncounted=150), True),
        (Counts(rejected={"future": 60, "not_json": 60}, accepted=100), Counts(), True),
    ],
)
def test_blind_is_who_cannot_count_half_of_what_came_lately(
    recent: Counts, total: Counts, blind: bool
) -> None:
    assert (Sight(recent=recent, total=total).blindness(HALF) is not None) == blind


def test_the_share_is_a_setting() -> None:
    sight = Sight(recent=unreadable(20, 100))
    assert sight.blindness(0.21) is None
    found = sight.blindness(0.2)
    assert found is not None
    assert (found.records, found.uncountable, found.share) == (100, 20, 0.2)


def test_it_says_the_share_the_reason_the_cure_and_an_example() -> None:
    sight = Sight.of(complaining(Intake([BOT])), unreadable(200, 200), OURS)
    found = sight.blindness(HALF)
    assert found is not None
    assert (
        found.summary == "None of the 200 records could be counted: wrong_field (a field has the wrong type)"
    )
    assert found.text == (
        f"{found.summary}. user_id must be text or a whole number, and is true or false. "
        'For example: {"user_id": true, "event": "view", "timestamp": 1773152400}'
    )
    assert found.complaint.detail == "Expected `str`, got `int`"


def test_it_names_the_commonest_of_the_reasons() -> None:
    counts = Counts(accepted=100, late=70, uncounted=70, rejected={"future": 20, "not_json": 60})
    found = Sight(recent=counts).blindness(HALF)
    assert found is not None
    assert found.summary == (
        "150 of the last 250 records (60 %) could not be counted, mostly uncounted "
        "(the click came too late to be counted)"
    )


def test_after_a_restart_there_is_a_cure_though_no_example() -> None:
    found = Sight.of(Intake([BOT]), Counts(rejected={"future": 9}), OURS).blindness(HALF)
    assert found is not None
    assert "CLICKWARDEN_MAX_SKEW" in found.text
    assert "For example" not in found.text


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x1b[2J\x07\n\r" * 1000,
        "\u202e\u200b\u2066".encode() * 1000,
        b"\xff\xfe\x00" * 1000,
        b"x" * 10**6,
        b"'\"\\",
    ],
)
def test_what_strangers_wrote_is_inert_and_short(hostile: bytes) -> None:
    names = OURS | {"user_id": hostile[:99].decode(errors="replace")}
    sight = Sight.of(
        complaining(Intake([BOT]), hostile, hostile.decode(errors="replace")), unreadable(9, 9), names
    )
    found = sight.blindness(HALF)
    assert found is not None
    assert found.text.isprintable()
    assert len(found.complaint.example) <= EXAMPLE_MAX
    assert len(found.complaint.detail) <= EXAMPLE_MAX
    assert len(found.complaint.cure) <= CURE_MAX
    for text in (found.complaint.example, found.complaint.detail, found.complaint.cure):
        assert text == "" or text not in found.summary


# -- all together -------------------------------------------------------------------------------------


def test_partitions_are_judged_together() -> None:
    one = Sight(
        recent=unreadable(0, 100), total=unreadable(0, 100), clicks=100, heard=["a"], events=["a", "b"]
    )
    complaint = Complaint("future", "an hour ahead", "{}", "set the clock")
    other = Sight(
        recent=unreadable(90, 90, "future"),
        total=unreadable(90, 90, "future"),
        complaints={"future": complaint},
        heard=["c"],
        events=["c", "b"],
    )
    assert (one + other).blindness(HALF) is None
    both = one + other + other + Sight(complaints={"future": Complaint("future")})
    found = both.blindness(HALF)
    assert found is not None
    assert (found.records, found.uncountable, found.complaint) == (280, 180, complaint)
    assert (both.clicks, both.heard, both.events) == (100, ["a", "c"], ["a", "b", "c"])


def test_together_they_name_no_more_events_than_one() -> None:
    many = [Sight(events=[f"{worker}-{number}" for number in range(EVENTS)]) for worker in range(9)]
    assert len(sum(many, Sight()).events) == EVENTS


# -- warnings -----------------------------------------------------------------------------------------


def heard(*events: str, clicks: int = UNHEARD_CLICKS) -> Sight:
    intake = Intake([BOT, LOGINS, VIEWS])
    intake.hear(clicks, events)
    return Sight.of(intake, Counts(clicks), OURS)


def test_a_rule_whose_events_nobody_sends() -> None:
    assert heard("Login", "login_failure", "page_view", "Page Viewed").warnings([BOT, LOGINS, VIEWS]) == {
        "rule logins": "Rule logins counts login and login_failed, and none of 200 clicks has been one; seen "
        "were Page Viewed, page_view, login_failure, Login; did you mean Login or login_failure?",
        "rule views": "Rule views counts view, and none of 200 clicks has been one; seen were "
        "Page Viewed, page_view, login_failure, Login; did you mean page_view or Page Viewed?",
    }


def test_a_share_of_events_that_nobody_sends() -> None:
    share = Rule(
        name="guesser", window=60, threshold=5, share="login_failed of login, login_failed", at_least=1
    )
    assert heard("login", "login_failure").warnings([share]) == {
        "rule guesser": "Rule guesser counts login_failed, and none of 200 clicks has been one; seen were "
        "login_failure, login; did you mean login or login_failure?"
    }
    assert not heard("login", "login_failed").warnings([share])


def test_one_of_its_events_is_enough_and_few_clicks_say_nothing() -> None:
    assert heard("login_failed", "view").warnings([BOT, LOGINS, VIEWS]) == {}
    assert heard("buy", clicks=UNHEARD_CLICKS - 1).warnings([LOGINS]) == {}
    (warning,) = heard("buy").warnings([LOGINS]).values()
    assert "did you mean" not in warning


def test_more_events_than_are_kept_are_not_said_to_be_none() -> None:
    (warning,) = heard(*(f"/p/{number}" for number in range(EVENTS + 1))).warnings([LOGINS]).values()
    assert warning.endswith("seen were so many others that CLICKWARDEN_FIELD_EVENT may name the wrong field")


def test_an_event_in_a_warning_is_inert() -> None:
    (warning,) = heard("\x1b[2Jlogin\u202e").warnings([LOGINS]).values()
    assert warning.isprintable()
    assert r"did you mean \x1b[2Jlogin\u202e?" in warning


def common(user: str, clicks: int, of: int) -> Sight:
    intake = Intake([BOT])
    for _ in range(WINDOWS):
        intake.compare(Commonest(user, clicks // WINDOWS, of // WINDOWS))
    return Sight.of(intake, Counts(of), OURS)


def test_a_user_field_that_is_the_same_for_nearly_all() -> None:
    (warning,) = common("-", 9700, 10_000).warnings([BOT]).values()
    assert warning.startswith("97 % of the last 10,000 clicks are of one user, -: ")
    assert "CLICKWARDEN_FIELD_USER_ID names the wrong field" in warning


def test_one_partition_of_many_may_be_one_users() -> None:
    others = common("", 0, 30_000)
    assert (common("eve", 9700, 10_000) + others).warnings([BOT]) == {}
    same = common("-", 9700, 10_000) + common("-", 9900, 10_000)
    assert list(same.warnings([BOT])) == ["user"]


def test_so_few_clicks_may_be_one_users() -> None:
    assert common("ann", COMMON_CLICKS - WINDOWS, COMMON_CLICKS - WINDOWS).warnings([BOT]) == {}
