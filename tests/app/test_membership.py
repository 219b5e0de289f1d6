"""A worker's place in the group is certain for two seconds at a time."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from app import membership as module
from app.membership import CUT_OFF, Membership

SESSION_SECONDS = 10.0


class Clock:
    """The time, which a test may change."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "now", clock)
    return clock


def member(*, answering: float = 0.0) -> Membership:
    settings: Any = SimpleNamespace(member="one", session_timeout=SESSION_SECONDS)
    presence: Any = SimpleNamespace(trouble="", answering=answering)
    return Membership(settings, presence)


def test_a_worker_that_holds_nothing_may_say_anything(clock: Clock) -> None:
    assert member().is_certain


def test_the_place_is_certain_from_the_moment_on_when_what_was_acknowledged_was_sent(clock: Clock) -> None:
    membership = member()
    membership.holds = True
    assert not membership.is_certain
    membership.acknowledge(sent=clock.time - 1.5)
    assert (membership.is_certain, membership.trouble) == (True, "")
    clock.time += 1.0
    assert (membership.is_certain, membership.trouble) == (False, "")
    clock.time += 3.0
    assert "has not acknowledged this worker for 6 s" in membership.trouble


async def test_what_is_to_be_said_waits_until_the_place_is_certain(clock: Clock) -> None:
    membership = member()
    membership.holds = True
    saying = asyncio.create_task(membership.certain())
    done, _ = await asyncio.wait([saying], timeout=0.2)
    assert not done
    await asyncio.to_thread(membership.acknowledge, clock.time)
    async with asyncio.timeout(5):
        await saying


@pytest.mark.parametrize(
    ("holds", "silence", "answering", "ends"),
    [
        (True, 19, 600, False),
        (True, 21, 600, True),
        (True, 600, 0, False),
        (True, 600, 19, False),
        (True, 600, 21, True),
        (False, 600, 600, False),
    ],
    ids=[
        "a coordinator that is replaced",
        "cut off from the coordinator",
        "all of Kafka is away",
        "Kafka is back, the coordinator not yet",
        "Kafka is back, and cut off from the coordinator",
        "a join that takes long",
    ],
)
def test_it_ends_only_when_it_is_cut_off_from_the_coordinator_alone(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, holds: bool, silence: float, answering: float, ends: bool
) -> None:
    ended = []
    monkeypatch.setattr(module, "end", lambda why, code: ended.append(code))
    membership = member(answering=answering)
    membership.holds = holds
    membership.acknowledge(clock.time - silence)
    membership.check()
    assert ended == ([CUT_OFF] if ends else [])
