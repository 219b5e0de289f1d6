"""Wall clock closes a window when nothing more is to be expected of its partition, and not before.

Each test looks at a partition of which more is to be expected, when two others have been closed for their
silence, the second long after the first had begun to be silent.
"""

import time
from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.site import Site, Worker, click, clicks, window_before

pytestmark = pytest.mark.alone

T = window_before(time.time())
NEVER = 600.0
#: The partition under test, and those that go by the rule.
ODD, EVEN = 0, (1, 2)

Sites = Callable[..., Site]


def attack(partition: int) -> list[bytes]:
    """Over the threshold up to the end of a minute, so that a second of silence closes it."""
    return clicks(f"eve-{partition}", 60, T + 57, T + 60)


MORE = clicks(f"eve-{ODD}", 5, T + 58, T + 59)


def closed(topic: Site) -> dict[int, int]:
    """Count of the anomaly of each partition that has closed its window."""
    return {each["partition"]: each["count"] for each in topic.anomalies("closed")}


def await_closed(topic: Site, worker: Worker, partition: int) -> None:
    topic.until(lambda: partition in closed(topic), worker)


def outlast_silence(topic: Site, worker: Worker, *closing: bytes) -> None:
    """Have the others closed, one after the other, for silence behind these clicks."""
    for partition in EVEN:
        topic.send(*attack(partition), *closing, partition=partition)
        await_closed(topic, worker, partition)
    assert closed(topic) == dict.fromkeys(EVEN, 60)


def go_on(topic: Site, worker: Worker) -> None:
    """See that the window was open for clicks that came behind the pause."""
    await_closed(topic, worker, ODD)
    assert closed(topic)[ODD] == 65
    topic.await_counted(worker)
    assert worker.partitions()[ODD]["late"] == 0
    assert topic.verdict().ok


def test_an_open_transaction_is_no_silence(site: Sites) -> None:
    topic = site(partitions=3, idle_timeout=1, lateness=0)
    worker = topic.start()
    by = topic.producer(**{"transactional.id": uuid4().hex})
    by.init_transactions()
    by.begin_transaction()
    topic.send(*attack(ODD), partition=ODD)
    topic.send(*MORE, partition=ODD, by=by)
    outlast_silence(topic, worker)
    by.commit_transaction()
    go_on(topic, worker)
    say_which_came_too_late(topic, worker, EVEN[0])


def say_which_came_too_late(topic: Site, worker: Worker, partition: int) -> None:
    topic.send(*MORE, partition=partition)
    topic.await_counted(worker)
    late = {number: (said["late"], said["late_by_silence"]) for number, said in worker.partitions().items()}
    assert late == {number: (5, 5) if number == partition else (0, 0) for number in range(3)}
    words = "5 clicks were late only because wall clock had closed their window behind a silence"
    topic.until(lambda: words in worker.log, worker)


def test_a_pause_is_no_silence_where_clicks_arrive_in_pieces(site: Sites) -> None:
    topic = site(partitions=3, idle_timeout=1, lateness=0)
    worker = topic.start()
    # Some were 157 s longer on their way than the others.
    topic.send(*[click("ann", T - 100)] * 5, *attack(ODD), partition=ODD)
    outlast_silence(topic, worker)
    topic.send(*MORE, *[click("ann", T + 61)] * 5, partition=ODD)
    go_on(topic, worker)


def test_the_newest_click_is_believed_after_a_moment_unless_it_is_far_ahead(site: Sites) -> None:
    topic = site(partitions=3, idle_timeout=NEVER)
    worker = topic.start()
    topic.send(*attack(ODD), click("fast", T + 60 + 660), partition=ODD)
    outlast_silence(topic, worker, click("bob", T + 65))
    topic.send(*MORE, *[click("ann", T + 65)] * 5, partition=ODD)
    go_on(topic, worker)
