"""Incidents: anomalies of one user under one rule in an unbroken run of windows, one story for people."""

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol, TypeVar

import msgspec

from clickwarden.alerts.feed import Entry, series
from clickwarden.alerts.words import owasp_label
from clickwarden.detection.anomaly import Anomaly

#: Windows shown of a long incident, the newest.
SPARK = 30


class Span(Protocol):
    """From when to when; ISO-8601 UTC."""

    window_start: str
    window_end: str


S = TypeVar("S", bound=Span)


class Incident(msgspec.Struct):
    """One user under one rule, in windows that follow one another or overlap.

    Attributes:
        incident_id: ``alert_id`` of the window that it was first seen in.
        rule: the rule's name.
        user_id: as it stood in the click: an attacker's text.
        category: bot, scraper or credential_stuffing.
        owasp: OWASP automated threat, OAT-….
        owasp_label: its name; empty for a threat that is none of OWASP's.
        status: ``ongoing`` while one of its windows is open.
        since: first click counted exactly, ISO-8601 UTC.
        until: last one; None while ongoing.
        windows: how many; of those that overlap, as many as it takes to cover all of it.
        count: clicks in all of them, the best estimate: ``count_high``.
        count_low: certainly at least as many.
        count_high: certainly at most as many.
        threshold: of the rule, for one window.
        peak: most clicks in one window.
        reasons: of its newest window, in words.
        spark: clicks in its windows, oldest first; the newest 30.
        partition: of the clicks topic.
        caught_up: all of it was counted from a backlog, or from clicks that came late, long after it
            happened.
        corrected: some of its windows count clicks that came late.
        shadow: its rule is in shadow: nobody is told.
        allowed: why its user is allowed to, by what was told last of its newest window: nobody is told;
            empty where not.
    """

    incident_id: str
    rule: str
    user_id: str
    category: str
    owasp: str
    owasp_label: str
    status: Literal["ongoing", "closed"]
    since: str
    until: str | None
    windows: int
    count: int
    count_low: int
    count_high: int
    threshold: int
    peak: int
    reasons: list[str]
    spark: list[int]
    partition: int
    caught_up: bool
    corrected: bool
    shadow: bool = False
    allowed: str = ""


def incidents(entries: list[Entry]) -> list[Incident]:
    """The incidents in what is known of one user, the newest first."""
    found = [_incident(run) for run in series(entries)]
    return sorted(found, key=lambda incident: (incident.since, incident.incident_id), reverse=True)


def _incident(run: list[Entry]) -> Incident:
    first, last = run[0].anomaly, run[-1].anomaly
    ongoing = any(entry.ongoing for entry in run)
    covering = list(cover(run))
    high = sum(entry.high for entry in covering)
    return Incident(
        incident_id=run[0].incident_id or first.alert_id,
        rule=last.rule,
        user_id=last.user_id,
        category=last.category,
        owasp=last.owasp,
        owasp_label=owasp_label(last.owasp),
        status="ongoing" if ongoing else "closed",
        since=first.first_seen,
        until=None if ongoing else last.last_seen,
        windows=len(covering),
        count=high,
        count_low=sum(entry.low for entry in apart(run)),
        count_high=high,
        threshold=last.threshold,
        peak=max(entry.high for entry in run),
        reasons=last.reasons,
        spark=[entry.high for entry in run[-SPARK:]],
        partition=last.partition,
        caught_up=_told_first(run).caught_up,
        corrected=any(entry.status == "corrected" for entry in run),
        shadow=last.shadow,
        allowed=last.allowed,
    )


def _told_first(run: list[Entry]) -> Anomaly:
    """The newest that is not corrected: a correction says nothing of when its window was first told of."""
    first = [entry for entry in run if entry.status != "corrected"] or run
    return first[-1].anomaly


def apart(windows: Iterable[S]) -> Iterator[S]:
    """Of windows of one rule, the oldest first, some of which none overlaps another: their clicks add up."""
    end = ""
    for window in windows:
        if window.window_start >= end:
            end = window.window_end
            yield window


def cover(windows: Iterable[S]) -> Iterator[S]:
    """Of windows of one rule, the oldest first, a few that hold what all of them hold."""
    end, furthest = "", None
    for window in windows:
        if furthest is not None and window.window_start > end:
            yield furthest
            end, furthest = furthest.window_end, None
        if window.window_start > end:
            yield window
            end = window.window_end
        else:
            furthest = window
    if furthest is not None:
        yield furthest
