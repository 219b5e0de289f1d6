"""What people are told: a function of incidents, of the stage they are at, and of nothing else."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal
from urllib.parse import urlencode

import msgspec

from clickwarden.alerts.incidents import Incident
from clickwarden.alerts.words import amount, duration, normal, owasp_label, plural
from clickwarden.channels.inert import inert
from clickwarden.detection.anomaly import DRIFT
from clickwarden.detection.measure import Distinct, Measure, Portion
from clickwarden.detection.rules import OWASP, Rule

#: Of an incident: it begins; it became worse; it is over. Of many: a burst of them, those of a quiet time, or
#: those that a backlog brought. And a day.
Stage = Literal["opening", "escalation", "end", "group", "digest", "backlog", "summary", "test"]
#: What is said of many besides how many they are.
OF_MANY = {"group": "", "digest": " while it was quiet", "backlog": " found in a backlog"}

#: Incidents that a message about many names.
NAMED = 10
#: What a message says first when nobody knows whether it was sent before.
PERHAPS_TOLD = "You may have been told this before: it was sent, and it is not known whether it came."
TEST = "This is a test, asked for on the command line. Nobody is attacking."


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as far as people are told of it: one user under one rule, in an unbroken run of windows.

    Attributes:
        incident_id: names it; hex.
        user_id: as it stood in the click: an attacker's text.
        rule: the rule's name.
        category: bot, scraper or credential_stuffing.
        owasp: OWASP automated threat, OAT-….
        threshold: of the rule, for one window.
        window: of the rule, seconds.
        events: which events the rule counts; empty is all.
        distinct: the field of which it counts different values; None where it counts clicks.
        usual: what the rule lets pass, in words; empty where a pipeline finds it abnormal.
        count_low: clicks in all of its windows, certainly at least as many.
        count_high: certainly at most as many.
        peak: most clicks in one window.
        windows: how many.
        since: first click counted exactly, ISO-8601 UTC.
        last_seen: last click counted exactly, ISO-8601 UTC.
        ongoing: whether it goes on.
        reasons: why, in words.
        severity: how bad, in a word; empty where nobody says.
        pipeline: whose models find its records abnormal; empty where a rule counts clicks.
    """

    incident_id: str
    user_id: str
    rule: str
    category: str
    owasp: str
    threshold: int
    window: int
    events: tuple[str, ...] = ()
    distinct: str | None = None
    usual: str = ""
    count_low: int
    count_high: int
    peak: int
    windows: int = 1
    since: str
    last_seen: str
    ongoing: bool = True
    reasons: tuple[str, ...] = ()
    severity: str = ""
    pipeline: str = ""

    @property
    def excess(self) -> float:
        """How many times the threshold its busiest window has."""
        return self.peak / max(1, self.threshold)

    @property
    def drifts(self) -> bool:
        """Whether it is of a pipeline whose records are others than its model knows, and of no user."""
        return self.category == DRIFT


