"""A worker's name: it comes back at another address, and one process at a time has it.

RECREATIONS=20 lets a worker come back so often.
"""

import os
import signal
import time
from collections.abc import Callable
from functools import partial

import pytest

from app.identity import SILENCE_SECONDS
from app.membership import EXPELLED
from tests.site import Site, Worker, click, clicks, window_before

pytestmark = pytest.mark.alone

RECREATIONS = int(os.environ.get("RECREATIONS", "3"))
#: In which a worker is ready on a machine where one of a new name is in READY_SECONDS - SILENCE_SECONDS.
READY_SECONDS = 5.0
T = window_before(time.time())

Sites = Callable[..., Site]


def knows(worker: Worker, other: Worker) -> bool:
    """Whether a worker knows where the other is, and of no third one."""
    addresses = {f"http://127.0.0.1:{each.settings.web_port}" for each in (worker, other)}
    return set(worker.ask("/router/")[1]) == addresses


def attack(minute: int, partition: int) -> list[bytes]:
    start = T + 60 * minute
    return clicks(f"bot-{partition}", 60, start, start + 50)


def test_a_worker_that_comes_back_at_another_address_counts_on_at_once(site: Sites) -> None:
    topic = site(partitions=2)
    two = topic.start("two")
    started = time.monotonic()
    one = topic.start("one")
    fresh = time.monotonic() - started
    topic.until(lambda: one.ready and two.ready and len(one.partitions()) == 1, one, two)
    pauses = []
    for minute in range(RECREATIONS):
        for partition in range(2):
            topic.send(*attack(minute, partition)[:40], partition=partition)
        if minute % 2:
            one.terminate()
        else:
            one.kill()
        topic.move("one")
        started = time.monotonic()
        one = topic.start("one")
        pauses.append(time.monotonic() - started)
        for partition in range(2):
            topic.send(*attack(minute, partition)[40:], partition=partition)
        topic.until(partial(knows, two, one), one, two)
    for partition in range(2):
        topic.send(click("ann", T + 60 * RECREATIONS + 5), partition=partition)
    topic.await_counted(one, two)
    print(
        f"under a new name ready after {fresh:.1f} s, then {', '.join(f'{pause:.1f}' for pause in pauses)} s"
    )
    assert max(pauses) < max(READY_SECONDS, fresh + SILENCE_SECONDS)
    verdict = topic.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    assert verdict.reported == verdict.expected == 2 * RECREATIONS


def test_a_second_worker_under_a_living_name_is_refused_in_one_sentence(site: Sites) -> None:
    topic = site()
    first = topic.start("first", worker_id="one")
    topic.send(*attack(0, 0)[:30])
    code, said = topic.launch("second", worker_id="one").failed()
    assert code == 1
    assert "CLICKWARDEN_WORKER_ID=one: another worker of this name is alive" in said.splitlines()[-1]
    assert "give each worker a name of its own, or stop the other first" in said.splitlines()[-1]
    topic.send(*attack(0, 0)[30:], click("ann", T + 65))
    topic.await_counted(first)
    assert topic.verdict().ok


def test_a_silent_worker_whose_name_was_taken_ends_when_it_wakes_up(site: Sites) -> None:
    # For half of that it may be silent, in which the other has to start and to count.
    topic = site(session_timeout=240, idle_timeout=1, lateness=0)
    first = topic.start("first", worker_id="one")
    first.send_signal(signal.SIGSTOP)
    topic.send(*clicks("eve", 60, T + 57, T + 60))
    second = topic.start("second", worker_id="one")
    topic.until(lambda: second.partitions()[0]["accepted"] == 60, second)
    topic.until(lambda: second.partitions()[0]["open_windows"] == 0, second)
    topic.send(*clicks("eve", 30, T + 57, T + 60))
    topic.until(lambda: second.partitions()[0]["late"] == 30, second)
    first.send_signal(signal.SIGCONT)
    assert first.wait() == EXPELLED
    assert "CLICKWARDEN_WORKER_ID=one" in first.log.splitlines()[-1]
    topic.await_counted(second)
    assert [each["count"] for each in topic.anomalies("closed")] == [60]
    assert topic.verdict().ok
