"""Feedback: what people say of incidents, and what follows from it for those who are told."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from clickwarden.alerts.feed import RECORD_BYTES
from clickwarden.alerts.incidents import Incident
from clickwarden.detection.members import LONGEST, LONGEST_REASON
from clickwarden.formats.json import UNREADABLE
from clickwarden.times import epoch, isotime

VERSION = 1
#: Incidents whose feedback is kept, those of which something was said last.
KEEP = 20_000
#: Longest snooze, seconds: what is said is kept for so long.
SNOOZE_MOST = 30 * 86_400
#: Longest comment, characters.
WHY_MOST = 200
#: So long is allowed who was human, where nobody chooses another time, seconds.
ALLOW_SECONDS = 30 * 86_400

#: What somebody says of an incident: it was a human, or a bot; or nobody is to be told for a time.
Statement = Literal["human", "bot", "snooze"]
#: Why nobody is told of an incident that is told of otherwise.
Muted = Literal["human", "snoozed"]


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """All that was said of one incident; times are ISO-8601 UTC.

    What it was and the snooze do not replace each other; of each the last word holds.

    Attributes:
        incident_id: of the incident.
        rule: the incident's.
        user_id: the incident's: an attacker's text.
        verdict: what it was; None where nobody has said so.
        who: who has said something last: by what, and from which address.
        when: when that was.
        why: a comment on it; mostly empty.
        snoozed: since when nobody is told of the user under that rule; None where nobody wanted so.
        until: until when.
        version: of this record's layout; changes are additive.
    """

    incident_id: str
    rule: str
    user_id: str
    verdict: Literal["human", "bot"] | None = None
    who: str = ""
    when: str
    why: str = ""
    snoozed: str | None = None
    until: str | None = None
    version: int = VERSION


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the allow-list for somebody who was human; nobody makes it but who is asked.

    Attributes:
        user_id: whom.
        reason: why, as it would stand in the anomalies.
        until: when it would expire, ISO-8601 UTC.
        command: the same for a terminal.
    """

    user_id: str
    reason: str
    until: str
    command: str


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """How often a rule was right, as people say.

    Attributes:
        told: incidents of it that a channel was told of.
        confirmed: incidents of it that were bots, told of or not.
        refuted: incidents of it that were humans.
        unanswered: of those told, the ones of which nobody has said what they were.
        share: the confirmed of all of which somebody has; None where nobody has.
    """

    told: int = 0
    confirmed: int = 0
    refuted: int = 0
    unanswered: int = 0
    share: float | None = None


class FeedbackError(ValueError):
    """What somebody says cannot be; begins with the field."""


def noted(
    before: Feedback | None,
    incident: Incident,
    statement: Statement,
    *,
    until: float | None = None,
    who: str,
    why: str = "",
    now: float,
) -> Feedback:
    """What stands of an incident once somebody has said something of it; ``before`` itself where that stood.

    Args:
        before: what was said of it before.
        incident: of which it is said.
        statement: what is said.
        until: of a snooze: when it is over, epoch seconds; ``now`` or before ends one.
        who: who says it.
        why: a comment.
        now: epoch seconds.

    Raises:
        FeedbackError: it cannot be.
    """
    why = " ".join(why.split())
    if len(why) > WHY_MOST:
        raise FeedbackError(f"why: has {len(why):,} characters; say it in {WHY_MOST}")
    known = before or Feedback(
        incident_id=incident.incident_id, rule=incident.rule, user_id=incident.user_id, when=""
    )
    if statement == "snooze":
        return _snoozed(known, until, who, why, now)
    if until is not None:
        raise FeedbackError("until: is for a snooze; leave it out")
    if known.verdict == statement:
        if why in ("", known.why):
            return known
    elif not why:
        known = msgspec.structs.replace(known, why="")
    return msgspec.structs.replace(known, verdict=statement, who=who, when=isotime(now), why=why or known.why)


def _snoozed(known: Feedback, until: float | None, who: str, why: str, now: float) -> Feedback:
    if until is None:
        raise FeedbackError("until: is missing; say when the snooze is over, as 2026-12-31T15:00:00Z")
    if until > now + SNOOZE_MOST:
        raise FeedbackError(f"until: is more than {SNOOZE_MOST // 86_400} days from now; snooze for less")
    if known.until is not None and why in ("", known.why):
        ends = epoch(known.until)
        if isotime(until) == known.until or (until <= now and ends <= now):
            return known
    return msgspec.structs.replace(
        known,
        who=who,
        when=isotime(now),
        why=why or known.why,
        snoozed=isotime(now),
        until=isotime(max(until, now)),
    )


def muted(incident: Incident, said: Feedback | None, snooze: Feedback | None, now: float) -> Muted | None:
    """Why nobody is to be told of an incident any more, or yet.

    What was over while its user was snoozed is not told of later; what goes on is.

    Args:
        incident: as it stands.
        said: of it.
        snooze: what holds of its user under its rule; see :meth:`KnownFeedback.snooze`.
        now: epoch seconds.
    """
    if said is not None and said.verdict == "human":
        return "human"
    if snooze is None or snooze.snoozed is None or snooze.until is None:
        return None
    until = epoch(snooze.until)
    if now < until:
        return "snoozed"
    if incident.ended is not None and epoch(snooze.snoozed) < epoch(incident.ended) <= until:
        return "snoozed"
    return None


