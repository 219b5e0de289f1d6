import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from clickwarden.channels.inert import inert
from clickwarden.channels.message import (
    NAMED,
    PERHAPS_TOLD,
    TEST,
    Message,
    case_of,
    message_of,
    message_of_many,
    probe,
    repeated,
)
from clickwarden.channels.rendering import ASKED, html, text
from clickwarden.detection.rules import Rule
from tests.channels import NASTY, UNSEEN, case, incident

PAGE = "https://clickwarden.shop.example/"
#: What clients of mail and chat make a link or a mention of.
LINKED = re.compile(
    r"://|\bwww\.|[^\W\d_][\w-]*\.[^\W\d_]|@[\w.-]|＠|[\u3002\uff0e\uff61]\w|\]\(|<[!@#/a-zA-Z]",
    re.IGNORECASE,
)


def facts(message: Message) -> dict[str, str]:
    return {fact.about: fact.text for fact in message.facts}


def test_it_says_who_how_many_since_when_why_and_what_is_normal() -> None:
    message = message_of(case(count_low=8_400, count_high=10_000, windows=2), "opening", PAGE)
    assert message.title == "203.0.113.9: up to 10,000 clicks in 1 minute, 200 times the limit"
    assert facts(message) == {
        "Who": "203.0.113.9",
        "How many": "at least 8,400, at most 10,000 clicks, both for certain, in 2 windows of 1 minute",
        "When": "since 2026-03-10 14:20:00 UTC; goes on, last click 2026-03-10 14:20:59 UTC",
        "Why": "nothing but 203.0.113.9; 8,400 of them counted one by one",
        "Normal": "at most 50 clicks in 1 minute, one every 1.2 s: below rule bot",
        "Threat": "OAT-003 Ad Fraud, the closest of OWASP's automated threats to the category bot",
    }
    assert message.link == "https://clickwarden.shop.example/user?id=203.0.113.9"


def test_a_threat_of_the_rules_own_says_so() -> None:
    threat = facts(message_of(case(owasp="OAT-005"), "opening", ""))["Threat"]
    assert threat == "OAT-005 Scalping, as rule bot labels what it finds (bot)"


def test_what_is_known_exactly_is_said_to_be() -> None:
    message = message_of(case(count_low=51, count_high=51, peak=51, severity="high"), "opening", "")
    assert message.title == "203.0.113.9: 51 clicks, just over the limit"
    assert facts(message)["How many"] == "51 clicks, exactly, in 1 window of 1 minute"
    assert facts(message)["Severity"] == "high"
    assert message.link == ""


def test_drift_is_told_of_a_pipeline_and_of_nobody_who_attacks() -> None:
    given: dict[str, Any] = {
        "user_id": "pipeline/fraud", "rule": "pipeline/fraud/drift", "category": "drift", "pipeline": "fraud",
        "count_low": 2, "count_high": 2, "peak": 1, "threshold": 1, "windows": 2, "severity": "high",
        "reasons": ("amount is distributed otherwise than learnt: index 1.22, usual up to 0.16",),
    }  # fmt: skip
    message = message_of(case(**given), "opening", PAGE)
    assert message.title == "pipeline/fraud: 2 days of drift"
    assert message.subject == "Clickwarden: pipeline/fraud drifts"
    assert facts(message).keys() == {"What", "How many", "When", "Severity", "Why", "Meaning", "To do"}
    assert "attack" not in " ".join(facts(message).values()).replace("nobody need be attacking", "")
    end = message_of(case(**given, ongoing=False), "end", PAGE)
    assert end.title == "pipeline/fraud drifts no more: 2 days of drift in all"
    many = message_of_many([case(), case(**given)], "key", "2026-03-10T14:20:00Z", PAGE)
    assert many.title == "1 user in 1 incident, and 1 drift of a pipeline"


def test_the_stages_of_an_incident_share_thread_and_subject_and_no_key() -> None:
    over = case(ongoing=False)
    stages = [
        message_of(case(), "opening", PAGE),
        message_of(case(), "escalation", PAGE, "5"),
        message_of(case(), "escalation", PAGE, "20"),
        message_of(over, "end", PAGE),
    ]
    assert len({message.key for message in stages}) == 4
    assert len({(message.thread, message.subject) for message in stages}) == 1
    assert stages[3].title == "203.0.113.9 has stopped: 8,400 to 10,000 clicks in all"
    assert facts(stages[3])["When"] == "since 2026-03-10 14:20:00 UTC; last click 2026-03-10 14:20:59 UTC"
    assert [message.at for message in stages[::3]] == ["2026-03-10T14:20:00Z", "2026-03-10T14:20:59.500Z"]


