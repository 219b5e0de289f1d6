"""Watches over the capture of tables: whether what is written to them still comes.

Three are asked. Connect says what captures which topic, and whether it has failed; PostgreSQL, how far its
log has been read; and the heartbeats in Kafka say that what is read arrives there. Connect's word alone is
not enough, and none of them is waited for.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from time import monotonic, time
from typing import Any, TypeVar

import msgspec
from aiokafka import ConsumerRecord

from clickwarden.errors import AnswerError, BrokerError, DatabaseError
from clickwarden.kafka.findings import Finding
from clickwarden.kafka.following import Followed, Following, end
from clickwarden.settings import Settings
from clickwarden.sources.captor import Captor
from clickwarden.sources.captured import Slot, connected, fault, faults, slot_of
from clickwarden.sources.connectors import REASON, Connectors, State, brief

log = logging.getLogger(__name__)

#: From one look to the next, seconds.
LOOK_SECONDS = 3.0
#: So long Connect has for all that it is asked in a look, and so long has PostgreSQL.
PATIENCE = 3.0
#: Of more connectors none is asked: a look would ask nothing else.
ASKED = 500
#: So many are watched; each costs a consumer, and a place in what the worker says of itself.
WATCHED = 20
#: Heartbeats that may be missing: with those of `register`, each 5 s, their end is known after 10 s.
MISSED = 2
#: Of the heartbeats' topic the newest are read; behind each may be the mark of a transaction.
NEWEST = 4

T = TypeVar("T")


class Capture(msgspec.Struct):
    """A connector, as far as is known whether what it captures comes.

    Attributes:
        connector: its name.
        topics: of those that are read here.
        state: of the connector, as Connect says; empty where it does not answer.
        tasks: the same, of each task.
        slot: reserved, extended, unreserved or lost, as PostgreSQL says; empty if it does not, or has none.
        active: whether somebody reads the slot.
        lag_bytes: of PostgreSQL's log that have not been read; None while that is unknown, and so on.
        kept_bytes: of the log that are kept for the slot.
        room_bytes: that may still be written until the slot is lost; None also where there is no bound.
        heartbeat_age: seconds since the last heartbeat came; None also where it sends none.
    """

    connector: str
    topics: list[str]
    state: str = ""
    tasks: list[str] = []
    slot: str = ""
    active: bool = False
    lag_bytes: int | None = None
    kept_bytes: int | None = None
    room_bytes: int | None = None
    heartbeat_age: float | None = None


class Watch:
    """Looks at what captures some topics, again and again, and logs what is wrong and what is over.

    Args:
        settings: that say where to ask.
        wanted: topics that are to be captured.
        others: topics that may be.
        now: Kafka's clock, epoch seconds.

    Attributes:
        captures: of the last look.
        findings: what is wrong, by the last look.
        looked: whether there was one.
    """

    def __init__(
        self,
        settings: Settings,
        wanted: Sequence[str],
        others: Sequence[str] = (),
        now: Callable[[], float] = time,
    ) -> None:
        self.captures: list[Capture] = []
        self.findings: list[Finding] = []
        self.looked = False
        self._settings = settings
        self._wanted = wanted
        self._topics = (*wanted, *others)
        self._now = now
        self._captors: dict[str, Captor] | None = None
        self._hearts: dict[str, _Heart] = {}

    async def watch(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                begun = monotonic()
                try:
                    self._take(*await self._look())
                except Exception as error:  # whatever it is, the worker counts on and says so
                    log.exception("What captures tables cannot be asked")
                    self._take([], [_unasked(repr(error))])
                await asyncio.sleep(max(0.0, begun + LOOK_SECONDS - monotonic()))
        finally:
            for heart in self._hearts.values():
                await end(heart.listening)

    def _take(self, captures: list[Capture], found: list[Finding]) -> None:
        known = {finding.summary for finding in self.findings}
        for finding in found:
            if finding.summary not in known:
                log.warning("%s", finding.text)
        for summary in known - {finding.summary for finding in found}:
            log.warning("No longer so: %s", summary)
        self.captures, self.findings, self.looked = captures, found, True

    async def _look(self) -> tuple[list[Capture], list[Finding]]:
        asking = asyncio.create_task(self._ask_connect())
        try:
            if self._captors is None:
                await asking
            slots, silent = await self._ask_database(self._captors or {})  # while Connect may still be silent
            states, unanswered = await asking
        finally:
            asking.cancel()
        captors = self._captors or {}
        for name in self._hearts.keys() - captors.keys():
            await end(self._hearts.pop(name).listening)
        found = [finding for finding in (unanswered, silent) if finding is not None]
        if self._captors is not None:
            found += self._uncaptured(captors.values())
        captures = []
        for name, captor in captors.items():
            state, slot = states.get(name), slots.get(name)
            heart = self._heart(name, captor, slot)
            captures.append(_capture(name, captor, state, slot, heart))
            if name in slots:
                silence = 0.0 if heart is None else heart.silence(captor.interval)
                trouble = brief(heart.trouble, REASON) if heart else ""
                found += faults(brief(name), state, slot, silence, trouble)
        return captures, found

    async def _ask_connect(self) -> tuple[dict[str, State], Finding | None]:
        """What Connect says of the connectors, whose settings are remembered; or that it says nothing."""
        url = self._settings.connect_url
        try:
            async with asyncio.timeout(PATIENCE), Connectors(url, PATIENCE) as connectors:
                names = await connectors.names()
                if len(names) > ASKED:
                    raise AnswerError(
                        f"Kafka Connect at {url} has {len(names)} connectors; {ASKED} can be asked"
                    )

                async def captor(name: str) -> Captor | None:
                    return Captor.of(await connectors.settings(name), self._topics)

                asked = zip(names, await _together(map(captor, names)), strict=True)
                captors = {name: found for name, found in asked if found is not None}
                if len(captors) > WATCHED:
                    raise AnswerError(
                        f"{len(captors)} connectors of Kafka Connect at {url} capture what is read here, and "
                        f"{WATCHED} can be watched"
                    )
                self._captors = captors
                states = await _together(map(connectors.state, captors))
                return dict(zip(captors, states, strict=True)), None
        except AnswerError as error:
            return {}, fault(
                "Kafka Connect gives no answer that can be used",
                f"{error}. Nobody knows whether what is captured comes.",
                "Mend what is named",
            )
        except (BrokerError, TimeoutError) as error:
            # Where its connectors are known, slot and heartbeats say whether they work.
            is_known = self._captors is not None
            late = f"Kafka Connect at {url} has not said in {PATIENCE:g} s all that it was asked"
            return {}, fault(
                "Kafka Connect does not answer",
                f"{str(error) or late}.",
                "Start it; until then nobody knows why a connector fails, if one does",
                blinds=not is_known,
            )

    async def _ask_database(
        self, captors: Mapping[str, Captor]
    ) -> tuple[dict[str, Slot | None], Finding | None]:
        """What PostgreSQL says of the slots of connectors; or that it says nothing."""
        try:
            return await _within(self._slots(captors)), None
        except (DatabaseError, TimeoutError) as error:
            return {}, _silent(str(error) or f"PostgreSQL has not answered for {PATIENCE:g} s")

    async def _slots(self, captors: Mapping[str, Captor]) -> dict[str, Slot | None]:
        address = self._settings.capture_database
        async with connected(address, connect_timeout=int(PATIENCE)) as asking:
            return {name: await slot_of(asking, captor.slot, captor.role) for name, captor in captors.items()}

    def _uncaptured(self, captors: Iterable[Captor]) -> list[Finding]:
        captured = {topic for captor in captors for topic in captor.topics}
        return [
            fault(
                f"topic {topic} is not captured",
                f"No connector of {self._settings.connect_url} captures a table into topic {topic}: what is "
                "written to it does not come.",
                "Have it captured, or leave out CLICKWARDEN_CONNECT_URL",
                "faust -A app connect register SCHEMA.TABLE",
            )
            for topic in self._wanted
            if topic not in captured
        ]

    def _heart(self, name: str, captor: Captor, slot: Slot | None) -> "_Heart | None":
        """Who hears the heartbeats of a connector; None where it sends none, or none yet."""
        heart = self._hearts.get(name)
        if slot is not None and slot.active and heart is None and captor.interval:
            heart = self._hearts[name] = _Heart(self._settings, captor.heartbeats, self._now)
        elif heart is not None and slot is not None and not slot.active:
            heart.excuse()
        return heart


class _Heart:
    """Hears the heartbeats of a connector in Kafka, from when its slot is read.

    Attributes:
        listening: reads them.
    """

    def __init__(self, settings: Settings, topic: str, now: Callable[[], float]) -> None:
        self._now = now
        self._last: float | None = None
        self._begun, self._excused = now(), 0.0
        self._following = Following([Followed(topic, self._take, newest=NEWEST)], now)
        self.listening = asyncio.create_task(self._following.follow(settings))

    @property
    def age(self) -> float | None:
        """Seconds since the last one, by Kafka's clock; None before the first."""
        return None if self._last is None else round(max(0.0, self._now() - self._last), 1)

    @property
    def trouble(self) -> str:
        """Why they cannot be heard; empty when they can."""
        return self._following.trouble

    def excuse(self) -> None:
        """None can come now, and the next not at once."""
        self._excused = self._now()

    def silence(self, interval: float) -> float:
        """Seconds without one, where :data:`MISSED` of them should have come; else 0."""
        last = self._begun if self._last is None else self._last
        silence = self._now() - max(last, self._excused)
        return silence if silence > MISSED * interval else 0.0

    def _take(self, record: ConsumerRecord) -> None:
        self._last = record.timestamp / 1000


