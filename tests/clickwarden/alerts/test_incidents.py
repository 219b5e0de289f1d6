"""What incidents say of the anomalies they are made of."""

from random import Random
from typing import Any

import msgspec
import pytest

from clickwarden.alerts.incidents import Incident
from clickwarden.alerts.stories import QUIET_SECONDS, SPARK, WINDOWS, Stories
from clickwarden.detection.anomaly import Anomaly
from clickwarden.times import epoch, isotime
from tests.anomalies import MINUTES, record

T = epoch(MINUTES[0])


def anomaly(alert_id: str, status: str = "closed", **more: Any) -> Anomaly:
    """An anomaly of a window of the first minute."""
    return msgspec.json.decode(record(alert_id, status, **more), type=Anomaly)


def window(stories: Stories, minute: int, status: str = "closed", high: int = 60, **more: Any) -> None:
    """An anomaly in the window of a minute; its lower end is 24 less."""
    stories.hear(
        anomaly(
            f"{more.get('rule', 'bot')}-{minute}", status,
            **{
                "window_start": MINUTES[minute], "window_end": MINUTES[minute + 1],
                "count": high, "count_low": high - 24, "count_high": high, "incident_id": "bot-4",
                "first_seen": f"{MINUTES[minute][:-3]}07Z", "last_seen": f"{MINUTES[minute][:-3]}53Z",
                "reasons": [f"minute {minute}"],
            } | more,
        )
    )  # fmt: skip


def only(stories: Stories, now: float = T + 86_400) -> Incident:
    """The one incident there is."""
    (incident_id,) = stories
    incident = stories.get(incident_id, now)
    assert incident is not None
    return incident


def of(stories: Stories, user_id: str) -> list[Incident]:
    """The incidents of a user, the newest first."""
    found = [stories.get(incident_id, T) for incident_id in stories.of(user_id)]
    return sorted((each for each in found if each), key=lambda each: each.since, reverse=True)


def test_one_story_for_windows_of_one_incident() -> None:
    stories = Stories()
    window(stories, 4, high=70)
    window(stories, 5, high=500)
    window(stories, 6, "ongoing", high=51)
    incident = only(stories)
    assert (incident.incident_id, incident.status, incident.windows) == ("bot-4", "ongoing", 3)
    assert (incident.since, incident.until) == ("2026-01-01T00:04:07Z", None)
    assert (incident.window_start, incident.window_end) == (MINUTES[4], MINUTES[7])
    assert (incident.count_low, incident.count, incident.count_high) == (549, 621, 621)
    assert (incident.threshold, incident.peak, incident.spark) == (50, 500, [70, 500, 51])
    assert (incident.reasons, incident.caught_up, incident.ended) == (["minute 5"], False, None)
    assert (incident.owasp, incident.owasp_label) == ("OAT-003", "Ad Fraud")
    window(stories, 6, "closed", high=80)
    incident = only(stories)
    assert (incident.status, incident.until, incident.count) == ("closed", "2026-01-01T00:06:53Z", 650)
    assert incident.last_seen == incident.until


def test_it_ends_when_nobody_can_go_over_the_threshold_in_the_next_window_any_more() -> None:
    stories = Stories()
    window(stories, 4)
    over = T + 5 * 60 + 60 + QUIET_SECONDS
    assert only(stories, over - 1).ended is None
    assert only(stories, over).ended == isotime(over)
    window(stories, 5, "ongoing")
    assert only(stories, over).ended is None
    window(stories, 5)
    assert only(stories, over + 59).ended is None
    assert only(stories, over + 60).ended == isotime(over + 60)


def test_what_a_backlog_tells_of_last_year_has_not_ended_when_it_is_told() -> None:
    stories = Stories()
    window(stories, 4, caught_up=True, emitted_at=isotime(T + 50_000.5))
    over = T + 50_000.5 + 60 + QUIET_SECONDS
    assert only(stories, over - 1).ended is None
    assert only(stories, over).ended == isotime(over)
    # A correction comes long after, and does not begin it anew.
    window(stories, 4, "corrected", revision=1, caught_up=True, emitted_at=isotime(T + 60_000))
    assert only(stories, T + 60_000).ended is not None