class Fact(msgspec.Struct, frozen=True):
    """One line of a message; ``text`` is inert."""

    about: str
    text: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel is to show, in its own markup.

    All text is inert but for what ``cases`` hold, which are for machines.

    Attributes:
        key: the same for the same message, however often it is sent; no other message has it.
        stage: what is told.
        thread: what it belongs to: the incident's id, or the key where it is about several.
        at: when what it tells happened, ISO-8601 UTC.
        subject: the same in all messages of a thread.
        title: this message in one line.
        facts: the rest, a line each.
        link: to the page; empty where nobody said where that is.
        feedback: where whoever reads it says what it was; empty where there is no such link.
        mark: to be read before all else; mostly empty.
        cases: the incidents, the worst first.
    """

    key: str
    stage: Stage
    thread: str
    at: str
    subject: str
    title: str
    facts: tuple[Fact, ...]
    link: str = ""
    feedback: str = ""
    mark: str = ""
    cases: tuple[Case, ...] = ()


def message_of(
    case: Case, stage: Literal["opening", "escalation", "end"], page: str, step: str = ""
) -> Message:
    """What to tell of one incident.

    Args:
        case: the incident as it stands now.
        stage: what has happened.
        page: where people reach the page, with a slash at its end; may be empty.
        step: which escalation, so that each has a key of its own.
    """
    who = inert(case.user_id)
    told = {
        "opening": f"{who}: {_how(case)}",
        "escalation": f"{who} is worse: {_how(case)}",
        "end": f"{who} {'drifts no more' if case.drifts else 'has stopped'}: {_count(case)} in all",
    }
    return Message(
        key=".".join(filter(None, (case.incident_id, stage, step))),
        stage=stage,
        thread=case.incident_id,
        at=case.last_seen if stage != "opening" else case.since,
        subject=f"Clickwarden: {who} {_what(case)}",
        title=told[stage],
        facts=tuple(_facts(case)),
        link=_link(page, case),
        cases=(case,),
    )


def message_of_many(
    cases: Sequence[Case],
    key: str,
    at: str,
    page: str,
    stage: Literal["group", "digest", "backlog"] = "group",
) -> Message:
    """What to tell of several incidents at once: the worst ten are named, and all are counted.

    Args:
        cases: the incidents, in any order; at least one.
        key: of the message.
        at: when, ISO-8601 UTC.
        page: where people reach the page, with a slash at its end; may be empty.
        stage: a burst, what came while it was quiet, or what a backlog brought.
    """
    ongoing = sum(case.ongoing for case in cases)
    what, worst = crowd(cases), by_excess(cases)
    facts = [
        Fact("Rules", tally(Counter(case.rule for case in cases))),
        Fact("Going on", f"{ongoing:,} of {len(cases):,}"),
        Fact("Since", _moment(min(case.since for case in cases))),
        *ranking(worst, page),
    ]
    return Message(
        key=key,
        stage=stage,
        thread=key,
        at=at,
        subject=f"Clickwarden: {what}",
        title=what + OF_MANY[stage],
        facts=tuple(facts),
        link=page,
        cases=tuple(worst),
    )


def crowd(cases: Sequence[Case]) -> str:
    """How many they are, in words.

    >>> case = probe("1", "2026-03-10T14:20:00Z", "").cases[0]
    >>> drift = msgspec.structs.replace(case, user_id="pipeline/fraud", category=DRIFT)
    >>> crowd([case]), crowd([case, drift]), crowd([drift])
    ('1 user in 1 incident', '1 user in 1 incident, and 1 drift of a pipeline', '1 drift of a pipeline')
    """
    attacks = [case for case in cases if not case.drifts]
    users = len({case.user_id for case in attacks})
    said = [f"{plural(users, 'user')} in {plural(len(attacks), 'incident')}"] if attacks else []
    if drifts := len(cases) - len(attacks):
        said.append(plural(drifts, "drift of a pipeline", "drifts of pipelines"))
    return ", and ".join(said)


def tally(counts: Mapping[str, int]) -> str:
    """How often each, in words.

    >>> tally({"scraper": 2, "bot": 1200})
    'bot (1,200), scraper (2)'
    """
    return ", ".join(f"{what} ({count:,})" for what, count in sorted(counts.items()))


def by_excess(cases: Sequence[Case]) -> list[Case]:
    """The worst first."""
    return sorted(cases, key=lambda case: (-case.excess, case.incident_id))


def ranking(worst: Sequence[Case], page: str) -> Iterator[Fact]:
    """The worst ten, and how many more there are."""
    for place, case in enumerate(worst[:NAMED], 1):
        what = f"{inert(case.user_id)}: {_how(case)}, {case.rule if case.pipeline else f'rule {case.rule}'}"
        yield Fact(f"{place}.", what)
    if (rest := len(worst) - NAMED) > 0:
        yield Fact("And", f"{rest:,} more" + (", all of them on the page" if page else ""))


def case_of(incident: Incident, rule: Rule | None) -> Case:
    """An incident as people are told of it, and its rule, where that is in force."""
    events = rule.events if rule else ()
    measure: Measure = None
    if incident.distinct is not None:
        measure = Distinct(incident.distinct)
    elif rule and isinstance(rule.measure, Portion):
        measure = rule.measure
    usual = "" if incident.pipeline else normal(incident.threshold, events, incident.window, measure)
    return Case(
        incident_id=incident.incident_id,
        user_id=incident.user_id,
        rule=incident.rule,
        category=incident.category,
        owasp=incident.owasp,
        threshold=incident.threshold,
        window=incident.window,
        events=events,
        distinct=incident.distinct,
        usual=usual,
        count_low=incident.count_low,
        count_high=incident.count_high,
        peak=incident.peak,
        windows=incident.windows,
        since=incident.since,
        last_seen=incident.last_seen,
        ongoing=incident.ended is None,
        reasons=tuple(incident.reasons),
        severity=incident.severity,
        pipeline=incident.pipeline,
    )


def probe(key: str, at: str, page: str) -> Message:
    """A message that says what it is, with a made-up incident, so that one sees what is to come.

    Args:
        key: of the message, different each time.
        at: now, ISO-8601 UTC.
        page: where people reach the page, with a slash at its end; may be empty.
    """
    case = Case(
        incident_id=key,
        user_id="203.0.113.9",
        rule="bot",
        category="bot",
        owasp="OAT-003",
        threshold=50,
        window=60,
        usual=normal(50, (), 60),
        count_low=84,
        count_high=108,
        peak=108,
        since=at,
        last_seen=at,
        reasons=("nothing but view", "84 of them counted one by one: 1.4 a second over 60 s"),
    )
    message = message_of(case, "opening", page)
    subject = "Clickwarden: a test message"
    title = f"Test: {message.title}"
    return msgspec.structs.replace(
        message, key=f"{key}.test", stage="test", subject=subject, title=title, link=page, mark=TEST
    )


def repeated(message: Message) -> Message:
    """The message, of which nobody knows whether it was sent."""
    return msgspec.structs.replace(message, mark=PERHAPS_TOLD)


def _count(case: Case) -> str:
    """The interval in words.

    >>> case = probe("1", "2026-03-10T14:20:00Z", "").cases[0]
    >>> _count(case), _count(msgspec.structs.replace(case, count_low=108))
    ('84 to 108 clicks', '108 clicks')
    """
    if case.drifts:
        return plural(case.windows, "day of drift", "days of drift")
    if case.pipeline:
        return plural(case.count_high, "abnormal record")
    high = _many(case, case.count_high)
    return high if case.count_low >= case.count_high else f"{case.count_low:,} to {high}"


def _many(case: Case, count: int) -> str:
    """So many of what the rule counts, in words."""
    return amount(count, None if case.distinct is None else inert(case.distinct))


def _worst(case: Case) -> str:
    """What its busiest window holds, by which it is said how far it is over the threshold.

    >>> case = probe("1", "2026-03-10T14:20:00Z", "").cases[0]
    >>> _worst(case), _worst(msgspec.structs.replace(case, windows=3, count_high=290))
    ('84 to 108 clicks', 'up to 108 clicks in 1 minute')
    """
    if case.windows == 1:
        return _count(case)
    return f"up to {_many(case, case.peak)} in {duration(case.window)}"


def _what(case: Case) -> str:
    """What somebody does."""
    if case.drifts:
        return "drifts"
    return f"is abnormal to {case.rule}" if case.pipeline else f"breaks rule {case.rule}"


def _how(case: Case) -> str:
    """How much of it."""
    return _count(case) if case.pipeline else f"{_worst(case)}, {_excess(case)}"


def _excess(case: Case) -> str:
    """How far over the threshold.

    >>> case = probe("1", "2026-03-10T14:20:00Z", "").cases[0]
    >>> _excess(case), _excess(msgspec.structs.replace(case, peak=51))
    ('2.2 times the limit', 'just over the limit')
    """
    if case.excess < 1.1:
        return "just over the limit"
    return f"{case.excess:,.{1 if case.excess < 10 else 0}f} times the limit"


def _facts(case: Case) -> Iterator[Fact]:
    last = "last record" if case.pipeline else "last click"
    until = f"{'goes on, ' if case.ongoing else ''}{last} {_moment(case.last_seen)}"
    yield Fact("What" if case.drifts else "Who", inert(case.user_id))
    windows = f"{plural(case.windows, 'window')} of {duration(case.window)}"
    yield Fact("How many", _count(case) if case.pipeline else f"{_certain(case)}, in {windows}")
    yield Fact("When", f"since {_moment(case.since)}; {until}")
    if case.severity:
        yield Fact("Severity", inert(case.severity))
    if case.reasons:
        yield Fact("Why", "; ".join(map(inert, case.reasons)))
    if case.drifts:
        yield Fact(
            "Meaning", "its records are others than its model has learnt from; nobody need be attacking"
        )
        yield Fact("To do", "see whether what is recorded has changed, and train on newer records")
    if case.pipeline:
        return
    yield Fact("Normal", f"{inert(case.usual)}: below rule {case.rule}")
    yield Fact("Threat", _threat(case))


def _certain(case: Case) -> str:
    """The interval, and that it holds the truth."""
    if case.count_low >= case.count_high:
        return f"{_count(case)}, exactly"
    return f"at least {case.count_low:,}, at most {_many(case, case.count_high)}, both for certain"


def _threat(case: Case) -> str:
    """The OWASP label with its reason."""
    named = f"{inert(case.owasp)} {owasp_label(case.owasp)}".rstrip()
    if OWASP.get(case.category) == case.owasp:
        return f"{named}, the closest of OWASP's automated threats to the category {case.category}"
    return f"{named}, as rule {case.rule} labels what it finds ({case.category})"


def _moment(iso: str) -> str:
    """A moment for people, to the second.

    >>> _moment("2015-05-18T08:05:00.250Z")
    '2015-05-18 08:05:00 UTC'
    """
    return f"{iso[:10]} {iso[11:19]} UTC"


def _link(page: str, case: Case) -> str:
    return f"{page}user?{urlencode({'id': case.user_id}, errors='replace')}" if page else ""
