"""A draft beside the rules in force: what each tells is what its rules alone would have found."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwarden.audit import told
from clickwarden.audit.excuses import Missed
from clickwarden.audit.told import Reported, Told
from clickwarden.audit.trial import FOREVER, Extent, FileRerun, PartitionRerun, Sides, sealings
from clickwarden.detection.adoption import Adoption
from clickwarden.detection.allowlist import Allowance
from clickwarden.detection.anomaly import Anomaly, Status
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.detection.windows import WindowName
from clickwarden.settings import Settings
from clickwarden.times import isotime
from tests.clickwarden.detection.reference import batch_of

T = 1_600_000_020  # start of a window of 60 s
SETTINGS = Settings(_env_file=None, lateness=5.0)
BOT = Rule(name="bot", window=60, threshold=6, width=1024)
SLIDING = Rule(name="sliding", window=60, threshold=8, slide=20, width=1024)
SHORT = Rule(name="short", window=10, threshold=3, width=1024)
#: A click: who, when, when Kafka received it, and how long it is silent behind it.
Row = tuple[str, float, float, float]


class Heard(Told):
    """Keeps all it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes] = []

    def take(self, anomalies: Iterable[Anomaly], since: float) -> None:
        found = list(anomalies)
        self.said += map(msgspec.json.encode, found)
        super().take(found, since)


def batch(rows: Sequence[Row]) -> Batch:
    return batch_of([(user, "view", None, time) for user, time, _, _ in rows], [row[2] for row in rows])


