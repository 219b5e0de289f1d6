"""Which incidents a channel is told of, and when: whom a message would wake, and how many go into one."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from clickwarden.alerts.feedback import Muted
from clickwarden.alerts.incidents import SEVERITIES, Incident, Severity
from clickwarden.detection.rules import OWASP
from clickwarden.times import epoch

#: Longest time that incidents may be waited for, seconds.
WAIT_MOST = 24 * 3600.0

When = Literal["now", "quiet", "backlog"]
#: Why nobody is told: its rule is in shadow; its user is allowed to; the channel does not want it; it was
#: over before the channel was there; it was told; somebody has said that it was a human, or that nobody is
#: to be told of the user for a time.
Silence = Literal["shadow", "allowed", "rule", "category", "severity", "past", "told"] | Muted


#: The same in words.
SILENCES: Mapping[Silence, str] = {
    "shadow": "of rules in shadow",
    "allowed": "of users who are allowed",
    "rule": "of rules it does not want",
    "category": "of categories it does not want",
    "severity": "of less severity than it wants",
    "past": "over before it was there",
    "told": "told before",
    "human": "said to be human",
    "snoozed": "snoozed",
}


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel wants, as it stands in ``channels.toml``.

    Attributes:
        rules: incidents of these alone; empty: of all.
        categories: of these alone; empty: of all.
        severity: of this one at least.
        group_wait: how long the first incident waits for others to share its message, seconds.
        group_interval: least time between two messages, seconds.
        quiet: hours in which nothing is sent, ``22:00-07:00``, and after which one message tells of all;
            empty: none.
        summary: when the day before is told of in one message, ``08:00``; empty: never.
        zone: time zone of these hours, and of the day.

    """

    rules: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    severity: Severity = "low"
    group_wait: float = 5.0
    group_interval: float = 60.0
    quiet: str = ""
    summary: str = ""
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            ValueError: a field is wrong; begins with its name.
        """
        for category in self.categories:
            if category not in OWASP:
                raise ValueError(f"categories: {category!r} is none; there are {', '.join(OWASP)}")
        for name, seconds in (("group_wait", self.group_wait), ("group_interval", self.group_interval)):
            if not 0 <= seconds <= WAIT_MOST:
                raise ValueError(f"{name}: must be 0 to {WAIT_MOST:.0f} seconds")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"zone: {self.zone!r} is no time zone that is known here; write UTC, or one like "
                "Europe/Berlin, for which the machine needs tzdata"
            ) from None
        if self.quiet:
            _hours(self.quiet)
        if self.summary:
            _minute(self.summary)

    def is_quiet(self, now: float) -> bool:
        """Whether nothing is sent now, epoch seconds.

        >>> night = Routing(quiet="22:00-07:00", zone="Asia/Kathmandu")  # UTC and 5:45 hours
        >>> [night.is_quiet(epoch(f"2026-03-10T{utc}:00Z")) for utc in ("16:14", "16:15", "01:14", "01:15")]
        [False, True, True, False]
        """
        if not self.quiet:
            return False
        begin, end = _hours(self.quiet)
        at = datetime.fromtimestamp(now, ZoneInfo(self.zone))
        minute = 60 * at.hour + at.minute
        return begin <= minute < end if begin <= end else minute >= begin or minute < end


def _minute(summary: str) -> int:
    """When, minutes of the day.

    Raises:
        ValueError: it is no such time.
    """
    try:
        at = datetime.strptime(summary, "%H:%M")
    except ValueError:
        raise ValueError(f"summary: {summary!r} must be a time of the day, like 08:00") from None
    return 60 * at.hour + at.minute


def _hours(quiet: str) -> tuple[int, int]:
    """From when to when, minutes of the day.

    Raises:
        ValueError: it is no such time.
    """
    try:
        begin, end = (datetime.strptime(part, "%H:%M") for part in quiet.split("-"))
        if begin == end:
            raise ValueError
    except ValueError:
        raise ValueError(f"quiet: {quiet!r} must be from when to when, like 22:00-07:00") from None
    return 60 * begin.hour + begin.minute, 60 * end.hour + end.minute


class Told(NamedTuple):
    """What a channel was told of an incident.

    Attributes:
        severity: the highest, by its place in :data:`SEVERITIES`.
        ended: whether its end was told.
        reference: names the first message about it alone; empty where there is none.
    """

    severity: int
    ended: bool
    reference: str = ""


def day_due(routing: Routing, told: str, began: float, now: float) -> str | None:
    """The day of which a channel is to be given a summary now, ISO-8601; None: of none.

    Args:
        routing: of the channel.
        told: the newest day that it was given one of; empty: of none.
        began: since when there is the channel, epoch seconds: of days before it is told nothing.
        now: epoch seconds.

    >>> morning = Routing(summary="08:00", zone="Asia/Kathmandu")  # UTC and 5:45 hours
    >>> times = (epoch(f"2026-03-10T{utc}:00Z") for utc in ("02:14", "02:15", "18:14", "18:15"))
    >>> [day_due(morning, "", 0, time) for time in times]
    [None, '2026-03-09', '2026-03-09', None]
    >>> day_due(morning, "2026-03-09", 0, epoch("2026-03-10T02:15:00Z"))
    """
    zone = ZoneInfo(routing.zone)
    at = datetime.fromtimestamp(now, zone)
    if not routing.summary or 60 * at.hour + at.minute < _minute(routing.summary) or routing.is_quiet(now):
        return None
    day = at.date() - timedelta(days=1)
    there = datetime.fromtimestamp(began, zone).date() <= day
    return day.isoformat() if there and day.isoformat() > told else None


def day_of(routing: Routing, day: str) -> tuple[float, float]:
    """From when to when a day is in a channel's time zone, epoch seconds.

    >>> begin, end = day_of(Routing(zone="Europe/Berlin"), "2026-03-29")  # clocks go forward
    >>> (end - begin) / 3600
    23.0
    """
    zone, first = ZoneInfo(routing.zone), date.fromisoformat(day)
    begin, end = (datetime(*one.timetuple()[:3], tzinfo=zone) for one in (first, first + timedelta(days=1)))
    return begin.timestamp(), end.timestamp()


class Decision(NamedTuple):
    """What a channel is to be told of an incident.

    Attributes:
        stage: None: nothing.
        when: now; after the quiet hours; or with what else a backlog brings, which wakes nobody.
        silence: why nothing.
    """

    stage: Literal["opening", "escalation", "end"] | None
    when: When = "now"
    silence: Silence | None = None


def decide(
    incident: Incident,
    told: Told | None,
    routing: Routing,
    began: float,
    now: float,
    muted: Muted | None = None,
) -> Decision:
    """Whether to tell: the one place that mutes.

    Args:
        incident: as it stands.
        told: what the channel was told of it; None: nothing.
        routing: of the channel.
        began: since when there is the channel, epoch seconds: it is not told what was over by then.
        now: epoch seconds.
        muted: why nobody is to be told, as :func:`clickwarden.alerts.feedback.muted` says.
    """
    wanted = _wanted(incident, told, routing, began, now)
    return wanted if wanted.stage is None or muted is None else Decision(None, silence=muted)


def _wanted(incident: Incident, told: Told | None, routing: Routing, began: float, now: float) -> Decision:
    """What to tell, whatever people said of it."""
    if told is None and (silence := unwanted(incident, routing, began)):
        return Decision(None, silence=silence)
    when: When = "now"
    # What goes on of an incident that has a thread of its own is told there.
    if incident.caught_up and not (told and told.reference):
        when = "backlog"
    elif routing.is_quiet(now):
        when = "quiet"
    if told is None:
        return Decision("opening", when)
    if told.ended:
        return Decision(None, silence="told")
    if incident.ended is not None:
        return Decision("end", when)
    if incident.kind == "shadow" or incident.kind == "allowed":
        return Decision(None, silence=incident.kind)
    if SEVERITIES.index(incident.severity) > told.severity:
        return Decision("escalation", when)
    return Decision(None, silence="told")


def unwanted(incident: Incident, routing: Routing, began: float) -> Silence | None:
    """Why a channel that was told nothing of an incident is told nothing of it; None: it is told."""
    if incident.kind == "shadow" or incident.kind == "allowed":
        return incident.kind
    if routing.rules and incident.rule not in routing.rules:
        return "rule"
    if routing.categories and incident.category not in routing.categories:
        return "category"
    if SEVERITIES.index(incident.severity) < SEVERITIES.index(routing.severity):
        return "severity"
    if incident.ended is not None and epoch(incident.ended) <= began:
        return "past"
    return None


class Pending:
    """Incidents of which a channel is to be told, and since when they wait, by any steady clock."""

    def __init__(self, routing: Routing, last: float) -> None:
        self._routing = routing
        self._last = last
        self._since: dict[When, dict[str, float]] = {"now": {}, "quiet": {}, "backlog": {}}

    def __len__(self) -> int:
        """How many incidents wait."""
        return len({each for waiting in self._since.values() for each in waiting})

    def add(self, incident_id: str, when: When, now: float) -> None:
        """Have an incident wait."""
        for name, waiting in self._since.items():
            if name != when:
                waiting.pop(incident_id, None)
        self._since[when].setdefault(incident_id, now)

    def remove(self, incident_ids: Sequence[str]) -> None:
        """Have them wait no more."""
        for waiting in self._since.values():
            for incident_id in incident_ids:
                waiting.pop(incident_id, None)

    def sent(self, now: float) -> None:
        """Note that a message was sent."""
        self._last = now

    def due(self, now: float, is_quiet: bool) -> tuple[When, list[str]] | None:
        """Of whom to tell now, all in one; None: nobody."""
        if is_quiet:
            return None
        routing = self._routing
        if now < self._last + routing.group_interval:
            return None
        fresh = self._since["now"]
        if fresh and now >= min(fresh.values()) + routing.group_wait:
            return "now", list(fresh)
        if self._since["quiet"]:
            return "quiet", list(self._since["quiet"])
        backlog = self._since["backlog"]
        if backlog and _is_over(backlog, now):
            return "backlog", list(backlog)
        return None


#: A backlog is told of when it has brought nothing for so long, or has brought for so long, seconds.
BACKLOG_SECONDS, BACKLOG_MOST = 30.0, 600.0


def _is_over(backlog: Mapping[str, float], now: float) -> bool:
    times = backlog.values()
    return now >= max(times) + BACKLOG_SECONDS or now >= min(times) + BACKLOG_MOST
