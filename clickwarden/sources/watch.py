"""Watches over the capture of tables: whether what is written to them still comes.

Three are asked. Connect says what captures which topic, and whether it has failed; PostgreSQL, how far its
log has been read; and the heartbeats in Kafka say that what is read arrives there. Connect's word alone is
not enough, and none of them is waited for.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from time import monotonic, time
from typing import Any, TypeVar

import msgspec
from aiokafka import ConsumerRecord

from clickwarden.errors import BrokerError, DatabaseError
from clickwarden.kafka.findings import Finding
from clickwarden.kafka.following import Followed, Following, end
from clickwarden.settings import Settings
from clickwarden.sources.captured import Slot, connected, faults, slot_of
from clickwarden.sources.connectors import Connectors, State

log = logging.getLogger(__name__)

#: From one look to the next, seconds.
LOOK_SECONDS = 3.0
#: So long Connect and PostgreSQL have to answer.
PATIENCE = 3.0
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
        self._configs: dict[str, dict[str, str]] | None = None
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
                    self._take([], [_silent(repr(error))])
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
            if self._configs is None:
                await asking
            slots, silent = await self._ask_database(self._configs or {})  # while Connect may still be silent
            states, unanswered = await asking
        finally:
            asking.cancel()
        configs = self._configs or {}
        found = [finding for finding in (unanswered, silent) if finding is not None]
        if self._configs is not None:
            found += self._uncaptured(configs)
        captures = []
        for name, config in configs.items():
            state, slot = states.get(name), slots.get(name)
            heart = self._heart(name, config, slot)
            captures.append(self._capture(name, config, state, slot, heart))
            if name in slots:
                silence = 0.0 if heart is None else heart.silence(_interval(config))
                found += faults(name, state, slot, silence, heart.trouble if heart else "")
        return captures, found

    async def _ask_connect(self) -> tuple[dict[str, State], Finding | None]:
        """What Connect says of the connectors, whose settings are remembered; or that it says nothing."""
        try:
            async with Connectors(self._settings.connect_url, PATIENCE) as connectors:
                known = {name: await connectors.settings(name) for name in await connectors.names()}
                self._configs = {
                    name: config
                    for name, config in known.items()
                    if any(captured(config, topic) for topic in self._topics)
                }
                return {name: await connectors.state(name) for name in self._configs}, None
        except BrokerError as error:
            # Where its connectors are known, slot and heartbeats say whether they work.
            is_known = self._configs is not None
            return {}, Finding(
                "capture",
                "Kafka Connect does not answer",
                f"{error}.",
                "Start it; until then nobody knows why a connector fails, if one does",
                hides=False,
                blinds=not is_known,
            )

    async def _ask_database(
        self, configs: Mapping[str, Mapping[str, str]]
    ) -> tuple[dict[str, Slot | None], Finding | None]:
        """What PostgreSQL says of the slots of connectors; or that it says nothing."""
        try:
            return await _within(self._slots(configs)), None
        except (DatabaseError, TimeoutError) as error:
            return {}, _silent(str(error) or f"PostgreSQL has not answered for {PATIENCE:g} s")

    async def _slots(self, configs: Mapping[str, Mapping[str, str]]) -> dict[str, Slot | None]:
        address = self._settings.capture_database
        async with connected(address, connect_timeout=int(PATIENCE)) as asking:
            return {
                name: await slot_of(asking, config.get("slot.name", "debezium"), config.get("database.user"))
                for name, config in configs.items()
            }

    def _uncaptured(self, configs: Mapping[str, Mapping[str, str]]) -> list[Finding]:
        return [
            Finding(
                "capture",
                f"topic {topic} is not captured",
                f"No connector of {self._settings.connect_url} captures a table into topic {topic}: what is "
                "written to it does not come.",
                "Have it captured, or leave out CLICKWARDEN_CONNECT_URL",
                hides=False,
                command="faust -A app connect register SCHEMA.TABLE",
                blinds=True,
            )
            for topic in self._wanted
            if not any(captured(config, topic) for config in configs.values())
        ]

    def _heart(self, name: str, config: Mapping[str, str], slot: Slot | None) -> "_Heart | None":
        """Who hears the heartbeats of a connector; None where it sends none, or none yet."""
        heart = self._hearts.get(name)
        if slot is not None and slot.active and heart is None and _interval(config):
            heart = self._hearts[name] = _Heart(self._settings, _heartbeats(config), self._now)
        elif heart is not None and slot is not None and not slot.active:
            heart.excuse()
        return heart

    def _capture(
        self,
        name: str,
        config: Mapping[str, str],
        state: State | None,
        slot: Slot | None,
        heart: "_Heart | None",
    ) -> Capture:
        found = Capture(name, [topic for topic in self._topics if captured(config, topic)])
        if heart is not None:
            found.heartbeat_age = heart.age
        if state is not None:
            found.state, found.tasks = state.connector, list(state.tasks)
        if slot is not None:
            found.slot, found.active = slot.status, slot.active
            found.lag_bytes, found.kept_bytes, found.room_bytes = slot.behind, slot.kept, slot.room
        return found


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


def captured(config: Mapping[str, str], topic: str) -> bool:
    """Whether a connector of these settings captures a table into this topic."""
    prefix = config.get("topic.prefix", "") + "."
    if not config.get("connector.class", "").startswith("io.debezium.") or not topic.startswith(prefix):
        return False
    table = topic.removeprefix(prefix)
    for listed in config.get("table.include.list", "").split(","):
        with suppress(re.error):  # one that only Java reads
            if re.fullmatch(listed.strip(), table):
                return True
    return False


def _interval(config: Mapping[str, str]) -> float:
    """Seconds between its heartbeats; 0 where it sends none."""
    return int(config.get("heartbeat.interval.ms", "0")) / 1000


def _heartbeats(config: Mapping[str, str]) -> str:
    return f"{config.get('topic.heartbeat.prefix', '__debezium-heartbeat')}.{config['topic.prefix']}"


def _silent(why: str) -> Finding:
    return Finding(
        "capture",
        "PostgreSQL does not answer",
        f"{why}. Nobody knows whether what is written to its tables comes.",
        "Start PostgreSQL, or mend what is named",
        hides=False,
        blinds=True,
    )


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
