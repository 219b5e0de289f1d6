"""The clicks topic is given more partitions while workers run."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.site import Site, Worker, click, clicks, window_before

pytestmark = pytest.mark.alone

#: From the moment on when a topic has new partitions until their clicks are counted.
COUNTED_SECONDS = 5.0
T = window_before(time.time())

Sites = Callable[..., Site]


def attack(topic: Site, partition: int, count: int = 60) -> None:
    topic.send(*clicks(f"bot-{partition}", count, T, T + 50), partition=partition)


def counted(*workers: Worker) -> dict[int, int]:
    """Clicks accepted in each partition."""
    statuses = [worker.partitions() for worker in workers if worker.ready]
    assert sum(map(len, statuses)) == len(set().union(*statuses)), "a partition is with two workers"
    return {number: partition["accepted"] for each in statuses for number, partition in each.items()}


def is_counted(wanted: dict[int, int], *workers: Worker) -> bool:
    return counted(*workers) == wanted


def test_a_topic_that_grows_is_counted_whole_over_a_death_and_a_join_in_the_middle(site: Sites) -> None:
    topic = site(partitions=2, session_timeout=6)
    snapshots = f"{topic.settings.app_id}-snapshots-changelog"
    one = topic.start("one")
    for partition in range(2):
        attack(topic, partition, 40)
    topic.until(partial(is_counted, {0: 40, 1: 40}, one), one)

    # Noticed, and counted from the beginning.
    topic.grow(4)
    began = time.monotonic()
    for partition in range(2, 4):
        attack(topic, partition)
    topic.until(partial(is_counted, {0: 40, 1: 40, 2: 60, 3: 60}, one), one)
    assert time.monotonic() - began < COUNTED_SECONDS

    # Killed when one changelog had grown, and the other had not.
    one.kill()
    topic.grow(6)
    topic.grow(6, snapshots)
    for partition in range(4, 6):
        attack(topic, partition)
    one = topic.start("one")
    grown = {0: 40, 1: 40, 2: 60, 3: 60, 4: 60, 5: 60}
    topic.until(partial(is_counted, grown, one), one)

    # A second one joins while the first, which leads the group, may not have noticed.
    topic.grow(8)
    two = topic.launch("two")
    for partition in range(8):
        attack(topic, partition, 20)
    grown = {number: count + 20 for number, count in grown.items()} | {6: 20, 7: 20}
    topic.until(lambda: two.alive and one.ready and two.ready and len(two.partitions()) == 4, one, two)
    topic.until(partial(is_counted, grown, one, two), one, two)

    for partition in range(8):
        topic.send(click("ann", T + 70), partition=partition)
    topic.await_counted(one, two)
    verdict = topic.verdict()
    assert verdict.ok, verdict
    assert (verdict.expected, verdict.exact, verdict.late, verdict.split) == (6, 6, 0, 0)
