"""Incidents: anomalies of one user under one rule in an unbroken run of windows, one story for people."""

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol, TypeVar, get_args

import msgspec

from clickwarden.detection.anomaly import DRIFT

VERSION = 1

#: What an anomaly, or an incident, is to people: what somebody does, or that a model of a pipeline no longer
#: sees what it has learnt from; and what nobody is told of.
Kind = Literal["attack", "drift", "shadow", "allowed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Of these people are told.
TOLD: tuple[Kind, ...] = "attack", "drift"

Severity = Literal["low", "medium", "high", "critical"]
#: In the order in which an incident comes to be of them: the next at each of the
#: :data:`~clickwarden.detection.steps.STEPS`.
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


class Span(Protocol):
    """From when to when; ISO-8601 UTC."""

    @property
    def window_start(self) -> str:
        """First second."""

    @property
    def window_end(self) -> str:
        """First second behind it."""


S = TypeVar("S", bound=Span)


class Incident(msgspec.Struct, kw_only=True):
    """One user under one rule, in windows that follow one another or overlap; times are ISO-8601 UTC.

    It is a function of its anomalies, in whatever order and however often they
    are heard, and of whether it has ended by now. Of a long one the figures are
    those of its newest windows, at most :data:`clickwarden.alerts.stories.WINDOWS`.

    Attributes:
        incident_id: ``alert_id`` of the window that it was first seen in.
        rule: the rule's name.
        user_id: as it stood in the click: an attacker's text.
        category: bot, scraper or credential_stuffing.
        owasp: OWASP automated threat, OAT-….
        owasp_label: its name; empty for a threat that is none of OWASP's.
        status: ``ongoing`` while one of its windows is open.
        since: first click counted exactly.
        until: last one; None while ongoing.
        windows: how many; of those that overlap, as many as it takes to cover all of it.
        count: clicks in all of them, the best estimate: ``count_high``.
        count_low: certainly at least as many.
        count_high: certainly at most as many.
        threshold: of the rule, for one window.
        window: of the rule, seconds.
        peak: most clicks in one window.
        reasons: of the window with the most clicks, in words.
        spark: clicks in its windows, oldest first; the newest 30.
        partition: of the clicks topic.
        caught_up: all of it was counted from a backlog, or from clicks that came late, long after it
            happened.
        corrected: some of its windows count clicks that came late.
        window_start: of its first window.
        window_end: of its last window, the first second behind it.
        last_seen: last click known.
        severity: ``low`` over the threshold in a window, ``medium`` at 2 times the threshold, ``high`` at 5
            times, ``critical`` at 20 times; the next one where the user broke another rule meanwhile. It
            never becomes less.
        rules: the other rules that the user broke meanwhile, but for those in shadow.
        ended: when it was over: none of its windows is open, and a quiet period has passed since the last;
            None before.
        shadow: its rule is in shadow: nobody is told.
        allowed: why its user is allowed to, by what was told last of its newest window: nobody is told;
            empty where not.
        distinct: the field of which different values are counted; None where clicks are.
        pipeline: whose models find its records abnormal, each of its windows being a second with such a
            record, or a day on which they were others than what its model knows (category ``drift``, of the
            user ``pipeline/NAME``); empty where a rule counts clicks.
        version: of this record's layout; changes are additive.
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
    window: int
    peak: int
    reasons: list[str]
    spark: list[int]
    partition: int
    caught_up: bool
    corrected: bool
    window_start: str
    window_end: str
    last_seen: str
    severity: Severity
    rules: list[str]
    ended: str | None
    shadow: bool = False
    allowed: str = ""
    distinct: str | None = None
    pipeline: str = ""
    version: int = VERSION

    @property
    def kind(self) -> Kind:
        """What it is to people."""
        return kind_of(self.shadow, self.allowed, self.category)


def kind_of(shadow: bool, allowed: str, category: str) -> Kind:
    """What it is to people, by what its anomaly says."""
    if shadow:
        return "shadow"
    if allowed:
        return "allowed"
    return "drift" if category == DRIFT else "attack"


def joined(told: Incident, heard: Incident) -> Incident:
    """What is known of an incident by who was told of it, and has heard some of its anomalies.

    Who has heard of as many windows knows of them at least what was told.
    """
    newer = heard if heard.windows >= told.windows else told
    return msgspec.structs.replace(
        newer,
        since=min(told.since, heard.since),
        window_start=min(told.window_start, heard.window_start),
        peak=max(told.peak, heard.peak),
        severity=max(told.severity, heard.severity, key=SEVERITIES.index),
        rules=sorted({*told.rules, *heard.rules}),
    )


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
