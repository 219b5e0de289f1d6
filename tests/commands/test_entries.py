"""An attack is one entry, whatever its rule's windows; a file's entries are those of its anomalies."""

from operator import length_hint

import msgspec

from clickwarden.alerts.stories import WINDOWS
from clickwarden.detection.anomaly import Anomaly, Status
from clickwarden.times import epoch, isotime
from commands.entries import Entries, Entry, entries_of

T = 1_767_225_600


def told(
    start: int, count: int, status: Status = "closed", user: str = "eve", of: int = 0, window: int = 60
) -> Anomaly:
    """A statement on the window that starts so long after T, of the incident that began ``of`` after T."""
    return Anomaly(
        alert_id=f"{user} {window} {start}", incident_id=f"{user} {window} {of}", rule=f"bot {window}",
        status=status, user_id=user, window_start=isotime(T + start), window_end=isotime(T + start + window),
        count=count, count_low=count, count_high=count, threshold=50, first_seen=isotime(T + start),
        last_seen=isotime(T + start), events={"view": count}, distinct_products=1, category="bot",
        owasp="OAT-003", reasons=[f"{count} clicks"], partition=0, revision=int(status == "corrected"),
    )  # fmt: skip


def row(entry: Entry) -> tuple[str, str, int, int, int, int]:
    begin, end = (int(epoch(moment)) - T for moment in (entry.window_start, entry.window_end))
    return entry.worst.user_id, entry.status, entry.worst.count, entry.windows, begin, end


def test_of_an_incident_the_worst_window_is_shown_once() -> None:
    sliding = [told(start, count) for start, count in ((0, 51), (10, 70), (20, 90), (30, 90), (40, 60))]
    (entry,) = entries_of(sliding)
    assert row(entry) == ("eve", "closed", 90, 5, 0, 100)
    assert entry.worst.window_start == isotime(T + 20)


def test_an_entry_of_a_file_comes_when_no_later_window_can_be_part_of_it() -> None:
    said = [
        told(0, 51), told(0, 61, user="bob"), told(60, 52), told(-480, 300, window=600, of=-480),
        told(120, 53, user="joe", of=120), told(121, 54, user="joe", of=120), told(240, 55, of=240),
    ]  # fmt: skip
    anomalies = iter(said)
    entries = entries_of(anomalies)
    assert row(next(entries)) == ("bob", "closed", 61, 1, 0, 60)
    assert length_hint(anomalies) == 2
    assert [row(entry) for entry in entries] == [
        ("eve", "closed", 52, 2, 0, 120),
        ("joe", "closed", 54, 2, 120, 181),
        ("eve", "closed", 300, 1, -480, 120),
        ("eve", "closed", 55, 1, 240, 300),
    ]


def test_who_follows_is_told_of_beginning_and_end_and_of_corrections() -> None:
    entries = Entries()
    said: list[tuple[list[Anomaly], list[tuple[str, str, int, int, int, int]]]] = [
        ([told(0, 51, "ongoing"), told(10, 51, "ongoing")], [("eve", "ongoing", 51, 2, 0, 70)]),
        ([told(20, 51, "ongoing")], []),
        ([told(0, 60)], []),
        ([told(10, 80), told(20, 70)], [("eve", "closed", 80, 3, 0, 80)]),
        ([told(20, 90, "corrected")], [("eve", "corrected", 90, 3, 0, 80)]),
        ([told(20, 91, "corrected")], [("eve", "corrected", 91, 3, 0, 80)]),
        ([told(30, 51, "ongoing"), told(0, 9, user="ann")],
         [("eve", "ongoing", 91, 4, 0, 90), ("ann", "closed", 9, 1, 0, 60)]),
    ]  # fmt: skip
    for anomalies, shown in said:
        assert list(map(row, entries.hear(anomalies))) == shown


def test_who_follows_is_told_at_each_step_that_an_open_window_becomes_worse_by() -> None:
    entries = Entries()
    for count, times, is_told in ((51, 1, True), (101, 2, True), (260, 2, False), (1001, 20, True)):
        ongoing = msgspec.structs.replace(told(0, count, "ongoing"), times=times)
        shown = entries.hear([ongoing])
        assert list(map(row, shown)) == ([("eve", "ongoing", count, 1, 0, 60)] if is_told else [])
    # Another window of the incident that comes to what is known of it is nothing new.
    assert entries.hear([msgspec.structs.replace(told(10, 1001, "ongoing"), times=20)]) == []
    assert [row(entry) for entry in entries.hear([told(0, 1002), told(10, 1002)])] == [
        ("eve", "closed", 1002, 2, 0, 70)
    ]


def test_what_is_kept_of_a_long_incident_does_not_grow_and_open_windows_are_not_forgotten() -> None:
    entries = Entries()
    entries.hear([told(-60, 51, "ongoing", of=0)])
    for number in range(2 * WINDOWS):
        assert entries.hear([told(10 * number, 51)]) == []
    (entry,) = entries.hear([told(-60, 51)])
    assert (entry.windows, entry.status) == (2 * WINDOWS + 1, "closed")
    assert len(entry._statuses) <= WINDOWS  # noqa: SLF001 - memory
