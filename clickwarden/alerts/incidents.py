"""Incidents: consecutive anomalies of one user under one rule, one story for people."""

from typing import Literal

import msgspec

from clickwarden.alerts.feed import Entry, series
from clickwarden.alerts.words import owasp_label
from clickwarden.detection.anomaly import Anomaly

#: Windows shown of a long incident, the newest.
SPARK = 30


class Incident(msgspec.Struct):
    """One user under one rule, in windows that follow one another.

    Attributes:
        incident_id: ``alert_id`` of its first window.
        rule: the rule's name.
        user_id: as it stood in the click: an attacker's text.
        category: bot, scraper or credential_stuffing.
        owasp: OWASP automated threat, OAT-….
        owasp_label: its name; empty for a threat that is none of OWASP's.
        status: ``ongoing`` while one of its windows is open.
        since: first click counted exactly, ISO-8601 UTC.
        until: last one; None while ongoing.
        windows: how many.
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


def incidents(entries: list[Entry]) -> list[Incident]:
    """The incidents in what is known of one user, the newest first."""
    found = [_incident(run) for run in series(entries)]
    return sorted(found, key=lambda incident: (incident.since, incident.incident_id), reverse=True)


def _incident(run: list[Entry]) -> Incident:
    first, last = run[0].anomaly, run[-1].anomaly
    ongoing = any(entry.ongoing for entry in run)
    high = sum(entry.high for entry in run)
    return Incident(
        incident_id=first.alert_id,
        rule=last.rule,
        user_id=last.user_id,
        category=last.category,
        owasp=last.owasp,
        owasp_label=owasp_label(last.owasp),
        status="ongoing" if ongoing else "closed",
        since=first.first_seen,
        until=None if ongoing else last.last_seen,
        windows=len(run),
        count=high,
        count_low=sum(entry.low for entry in run),
        count_high=high,
        threshold=last.threshold,
        peak=max(entry.high for entry in run),
        reasons=last.reasons,
        spark=[entry.high for entry in run[-SPARK:]],
        partition=last.partition,
        caught_up=_told_first(run).caught_up,
        corrected=any(entry.status == "corrected" for entry in run),
    )


def _told_first(run: list[Entry]) -> Anomaly:
    """The newest that is not corrected: a correction says nothing of when its window was first told of."""
    first = [entry for entry in run if entry.status != "corrected"] or run
    return first[-1].anomaly
