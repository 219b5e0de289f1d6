"""What workers have to have alike."""

import pytest

from agents.status import Status, clocks_of, discord_of
from clickwarden.detection.rules import Rule, digest_of


def status(worker: str, ahead: float = 0.0, rules: str = "a", seed: str = "b") -> Status:
    return Status(worker, "0", "ready", "", 1.0, "", None, [], clock_ahead=ahead, rules=rules, seed=seed)


@pytest.mark.parametrize(
    ("field", "two"), [("rules", status("two", rules="c")), ("seed", status("two", seed="c"))]
)
def test_who_differs_is_named(field: str, two: Status) -> None:
    found = discord_of([status("one"), two, status("three")])
    assert list(found) == [field]
    assert found[field].endswith(": one, three; others: two")
    assert f"different {field}" in found[field]


def test_who_counts_alike_is_not_and_neither_is_an_older_release() -> None:
    assert not discord_of([status("one"), status("two"), status("old", rules="", seed="")])
    assert not discord_of([])


def test_rules_are_told_apart_by_anything_but_their_order() -> None:
    bot, login = Rule(name="bot", window=60, threshold=50), Rule(name="login", window=60, threshold=15)
    assert digest_of([bot, login]) == digest_of([login, bot])
    assert digest_of([bot]) != digest_of([Rule(name="bot", window=60, threshold=51)])


def test_whose_clock_is_wrong_is_named() -> None:
    (said,) = clocks_of([status("one"), status("two", ahead=-1800.0)])
    assert said.startswith("The clock of worker two is 1,800 s behind Kafka's")