@st.composite
def live(draw: st.DrawFn) -> list[Row]:
    """Clicks as they come, some of them long after they happened, with silences between."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(1, 300))
    silence = np.where(
        random.random(size) < draw(st.sampled_from([0.0, 0.05])), random.uniform(10, 90, size), 0
    )
    received = T + np.cumsum(random.uniform(0, 1, size) + np.append(0, silence[:-1]))
    delay = np.where(random.random(size) < 0.2, random.uniform(0, 90, size), random.uniform(0, 2, size))
    users = random.integers(0, draw(st.sampled_from([3, 20])), size)
    columns = (received - delay).tolist(), received.tolist(), silence.tolist()
    return [(f"u{user}", *row) for user, row in zip(users.tolist(), zip(*columns, strict=True), strict=True)]


def worked(
    rows: Sequence[Row], rules: Sequence[Rule], changed: Sequence[Rule], at: int
) -> tuple[list[bytes], dict[tuple[int, int, int], Missed]]:
    """What a worker tells, and which clicks it calls late, over a change of rules and silences."""
    detection = Detection(0, rules, SETTINGS)
    detection.plan(changed, at)
    said: list[Anomaly] = []
    late: dict[tuple[int, int, int], Missed] = {}
    for offset, row in enumerate(rows):
        detection.adopt(offset)
        findings = detection.count(batch([row]))
        said += findings.anomalies
        for windows in findings.late.values():
            late[0, offset, 0] = Missed(frozenset(windows), frozenset())
        if row[3] and detection.decide(row[3]):
            said += detection.close().anomalies
    detection.decide(FOREVER)
    said += detection.close().anomalies
    return sorted(map(msgspec.json.encode, said)), late


def rerun_of(rows: Sequence[Row], cuts: Iterable[int], **given: Any) -> Sides:
    """What both tell of these clicks, cut into batches."""
    sides = Sides(Heard(), Heard())
    rerun = PartitionRerun(parameters=SETTINGS, sides=sides, **given)
    first = given.get("begin", 0)
    edges = {first, len(rows), *rerun.cuts(first, len(rows)), *(at for at in cuts if first < at < len(rows))}
    for begin, end in pairwise(sorted(edges)):
        rerun.begin(begin)
        rerun.count(batch(rows[begin:end]))
    rerun.end()
    return sides


def said(side: Told) -> list[bytes]:
    assert isinstance(side, Heard)
    return sorted(side.said)


@given(live(), st.lists(st.integers(0, 300), max_size=5), st.integers(0, 300))
@settings(max_examples=60)
def test_what_was_told_is_told_again_in_any_cut_over_silences_and_a_change(
    rows: list[Row], cuts: list[int], at: int
) -> None:
    rules, changed = (BOT, SLIDING, SHORT), (msgspec.structs.replace(BOT, threshold=4), SHORT)
    wanted, late = worked(rows, rules, changed, at)
    adoptions = [Adoption(0, rules), Adoption(at, changed)]
    sealed = sealings(late).get(0, ())
    sides = rerun_of(rows, cuts, partition=0, adoptions=adoptions, draft=[BOT, SHORT], sealed=sealed)
    assert said(sides.before) == wanted


@given(live(), st.lists(st.integers(0, 300), max_size=5))
@settings(max_examples=60)
def test_a_draft_tells_what_its_rules_alone_would_whichever_of_them_were_in_force(
    rows: list[Row], cuts: list[int]
) -> None:
    draft = (BOT, SLIDING, SHORT)
    alone = rerun_of(rows, [], partition=0, adoptions=[Adoption(0, draft)], draft=[])
    assert not said(alone.draft)
    lower = msgspec.structs.replace(BOT, threshold=3)
    for rules in (draft, (BOT, SHORT), (lower, SLIDING), ()):
        adoptions = [Adoption(0, rules), Adoption(len(rows) // 2, (lower, SHORT))]
        for since in (adoptions[:1], adoptions):
            sides = rerun_of(rows, cuts, partition=0, adoptions=since, draft=draft)
            assert said(sides.draft) == said(alone.before)


def clicks(user: str, count: int, start: float) -> list[Row]:
    return [(user, start + number, start + number, 0.0) for number in range(count)]


def test_a_rule_that_came_later_is_tried_from_the_beginning() -> None:
    rows = [*clicks("eve", 9, T), *clicks("ann", 1, T + 200)]
    adoptions = [Adoption(0, ()), Adoption(9, (BOT,))]
    sides = rerun_of(rows, [], partition=0, adoptions=adoptions, draft=[BOT])
    assert (sides.before.users, sides.draft.users) == (set(), {"eve"})


def test_windows_that_may_have_lost_clicks_are_not_judged() -> None:
    rows = [click for minute in range(4) for click in clicks("eve", 50, T + 60 * minute)]
    given = {"partition": 0, "adoptions": [Adoption(0, (BOT,))], "draft": [], "begin": 40}

    def windows(**more: float) -> int:
        return rerun_of(rows, [], **given, **more).before.reported["bot", "eve"].windows

    assert windows() == 2  # the first twenty clicks are of two minutes
    assert windows(whole=T + 60) == 3
    assert rerun_of(rows, [], **{**given, "begin": 0}).before.reported["bot", "eve"].windows == 4


def test_a_few_wrong_clocks_do_not_stretch_the_time() -> None:
    extent = Extent()
    assert extent.begin > extent.end
    extent.take(batch([*clicks("eve", 500, T), ("joe", 0, T, 0), ("ann", T + 1e6, T, 0)]))
    extent.take(batch(clicks("eve", 500, T - 1000)))
    extent.take(batch([("joe", 0, T, 0)]))
    assert 1480 < extent.end - extent.begin < 1500


def test_files_are_counted_whole_whatever_their_order() -> None:
    rows = [*clicks("eve", 9, T + 600), *clicks("joe", 5, T), *clicks("eve", 9, T)]
    sides = Sides(Heard(), Heard())
    lower = msgspec.structs.replace(BOT, threshold=4)
    rerun = FileRerun([BOT, SHORT], [lower, SHORT], SETTINGS, sides, (BytesIO(), BytesIO()))
    rerun.count(batch(rows))
    rerun.end()
    assert {case: one.windows for case, one in sides.before.reported.items()} == {
        ("bot", "eve"): 2,
        ("short", "eve"): 2,
        ("short", "joe"): 1,
    }
    assert sides.draft.reported["bot", "joe"] == Reported(5, 4, T, 1, 1)
    assert sides.draft.reported["short", "joe"] == sides.before.reported["short", "joe"]
    assert 500 < rerun.extent.end - rerun.extent.begin < 700


def anomaly(start: int, incident: int, status: Status = "ongoing", count: int = 7) -> Anomaly:
    return Anomaly(
        alert_id=f"{start}", incident_id=f"{incident}", rule="bot", status=status, user_id="eve",
        window_start=isotime(start), window_end=isotime(start + 60), count=count, count_low=count,
        count_high=count, threshold=6, first_seen="", last_seen="", events={}, distinct_products=0,
        category="bot", owasp="", reasons=[], partition=0,
    )  # fmt: skip


def test_people_are_told_once_an_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        anomaly(T, T),
        anomaly(T + 20, T, count=12),
        anomaly(T, T, "closed"),
        anomaly(T + 600, T + 600, "corrected", count=9),
        anomaly(T + 600, T + 600, "corrected", count=10),
        anomaly(T - 60, T - 60, count=50),
    ]
    for most in (told.MOST_WINDOWS, 2):
        monkeypatch.setattr(told, "MOST_WINDOWS", most)
        heard = Told()
        heard.take(found, T)
        known = 3 if most > 2 else 2  # beyond, of what is only corrected nobody knows whether it is new
        assert heard.reported == {("bot", "eve"): Reported(12, 6, T + 20, known, known - 1)}


def test_an_incident_that_began_before_what_is_judged_is_a_message_too() -> None:
    heard = Told()
    heard.take([anomaly(T - 60, T - 60), anomaly(T, T - 60), anomaly(T + 60, T - 60)], T)
    assert heard.reported == {("bot", "eve"): Reported(7, 6, T, 2, 1)}


def test_who_is_allowed_is_reported_in_no_message() -> None:
    heard = Told()
    heard.allow_list.take(1, [], [Allowance(users=["eve"], reason="Our monitor")])
    heard.take([anomaly(T, T)], T)
    assert heard.reported == {("bot", "eve"): Reported(7, 6, T, 1, 0)}


def test_a_window_is_sealed_before_its_first_late_click() -> None:
    def missed(*starts: int | None) -> Missed:
        return Missed(frozenset(("bot", start) for start in starts), frozenset())

    late = {(0, 9, 0): missed(T), (0, 7, 1): missed(T, T + 60), (1, 3, 0): missed(None)}
    assert sealings(late) == {0: [(7, WindowName("bot", T)), (7, WindowName("bot", T + 60))]}
