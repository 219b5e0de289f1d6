"""The sinks of a trial of telling take, fail, and keep what somebody saw; and what is said of it goes red."""

import asyncio
from collections.abc import Iterator

import pytest

from clickwarden.channels import channelsfile
from clickwarden.channels.channel import Sender
from clickwarden.channels.ledger import Entry
from clickwarden.channels.message import message_of, repeated
from clickwarden.errors import ChannelError
from tests.channels import case
from tests.chaos.hearsay import complaints
from tests.chaos.sinks import FAULTS, Fault, Seen, Sinks

MESSAGE = message_of(case("eve-1"), "opening", "", "low")
NAMES = {"mail": MESSAGE.key, "hook": MESSAGE.key, "slack": "eve-1 opening"}


@pytest.fixture
def sinks() -> Iterator[Sinks]:
    sinks = Sinks()
    sinks.open()
    yield sinks
    sinks.close()


def senders(sinks: Sinks) -> dict[str, Sender]:
    content = "\n".join(
        f'[[channel]]\nname = "{name}"\n{sink.content()}' for name, sink in sinks.by_name.items()
    )
    opened = channelsfile.parse(content.encode(), "channels.toml", {})
    return {name: each.sender for name, each in opened.by_name.items()}


async def test_what_comes_is_seen_under_its_name_and_whether_it_is_marked(sinks: Sinks) -> None:
    for name, sender in senders(sinks).items():
        await sender.send(MESSAGE)
        await sender.send(repeated(MESSAGE))
        assert sinks.by_name[name].seen == [Seen(NAMES[name], False), Seen(NAMES[name], True)]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_takes_nothing_but_perhaps_what_was_not_refused(sinks: Sinks, fault: Fault) -> None:
    of = senders(sinks)
    for name in of:
        sinks.fail(name, fault, 60)
    while sinks.well:  # noqa: ASYNC110 - of another thread
        await asyncio.sleep(0.01)
    sending = {name: asyncio.ensure_future(sender.send(MESSAGE)) for name, sender in of.items()}
    while not all(sent.done() or sinks.by_name[name].unanswered for name, sent in sending.items()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    sinks.heal()
    for name, sent in sending.items():
        with pytest.raises(ChannelError) as raised:
            await sent
        assert raised.value.again is not None
        assert (fault in ("garbage", "silent")) == raised.value.perhaps
        assert raised.value.perhaps == bool(sinks.by_name[name].unanswered)
    for name, sender in of.items():
        await sender.send(MESSAGE)
        assert sinks.by_name[name].seen[-1] == Seen(NAMES[name], False)


def told(*seen: Seen, excused: int = 1) -> list[str]:
    return complaints("mail", seen, [Entry(channel="mail", key="a"), Entry(channel="mail", key="b")], excused)


def test_what_is_wrong_is_said() -> None:
    a, b, again = Seen("a", False), Seen("b", False), Seen("a", True)
    assert told(a, b) == told(a, b, again) == told(again, b) == []
    assert told(a) == ["mail: never told of b"]
    assert told(a, b, a) == ["mail: told 1 times more of a without a mark"]
    assert told(a, b, again, excused=0) == ["mail: 1 repeats, where there may be 0"]
    assert told(a, b, Seen("c", False)) == [
        "mail: told of c, of which the ledger knows nothing",
        "mail: told 1 times more of c without a mark",
    ]