def meanwhile(snooze: Feedback, incidents: Iterable[Incident]) -> int:
    """How many incidents of its user under its rule a snooze has covered, in part or whole."""
    if snooze.snoozed is None or snooze.until is None:
        return 0
    begin, end = epoch(snooze.snoozed), epoch(snooze.until)
    return sum(
        (each.rule, each.user_id) == (snooze.rule, snooze.user_id)
        and epoch(each.since) < end
        and (each.ended is None or epoch(each.ended) > begin)
        for each in incidents
    )


def proposal(said: Feedback, now: float) -> Proposal | None:
    """Whom to allow, if it was a human; at ``now``, epoch seconds.

    >>> said = Feedback(incident_id="e1", rule="bot", user_id="Eve's", verdict="human", when="", why="a fair")
    >>> print(proposal(said, 0).command)
    faust -A app allow add --reason 'said to be human: a fair' --until 1970-01-31T00:00:00Z -- 'Eve'"'"'s'
    """
    if said.verdict != "human" or not said.user_id.isprintable() or not 1 <= len(said.user_id) <= LONGEST:
        return None
    reason = f"said to be human: {said.why}" if said.why else f"said to be human, incident {said.incident_id}"
    reason, until = reason[:LONGEST_REASON], isotime(int(now) + ALLOW_SECONDS)
    command = ["faust", "-A", "app", "allow", "add", "--reason", reason, "--until", until, "--", said.user_id]
    return Proposal(user_id=said.user_id, reason=reason, until=until, command=shlex.join(command))


def precisions(told: Mapping[str, str], said: Iterable[Feedback]) -> dict[str, Precision]:
    """How often each rule was right.

    Args:
        told: the rule of each incident that a channel was told of, by its id.
        said: all that people said.
    """
    verdicts = {each.incident_id: each for each in said if each.verdict is not None}
    sums = Counter((each.rule, each.verdict) for each in verdicts.values())
    of_rule = Counter(told.values())
    unanswered = Counter(rule for incident_id, rule in told.items() if incident_id not in verdicts)
    return {
        rule: _precision(of_rule[rule], sums[rule, "bot"], sums[rule, "human"], unanswered[rule])
        for rule in {*of_rule, *(each.rule for each in verdicts.values())}
    }


def _precision(told: int, confirmed: int, refuted: int, unanswered: int) -> Precision:
    answered = confirmed + refuted
    return Precision(
        told=told,
        confirmed=confirmed,
        refuted=refuted,
        unanswered=unanswered,
        share=round(confirmed / answered, 4) if answered else None,
    )


_decode = msgspec.json.Decoder(Feedback).decode


class KnownFeedback:
    """What the feedback topic says of each incident."""

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._said: dict[str, Feedback] = {}
        self._snoozes: dict[tuple[str, str], dict[str, Feedback]] = {}

    def take(self, value: bytes | None) -> Feedback | None:
        """Take over a record of the topic; None where it is none."""
        if value is None or len(value) > RECORD_BYTES:
            return None
        try:
            said = _decode(value)
            for moment in (said.when, said.snoozed or said.when, said.until or said.when):
                epoch(moment)
        except (*UNREADABLE, ValueError, OverflowError):
            return None
        self.note(said)
        return said

    def note(self, said: Feedback) -> None:
        """Take over what was said of an incident."""
        self._forget(said.incident_id)
        self._said[said.incident_id] = said
        if said.snoozed is not None:
            self._snoozes.setdefault((said.rule, said.user_id), {})[said.incident_id] = said
        if len(self._said) > self._keep:
            self._forget(next(iter(self._said)))

    def get(self, incident_id: str) -> Feedback | None:
        """What was said of an incident."""
        return self._said.get(incident_id)

    def all(self) -> list[Feedback]:
        """What was said of all of them, last what was said last."""
        return list(self._said.values())

    def snooze(self, rule: str, user_id: str) -> Feedback | None:
        """The last word on whether to tell of a user under a rule, which may have been over for long."""
        words = self._snoozes.get((rule, user_id), {}).values()
        return max(words, key=lambda said: (epoch(said.snoozed or said.when), said.incident_id), default=None)

    def muted(self, incident: Incident, now: float) -> Muted | None:
        """Why nobody is to be told of an incident, at ``now``, epoch seconds."""
        snooze = self.snooze(incident.rule, incident.user_id)
        return muted(incident, self.get(incident.incident_id), snooze, now)

    def _forget(self, incident_id: str) -> None:
        said = self._said.pop(incident_id, None)
        if said is None or said.snoozed is None:
            return
        words = self._snoozes[said.rule, said.user_id]
        del words[incident_id]
        if not words:
            del self._snoozes[said.rule, said.user_id]
