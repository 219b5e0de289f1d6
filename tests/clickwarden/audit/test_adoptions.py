"""The oracle under rules that change: it holds a window against the threshold it was opened under."""

from itertools import count

import msgspec

from clickwarden.audit.oracle import Judgement, judge
from clickwarden.audit.recount import Recount
from clickwarden.detection.anomaly import Anomaly, Status, alert_id
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings
from clickwarden.times import isotime
from tests.site import ReadRecord, click

T = 1_600_000_020  # start of a window of 60 s
SETTINGS = Settings(_env_file=None, lateness=5.0)


def judged(clicks: list[tuple[str, float]], *said: Anomaly) -> Judgement:
    """With a threshold of 5, and of 2 from the fourth window on."""
    rules = [Rule(name="bot", window=60, threshold=threshold) for threshold in (5, 2)]
    truth = Recount(SETTINGS, (), adoptions={0: [(0, rules[:1]), (len(clicks) - 1, rules[1:])]})
    received, offsets = 0.0, count()
    records = []
    for user, time in clicks:
        received = max(received, time)
        records.append(record(next(offsets), b"", click(user, time), received))
    truth.add(0, records)
    return judge(truth, [record(0, each.alert_id.encode(), msgspec.json.encode(each), 0) for each in said])


def record(offset: int, key: bytes, value: bytes, received: float) -> ReadRecord:
    return ReadRecord(0, offset, int(1000 * received), 1, key, value, ())


def anomaly(clicks: int, status: Status, revision: int = 0) -> Anomaly:
    return Anomaly(
        alert_id=alert_id("bot", "eve", T), rule="bot", status=status, user_id="eve", window_start=isotime(T),
        window_end=isotime(T + 60), count=clicks, count_low=clicks, count_high=clicks, threshold=5,
        first_seen=isotime(T), last_seen=isotime(T), events={"view": clicks}, distinct_products=0,
        category="bot", owasp="OAT-003", reasons=[], partition=0, revision=revision,
    )  # fmt: skip


def test_a_user_whom_only_late_clicks_took_over_the_threshold_of_the_time() -> None:
    clicks = [
        *[("eve", T + 1.0)] * 4,
        ("ann", T + 70),
        *[("eve", T + 1.0)] * 2,
        ("ann", T + 150),
        ("ann", T + 151),
    ]
    assert judged(clicks, anomaly(6, "corrected", 1)).ok
    assert judged(clicks).missing == 1
    assert judged(clicks, anomaly(4, "closed"), anomaly(6, "corrected", 1)).invented == 1
