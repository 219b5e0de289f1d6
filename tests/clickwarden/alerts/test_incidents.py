"""What incidents say of the anomalies they are made of."""

from clickwarden.alerts.feed import Feed
from clickwarden.alerts.incidents import SPARK, incidents
from tests.anomalies import MINUTES, record


def window(feed: Feed, minute: int, status: str = "closed", high: int = 60, **more: object) -> None:
    """An anomaly in the window of a minute; its lower end is 24 less."""
    feed.take(
        record(
            f"{more.get('rule', 'bot')}-{minute}", status, MINUTES[minute + 1], window_start=MINUTES[minute],
            count=high, count_low=high - 24, count_high=high, first_seen=f"{MINUTES[minute][:-3]}07Z",
            last_seen=f"{MINUTES[minute][:-3]}53Z", reasons=[f"minute {minute}"], **more,
        )
    )  # fmt: skip


def test_one_story_for_windows_that_follow_one_another() -> None:
    feed = Feed()
    window(feed, 4, high=70)
    window(feed, 5, high=500)
    window(feed, 6, "ongoing", high=51, caught_up=True)
    (incident,) = incidents(feed.of("u"))
    assert (incident.incident_id, incident.status, incident.windows) == ("bot-4", "ongoing", 3)
    assert (incident.since, incident.until) == ("2026-01-01T00:04:07Z", None)
    assert (incident.count_low, incident.count, incident.count_high) == (549, 621, 621)
    assert (incident.threshold, incident.peak, incident.spark) == (50, 500, [70, 500, 51])
    assert (incident.reasons, incident.caught_up) == (["minute 6"], True)
    assert (incident.owasp, incident.owasp_label) == ("OAT-003", "Ad Fraud")
    window(feed, 6, "closed", high=80)
    (incident,) = incidents(feed.of("u"))
    assert (incident.status, incident.until, incident.count) == ("closed", "2026-01-01T00:06:53Z", 650)


def test_a_correction_changes_the_figures_and_not_when_it_was_told() -> None:
    feed = Feed()
    window(feed, 4, high=70)
    window(feed, 5, high=80)
    (incident,) = incidents(feed.of("u"))
    assert (incident.count, incident.corrected, incident.caught_up) == (150, False, False)
    window(feed, 5, "corrected", high=90, revision=1, caught_up=True)
    (incident,) = incidents(feed.of("u"))
    assert (incident.status, incident.count, incident.spark) == ("closed", 160, [70, 90])
    assert (incident.corrected, incident.caught_up) == (True, False)


def test_an_incident_of_late_clicks_alone_is_told_long_after_it_happened() -> None:
    feed = Feed()
    window(feed, 4, "corrected", revision=1, caught_up=True)
    (incident,) = incidents(feed.of("u"))
    assert (incident.status, incident.corrected, incident.caught_up) == ("closed", True, True)


def test_a_window_without_an_anomaly_ends_it() -> None:
    feed = Feed()
    for minute in 4, 6, 7:
        window(feed, minute)
    window(feed, 5, rule="slow")
    found = [(incident.incident_id, incident.windows) for incident in incidents(feed.of("u"))]
    assert found == [("bot-6", 2), ("slow-5", 1), ("bot-4", 1)]


def sliding(feed: Feed, start: int, high: int, incident_id: str) -> None:
    """An anomaly in the 60 s that begin so many tens of seconds after midnight."""
    begin, end = (
        f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z" for second in (10 * start, 10 * start + 60)
    )
    feed.take(
        record(
            f"at-{start}", "closed", end, window_start=begin, count=high, count_low=high - 4, count_high=high,
            incident_id=incident_id,
        )
    )  # fmt: skip


def test_no_click_is_counted_in_two_windows_that_overlap() -> None:
    feed = Feed()
    for start in range(10):  # from 0 s to 150 s
        sliding(feed, start, 60 + start, "at-0")
    (incident,) = incidents(feed.of("u"))
    assert (incident.incident_id, incident.windows, incident.peak) == ("at-0", 3, 69)
    assert incident.count_low == 56 + 62  # from 0 s and from 60 s
    assert incident.count == incident.count_high == 60 + 66 + 69
    assert incident.spark == list(range(60, 70))


def test_the_word_of_the_worker_says_what_is_one_incident() -> None:
    feed = Feed()
    for start, incident_id in ((0, "at-1"), (1, "at-1"), (7, "at-7"), (8, "at-1")):
        sliding(feed, start, 60, incident_id)
    found = {incident.incident_id: incident.spark for incident in incidents(feed.of("u"))}
    assert found == {"at-1": [60, 60, 60], "at-7": [60]}


def test_the_spark_line_shows_the_newest_windows() -> None:
    feed = Feed()
    for minute in range(SPARK + 9):
        window(feed, minute, high=100 + minute)
    (incident,) = incidents(feed.of("u"))
    assert incident.windows == SPARK + 9
    assert incident.spark == list(range(109, 139))


def test_no_user_no_incident() -> None:
    assert incidents(Feed().of("u")) == []
