"""The clicks topic is given more partitions while workers run."""

import time
from collections.abc import Callable

from tests.site import Site, Worker, click, clicks, window_before

#: In which new partitions are counted.
NOTICED_SECONDS = 5.0
T = window_before(time.time())

Sites = Callable[..., Site]


def attack(topic: Site, partition: int, minute: int, *, count: int = 60) -> None:
    start = T + 60 * minute
    topic.send(*clicks(f"bot-{partition}", count, start, start + 50), partition=partition)


def counted(*workers: Worker) -> dict[int, int]:
    """Clicks accepted in each partition."""
    return {
        number: status["accepted"]
        for worker in workers
        if worker.ready
        for number, status in worker.partitions().items()
    }


def test_new_partitions_are_counted_from_their_beginning_and_the_old_ones_on(site: Sites) -> None:
    topic = site(partitions=2, session_timeout=6)
    worker = topic.start()
    for partition in range(2):
        attack(topic, partition, 0, count=40)
    topic.until(lambda: counted(worker) == {0: 40, 1: 40}, worker)
    grown = time.monotonic()
    topic.grow(4)
    for partition in range(4):
        attack(topic, partition, 1)
    topic.until(lambda: counted(worker) == {0: 100, 1: 100, 2: 60, 3: 60}, worker)
    assert time.monotonic() - grown < NOTICED_SECONDS