@pytest.mark.parametrize(
    ("high", "severity"),
    [(51, "low"), (99, "low"), (100, "medium"), (250, "high"), (1000, "critical"), (10_000, "critical")],
)
def test_the_severity_is_how_many_times_the_threshold_it_was(high: int, severity: str) -> None:
    stories = Stories()
    window(stories, 4, high=high)
    assert only(stories).severity == severity
    window(stories, 5, high=51)
    assert only(stories).severity == severity


def test_a_further_word_of_an_open_window_makes_it_worse_at_once_in_whatever_order_it_is_heard() -> None:
    for order in ((51, 1000), (1000, 51)):
        stories = Stories()
        for high in order:
            window(stories, 4, "ongoing", high=high, revision=3 * (high == 1000))
        incident = only(stories)
        assert (incident.status, incident.severity, incident.peak) == ("ongoing", "critical", 1000)


def test_another_rule_that_was_broken_meanwhile_makes_both_worse() -> None:
    stories = Stories()
    window(stories, 4)
    window(stories, 6, rule="slow", incident_id="slow-6", high=260)
    window(stories, 5, rule="slow", incident_id="others", user_id="somebody else")
    for incident_id, severity in (("bot-4", "low"), ("slow-6", "high"), ("others", "low")):
        incident = stories.get(incident_id, T)
        assert incident is not None
        assert (incident.severity, incident.rules) == (severity, [])
    window(stories, 5)  # adjoins the other
    for incident_id, severity, rules in (("bot-4", "medium", ["slow"]), ("slow-6", "critical", ["bot"])):
        incident = stories.get(incident_id, T)
        assert incident is not None
        assert (incident.severity, incident.rules) == (severity, rules)


def test_drift_is_of_a_pipeline_and_makes_nobody_worse() -> None:
    drift = {
        "pipeline": "fraud", "topic": "t", "day": "2026-01-01", "records": 9, "alarms": 0, "budget": None,
        "worth": 9.0, "limit": 0.1, "unseen": 0.0, "features": [], "detector": "iforest", "version": "a",
        "severity": "high",
    }  # fmt: skip
    days = [f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3)]
    stories = Stories()
    for day, partition in ((0, 0), (1, 1), (1, 0)):
        said: dict[str, Any] = {
            "rule": "pipeline/fraud/drift", "category": "drift", "incident_id": "drift", "high": 1,
            "count_low": 1, "threshold": 1, "window_start": days[day], "window_end": days[day + 1],
            "partition": partition, "drift": drift,
        }  # fmt: skip
        window(stories, 3 * day + partition, **said)
    window(stories, 4)  # of somebody who bears its name
    found, bot = stories.get("drift", T), stories.get("bot-4", T)
    assert found is not None
    assert bot is not None
    assert (found.kind, found.pipeline, found.severity, found.rules) == ("drift", "fraud", "high", [])
    assert (found.windows, found.count, found.ended) == (2, 2, None)
    assert (bot.kind, bot.severity, bot.rules) == ("attack", "low", [])


def test_a_rule_in_shadow_makes_no_other_worse_and_the_newest_window_says_who_is_allowed() -> None:
    stories = Stories()
    window(stories, 4)
    window(stories, 4, rule="slow", incident_id="slow-4", shadow=True)
    bot, slow = stories.get("bot-4", T), stories.get("slow-4", T)
    assert bot is not None
    assert slow is not None
    assert (bot.kind, bot.severity, bot.rules) == ("attack", "low", [])
    assert (slow.kind, slow.severity, slow.rules) == ("shadow", "medium", ["bot"])
    window(stories, 5, allowed="Our monitor")
    window(stories, 4, "corrected", revision=1)
    bot = stories.get("bot-4", T)
    assert bot is not None
    assert (bot.kind, bot.allowed) == ("allowed", "Our monitor")