def test_of_five_hundred_the_worst_ten_are_named_and_all_are_counted() -> None:
    cases = [case(f"user-{n}", incident_id=f"{n:032x}", peak=51 + n, ongoing=n % 2 == 0) for n in range(500)]
    message = message_of_many(cases, "burst-1", "2026-03-10T14:21:00Z", PAGE)
    assert message.title == "500 users in 500 incidents"
    told = text(message)
    assert [f"{place}. user-{500 - place}: " in told for place in range(1, 12)] == [True] * NAMED + [False]
    assert "And: 490 more, all of them on the page" in told
    assert "Going on: 250 of 500" in told
    assert len(message.cases) == 500
    assert message.thread == message.key == "burst-1"
    assert message == message_of_many(cases[::-1], "burst-1", "2026-03-10T14:21:00Z", PAGE)


def test_ten_are_named_and_none_is_more() -> None:
    cases = [case(f"user-{n}", incident_id=f"{n:032x}") for n in range(NAMED)]
    message = message_of_many(cases, "d", "2026-03-10T14:21:00Z", "", "digest")
    assert message.title == "10 users in 10 incidents while it was quiet"
    assert "And" not in facts(message)


def test_what_may_have_been_told_says_so_first_and_keeps_its_key() -> None:
    message = message_of(case(), "opening", PAGE)
    assert repeated(message).key == message.key
    assert text(repeated(message)).startswith(PERHAPS_TOLD)
    assert PERHAPS_TOLD in html(repeated(message))


def test_a_test_is_marked_as_one() -> None:
    message = probe("k", "2026-03-10T14:20:00Z", PAGE)
    assert text(message).startswith(TEST)
    assert TEST in html(message)


@pytest.mark.parametrize("user_id", NASTY)
def test_nobody_is_mentioned_linked_or_obeyed(user_id: str) -> None:
    for message in (
        message_of(case(user_id), "opening", ""),
        message_of_many([case(user_id), case()], "k", "2026-03-10T14:20:00Z", ""),
    ):
        told = "\n".join([message.subject, message.title, text(message)])
        assert LINKED.search(told) is None
        assert [sign for sign in UNSEEN if sign != "\n" and sign in told] == []
        assert told.count("\n") == 1 + len(message.facts)
        assert len(told) < 4_000


@pytest.mark.parametrize("user_id", NASTY)
def test_the_only_link_is_to_the_page_and_holds_the_whole_id(user_id: str) -> None:
    link = message_of(case(user_id), "opening", PAGE).link
    assert re.fullmatch(re.escape(PAGE) + r"user\?id=[A-Za-z0-9_.~%+-]*", link)


def test_an_id_that_harms_nobody_stays_as_it_is() -> None:
    for user_id in (
        "203.0.113.9",
        "2001:db8::1",
        "anon-4711",
        "Zoë",
        "user_42",
        "O'Brien",
        "a/b",
        "1.5",
        "名前",
    ):
        assert inert(user_id) == user_id


class Tags(HTMLParser):
    """What a browser makes of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("user_id", NASTY)
def test_html_has_our_tags_and_no_others(user_id: str) -> None:
    plain, nasty = Tags(), Tags()
    plain.feed(html(message_of(case("eve"), "opening", "")))
    message = message_of(case(user_id), "opening", "")
    nasty.feed(html(message))
    assert nasty.tags == plain.tags
    assert not {tag for tag, _ in nasty.tags} & {"script", "img", "a", "svg"}
    assert [fact for fact in message.facts if fact.text not in nasty.text] == []


def test_different_values_are_called_so() -> None:
    message = message_of(case(count_low=61, count_high=61, peak=61, distinct="product_id"), "opening", PAGE)
    assert message.title == "203.0.113.9: 61 different values of product_id, 1.2 times the limit"


def test_what_is_normal_is_what_the_rule_lets_pass() -> None:
    share = Rule(name="a", window=60, threshold=9, share="failed of login, failed", at_least=0.9)
    assert case_of(incident(threshold=9), share).usual == (
        "at most 9 clicks (login or failed) in 1 minute, one every 6.7 s, or less than 90 % of them failed"
    )
    assert case_of(incident(distinct="product_id"), None).usual == (
        "at most 50 different values of product_id in 1 minute, one every 1.2 s"
    )


def test_the_link_by_which_people_say_what_it_was_stands_before_the_one_to_the_page() -> None:
    message = message_of(case(), "opening", PAGE)
    assert ASKED not in text(message) + html(message)
    asked = msgspec.structs.replace(message, feedback=f"{PAGE}feedback/a.1.b")
    assert text(asked).endswith(f"\n\n{ASKED}: {asked.feedback}\n\n{asked.link}")
    assert f'<a href="{asked.feedback}" rel="noreferrer">{ASKED}</a>' in html(asked)
