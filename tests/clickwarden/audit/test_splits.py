"""Users whom more partitions have split are excused, and nobody else is."""

import json

import msgspec
import pytest
from aiokafka.partitioner import murmur2

from clickwarden.audit.oracle import Judgement, judge
from clickwarden.audit.recount import Recount
from clickwarden.detection.anomaly import Anomaly, alert_id
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings
from clickwarden.times import isotime
from tests.site import ReadRecord

T = 1_600_000_020  # start of a window of 60 s
BOT = Rule(name="bot", window=60, threshold=3)
BEFORE, AFTER = 2, 4


def partition(user: str, number: int) -> int:
    found: int = (murmur2(user.encode()) & 0x7FFFFFFF) % number
    return found


#: Who moves to a new partition, and who stays, when there are more.
MOVER = next(
    name for name in map("u{}".format, range(99)) if partition(name, BEFORE) != partition(name, AFTER)
)
OTHER = next(
    name
    for name in map("u{}".format, range(99))
    if partition(name, BEFORE) == partition(name, AFTER) != partition(MOVER, BEFORE)
)


def judged(*clicks: tuple[float, str, int], said: tuple[tuple[str, int, int], ...] = ()) -> Judgement:
    """Of clicks (seconds, user, partition), as Kafka received them, and of closed anomalies (…, clicks)."""
    truth = Recount(Settings(_env_file=None, lateness=5.0), [BOT], begins=dict.fromkeys(range(AFTER), 0))
    records: dict[int, list[ReadRecord]] = {number: [] for number in range(AFTER)}
    for second, user, number in sorted(clicks):
        click = {"user_id": user, "event": "view", "timestamp": T + second}
        records[number].append(record(len(records[number]), json.dumps(click).encode(), T + second, number))
    for number, run in records.items():
        truth.add(number, run)
    anomalies = [
        record(offset, msgspec.json.encode(anomaly(*case)), 0, 0, alert_id("bot", case[0], T).encode())
        for offset, case in enumerate(said)
    ]
    return judge(truth, anomalies)


def record(offset: int, value: bytes, received: float, number: int, key: bytes = b"") -> ReadRecord:
    return ReadRecord(number, offset, int(1000 * received), 1, key, value, ())


def anomaly(user: str, number: int, clicks: int) -> Anomaly:
    return Anomaly(
        alert_id=alert_id("bot", user, T), rule="bot", status="closed", user_id=user, window_start=isotime(T),
        window_end=isotime(T + 60), count=clicks, count_low=clicks, count_high=clicks, threshold=3,
        first_seen=isotime(T), last_seen=isotime(T), events={"view": clicks}, distinct_products=0,
        category="bot", owasp="OAT-003", reasons=[], partition=number,
    )  # fmt: skip


def sent(user: str, times: range, number: int) -> list[tuple[float, str, int]]:
    """Clicks of a user while there are so many partitions."""
    return [(second, user, partition(user, number)) for second in times]


OLD, NEW = partition(MOVER, BEFORE), partition(MOVER, AFTER)
GROWN = [
    *sent(OTHER, range(3), BEFORE),
    *sent(MOVER, range(4, 8), BEFORE),
    *sent(MOVER, range(10, 15), AFTER),
]


def test_who_moved_to_a_partition_that_is_younger_is_split_and_each_part_is_held_against_its_own() -> None:
    verdict = judged(*GROWN, said=((MOVER, OLD, 4), (MOVER, NEW, 5)))
    assert (verdict.split, verdict.ok, verdict.expected) == (1, True, 2)
    verdict = judged(*GROWN, said=((MOVER, OLD, 4), (MOVER, NEW, 6)))
    assert (verdict.split, verdict.interval_misses) == (1, 1)
    assert judged(*GROWN, said=((MOVER, OLD, 4),)).missing == 1
    assert judged(*GROWN, said=((MOVER, OLD, 4), (MOVER, NEW, 5), (MOVER, NEW, 4))).conflicting == 1


def test_who_is_over_the_threshold_with_both_parts_only_is_told_of() -> None:
    clicks = [*sent(MOVER, range(2), BEFORE), *sent(MOVER, range(2, 4), AFTER)]
    verdict = judged(*clicks)
    assert (verdict.split, verdict.ok, verdict.expected) == (1, True, 0)
    assert judged(*clicks[1:]).split == 0


@pytest.mark.parametrize(
    ("why", "clicks"),
    [
        ("the new partition is no younger", [(0, OTHER, NEW), *GROWN]),
        ("the new partition was made together with the others", [(s / 20, u, n) for s, u, n in GROWN]),
        (
            "all have long known of the new partition",
            [*((-500, OTHER, number) for number in range(BEFORE)), (-400, OTHER, NEW), *GROWN],
        ),
        ("it is not where the user belongs", [(s, MOVER, 5 - NEW if n == NEW else n) for s, _, n in GROWN]),
    ],
)
def test_nothing_else_is_excused(why: str, clicks: list[tuple[float, str, int]]) -> None:
    parts = {number for _, user, number in clicks if user == MOVER}
    said = tuple((MOVER, number, 4 if number == OLD else 5) for number in sorted(parts))
    verdict = judged(*((second - 1, user, number) for second, user, number in clicks), said=said)
    assert (verdict.split, verdict.conflicting) == (0, 1), why
