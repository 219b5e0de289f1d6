"""What the recount makes of different values and shares, and that it sees red where they are told wrongly."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from clickwarden.audit.accounts import Figure
from clickwarden.audit.oracle import FAULTS, Judgement, judge
from clickwarden.audit.recount import Recount
from clickwarden.audit.tally import Case
from clickwarden.detection.anomaly import Anomaly, alert_id
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings
from clickwarden.times import isotime
from tests.site import ReadRecord

T = 1_600_000_020  # start of a window of 60 s
READER = Rule(name="reader", window=60, threshold=4, count="distinct product_id")
HALF = Rule(name="reader", window=60, threshold=4, promote=3, count="distinct product_id")
GUESSER = Rule(name="guesser", window=60, threshold=4, share="failed of login, failed", at_least=0.8)


def truth(rule: Rule, *clicks: dict[str, Any], **values: Any) -> Recount:
    """Of clicks with seconds behind T, as Kafka received them."""
    recount = Recount(Settings(_env_file=None, lateness=5.0, **values), [rule])
    for offset, click in enumerate(clicks):
        time = T + click.get("at", 0)
        value = {"user_id": "eve", "event": "view", "timestamp": time} | click
        received = int(1000 * (T + click.get("came", click.get("at", 0))))
        recount.add(0, [ReadRecord(0, offset, received, 1, b"", json.dumps(value).encode(), ())])
    return recount


def seen(*products: object, **more: Any) -> list[dict[str, Any]]:
    return [{"product_id": product, **more} for product in products]


def did(*events: str, **more: Any) -> list[dict[str, Any]]:
    return [{"event": event, **more} for event in events]


def in_time(recount: Recount) -> dict[str, Figure]:
    return {case.user_id: count.in_time for case, count in recount.over().items()}


def test_values_are_counted_once_and_clicks_without_one_not_at_all() -> None:
    assert in_time(truth(READER, *seen("a", "b", "a", 1, "1", "c", None, ""))) == {"eve": Figure(5, True)}
    assert in_time(truth(READER, *seen("a", "b", "c", "d"), *seen(None, None))) == {}
    late = truth(READER, *seen("a", "b", "c"), *seen("x", at=66), *seen("c", "d", "e", came=66))
    ((_, count),) = late.over().items()
    assert (count.in_time.count, count.total.count, count.late) == (3, 5, 3)


def test_a_click_that_lacks_the_field_is_late_for_nobody() -> None:
    recount = truth(READER, *seen("a"), *seen("b", at=66), *seen(None, came=66), *seen("a", came=66))
    assert (recount.accepted, recount.late) == (3, 1)


def test_a_user_is_doubtful_who_may_have_had_another_value_in_each_click_before_the_promotion() -> None:
    clicks = seen("a", "a", "b", "c", "d")
    assert in_time(truth(READER, *clicks)) == {}
    assert in_time(truth(HALF, *clicks)) == {"eve": Figure(4, False, doubtful=True)}
    assert in_time(truth(HALF, *clicks[1:])) == {}
    assert in_time(truth(HALF, *clicks[:3], max_suspects=1)) == {}
    crowd = [*seen("a", "a", "a", user_id="bob"), *seen("a", "a", "a", "a", "a")]
    assert in_time(truth(HALF, *crowd)) == {}
    assert in_time(truth(HALF, *crowd, max_suspects=1)) == {"eve": Figure(1, False, doubtful=True)}


def test_a_share_is_weighed_at_each_click_beyond_the_threshold() -> None:
    right = did(*["failed"] * 4, "login")
    assert in_time(truth(GUESSER, *right)) == {"eve": Figure(5, True, part=4, sure=5)}
    assert in_time(truth(GUESSER, *right[:4])) == {}
    # What was too large once stays so, and is told as it is in the end.
    assert in_time(truth(GUESSER, *right, *did("login", "login"))) == {"eve": Figure(7, True, part=4, sure=7)}
    wavering = did("login", "login", *["failed"] * 4, "login", *["failed"] * 7, "view")
    assert in_time(truth(GUESSER, *wavering)) == {}
    assert in_time(truth(GUESSER, *wavering, *did("failed"))) == {"eve": Figure(15, True, part=12, sure=15)}
    late = truth(GUESSER, *did(*["failed"] * 3), *did("login", at=66), *did("login", "failed", came=66))
    ((_, count),) = late.over().items()
    assert (count.in_time.over, count.total) == (False, Figure(5, True, part=4, sure=5))


# -- the verdict ------------------------------------------------------------------------------------

EVE, ANN = Case(0, "reader", "eve", T), Case(0, "reader", "ann", T)


def told(rule: Rule, user: str, low: int, high: int, status: str = "closed", **fields: Any) -> ReadRecord:
    anomaly: Any = Anomaly(
        alert_id=alert_id(rule.name, user, T), rule=rule.name, status="closed", user_id=user,
        window_start=isotime(T), window_end=isotime(T + 60), count=high, count_low=low, count_high=high,
        threshold=4, first_seen=isotime(T), last_seen=isotime(T), events={"view": high}, distinct_products=0,
        category="bot", owasp="OAT-003", reasons=[], partition=0, incident_id=alert_id(rule.name, user, T),
        distinct="product_id" if rule.count else None,
    )  # fmt: skip
    said = msgspec.structs.replace(anomaly, status=status, **fields)
    return ReadRecord(0, 0, 0, 1, said.alert_id.encode(), msgspec.json.encode(said), ())


def faults(verdict: Judgement) -> dict[str, int]:
    return {fault: getattr(verdict, fault) for fault in FAULTS if getattr(verdict, fault)}


READ = seen("a", "a", "b", "c", "d", "e"), seen("a", "a", "b", "c", "d", user_id="ann"), seen("x", at=66)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([told(HALF, "eve", 4, 6)], {}),
        ([told(HALF, "eve", 5, 5)], {}),
        ([told(HALF, "eve", 4, 6), told(HALF, "ann", 3, 5)], {}),
        ([], {"missing": 1}),
        ([told(HALF, "eve", 6, 6)], {"interval_misses": 1}),  # clicks, not values
        ([told(HALF, "eve", 3, 4)], {"interval_misses": 1}),  # a value was forgotten
        ([told(HALF, "eve", 6, 7, "ongoing"), told(HALF, "eve", 4, 6)], {"interval_misses": 1}),
        ([told(HALF, "eve", 4, 6), told(HALF, "bob", 3, 5)], {"invented": 1}),
        ([told(HALF, "eve", 4, 6, distinct="sku")], {"conflicting": 1}),
        ([told(HALF, "eve", 4, 6, share_low=1.0, share_high=1.0)], {"conflicting": 1}),
    ],
)
def test_a_count_of_values_is_held_against_the_truth(
    said: list[ReadRecord], expected: dict[str, int]
) -> None:
    clicks = [click for some in READ for click in some]
    verdict = judge(truth(HALF, *clicks), said)
    assert faults(verdict) == expected, verdict.examples
    assert verdict.expected == 1
    assert verdict.doubtful == sum(b'"ann"' in (record.value or b"") for record in said)


def test_nobody_is_doubtful_where_everybody_is_known_from_the_first_click() -> None:
    exact = Rule(name="reader", window=60, threshold=4, promote=1, count="distinct product_id")
    clicks = [click for some in READ for click in some]
    assert faults(judge(truth(exact, *clicks), [told(exact, "eve", 5, 5), told(exact, "ann", 3, 5)])) == {
        "invented": 1
    }


SHARES: dict[str, tuple[Callable[[], list[ReadRecord]], dict[str, int]]] = {
    "right": (lambda: [told(GUESSER, "eve", 6, 6, share_low=4 / 6, share_high=4 / 6)], {}),
    "not told": (list, {"missing": 1}),
    "no share": (lambda: [told(GUESSER, "eve", 6, 6)], {"conflicting": 1}),
    "share of the crossing in place of the last": (
        lambda: [told(GUESSER, "eve", 6, 6, share_low=0.8, share_high=0.8)],
        {"interval_misses": 1},
    ),
    "too small a share": (
        lambda: [
            told(GUESSER, "eve", 6, 6, share_low=4 / 6, share_high=4 / 6),
            told(GUESSER, "ann", 6, 6, share_low=0.5, share_high=0.5),
        ],
        {"invented": 1},
    ),
}


@pytest.mark.parametrize("name", SHARES)
def test_a_share_is_held_against_the_truth(name: str) -> None:
    said, expected = SHARES[name]
    clicks = [
        *did(*["failed"] * 4, "login", "login"),
        *did(*["failed", "login"] * 3, user_id="ann"),
        *did("login", at=66),
    ]
    verdict = judge(truth(GUESSER, *clicks), said())
    assert faults(verdict) == expected, verdict.examples


def test_values_in_several_partitions_are_hidden_only_if_they_are_too_many_together() -> None:
    for products, hidden in ((("a", "b", "c"), 0), (("c", "d", "e"), 1)):
        recount = truth(READER, *seen("a", "b", "c"))
        value = {"user_id": "eve", "event": "view", "timestamp": T}
        for offset, product in enumerate(products):
            click = json.dumps(value | {"product_id": product}).encode()
            recount.add(1, [ReadRecord(1, offset, 1000 * T, 1, b"", click, ())])
        verdict = judge(recount, [])
        assert (verdict.apart, verdict.hidden) == (1, hidden)
