"""A change of rules or allow-list, made by a command: who makes it, and when it is in force."""

import asyncio
import getpass
import socket
from collections.abc import Awaitable, Callable
from time import monotonic

from rich.console import Console

from clickwarden.detection.rulebook import Change, Edition
from clickwarden.detection.rules import by_name
from clickwarden.kafka.rulestopic import RulesTopic

#: A change that no worker has taken up after so long waits for one to run.
WAIT_SECONDS = 5.0
LOOK_SECONDS = 0.1

console = Console(highlight=False, markup=False, soft_wrap=True)


def who() -> str:
    """Who makes a change: the user of the terminal, and the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


async def make(topic: RulesTopic, change: Change) -> None:
    """Make a change, and say when every partition has taken it up.

    Raises:
        SettingsError: somebody else made another meanwhile, or it is too large.
        BrokerError, AccessError: Kafka cannot be reached, or denies it.
    """
    edition = await topic.write(change)
    began = monotonic()
    console.print(f"change {change.number}: {change.what}; {names(edition)} in force")
    for name, why in edition.unreadable.items():
        console.print(f"rule {name} is left out by workers of this release: {why}")
    if await holds(topic.read, lambda: _taken_up(topic)):
        console.print(f"taken up in all partitions after {monotonic() - began:.1f} s")
    else:
        console.print("not taken up everywhere yet: see 'faust -A app rules list' when workers run")


async def holds(read: Callable[[], Awaitable[None]], condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true in time."""
    deadline = monotonic() + WAIT_SECONDS
    while not condition():
        if monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_SECONDS)
        await read()
    return True


def _taken_up(topic: RulesTopic) -> bool:
    last = topic.adoptions.last.values()
    rules = by_name(topic.book.rules)
    taken_up = all(adoption and by_name(adoption.rules) == rules for adoption in last)
    lists = {number for _, number in topic.adoptions.last_lists.values()}
    return bool(last) and taken_up and lists == {topic.book.allow_list.number}


def names(edition: Edition) -> str:
    """Of the rules in force by a change."""
    return ", ".join(rule.name for rule in edition.rules)
