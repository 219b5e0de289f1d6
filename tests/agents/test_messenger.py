"""The messenger, on a real Kafka: who is told what of an incident, and how often."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaError

from agents import courier
from agents.courier import ALONE
from agents.messenger import Messenger
from clickwarden.alerts import feedbacktopic
from clickwarden.alerts.feedback import Feedback
from clickwarden.alerts.stories import Stories
from clickwarden.channels import channelsfile, routing
from clickwarden.channels.ledger import Ledger
from clickwarden.channels.ledgertopic import ask_again, read
from clickwarden.channels.message import PERHAPS_TOLD
from clickwarden.detection.anomaly import Anomaly
from clickwarden.settings import Settings
from clickwarden.times import epoch, isotime
from tests.anomalies import MINUTES, record
from tests.channels import Received, Reply, Sink, sink
from tests.chaos.sinks import Sinks

SECONDS = 30.0
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
T = epoch(MINUTES[0])


@pytest.fixture
async def settings(declared: Callable[[int], Awaitable[Settings]]) -> Settings:
    return await declared(1)


def file(*hosts: str, more: str = "group_wait = 0\ngroup_interval = 0") -> bytes:
    """A file with a webhook for each host."""
    return "\n".join(
        f'[[channel]]\nname = "c{number}"\nurl = "webhook+http://{host}/"\nsecret = "{KEY}"\n{more}'
        for number, host in enumerate(hosts)
    ).encode()


class Office:
    """A messenger, and the stories that it tells of."""

    def __init__(self, settings: Settings, content: bytes, stories: Stories | None = None) -> None:
        self.stories = stories or Stories()
        self.now = T + 60
        self.blind = ""
        channels = channelsfile.parse(content, "channels.toml", {})
        get: Callable[[str], Any] = lambda incident_id: self.stories.get(incident_id, self.now)  # noqa: E731
        self.messenger = Messenger(
            settings,
            channels,
            get,
            lambda rule: None,
            lambda: self.now,
            lambda: self.stories,
            lambda: self.blind,
        )

    def say(self, name: str, status: str = "ongoing", **more: Any) -> None:
        value = record(name, status, **{"incident_id": name, "user_id": name} | more)
        for changed in self.stories.hear(msgspec.json.decode(value, type=Anomaly)):
            self.look(changed)

    def look(self, incident_id: str) -> None:
        """Have the messenger consider an incident, as its keeper does when it writes it."""
        incident = self.stories.get(incident_id, self.now)
        assert incident is not None
        self.messenger.consider(incident)


@asynccontextmanager
async def working(settings: Settings, office: Office) -> AsyncIterator[Office]:
    task = asyncio.create_task(office.messenger.run())
    try:
        async with asyncio.timeout(SECONDS):
            while not office.messenger.works and not task.done():  # noqa: ASYNC110 - of Kafka
                await asyncio.sleep(0.05)
        assert not task.done(), task.exception()
        yield office
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, KafkaError):
            await task


async def until(is_met: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not is_met():  # noqa: ASYNC110 - of a server in another thread
            await asyncio.sleep(0.02)


async def until_noted(settings: Settings, is_met: Callable[[Ledger], bool]) -> Ledger:
    """The ledger, as soon as it is as it should be."""
    async with asyncio.timeout(SECONDS):
        while not is_met(noted := await read(settings)):  # noqa: ASYNC110 - of Kafka
            await asyncio.sleep(0.05)
        return noted


def told(server: Sink) -> list[tuple[str, list[str]]]:
    """Stage and users of each message that came."""
    return [
        (
            request.json["type"].removeprefix("incident."),
            sorted(each["user_id"] for each in request.json["data"]["incidents"]),
        )
        for request in server.received
    ]


async def test_each_stage_is_told_once_whoever_tells(settings: Settings) -> None:
    with sink() as server:
        async with working(settings, Office(settings, file(server.host))) as office:
            office.say("eve")
            await until(lambda: told(server) == [("opening", ["eve"])])
            office.look("eve")
            office.say("eve", "closed", count_high=300)
            await until(lambda: told(server)[1:] == [("escalation", ["eve"])])
            await until_noted(settings, lambda noted: not noted.entries)
        # Another worker, which hears of all of it anew.
        async with working(settings, Office(settings, file(server.host), office.stories)) as another:
            another.look("eve")
            another.now = T + 86_400
            another.look("eve")
            await until(lambda: told(server)[2:] == [("end", ["eve"])])
            another.say("eve", "corrected", count_high=3000, revision=1)
            another.say("joe")
            await until(lambda: told(server)[3:] == [("opening", ["joe"])])
        keys = [request.headers["webhook-id"] for request in server.received]
        assert len(set(keys)) == 4
        assert not any("mark" in request.json["data"] for request in server.received)


async def test_of_500_attackers_one_message_tells_and_another_of_their_end(settings: Settings) -> None:
    with sink() as server:
        content = file(server.host, more="group_wait = 0.5\ngroup_interval = 1")
        async with working(settings, Office(settings, content)) as office:
            for number in range(500):
                office.say(f"{number:03}")
            await until(lambda: len(server.received) == 1)
            office.now = T + 86_400
            for number in range(500):
                office.say(f"{number:03}", "closed")
            await until(lambda: len(server.received) == 2)
        everybody = [f"{number:03}" for number in range(500)]
        assert told(server) == [("group", everybody), ("group", everybody)]
        facts = [fact["about"] for fact in server.received[0].json["data"]["facts"]]
        assert facts[-11:] == [*(f"{place}." for place in range(1, 11)), "And"]
        assert ALONE < 500


async def test_what_may_have_been_sent_is_sent_again_and_says_so(settings: Settings) -> None:
    hold = asyncio.Event()
    loop = asyncio.get_running_loop()

    def dies(request: Received) -> Reply:
        loop.call_soon_threadsafe(hold.set)
        return Reply(503)  # it has the message, and nobody can know

    with sink(dies) as server:
        async with working(settings, Office(settings, file(server.host))) as office:
            office.say("eve")
            await hold.wait()
        server.reply = lambda request: Reply()
        count = len(server.received)
        async with working(settings, Office(settings, file(server.host), office.stories)):
            await until(lambda: len(server.received) == count + 1)
            await until_noted(settings, lambda noted: not noted.entries)
        assert server.received[-1].json["data"]["mark"] == PERHAPS_TOLD
        assert len({request.headers["webhook-id"] for request in server.received}) == 1
        async with working(settings, Office(settings, file(server.host), office.stories)) as third:
            third.say("joe")
            await until(lambda: told(server)[-1] == ("opening", ["joe"]))
        assert len(server.received) == count + 2


async def test_a_second_messenger_shuts_the_first_one_up(settings: Settings) -> None:
    with sink() as server:
        first = Office(settings, file(server.host))
        second = Office(settings, file(server.host))
        async with working(settings, first), working(settings, second):
            first.say("eve")
            second.say("joe")
            await until(lambda: told(server) == [("opening", ["joe"])])
            await until(lambda: not first.messenger.works)
        assert told(server) == [("opening", ["joe"])]


async def test_a_new_channel_is_told_of_nothing_that_was_over(settings: Settings) -> None:
    with sink() as server:
        office = Office(settings, file(server.host))
        office.now = T + 86_400
        office.stories.hear(msgspec.json.decode(record("old", "closed", incident_id="old"), type=Anomaly))
        async with working(settings, office):
            office.say("new", user_id="new")
            await until(lambda: told(server) == [("opening", ["new"])])
            await until_noted(settings, lambda noted: noted.channels["c0"].silenced == {"past": 1})


async def test_a_channel_that_is_away_holds_up_no_other_and_gets_all_of_it_later(settings: Settings) -> None:
    with sink(lambda request: Reply(503)) as away, sink() as there:
        async with working(settings, Office(settings, file(away.host, there.host))) as office:
            office.say("eve")
            await until(lambda: len(away.received) >= 2 and told(there) == [("opening", ["eve"])])
            office.say("joe")
            await until(lambda: told(there)[1:] == [("opening", ["joe"])])
            waiting = (await read(settings)).unsettled("c0")
            assert [(each.state, [*each.incidents]) for each in waiting] == [("intent", ["eve"])]
            assert waiting[0].words.startswith("503")
            away.reply = lambda request: Reply()
            count = len(away.received)
            await until(lambda: told(away)[count:] == [("opening", ["eve"]), ("opening", ["joe"])])


async def test_what_is_refused_is_given_up_and_told_when_somebody_asks(settings: Settings) -> None:
    with sink(lambda request: Reply(401)) as server:
        async with working(settings, Office(settings, file(server.host))) as office:
            office.say("eve")
            noted = await until_noted(
                settings, lambda noted: [each.state for each in noted.entries.values()] == ["failed"]
            )
            failed = [*noted.entries.values()]
            assert (len(failed), len(server.received)) == (1, 1)
            server.reply = lambda request: Reply()
            await ask_again(settings, failed)
            await until(lambda: told(server)[1:] == [("opening", ["eve"])])
            await until_noted(settings, lambda noted: not noted.entries)


async def test_a_backlog_is_one_message_also_when_it_has_ended(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "BACKLOG_SECONDS", 0.5)
    with sink() as server:
        async with working(settings, Office(settings, file(server.host))) as office:
            for number in range(3):
                office.say(f"old {number}", "closed", caught_up=True)
            await until(lambda: told(server) == [("backlog", [f"old {number}" for number in range(3)])])
            await until_noted(settings, lambda noted: not noted.entries)
            office.now = T + 86_400
            for number in range(3):
                office.look(f"old {number}")
            office.say("eve")
            await until(lambda: told(server)[1:] == [("opening", ["eve"])])


async def test_a_day_is_summed_up_once_also_where_nothing_happened(settings: Settings) -> None:
    with sink() as server:
        wants = 'group_wait = 0\ngroup_interval = 0\nsummary = "08:00"\nrules = ["bot"]'
        office = Office(settings, file(server.host, more=wants))
        began = office.now
        async with working(settings, office):
            office.say("eve")
            office.say("joe", rule="other")
            await until(lambda: told(server) == [("opening", ["eve"])])
            office.now = epoch(isotime(began + 86_400)[:10] + "T08:00:00Z")
            await until(lambda: told(server)[1:] == [("summary", ["eve"])])
            await until_noted(settings, lambda noted: not noted.entries)
        facts = {fact["about"]: fact["text"] for fact in server.received[-1].json["data"]["facts"]}
        assert facts["Not told of"] == "of rules it does not want (1)"
        async with working(settings, Office(settings, file(server.host, more=wants))) as another:
            another.now = office.now + 3600
            another.say("ann")
            await until(lambda: told(server)[2:] == [("opening", ["ann"])])
            another.blind = "9 of 10 records cannot be counted"
            another.now = office.now + 10 * 86_400
            await until(lambda: told(server)[3:] == [("summary", [])])
        data = server.received[-1].json["data"]
        assert data["title"].endswith(": nothing happened")
        assert data["facts"][0] == {"about": "Blind", "text": "9 of 10 records cannot be counted"}
        assert "mark" not in data


@pytest.fixture
def sinks() -> Iterator[Sinks]:
    sinks = Sinks()
    sinks.open()
    yield sinks
    sinks.close()


def of_each_kind(sinks: Sinks, more: str) -> bytes:
    """A file with a mail server, a webhook, and a server with Slack's contract."""
    return "\n".join(
        f'[[channel]]\nname = "{name}"\n{sink.content()}\n{more}' for name, sink in sinks.by_name.items()
    ).encode()


