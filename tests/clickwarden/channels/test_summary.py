"""A day in one message."""

from clickwarden.channels.message import Message
from clickwarden.channels.rendering import html, text
from clickwarden.channels.summary import Day, message_of_day
from tests.channels import NASTY, UNSEEN, case

PAGE = "https://clickwarden.shop.example/"


def told(day: Day) -> Message:
    return message_of_day(day, f"summary.{day.day}", "2026-03-11T07:00:00Z", PAGE)


def test_it_says_what_happened_and_names_the_worst_ten() -> None:
    cases = [
        case(
            f"198.51.100.{number}",
            incident_id=str(number),
            peak=51 + number,
            count_low=51,
            count_high=51 + number,
            severity="low" if number else "critical",
            ongoing=number == 3,
            rule="slow" if number == 4 else "bot",
        )
        for number in range(12)
    ]
    message = told(Day("2026-03-10", cases, {"shadow": 3, "severity": 1_200}, 2))
    assert message.title == "2026-03-10: 12 users in 12 incidents"
    facts = {fact.about: fact.text for fact in message.facts}
    assert facts["Rules"] == "bot (11), slow (1)"
    assert facts["Severity"] == "critical (1), low (11)"
    assert facts["Going on"] == "1 of 12"
    assert facts["1."].startswith("198.51.100.11: 51 to 62 clicks")
    assert facts["And"] == "2 more, all of them on the page"
    assert facts["Not told of"] == "of less severity than it wants (1,200), of rules in shadow (3)"
    assert facts["Not taken"].startswith("2 messages; 'faust -A app notify status' says why")
    assert [each.user_id for each in message.cases] == [f"198.51.100.{number}" for number in range(11, 1, -1)]


def test_that_nothing_happened_is_said_and_what_may_be_the_cause() -> None:
    message = told(Day("2026-03-10", [], {}))
    assert message.title == "2026-03-10: nothing happened"
    assert [(fact.about, fact.text) for fact in message.facts] == [("Not told of", "nobody")]
    blind = told(Day("2026-03-10", [], {}, blind="9 of 10 records cannot be counted: <script>"))
    assert blind.facts[0].about == "Blind"
    assert r"\x3cscript\x3e" in text(blind)


def test_nothing_of_a_stranger_is_markup() -> None:
    message = told(Day("2026-03-10", [case(user) for user in NASTY], {}))
    for shown in (message.title, *(fact.text for fact in message.facts)):
        assert not any(unseen in shown for unseen in UNSEEN)
        assert "<" not in shown
    assert "<script" not in html(message)
