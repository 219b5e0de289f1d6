"""A courier: tells one channel of incidents, and notes what it was told before and after."""

import asyncio
import logging
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import uniform
from time import monotonic
from typing import NamedTuple
from uuid import uuid4

import msgspec

from clickwarden.alerts.feedback import Feedback, KnownFeedback
from clickwarden.alerts.incidents import SEVERITIES, Incident
from clickwarden.channels.channelsfile import OpenChannel
from clickwarden.channels.ledger import SUMMARY, Entry, Ledger
from clickwarden.channels.links import Links
from clickwarden.channels.message import Message, Stage, case_of, message_of, message_of_many, repeated
from clickwarden.channels.routing import Decision, Pending, Silence, When, day_due, day_of, decide, unwanted
from clickwarden.channels.summary import Day, message_of_day
from clickwarden.detection.rules import Rule
from clickwarden.errors import ChannelError
from clickwarden.times import epoch, isotime

log = logging.getLogger(__name__)

#: Between two looks whether there is something to tell.
PAUSE_SECONDS = 0.05
#: Incidents that are told one by one, in a thread each; of more, one message tells.
ALONE = 3
#: Incidents that one message may tell of.
TOGETHER = 5_000
#: What is not taken is tried again after a second, then after twice as long each time, at most after so long.
BACKOFF_MOST = 300.0
#: What was not taken for so long is given up, seconds.
GIVE_UP_SECONDS = 24 * 3600.0
#: Incidents that are looked at without letting go of the event loop, which counts clicks too.
AT_ONCE = 200
#: Between two notes of how much waits.
NOTE_SECONDS = 5.0

OF_MANY: dict[When, Stage] = {"now": "group", "quiet": "digest", "backlog": "backlog"}


class Desk(NamedTuple):
    """What couriers work with.

    Attributes:
        page: where people reach the page.
        links: by which they say what an incident was; None: there are none.
        get: what is known of an incident now.
        rule: the rule of a name; None: it is not in force.
        now: by Kafka's clock, epoch seconds.
        ledger: what was told.
        feedback: what people said.
        write: have the ledger's topic say an entry; raises where another worker has taken over.
        known: ids of all incidents that are known now.
        blind: that clicks cannot be counted now, in words; empty where they can.
    """

    page: str
    links: Links | None
    get: Callable[[str], Incident | None]
    rule: Callable[[str], Rule | None]
    now: Callable[[], float]
    ledger: Ledger
    feedback: KnownFeedback
    write: Callable[[Entry], Awaitable[None]]
    known: Callable[[], Iterable[str]]
    blind: Callable[[], str]


