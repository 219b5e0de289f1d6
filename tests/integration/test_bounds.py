"""What arrives cannot fill a worker's memory, or keep it from counting everyone else.

``python -m experiments.flood`` does the same with ten million users.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice

from tests.site import Site, click, window_before

T = window_before(time.time())
FLOOD = 400_000
ATTACKERS = 20
GARBAGE = (b"", b"no click", b"\xff", b'{"user_id":', b'{"user_id":1}', b"[" * 500, b"{}", None)
#: A batch of one record may have 1,048,588 bytes, Kafka's default.
LARGE = "x" * (1_048_588 - 500)

Sites = Callable[..., Site]


def crowd(users: int) -> Iterator[bytes]:
    """Clicks within a minute, of so many users in turn; every few thousand clicks each attacker has one."""
    for number in range(FLOOD):
        moment = T + 59 * number / FLOOD
        yield b'{"user_id":"user-%d","event":"view","timestamp":%.3f}' % (number % users, moment)
        if number % (FLOOD // 60) == 0:
            yield from (click(f"bot-{attacker}", moment) for attacker in range(ATTACKERS))


def count(topic: Site, records: Iterator[bytes | None]) -> int:
    """Have a worker count them; the most memory it used, bytes."""
    worker = topic.start()
    peak = 0

    def counted() -> bool:
        nonlocal peak
        peak = max(peak, worker.memory)
        return not topic.behind()

    while part := list(islice(records, 20_000)):
        topic.send(*part)
        peak = max(peak, worker.memory)
    topic.send(click("ann", T + 65))
    topic.until(counted, worker)
    worker.kill()
    topic.forget_data()
    verdict = topic.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    return peak


def test_a_flood_of_users_takes_no_more_memory_than_a_few(site: Sites) -> None:
    few, many = site(), site()
    normal = count(few, crowd(FLOOD // 10))
    flood = count(many, crowd(FLOOD))
    assert flood <= 1.3 * normal
    bots = {f"bot-{attacker}" for attacker in range(ATTACKERS)}
    assert {each["user_id"] for each in many.anomalies("closed")} == bots


def test_garbage_and_huge_records_among_the_clicks(site: Sites) -> None:
    def dirty() -> Iterator[bytes | None]:
        for number, value in enumerate(islice(crowd(1000), 100_000)):
            yield value
            if number % 20 == 0:
                yield GARBAGE[number // 20 % len(GARBAGE)]
            if number % 2000 == 0:
                yield click("bot-0", T, page=LARGE)
                yield LARGE.encode()

    topic = site()
    count(topic, dirty())
    verdict = topic.verdict()
    assert verdict.rejected + verdict.ignored == 5000 + 50
    assert verdict.rejected > verdict.ignored > 0