def test_a_correction_changes_the_figures_and_not_when_it_was_told() -> None:
    stories = Stories()
    window(stories, 4, high=70)
    window(stories, 5, high=80)
    incident = only(stories)
    assert (incident.count, incident.corrected, incident.caught_up) == (150, False, False)
    window(stories, 5, "corrected", high=90, revision=1, caught_up=True)
    incident = only(stories)
    assert (incident.status, incident.count, incident.spark) == ("closed", 160, [70, 90])
    assert (incident.corrected, incident.caught_up) == (True, False)


def test_an_incident_of_late_clicks_alone_is_told_long_after_it_happened() -> None:
    stories = Stories()
    window(stories, 4, "corrected", revision=1, caught_up=True)
    incident = only(stories)
    assert (incident.status, incident.corrected, incident.caught_up) == ("closed", True, True)


def test_an_anomaly_of_an_older_release_is_an_incident_of_its_own() -> None:
    stories = Stories()
    for minute in 4, 6:
        window(stories, minute, incident_id="")
    found = [(incident.incident_id, incident.windows) for incident in of(stories, "u")]
    assert found == [("bot-6", 1), ("bot-4", 1)]


def sliding(stories: Stories, start: int, high: int, incident_id: str) -> None:
    """An anomaly in the 60 s that begin so many tens of seconds after midnight."""
    begin, end = isotime(T + 10 * start), isotime(T + 10 * start + 60)
    stories.hear(
        anomaly(
            f"at-{start}", window_end=end, window_start=begin, count=high, count_low=high - 4,
            count_high=high, incident_id=incident_id,
        )
    )  # fmt: skip


def test_of_open_windows_that_overlap_the_incident_has_no_fewer_than_any_of_them() -> None:
    stories = Stories()
    for begin, high in (0, 475), (10, 1_024), (20, 255):  # as each was told last
        start, end = isotime(T + 240 + begin), isotime(T + 300 + begin)
        about = {"window_start": start, "window_end": end, "incident_id": "bot-4"}
        stories.hear(anomaly(f"bot-{begin}", "ongoing", count_low=high - 24, count_high=high, **about))
    incident = only(stories)
    assert (incident.count_low, incident.count_high, incident.peak) == (1_000, 1_024, 1_024)


def test_no_click_is_counted_in_two_windows_that_overlap() -> None:
    stories = Stories()
    for start in range(10):  # from 0 s to 150 s
        sliding(stories, start, 60 + start, "at-0")
    incident = only(stories)
    assert (incident.incident_id, incident.windows, incident.peak) == ("at-0", 3, 69)
    assert incident.count_low == 56 + 62  # from 0 s and from 60 s
    assert incident.count == incident.count_high == 60 + 66 + 69
    assert incident.spark == list(range(60, 70))


def test_the_word_of_the_worker_says_what_is_one_incident() -> None:
    stories = Stories()
    for start, incident_id in ((0, "at-1"), (1, "at-1"), (7, "at-7"), (8, "at-1")):
        sliding(stories, start, 60, incident_id)
    found = {incident.incident_id: incident.spark for incident in of(stories, "u")}
    assert found == {"at-1": [60, 60, 60], "at-7": [60]}


