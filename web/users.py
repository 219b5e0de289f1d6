"""All that is known of one user."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from app.main import app
from clickwarden.alerts.feed import Entry
from clickwarden.alerts.incidents import TOLD, Incident, apart
from clickwarden.alerts.words import Count, counterfactual
from clickwarden.detection.activity import Row
from clickwarden.detection.anomaly import ScoredRecord
from clickwarden.detection.rules import by_name
from clickwarden.models.served import PREFIX
from web.live import feed, following, incident, incidents, stories, suspects
from web.statements import FeedbackStatus, status_of


class UserWindow(msgspec.Struct):
    """A user in one window of one rule; times are ISO-8601 UTC.

    Attributes:
        rule: the rule's name.
        window_start, window_end: of the window; the end is the first second behind it.
        open: whether clicks may still come.
        count_low, count_high: the interval that holds the true count, of clicks or different values.
        threshold: of the rule when the window opened.
        events: clicks counted exactly by event, most frequent first.
        distinct_products: among the clicks counted exactly; counted up to 256.
        anomaly: whether it was reported.
        distinct: the field of which different values are counted; None where clicks are.
        shadow, allowed: whether of a rule in shadow, and why the user was allowed to, if it was reported.
        alert_id: of the anomaly; empty where it was not reported.
        scored: the record that a pipeline's model finds abnormal; None where a rule counts clicks.
    """

    rule: str
    window_start: str
    window_end: str
    open: bool
    count_low: int
    count_high: int
    threshold: int
    first_seen: str
    last_seen: str
    events: dict[str, int]
    distinct_products: int
    anomaly: bool
    distinct: str | None = None
    shadow: bool = False
    allowed: str = ""
    alert_id: str = ""
    scored: ScoredRecord | None = None


class User(msgspec.Struct):
    """What is known of one user.

    Attributes:
        user_id: as asked for: an attacker's text.
        known: whether anything is.
        why: why, or why not, in words.
        partition: of the clicks topic; None where nothing is known.
        first_seen, last_seen: first and last click counted exactly, ISO-8601 UTC.
        windows: newest first.
        incidents: newest first.
        said: what stands of those of which somebody has said something, or of which nobody is told for what
            was said of another, by incident_id.
        events: clicks by event, in the rule that saw most of them.
        distinct_products: most in one window.
        reasons: of the newest anomaly, in words.
        counterfactual: the smallest change that would have kept them below
            the threshold, in words; None where they were never over one.
    """

    user_id: str
    known: bool
    why: str
    partition: int | None
    first_seen: str | None
    last_seen: str | None
    windows: list[UserWindow]
    incidents: list[Incident]
    said: dict[str, FeedbackStatus]
    events: dict[str, int]
    distinct_products: int
    reasons: list[str]
    counterfactual: str | None


def user(user_id: str) -> User:
    """What is known of a user, who may never have clicked."""
    entries, row = feed.of(user_id), suspects.row(user_id)
    windows = _windows(entries, row)
    if not windows:
        return User(user_id, False, _unknown(), None, None, None, [], [], {}, {}, 0, [], None)
    newest = max(entries, key=lambda entry: entry.window_start, default=None)
    known = incidents_of(user_id)
    return User(
        user_id=user_id,
        known=True,
        why=_known(known),
        partition=_partition(newest, row),
        first_seen=min(window.first_seen for window in windows),
        last_seen=max(window.last_seen for window in windows),
        windows=windows,
        incidents=known,
        said=_said(known),
        events=_events(windows),
        distinct_products=max(window.distinct_products for window in windows),
        reasons=newest.anomaly.reasons if newest else [],
        counterfactual=_counterfactual(windows),
    )


def incidents_of(user_id: str) -> list[Incident]:
    """All incidents of a user, the newest first."""
    ids = {*stories.of(user_id), *(told.incident_id for told in incidents.of(user_id))}
    found = [known for known in map(incident, ids) if known is not None]
    return sorted(found, key=lambda known: (known.since, known.incident_id), reverse=True)


def _said(incidents: list[Incident]) -> dict[str, FeedbackStatus]:
    stand = {each.incident_id: status_of(each, incidents) for each in incidents}
    return {incident_id: each for incident_id, each in stand.items() if each.feedback or each.muted}


def _windows(entries: list[Entry], row: Row | None) -> list[UserWindow]:
    """The windows that were reported, and the recent ones in any case: their figures are newer."""
    windows: dict[tuple[str, str], UserWindow] = {}
    for entry in entries:
        anomaly = entry.anomaly
        # A second may have several records of a pipeline.
        place = entry.alert_id if anomaly.scored else entry.window_start
        windows[entry.rule, place] = UserWindow(
            **_fields(anomaly),
            open=entry.ongoing,
            anomaly=True,
            distinct=anomaly.distinct,
            shadow=anomaly.shadow,
            allowed=anomaly.allowed,
            alert_id=anomaly.alert_id,
            scored=anomaly.scored,
        )
    rules = by_name(app.rules)
    for recent in row.windows if row else []:
        name = recent.rule, recent.window_start
        reported = windows.get(name)
        if reported is None or reported.open:
            window = windows[name] = UserWindow(**_fields(recent), open=recent.open, anomaly=False)
            window.distinct = rules[recent.rule].distinct if recent.rule in rules else None
            if reported is not None:
                window.anomaly, window.shadow, window.allowed = True, reported.shadow, reported.allowed
                window.distinct, window.alert_id = reported.distinct, reported.alert_id
    return sorted(windows.values(), key=lambda window: (window.window_start, window.rule), reverse=True)


def _fields(counted: Any) -> dict[str, Any]:
    own = {"open", "anomaly", "distinct", "shadow", "allowed", "alert_id", "scored"}
    return {name: getattr(counted, name) for name in set(UserWindow.__struct_fields__) - own}


def _events(windows: list[UserWindow]) -> dict[str, int]:
    """Clicks by event, of the rule that saw most of them: the other rules saw the same clicks."""
    by_rule: dict[str, list[UserWindow]] = {}
    for window in reversed(windows):
        by_rule.setdefault(window.rule, []).append(window)
    mixes = [_mix(apart(of_rule)) for of_rule in by_rule.values()]
    return dict(max(mixes, key=Counter.total).most_common())


def _mix(windows: Iterable[UserWindow]) -> Counter[str]:
    mix: Counter[str] = Counter()
    for window in windows:
        mix.update(window.events)
    return mix


def _counterfactual(windows: list[UserWindow]) -> str | None:
    """What would have been different, of the worst window of each rule that was broken."""
    rules = by_name(app.rules)
    worst: dict[str, UserWindow] = {}
    for window in windows:
        if window.rule.startswith(PREFIX):
            continue
        if window.anomaly and (window.rule not in worst or window.count_high > worst[window.rule].count_high):
            worst[window.rule] = window
    said = [
        counterfactual(
            Count(
                rule=name,
                window=_seconds(window),
                start=window.window_start,
                threshold=window.threshold,
                low=window.count_low,
                high=window.count_high,
                events=rules[name].events if name in rules else (),
                measure=rules[name].measure if name in rules else None,
            )
        )
        for name, window in sorted(worst.items())
    ]
    return ". ".join(said) or None


def _seconds(window: UserWindow) -> int:
    start, end = map(datetime.fromisoformat, (window.window_start, window.window_end))
    return int((end - start).total_seconds())


def _known(incidents: list[Incident]) -> str:
    if not incidents:
        return "never over a threshold in what is known; came close enough to one to be counted exactly"
    if all(incident.kind == "drift" for incident in incidents):
        return "a pipeline, whose records were others than its model has learnt from"
    ongoing = [incident for incident in incidents if incident.status == "ongoing"]
    known = "over a threshold now" if ongoing else "was over a threshold"
    if aside := _aside(ongoing or incidents):
        known += f", {aside}: nobody is told"
    return known


def _aside(incidents: list[Incident]) -> str:
    """Why nobody is told of any of them, in words; empty where somebody is."""
    if any(incident.kind in TOLD for incident in incidents):
        return ""
    allowed = next((incident.allowed for incident in incidents if incident.allowed), "")
    return f"and allowed to ({allowed})" if allowed else "of a rule in shadow"


def _unknown() -> str:
    if following.trouble:
        return f"nothing known: {following.trouble}"
    if not following.loaded.is_set():
        return "nothing known yet: what was found so far is being read from Kafka"
    levels = ", ".join(f"{rule.level} of rule {rule.name}" for rule in app.rules)
    return (
        "nothing known: in the last ten minutes this user never came as far in one window as it "
        f"takes to be counted exactly ({levels}), and was not over a threshold in the anomalies that are kept"
    )


def _partition(newest: Entry | None, row: Row | None) -> int | None:
    if row is not None:
        return row.partition
    return None if newest is None else newest.anomaly.partition
