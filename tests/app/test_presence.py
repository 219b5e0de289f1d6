"""What aiokafka repeats is let through seldom, and what it has not said yet always."""

import logging

from app.presence import REPEAT_SECONDS, SeldomRepeated


def record(name: str, text: str, *arguments: object, at: float = 1000.0) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, "", 0, text, arguments, None)
    made.created = at
    return made


def test_another_cause_is_let_through_in_the_words_of_the_one_before() -> None:
    lets = SeldomRepeated().filter
    text = "Unable connect to node with id %s: %s"
    assert lets(record("aiokafka", text, 1, ConnectionRefusedError(111, "refused")))
    assert not lets(record("aiokafka", text, 2, ConnectionRefusedError(111, "refused again")))
    assert lets(record("aiokafka", text, 1, PermissionError("wrong password")))
    assert not lets(record("aiokafka", text, 1, PermissionError("wrong password")))
    assert not lets(record("aiokafka", text, 1, ConnectionRefusedError(111, "refused")))


def test_what_is_repeated_is_let_through_once_in_a_while() -> None:
    lets = SeldomRepeated().filter
    assert lets(record("aiokafka.client", "away"))
    assert not lets(record("aiokafka.client", "away", at=1000.0 + REPEAT_SECONDS / 2))
    assert lets(record("aiokafka.client", "away", at=1000.0 + REPEAT_SECONDS))


def test_what_others_say_is_let_through() -> None:
    lets = SeldomRepeated().filter
    assert lets(record("clickwarden", "away"))
    assert lets(record("clickwarden", "away"))
