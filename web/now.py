"""The first look: is anyone attacking now, who, how sure, since when, and is the watcher healthy."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from agents.status import (
    COUNTING,
    blindness_of,
    captures_of,
    clocks_of,
    discord_of,
    findings_of,
    learning_of,
    sight_of,
    unscored_of,
)
from app.main import app, settings
from clickwarden.alerts.feed import Live
from clickwarden.alerts.feedback import Muted
from clickwarden.alerts.incidents import Incident
from clickwarden.alerts.sight import Blindness
from clickwarden.alerts.words import amount, plural
from clickwarden.kafka.findings import Finding
from clickwarden.release import RELEASE
from clickwarden.sources.watch import Capture
from clickwarden.times import isotime
from web.fresh import Fresh
from web.live import feed, feedback, following, incident, stories, stream, timeline, untold, workers
from web.timeline import STEP, Point
from web.workers import WorkerStatus

#: Live incidents that are shown.
SHOWN = 50
#: So many records not yet counted, and what is counted in so many seconds, are no backlog.
BEHIND_RECORDS, BEHIND_SECONDS = 1000, 10


class Verdict(msgspec.Struct):
    """What is going on, in one line.

    Attributes:
        state: ``quiet``, ``attack`` while a user is over a threshold, or
            ``unknown`` while the anomalies cannot be read, nobody counts, too much of what comes cannot be
            counted or scored, or what is captured from tables does not come.
        text: in words; holds a user's id, an attacker's text.
        worst: incident_id of the worst; None where there is none.
        blind: it is ``unknown`` because too much of what comes cannot be counted or scored, or what is
            captured from tables does not come.
    """

    state: Literal["quiet", "attack", "unknown"]
    text: str
    worst: str | None
    blind: bool = False


class Timeline(msgspec.Struct):
    """Clicks and anomalies of the last hour.

    Attributes:
        step: seconds of a point.
        points: oldest first; times of which nothing is known are left out.
    """

    step: int
    points: list[Point]


class Health(msgspec.Struct):
    """How the watcher itself is doing, all workers together.

    Attributes:
        kafka: ``away`` while Kafka cannot be read.
        detail: why, in words.
        watermark_delay: Kafka's clock - watermark of the partition furthest behind,
            seconds; None before a click.
        lag: records not yet counted.
        clicks_per_second: records counted, over the last five seconds; None until known.
        accepted, late, ignored: records by what became of them, since the topic began.
        uncounted: those of the late that a rule could not count any more; the others are counted.
        late_by_silence: those of the late whose window wall clock had closed, since the workers started.
        rejected: records that could not be counted, by reason.
        lost: records that retention deleted before they were counted.
        workers: by name.
        impaired: what is wrong with it, a few words each; nothing when all is well.
        blindness: why all together, or else one of the workers, can count too little of what comes.
        warnings: what makes a rule, or all of them, count something else than is meant, and workers whose
            rules, seed or clock are not those of the others or of Kafka; and what people could not be told,
            in words.
        findings: what is wrong with the clicks topic, and with what is captured from tables; what follows
            from it, and what to do.
        captures: connectors that capture what is read.
        unscored: why records of pipelines have no verdict.
        learning: pipelines of which some records have no verdict, since what scores them begins to learn.
    """

    kafka: Literal["ok", "away"]
    detail: str
    watermark_delay: float | None
    lag: int
    clicks_per_second: float | None
    accepted: int
    late: int
    uncounted: int
    late_by_silence: int
    rejected: dict[str, int]
    ignored: int
    lost: int
    workers: list[WorkerStatus]
    impaired: list[str]
    blindness: Blindness | None
    warnings: list[str]
    findings: list[Finding]
    captures: list[Capture]
    unscored: list[str] = []
    learning: list[str] = []


class Now(msgspec.Struct):
    """What is going on now.

    Attributes:
        verdict: what is going on, in one line.
        live: incidents with an open window, the worst first (most times the threshold); at most 50.
        live_total: all of them.
        aside: those of rules in shadow and of users who are allowed, likewise; none of them is an attack.
        aside_total: all of them.
        muted: why nobody is told of some of those shown, by incident_id: somebody said ``human``, or they
            are ``snoozed``. An attack that nobody is told of is one all the same.
        timeline: the last hour.
        health: of the watcher.
        position: of the stream, to go on from with ``/api/v1/stream?last_event_id=``.
        time: Kafka's clock, ISO-8601 UTC.
        version: of Clickwarden.
    """

    verdict: Verdict
    live: list[Incident]
    live_total: int
    aside: list[Incident]
    aside_total: int
    muted: dict[str, Muted]
    timeline: Timeline
    health: Health
    position: str
    time: str
    version: str


def worst(live: Live) -> list[Incident]:
    """The worst of live incidents."""
    entries = feed.worst(live, SHOWN)
    wanted = {(entry.user_id, entry.rule) for entry in entries}
    users = dict.fromkeys(entry.user_id for entry in entries)
    ongoing = [each for user_id in users for each in stories.of(user_id) if stories.ending(each) is None]
    known = filter(None, map(incident, ongoing))
    found = [each for each in known if (each.user_id, each.rule) in wanted]
    return sorted(found, key=_excess, reverse=True)[:SHOWN]


def _excess(incident: Incident) -> tuple[float, int, str]:
    return incident.peak / max(1, incident.threshold), incident.count, incident.incident_id


def look() -> Now:
    """Look at what is going on."""
    live, total = worst(feed.live), len(feed.live)
    aside = [each for each in worst(feed.aside) if (each.rule, each.user_id) not in feed.live.users]
    health = _health()
    return Now(
        verdict=_verdict(live, total, health),
        live=live,
        live_total=total,
        aside=aside,
        aside_total=len(feed.aside.users.keys() - feed.live.users.keys()),
        muted=dict(_muted([*live, *aside])),
        timeline=Timeline(STEP, timeline.points()),
        health=health,
        position=stream.position,
        time=isotime(app.clock.now()),
        version=RELEASE,
    )


def _muted(shown: Iterable[Incident]) -> Iterator[tuple[str, Muted]]:
    """Why nobody is told, where it is so because of what somebody said."""
    now = app.clock.now()
    for each in shown:
        if why := feedback.muted(each, now):
            yield each.incident_id, why


def _verdict(live: list[Incident], total: int, health: Health) -> Verdict:
    worst = live[0].incident_id if live else None
    if health.kafka == "away":
        return Verdict("unknown", "Kafka does not answer", worst)
    if not following.loaded.is_set():
        return Verdict("unknown", "Reading what was found so far", worst)
    if live:
        first = live[0]
        much = amount(first.count, first.distinct)
        text = f"{plural(total, 'attack')}; the worst: {first.user_id}, {much}, rule {first.rule}"
        text += "".join(f". {summary}" for summary, _ in _blind(health))
        return Verdict("attack", text, worst)
    if waiting := next(_waiting(health), ""):
        return Verdict("unknown", waiting, None)
    if not any(worker.state in COUNTING for worker in health.workers):
        return Verdict("unknown", "No worker counts clicks", None)
    if blind := _blind(health):
        return Verdict("unknown", " ".join(text for _, text in blind), None, blind=True)
    if hiding := [*(each.summary for each in health.findings if each.hides), *health.learning]:
        return Verdict("quiet", f"Quiet, as far as can be seen: {'; '.join(hiding)}", None)
    if feed.aside:
        users = plural(len(feed.aside), "user")
        return Verdict("quiet", f"Quiet: of {users} over a threshold nobody is told", None)
    return Verdict("quiet", "Quiet: nobody is over a threshold", None)


def _health() -> Health:
    known = workers.all()
    partitions = [partition for worker in known for partition in worker.partitions]
    rates = [worker.clicks_per_second for worker in known if worker.clicks_per_second is not None]
    rejected: Counter[str] = Counter()
    for partition in partitions:
        rejected.update(partition.rejected)
    heard = workers.heard()
    health = Health(
        kafka="away" if following.trouble else "ok",
        detail=following.trouble,
        watermark_delay=max(
            (partition.delay for partition in partitions if partition.delay is not None), default=None
        ),
        lag=sum(partition.lag or 0 for partition in partitions),
        clicks_per_second=round(sum(rates), 1) if rates else None,
        accepted=sum(partition.accepted for partition in partitions),
        late=sum(partition.late for partition in partitions),
        uncounted=sum(partition.uncounted for partition in partitions),
        late_by_silence=sum(partition.late_by_silence for partition in partitions),
        rejected=dict(rejected.most_common()),
        ignored=sum(partition.ignored for partition in partitions),
        lost=sum(partition.lost for partition in partitions),
        workers=known,
        impaired=[],
        blindness=blindness_of(heard, settings.blind_share),
        warnings=[
            *discord_of(heard).values(),
            *clocks_of(heard),
            *sight_of(heard).warnings(app.rules).values(),
            *untold.warnings(),
        ],
        findings=findings_of(heard),
        captures=captures_of(heard),
        unscored=unscored_of(heard),
        learning=learning_of(heard),
    )
    health.impaired = list(_impaired(health))
    return health


def _blind(health: Health) -> list[tuple[str, str]]:
    """Why quiet would mean nothing, each in short and in full."""
    found = [] if health.blindness is None else [(health.blindness.summary, health.blindness.text)]
    found += [(each.summary, each.text) for each in health.findings if each.blinds]
    return found + [(why, f"{why}.") for why in health.unscored]


def _waiting(health: Health) -> Iterator[str]:
    """What workers wait for, in words."""
    return (worker.detail for worker in health.workers if worker.state == "away")


def _impaired(health: Health) -> Iterator[str]:
    """What is wrong with the watcher."""
    if health.blindness is not None:
        found = health.blindness
        yield f"{100 * found.uncountable // found.records} % of the records cannot be counted"
    if health.kafka == "away":
        yield "Kafka does not answer"
    if not any(worker.state in COUNTING for worker in health.workers):
        yield "no worker counts"
    yield from dict.fromkeys(_waiting(health))
    gone = sum(len(worker.partitions) for worker in health.workers if worker.state == "gone")
    if gone:
        yield f"{plural(gone, 'partition')} of a gone worker not counted"
    for state in ("recovering", "rebalancing"):
        if those := sum(worker.state == state for worker in health.workers):
            yield f"{plural(those, 'worker')} {state}"
    if health.lag > max(BEHIND_RECORDS, BEHIND_SECONDS * (health.clicks_per_second or 0)):
        yield f"{plural(health.lag, 'click')} behind"
    if health.lost:
        yield f"{plural(health.lost, 'click')} lost"
    yield from (finding.summary for finding in health.findings if finding.hides or finding.blinds)
    yield from health.unscored


encoded = Fresh(look, seconds=0.2)