class Courier:
    """Tells one channel, one message after the other.

    That a message is to be sent is in the ledger before it is, and what became
    of it after. Who finds the first without the second sends it again, with the
    same key, and says that it may have been told before.
    """

    def __init__(self, opened: OpenChannel, desk: Desk) -> None:
        self._channel, self._sender, self._routing = opened
        self._desk = desk
        self._began = desk.ledger.channels[self._channel.name].at
        self._pending = Pending(self._routing, -math.inf)
        self._silent: dict[str, str] = {}
        self._snoozed: dict[str, float] = {}  # until when
        self._again: deque[Entry] = deque()
        self._repeated = self._noted = monotonic()

    def consider(self, incident: Incident) -> None:
        """Decide whether the channel is to be told of an incident as it stands."""
        decision = self._decide(incident)
        if decision.stage is not None:
            self._pending.add(incident.incident_id, decision.when, monotonic())
        else:
            self._pending.remove([incident.incident_id])

    def _decide(self, incident: Incident) -> Decision:
        """Whether to tell, and note why not."""
        incident_id, now = incident.incident_id, self._desk.now()
        told = self._desk.ledger.told(self._channel.name, incident_id)
        muted = self._desk.feedback.muted(incident, now)
        decision = decide(incident, told, self._routing, self._began, now, muted)
        self._silent.pop(incident_id, None)
        self._snoozed.pop(incident_id, None)
        if decision.stage is None and (told is None or decision.silence == muted):
            self._silent[incident_id] = decision.silence or ""
        if decision.silence == "snoozed":
            snooze = self._desk.feedback.snooze(incident.rule, incident.user_id)
            if snooze and snooze.until and (until := epoch(snooze.until)) > now:
                self._snoozed[incident_id] = until
        return decision

    def heed(self, said: Feedback) -> None:
        """Decide anew where what somebody says may change it."""
        self._reconsider([said.incident_id, *self._snoozed])

    def _wake(self) -> None:
        """Decide anew of those whose snooze is over."""
        now = self._desk.now()
        self._reconsider([incident_id for incident_id, until in self._snoozed.items() if until <= now])

    def _reconsider(self, incident_ids: Sequence[str]) -> None:
        for incident_id in incident_ids:
            incident = self._desk.get(incident_id)
            if incident is None:
                self._snoozed.pop(incident_id, None)
            else:
                self.consider(incident)

    def repeat(self, entry: Entry) -> None:
        """Have a message sent once more that was given up."""
        self._again.append(entry)

    async def run(self) -> None:
        """Tell until cancelled."""
        for entry in self._desk.ledger.unsettled(self._channel.name):
            await self._send(entry, perhaps=True)
        while True:
            while self._again:
                await self._send(self._again.popleft(), perhaps=True)
            self._wake()
            await self._tell()
            await self._sum_up()
            await self._remind()
            await self._note()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _tell(self) -> None:
        due = self._pending.due(monotonic(), self._routing.is_quiet(self._desk.now()))
        if due is None:
            return
        when, incident_ids = due[0], due[1][:TOGETHER]
        self._pending.remove(incident_ids)
        chosen: list[tuple[Incident, Stage]] = []
        for incident_id in incident_ids:
            incident = self._desk.get(incident_id)
            if incident is None:
                continue
            decision = self._decide(incident)
            if decision.stage is not None:
                chosen.append((incident, decision.stage))
        if len(chosen) <= ALONE and when == "now":
            for incident, stage in chosen:
                key = f"{incident.incident_id}.{stage}.{incident.severity}"
                await self._begin(key, stage, [incident])
        elif chosen:
            await self._begin(uuid4().hex, OF_MANY[when], [incident for incident, _ in chosen])
        if chosen:
            self._pending.sent(monotonic())

    async def _sum_up(self) -> None:
        now, name = self._desk.now(), self._channel.name
        day = day_due(self._routing, self._desk.ledger.summaries.get(name, ""), self._began, now)
        if day is not None:
            await self._begin(f"{SUMMARY}{day}", "summary", [])

    async def _day(self, day: str) -> Day:
        """What there is to say of a day."""
        begin, end = map(isotime, day_of(self._routing, day))
        cases, silenced = [], Counter[Silence]()
        for number, incident_id in enumerate(self._desk.known()):
            if not number % AT_ONCE:
                await asyncio.sleep(0)
            incident = self._desk.get(incident_id)
            if incident is None or not (incident.since < end and incident.last_seen >= begin):
                continue
            told = self._desk.ledger.told(self._channel.name, incident_id)
            silence = unwanted(incident, self._routing, self._began)
            if told is None and silence is not None:
                silenced[silence] += 1
            else:
                cases.append(case_of(incident, self._desk.rule(incident.rule)))
        entries = self._desk.ledger.entries.values()
        given_up = sum(each.channel == self._channel.name and each.state == "failed" for each in entries)
        return Day(day, cases, silenced, given_up, self._desk.blind())

    async def _begin(self, key: str, stage: Stage, incidents: Sequence[Incident]) -> None:
        entry = Entry(
            channel=self._channel.name,
            key=key,
            state="intent",
            stage=stage,
            incidents={each.incident_id: SEVERITIES.index(each.severity) for each in incidents},
            ended=[each.incident_id for each in incidents if _is_over(each, stage)],
            at=self._desk.now(),
        )
        await self._desk.write(entry)
        await self._send(entry, perhaps=False)

    async def _send(self, entry: Entry, *, perhaps: bool) -> None:
        """Send a message until it is taken or given up.

        Args:
            entry: of the message, which the ledger has.
            perhaps: it may have been sent before.
        """
        since = entry.at if entry.state == "intent" else self._desk.now()
        while True:
            message = await self._message(entry)
            if message is None:
                entry.state, entry.words = "failed", "nothing is known any more of what it was to tell"
                break
            try:
                answer = await self._sender.send(
                    repeated(message) if perhaps else message, self._earlier(entry)
                )
            except ChannelError as error:
                entry.attempts, entry.words = entry.attempts + 1, str(error)
                perhaps = perhaps or error.perhaps
                if error.again is None or self._desk.now() - since > GIVE_UP_SECONDS:
                    entry.state = "failed"
                    break
                entry.state = "intent"
                await self._desk.write(entry)
                await self._note()
                await asyncio.sleep(_pause(entry.attempts, error.again))
            else:
                entry.state, entry.reference, entry.words = "told", answer.reference, answer.words
                break
        if entry.state == "failed":
            log.error(
                "Channel %s was not told of what 'faust -A app notify status' names %s: %s; mend it, and "
                "'faust -A app notify replay %s' tells it",
                entry.channel,
                entry.key,
                entry.words,
                entry.channel,
            )
        await self._desk.write(entry)

    def _earlier(self, entry: Entry) -> str:
        if entry.stage not in ("opening", "escalation", "end"):
            return ""
        (incident_id,) = entry.incidents
        told = self._desk.ledger.told(entry.channel, incident_id)
        return told.reference if told else ""

    async def _message(self, entry: Entry) -> Message | None:
        """What to say, of the incidents as they stand now; None where none is known any more."""
        if entry.stage == "summary":
            day = await self._day(entry.day)
            return message_of_day(day, entry.key, isotime(entry.at), self._desk.page)
        known = [incident for incident in map(self._desk.get, entry.incidents) if incident is not None]
        cases = [case_of(incident, self._desk.rule(incident.rule)) for incident in known]
        if not cases:
            return None
        match entry.stage:
            case "opening" | "escalation" | "end":
                message = message_of(cases[0], entry.stage, self._desk.page)
                links = self._desk.links
                feedback = ""
                if links and not cases[0].drifts:
                    feedback = links.link(cases[0].incident_id, entry.at)
                return msgspec.structs.replace(message, key=entry.key, feedback=feedback)
            case "group" | "digest" | "backlog":
                return message_of_many(cases, entry.key, isotime(entry.at), self._desk.page, entry.stage)
            case "summary" | "test":
                return None

    async def _remind(self) -> None:
        """Say again what goes on, where the other side would else take it for over."""
        repeat, now = self._sender.repeat, monotonic()
        if repeat is None or now < self._repeated + repeat:
            return
        self._repeated = now
        known = map(self._desk.get, self._desk.ledger.going_on(self._channel.name))
        cases = [case_of(each, self._desk.rule(each.rule)) for each in known if each and self._goes_on(each)]
        if not cases:
            return
        message = message_of_many(cases, uuid4().hex, isotime(self._desk.now()), self._desk.page)
        try:
            await self._sender.send(message)
        except ChannelError as error:
            log.warning("Channel %s was not told again of what goes on: %s", self._channel.name, error)

    def _goes_on(self, incident: Incident) -> bool:
        """Whether an incident is to be said to go on."""
        return incident.ended is None and self._desk.feedback.muted(incident, self._desk.now()) is None

    async def _note(self) -> None:
        """Have the ledger say how much waits, and of how much nothing is told."""
        if monotonic() < self._noted + NOTE_SECONDS:
            return
        self._noted = monotonic()
        waiting, silenced = len(self._pending), dict(sorted(Counter(self._silent.values()).items()))
        known = self._desk.ledger.channels[self._channel.name]
        if (known.waiting, known.silenced) != (waiting, silenced):
            await self._desk.write(
                Entry(channel=self._channel.name, at=self._began, waiting=waiting, silenced=silenced)
            )


def _is_over(incident: Incident, stage: Stage) -> bool:
    """Whether nobody is to be told of its end any more: of a backlog one message is enough."""
    return incident.ended is not None or (stage == "backlog" and incident.status == "closed")


def _pause(attempts: int, asked: float) -> float:
    """How long to wait before the next attempt: not everybody at once, and not sooner than asked for."""
    return max(asked, uniform(0.5, 1.0) * min(BACKOFF_MOST, 2.0**attempts))
