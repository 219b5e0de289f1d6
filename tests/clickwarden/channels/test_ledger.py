"""What the ledger knows of what was told."""

from typing import Any

import msgspec
import pytest

from clickwarden.channels.ledger import Entry, Ledger, State
from clickwarden.channels.routing import Told


def take(ledger: Ledger, key: str, state: str, **more: Any) -> None:
    given = {"channel": "mail", "key": key, "state": state, "incidents": {"a": 1}}
    assert ledger.take(msgspec.json.encode(given | more)) is not None


def test_what_was_told_is_what_is_known_to_be_told() -> None:
    ledger = Ledger()
    take(ledger, "1", "intent")
    assert ledger.told("mail", "a") is None
    assert [entry.key for entry in ledger.unsettled("mail")] == ["1"]
    assert ledger.unsettled("slack") == []
    take(ledger, "1", "told", reference="first")
    assert (ledger.told("mail", "a"), ledger.told("slack", "a")) == (Told(1, False, "first"), None)
    assert ledger.entries == {}


def test_the_thread_is_that_of_the_first_message_about_it_alone() -> None:
    ledger = Ledger()
    take(ledger, "1", "told", stage="group", incidents={"a": 1, "b": 0}, reference="of all")
    take(ledger, "2", "told", stage="escalation", incidents={"a": 2}, reference="first")
    take(ledger, "3", "told", stage="end", incidents={"a": 1}, ended=["a"], reference="second")
    assert ledger.told("mail", "a") == Told(2, True, "first")
    assert ledger.told("mail", "b") == Told(0, False)
    assert ledger.going_on("mail") == ["b"]


def test_what_was_given_up_is_not_told_again_unless_somebody_asks() -> None:
    ledger = Ledger()
    take(ledger, "1", "failed", words="401")
    assert ledger.told("mail", "a") == Told(1, False)
    assert ledger.unsettled("mail") == []
    assert [entry.words for entry in ledger.entries.values()] == ["401"]
    take(ledger, "1", "again")
    assert [entry.key for entry in ledger.unsettled("mail")] == ["1"]


def test_the_entry_of_a_channel_is_no_message() -> None:
    ledger = Ledger()
    ledger.note(Entry(channel="mail", at=5.0, waiting=3, silenced={"rule": 2}))
    assert (ledger.channels["mail"].at, ledger.entries) == (5.0, {})


@pytest.mark.parametrize(
    "value", [None, b"", b"{}", b"[]", b"\xff", b'{"channel": "a", "state": "?"}'], ids=repr
)
def test_what_is_no_entry_is_passed_over(value: bytes | None) -> None:
    ledger = Ledger()
    assert ledger.take(value) is None
    assert (ledger.entries, ledger.channels) == ({}, {})


def test_a_day_that_was_summed_up_or_is_about_to_be_is_known() -> None:
    ledger = Ledger()
    days: list[tuple[str, State]] = [
        ("2026-03-10", "told"),
        ("2026-03-09", "failed"),
        ("2026-03-11", "intent"),
    ]
    for day, state in days:
        ledger.note(Entry(channel="mail", key=f"summary.{day}", stage="summary", state=state))
    assert ledger.summaries == {"mail": "2026-03-11"}
    assert [entry.day for entry in ledger.unsettled("mail")] == ["2026-03-11"]
    assert Entry(channel="mail", key="a.opening.low").day == ""