def test_of_a_long_one_the_newest_windows_are_kept_and_what_was_worst() -> None:
    stories = Stories()
    for start in range(0, 6 * (WINDOWS + 9), 6):
        sliding(stories, start, 2000 - start // 6, "at-0")
    incident = only(stories)
    assert (incident.windows, incident.peak, incident.severity) == (WINDOWS, 2000, "critical")
    assert incident.window_start == MINUTES[0]
    assert incident.count == sum(2000 - number for number in range(9, WINDOWS + 9))
    assert incident.spark == [2000 - number for number in range(WINDOWS + 9 - SPARK, WINDOWS + 9)]


def test_progress_is_of_the_open_window() -> None:
    stories = Stories()
    window(stories, 4)
    window(stories, 5, "ongoing", high=51)
    stories.progress("u", "bot", MINUTES[4], 900, 900, f"{MINUTES[4][:-3]}59Z")
    stories.progress("u", "bot", MINUTES[6], 900, 900, f"{MINUTES[6][:-3]}59Z")
    stories.progress("u", "slow", MINUTES[5], 900, 900, f"{MINUTES[5][:-3]}59Z")
    stories.progress("nobody", "bot", MINUTES[5], 900, 900, f"{MINUTES[5][:-3]}59Z")
    (incident_id,) = stories
    assert stories.seen(incident_id, T) == only(stories, T)
    incident = only(stories)
    assert (incident.spark, incident.last_seen, incident.severity) == (
        [60, 51],
        "2026-01-01T00:05:53Z",
        "low",
    )
    stories.progress("u", "bot", MINUTES[5], 276, 300, f"{MINUTES[5][:-3]}54.500Z")
    assert only(stories) == incident
    further = stories.seen(incident_id, T)
    assert further is not None
    assert (further.spark, further.last_seen) == ([60, 300], "2026-01-01T00:05:54.500Z")
    assert (further.severity, further.peak, further.count_low) == ("high", 300, 312)
    window(stories, 5, high=320)
    assert stories.seen(incident_id, T) == only(stories, T)


@pytest.mark.parametrize("time", ["", "yesterday", "\ud800", "99999-01-01T00:00:00Z"], ids=repr)
def test_what_has_no_time_is_passed_over(time: str) -> None:
    stories = Stories()
    assert stories.hear(msgspec.structs.replace(anomaly("a"), window_end=time)) == []
    assert list(stories) == []


def test_those_heard_of_last_are_kept() -> None:
    stories = Stories(keep=3)
    for number in range(6):
        window(stories, 4, incident_id=f"{number}", user_id=f"user {number % 2}")
        window(stories, 5, incident_id="0", user_id="user 0")
    assert list(stories) == ["4", "5", "0"]
    assert [incident.incident_id for incident in of(stories, "user 1")] == ["5"]


# -- a function of what was said, and of nothing else --------------------------------------------------------


def attacks(random: Random) -> list[Anomaly]:
    """What is said of some users under two rules, as workers that die say it: now and then twice."""
    said: list[Anomaly] = []
    for user in "abc":
        for rule, size in (("bot", 60), ("slow", 180)):
            minute = random.randrange(4)
            while minute < 40:
                opened = f"{rule}-{user}-{minute}"
                for _ in range(random.randrange(1, 5)):
                    said += window_of(random, (rule, user, opened), minute, size)
                    minute += size // 60
                minute += random.randrange(1, 9)
    return said


def window_of(random: Random, name: tuple[str, str, str], minute: int, size: int) -> list[Anomaly]:
    rule, user, incident_id = name
    start, high, last = T + 60 * minute, 50, 0
    words: list[Anomaly] = []
    for status, revision in [("ongoing", 0), ("closed", 0), ("corrected", 1), ("corrected", 2)][
        : random.choice((1, 2, 2, 2, 3, 4))
    ]:
        high, last = high + random.randrange(1, 200), last + random.randrange(1, 14)
        for _ in range(random.choice((1, 1, 1, 2))):
            words.append(
                anomaly(
                    f"{rule}-{user}-{minute}", status, user_id=user, rule=rule, incident_id=incident_id,
                    window_start=isotime(start), window_end=isotime(start + size), revision=revision,
                    count=high, count_low=high - 20, count_high=high, first_seen=isotime(start + 1),
                    last_seen=isotime(start + last), reasons=[f"{status} {high}"],
                    caught_up=random.random() < 0.3, emitted_at=isotime(start + size + len(words)),
                )
            )  # fmt: skip
    return words


def recounted(said: list[Anomaly], incident_id: str, now: float) -> dict[str, Any]:
    """What an incident is, made anew of all that was said."""
    ours = [word for word in said if word.incident_id == incident_id]
    best: dict[str, Anomaly] = {}
    for word in sorted(ours, key=lambda word: (word.rank, word.emitted_at)):
        best[word.window_start] = word
    windows = [best[start] for start in sorted(best)]
    span = windows[0].window_start, windows[-1].window_end
    others = {
        word.incident_id: word.rule
        for word in said
        if word.user_id == ours[0].user_id and word.rule != ours[0].rule
    }
    meanwhile = {
        rule
        for other, rule in others.items()
        if min(word.window_start for word in said if word.incident_id == other) <= span[1]
        and max(word.window_end for word in said if word.incident_id == other) >= span[0]
    }
    first_told = [word for word in windows if word.status != "corrected"] or windows
    ongoing = any(word.status == "ongoing" for word in windows)
    over = max(
        max(
            epoch(word.window_end),
            epoch(word.emitted_at) if word.caught_up and word.status != "corrected" else 0,
        )
        for word in windows
    )
    ends = over + epoch(windows[0].window_end) - epoch(windows[0].window_start) + QUIET_SECONDS
    times = max(word.count_high // word.threshold for word in ours)
    steps = sum(times >= step for step in (2, 5, 20)) + bool(meanwhile)
    return {
        "incident_id": incident_id,
        "status": "ongoing" if ongoing else "closed",
        "since": min(word.first_seen for word in ours),
        "last_seen": max(word.last_seen for word in ours),
        "windows": len(windows),
        "count": sum(word.count_high for word in windows),
        "count_low": sum(word.count_low for word in windows),
        "peak": max(word.count_high for word in ours),
        "reasons": max(
            ours, key=lambda word: (word.count_high, word.window_start, word.rank, word.emitted_at)
        ).reasons,
        "spark": [word.count_high for word in windows],
        "caught_up": all(word.caught_up for word in first_told),
        "corrected": any(word.status == "corrected" for word in windows),
        "window_start": span[0],
        "window_end": span[1],
        "severity": ["low", "medium", "high", "critical"][min(steps, 3)],
        "rules": sorted(meanwhile),
        "ended": isotime(ends) if not ongoing and ends <= now else None,
    }


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_and_the_repeats_the_incidents_are_the_same(seed: int) -> None:
    random = Random(seed)
    said = attacks(random)
    now = T + random.randrange(60 * 50)
    heard = said + random.choices(said, k=len(said) // 2)
    random.shuffle(heard)
    stories = Stories()
    for word in heard:
        stories.hear(word)
    assert sorted(stories) == sorted({word.incident_id for word in said})
    assert sorted(each for user in "abc" for each in stories.of(user)) == sorted(stories)
    for incident_id in stories:
        incident = msgspec.to_builtins(stories.get(incident_id, now))
        expected = recounted(said, incident_id, now)
        assert {name: incident[name] for name in expected} == expected


@pytest.mark.parametrize("seed", range(5))
def test_who_is_told_what_changes_knows_all_that_changed(seed: int) -> None:
    random = Random(seed)
    said = attacks(random)
    random.shuffle(said)
    stories, known = Stories(), {}
    now = T + 86_400
    for word in said:
        for incident_id in stories.hear(word):
            known[incident_id] = stories.get(incident_id, now)
    assert known == {incident_id: stories.get(incident_id, now) for incident_id in stories}


@pytest.mark.parametrize("seed", range(5))
def test_what_compaction_leaves_says_the_same(seed: int) -> None:
    random = Random(seed)
    said = attacks(random)
    left = list({word.alert_id: word for word in said}.values())
    all_of_it, the_rest = Stories(), Stories()
    for stories, words in ((all_of_it, said), (the_rest, left)):
        random.shuffle(words)
        for word in words:
            stories.hear(word)
    now = T + 60 * 30
    assert {each: the_rest.get(each, now) for each in the_rest} == {
        each: all_of_it.get(each, now) for each in all_of_it
    }