def _capture(
    name: str, captor: Captor, state: State | None, slot: Slot | None, heart: _Heart | None
) -> Capture:
    found = Capture(brief(name), captor.topics)
    if heart is not None:
        found.heartbeat_age = heart.age
    if state is not None:
        found.state, found.tasks = state.connector, list(state.tasks)
    if slot is not None:
        found.slot, found.active = slot.status, slot.active
        found.lag_bytes, found.kept_bytes, found.room_bytes = slot.behind, slot.kept, slot.room
    return found


def _unasked(why: str) -> Finding:
    return fault(
        "what captures tables cannot be asked",
        f"{brief(why, REASON)}. Nobody knows whether what is written to tables comes.",
        "Look into the log of the worker, which says where that happened",
    )


def _silent(why: str) -> Finding:
    return fault(
        "PostgreSQL does not answer",
        f"{brief(why, 2 * REASON)}. Nobody knows whether what is written to its tables comes.",
        "Start PostgreSQL, or mend what is named",
    )


async def _together(questions: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The answers, as soon as all are there; none is asked on behind one that fails."""
    asked = [asyncio.create_task(question) for question in questions]
    try:
        return await asyncio.gather(*asked)
    finally:
        for task in asked:
            task.cancel()


async def _within(question: Coroutine[Any, Any, T]) -> T:
    """The answer, if it comes soon enough.

    Not by a timeout around it: a question that is broken off asks the server to forget it, and waits.

    Raises:
        TimeoutError: it does not.
    """
    asking = asyncio.create_task(question)
    asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be waiting
    try:
        done, _ = await asyncio.wait({asking}, timeout=PATIENCE)
        if not done:
            raise TimeoutError
        return asking.result()
    finally:
        asking.cancel()
