"""What is being watched."""

import msgspec

from agents.status import sight_of
from app.main import app
from clickwarden.alerts.feedback import Precision, precisions
from clickwarden.alerts.words import limit, owasp_label
from clickwarden.detection.rules import Rule
from clickwarden.times import isotime
from web.fresh import Fresh
from web.live import feed, feedback, incidents, suspects, told, workers
from web.suspects import Close

#: Users shown of a rule.
CLOSEST = 5
#: Seconds that a rule in shadow is looked back at.
DAY = 86_400


class RuleStatus(msgspec.Struct):
    """A rule in effect, and what came of it.

    Attributes:
        name: its name.
        description: what it is for, in words.
        words: what it takes to break it.
        events: clicks that count; empty: all.
        where: what is asked of a click's fields, by the field, as rules are written; a list is any of it.
        window: seconds.
        slide: seconds from the start of one window to the next; less than ``window`` where they overlap.
        threshold: more clicks than this are an anomaly, or more different values (``distinct``).
        category: bot, scraper or credential_stuffing.
        owasp: OWASP automated threat, OAT-….
        owasp_label: its name; empty for a threat that is none of OWASP's.
        fired: anomalies known.
        live: of these, windows still open; without those of users who are allowed.
        closest: users who come closest in the windows that are open, at most five.
        warning: why it may never fire, in words; empty where nothing speaks against it.
        shadow: what it finds is recorded, and nobody is told.
        distinct: the field of which different values are counted; None where clicks are.
        would_have_told: incidents of the last 24 h that it would have told of; None of a rule not in shadow.
        precision: how often it was right, as people say.
    """

    name: str
    description: str
    words: str
    events: list[str]
    where: dict[str, str | list[str]]
    window: int
    slide: int
    threshold: int
    category: str
    owasp: str
    owasp_label: str
    fired: int
    live: int
    closest: list[Close]
    warning: str
    shadow: bool = False
    distinct: str | None = None
    would_have_told: int | None = None
    precision: Precision = Precision()


def rules() -> list[RuleStatus]:
    """The rules in effect, in the file's order."""
    watermarks = {
        partition.partition: partition.watermark
        for worker in workers.all()
        for partition in worker.partitions
        if partition.watermark is not None
    }
    warnings = sight_of(workers.heard()).warnings(app.rules)
    known = {each.incident_id: each.rule for each in map(incidents.get, told) if each is not None}
    right = precisions(known, feedback.all())
    return [
        _rule(
            rule,
            watermarks,
            warnings.get(f"rule {rule.name}", ""),
            right.get(rule.name, Precision()),
        )
        for rule in app.rules
    ]


def _rule(rule: Rule, watermarks: dict[int, str], warning: str, precision: Precision) -> RuleStatus:
    return RuleStatus(
        name=rule.name,
        description=rule.description,
        words=limit(rule),
        events=list(rule.events),
        where={
            field: written if isinstance(written, str) else list(written)
            for field, written in rule.conditions.items()
        },
        window=rule.window,
        slide=rule.step,
        threshold=rule.threshold,
        category=rule.category,
        owasp=rule.threat,
        owasp_label=owasp_label(rule.threat),
        fired=feed.fired(rule.name),
        live=(feed.aside if rule.shadow else feed.live).rules[rule.name],
        closest=suspects.closest(rule.name, CLOSEST, watermarks),
        warning=warning,
        shadow=rule.shadow,
        distinct=rule.distinct,
        would_have_told=feed.shadowed(rule.name, isotime(app.clock.now() - DAY)) if rule.shadow else None,
        precision=precision,
    )


encoded = Fresh(rules, seconds=1.0)