async def test_of_500_attackers_at_once_every_kind_of_channel_is_told_in_three_messages_at_most(
    settings: Settings, sinks: Sinks
) -> None:
    """Who is not named is counted: in the title, and, for a webhook, one by one."""
    content = of_each_kind(sinks, "group_wait = 0.5\ngroup_interval = 2")
    async with working(settings, Office(settings, content)) as office:
        for number in range(500):
            office.say(f"{number:03}")
        await until_noted(
            settings,
            lambda noted: all(
                noted.told(name, f"{number:03}") for name in sinks.by_name for number in range(500)
            ),
        )
    for name, server in sinks.by_name.items():
        counted = sum(number for number, _ in server.counted)
        assert (counted, 1 <= len(server.seen) <= 3) == (500, True), name


async def test_who_is_abnormal_for_half_an_hour_is_told_of_in_one_thread_of_five_messages(
    settings: Settings, sinks: Sinks
) -> None:
    """Opening, medium, high, critical, end: whatever happens in thirty windows."""

    async def came(number: int) -> None:
        await until(lambda: all(len(server.seen) >= number for server in sinks.by_name.values()))

    async with working(
        settings, Office(settings, of_each_kind(sinks, "group_wait = 0\ngroup_interval = 0"))
    ) as office:
        for minute in range(30):
            start = {"window_start": MINUTES[minute], "window_end": MINUTES[minute + 1]}
            office.now = T + 60 * minute + 60
            often = (60, 120, 300, 1200)[minute // 8]
            for status, count in (("ongoing", 51), ("closed", often)):
                office.say(
                    f"eve{minute}", status, count_high=count, incident_id="eve", user_id="eve", **start
                )
            await came(1 + minute // 8)
        office.now = T + 86_400
        office.look("eve")
        await came(5)
        await until_noted(settings, lambda noted: not noted.entries)
    assert [seen.what for seen in sinks.by_name["slack"].seen] == [
        "eve opening",
        *["eve escalation"] * 3,
        "eve end",
    ]
    for name, server in sinks.by_name.items():
        assert len({thread for _, thread in server.counted}) == 1, name


async def test_a_human_is_told_of_no_more_and_who_is_snoozed_when_that_is_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "NOTE_SECONDS", 0.2)

    async def say(user: str, **said: Any) -> None:
        feedback = Feedback(incident_id=user, rule="bot", user_id=user, when=isotime(T), **said)
        await feedbacktopic.write(settings, feedback)

    def snooze(minutes: int) -> dict[str, str]:
        return {"snoozed": isotime(T), "until": isotime(T + 60 * minutes)}

    with sink() as server:
        await say("ann", **snooze(60))
        async with working(settings, Office(settings, file(server.host))) as office:
            for user in ("ann", "eve", "joe"):
                office.say(user)
            await until(lambda: sorted(told(server)) == [("opening", ["eve"]), ("opening", ["joe"])])
            await until_noted(settings, lambda noted: noted.channels["c0"].silenced == {"snoozed": 1})
            await say("eve", verdict="human")
            await say("joe", **snooze(60))
            await say("ann", **snooze(0))  # what was said before is read when this is
            await until(lambda: told(server)[2:] == [("opening", ["ann"])])
            for user in ("eve", "joe"):
                office.say(user, count_high=300, emitted_at=MINUTES[1])
            await until_noted(
                settings, lambda noted: noted.channels["c0"].silenced == {"human": 1, "snoozed": 1}
            )
        # Another worker, and an hour later.
        async with working(settings, Office(settings, file(server.host), office.stories)) as another:
            await until_noted(
                settings, lambda noted: noted.channels["c0"].silenced == {"human": 1, "snoozed": 1}
            )
            another.now = T + 3600
            await until(lambda: told(server)[3:] == [("escalation", ["joe"])])
            await until_noted(settings, lambda noted: noted.channels["c0"].silenced == {"human": 1})
