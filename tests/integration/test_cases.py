"""Streams that people have, with Kafka and the wall clock: each is counted, or told of.

The others, whose records are enough, are in ``tests/clickwarden/test_cases.py``.
Windows and silences are shorter here than in the field, by the same factor.
"""

import time
from collections.abc import Callable
from random import Random
from uuid import uuid4

import pytest

from tests.site import Site, Worker, click, clicks, window_before

pytestmark = pytest.mark.alone

Sites = Callable[..., Site]

#: A window in place of a minute, seconds.
WINDOW = 6
RULES = f"""
[[rule]]
name = "bot"
window = {WINDOW}
threshold = 50
"""
SHORT = {"rules": RULES, "lateness": 0.5, "idle_timeout": 1.0}


def next_window() -> int:
    """Start of the window that begins next; returns when it has begun."""
    start = int(time.time()) // WINDOW * WINDOW + WINDOW
    _sleep_until(start)
    return start


def _sleep_until(moment: float) -> None:
    """The clicks of these tests are live: what they wait for is the clock itself."""
    time.sleep(max(0.0, moment - time.time()))


def final(here: Site, user: str) -> dict[str, int]:
    """The last count that was told of a user, once each window is over, by window."""
    told = [each for each in here.anomalies() if each["user_id"] == user and each["status"] != "ongoing"]
    return {each["window_start"]: each["count"] for each in sorted(told, key=lambda each: each["revision"])}


def finals(here: Site, worker: Worker, user: str, *counts: int) -> None:
    """Wait until this is what was told last of a user, window by window, and hold it against the recount."""
    here.until(lambda: [count for _, count in sorted(final(here, user).items())] == list(counts), worker)
    here.await_counted(worker)
    verdict = here.verdict()
    assert verdict.ok, verdict.examples


def test_43_a_backlog_is_counted_as_it_was(site: Sites) -> None:
    here = site(**SHORT)
    here.create(**{"message.timestamp.type": "LogAppendTime"})
    start = window_before(time.time())
    here.send(*clicks("bot-7", 500, start, start + WINDOW))
    finals(here, here.start(), "bot-7", 500)


def test_43_a_pause_in_a_backlog_hides_nobody(site: Sites) -> None:
    here = site(**SHORT)
    worker = here.start()
    start = window_before(time.time())
    here.send(*clicks("bot-7", 40, start, start + 2))
    # The pause: wall clock closes the window, in which nobody is over the threshold.
    here.until(lambda: worker.partitions()[0]["open_windows"] == 0, worker)
    here.send(*clicks("bot-7", 40, start + 2, start + 4))
    finals(here, worker, "bot-7", 80)


def test_44_a_late_click_is_late_after_a_restart_too(site: Sites) -> None:
    here = site(idle_timeout=3600)
    start = window_before(time.time())
    worker = here.start()
    here.send(click("ann", start), *(click("ann", start + 120 + second) for second in range(30)))
    here.send(click("bob", start))
    here.until(lambda: worker.partitions()[0]["late"] == 1, worker)
    here.await_counted(worker)
    worker.kill()
    successor = here.start()
    here.send(click("bob", start + 1))
    here.until(lambda: successor.partitions()[0]["late"] == 2, successor)


def test_45_an_open_transaction_is_no_silence(site: Sites) -> None:
    here = site(**SHORT)
    worker = here.start()
    producer = here.producer(**{"transactional.id": uuid4().hex})
    producer.init_transactions()
    start = next_window()
    here.send(*clicks("bot-7", 30, start, start + 1))
    producer.begin_transaction()
    here.send(*clicks("bot-7", 30, start + 1, start + 2), by=producer)
    _sleep_until(start + 2 * WINDOW)  # long after a silence would have closed the window
    producer.commit_transaction()
    finals(here, worker, "bot-7", 60)


def test_48_what_is_shipped_in_batches_is_counted_whole(site: Sites) -> None:
    here = site(**SHORT)
    worker = here.start()
    start = next_window()
    batch = 1.5 * WINDOW
    for number in range(2):
        _sleep_until(start + (number + 1) * batch)
        here.send(*clicks("bot-7", 90, start + number * batch, start + (number + 1) * batch))
    finals(here, worker, "bot-7", 60, 60, 60)
    assert here.verdict().late == 0


def test_49_an_attack_among_wrong_clocks_is_found_at_once_and_counted_exactly(site: Sites) -> None:
    here = site(**SHORT)
    worker = here.start()
    random = Random(49)
    # Of 30 % of the senders the clock is wrong, by up to a minute fast and five slow.
    wrong = {f"phone-{number}": random.uniform(-300, 60) if number < 6 else 0.0 for number in range(20)}
    start = next_window()
    for number in range(174):
        _sleep_until(start + number / 36)
        here.send(click("bot-7", time.time()))
        phone = random.choice(list(wrong))
        here.send(click(phone, time.time() + wrong[phone]))
    finals(here, worker, "bot-7", 174)
    assert {each["user_id"] for each in here.anomalies()} == {"bot-7"}
    sent = [record.timestamp for record in here.clicks() if b"bot-7" in (record.value or b"")]
    said = next(record for record in here.read(here.settings.anomalies_topic))
    assert b'"ongoing"' in (said.value or b"")
    assert said.timestamp - sent[50] < 1000
