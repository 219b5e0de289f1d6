"""Wall clock closes a window when nothing more is to be expected of its partition, and not before.

Each test looks at a partition of which more is to be expected when another, which has been silent for no
longer, was closed.
"""

import time
from collections.abc import Callable
from uuid import uuid4

from tests.site import Site, Worker, click, clicks, window_before

T = window_before(time.time())
NEVER = 600.0
#: Of the partition under test, and of the one that goes by the rule.
ODD, EVEN = 0, 1

Sites = Callable[..., Site]

#: Over the threshold up to the end of a minute, so that a second of silence closes it.
ATTACK = clicks("eve", 60, T + 57, T + 60)


def closed(topic: Site) -> dict[int, tuple[str, int]]:
    """User and count of the anomaly of each partition that has closed its window."""
    return {each["partition"]: (each["user_id"], each["count"]) for each in topic.anomalies("closed")}


def await_closed(topic: Site, partition: int, worker: Worker) -> None:
    topic.until(lambda: partition in closed(topic), worker)


def test_an_open_transaction_is_no_silence(site: Sites) -> None:
    topic = site(partitions=2, idle_timeout=1, lateness=0)
    worker = topic.start()
    by = topic.producer(**{"transactional.id": uuid4().hex})
    by.init_transactions()
    by.begin_transaction()
    topic.send(*ATTACK, partition=ODD)
    topic.send(*clicks("eve", 5, T + 58, T + 59), partition=ODD, by=by)
    topic.send(*clicks("bob", 60, T + 57, T + 60), partition=EVEN)
    await_closed(topic, EVEN, worker)
    assert closed(topic) == {EVEN: ("bob", 60)}
    by.commit_transaction()
    await_closed(topic, ODD, worker)
    assert closed(topic)[ODD] == ("eve", 65)
    topic.await_counted(worker)
    assert [status["late"] for status in worker.partitions().values()] == [0, 0]
    assert topic.verdict().ok


def test_a_pause_is_no_silence_where_clicks_arrive_in_pieces(site: Sites) -> None:
    topic = site(partitions=2, idle_timeout=1, lateness=0)
    worker = topic.start()
    # Some were 157 s longer on their way than the others.
    topic.send(*[click("ann", T - 100)] * 5, *ATTACK, partition=ODD)
    topic.send(*[click("ann", T + 1)] * 5, *ATTACK, partition=EVEN)
    await_closed(topic, EVEN, worker)
    assert closed(topic) == {EVEN: ("eve", 60)}
    topic.send(*clicks("eve", 5, T + 58, T + 59), *[click("ann", T + 61)] * 5, partition=ODD)
    await_closed(topic, ODD, worker)
    assert closed(topic)[ODD] == ("eve", 65)


def test_the_newest_click_is_believed_after_a_moment_unless_it_is_far_ahead(site: Sites) -> None:
    topic = site(partitions=2, idle_timeout=NEVER)
    worker = topic.start()
    topic.send(*ATTACK, click("fast", T + 60 + 660), partition=ODD)
    topic.send(*ATTACK, click("ann", T + 65), partition=EVEN)
    await_closed(topic, EVEN, worker)
    assert closed(topic) == {EVEN: ("eve", 60)}
    topic.send(*clicks("eve", 5, T + 58, T + 59), *[click("ann", T + 65)] * 5, partition=ODD)
    await_closed(topic, ODD, worker)
    assert closed(topic)[ODD] == ("eve", 65)
    topic.await_counted(worker)
    assert [status["late"] for status in worker.partitions().values()] == [0, 0]
