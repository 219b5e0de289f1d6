"""What the group's coordinator answers decides how the worker stands; each answer is Kafka's own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from app import coordination, membership
from app.coordination import FENCED_INSTANCE_ID, Coordination
from app.membership import CERTAIN_SECONDS, EXPELLED, UNCOORDINATED, Membership
from app.pulse import now

LOADING, ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING, UNEXPECTED = 14, 22, 25, 27, 42


class Kafka:
    """A client of a Kafka that answers each kind of request with the error code it is told, else with 0.

    Attributes:
        heard: requests, by kind.
    """

    def __init__(self) -> None:
        self.cluster = ClusterMetadata()
        self.answers: dict[type, int] = {}
        self.heard: Counter[type] = Counter()

    async def coordinator_lookup(self, kind: Any, group: str) -> int:
        return 1

    async def ready(self, node: int, *, group: Any) -> bool:
        return True

    async def send(self, node: int, request: Any, *, group: Any) -> Any:
        self.heard[type(request)] += 1
        return SimpleNamespace(
            error_code=self.answers.get(type(request), 0),
            generation_id=self.heard[JoinGroupRequest],
            group_protocol="faust",
            leader_id="another",
            member_id="one-1",
            member_assignment=ConsumerProtocolMemberAssignment(0, [("clicks", [0])], b"").encode(),
        )


class Assignor:
    """Takes what it is given.

    Attributes:
        stale: assignments to come that were made for another address.
        fails: whether it raises.
    """

    name = "faust"

    def __init__(self, app: Any) -> None:
        self.app = app
        self.outdated = self.fails = False
        self.stale = 0

    def metadata(self, topics: set[str]) -> bytes:
        return b""

    def on_assignment(self, assignment: Any) -> None:
        if self.fails:
            raise ValueError
        self.outdated = self.stale > 0
        self.stale -= 1


class Group:
    """A member of the group, and how it fared.

    Attributes:
        ended: exit codes with which the process would have ended.
    """

    def __init__(self) -> None:
        self.kafka = Kafka()
        self.skipped = 0.0
        self.ended: list[int] = []
        settings: Any = SimpleNamespace(member="one", session_timeout=10.0)
        presence: Any = SimpleNamespace(trouble="", answering=0.0)
        self.membership = Membership(settings, presence)
        self.membership.admitted = True
        self.app = SimpleNamespace(
            membership=self.membership, pulse=SimpleNamespace(check=lambda: None), should_stop=False
        )
        self.assignor = Assignor(self.app)
        self.subscription = SubscriptionState()

    def join(self) -> None:
        """Have the member take part."""
        self.subscription.subscribe({"clicks"})

    def now(self) -> float:
        return now() + self.skipped

    def end(self, why: str, code: int) -> None:
        self.ended.append(code)
        raise asyncio.CancelledError  # nothing goes on

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - as tests.site has it
                await asyncio.sleep(0.01)


@pytest.fixture
async def group(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Group]:
    group = Group()
    for module in (coordination, membership):
        monkeypatch.setattr(module, "now", group.now)
        monkeypatch.setattr(module, "end", group.end)
    member = Coordination(
        group.kafka,
        group.subscription,
        group_id="clickwarden",
        group_instance_id="one",
        heartbeat_interval_ms=20,
        retry_backoff_ms=20,
        enable_auto_commit=False,
        assignors=[group.assignor],
    )
    yield group
    group.app.should_stop = True
    with suppress(asyncio.CancelledError):
        await member.close()


async def test_a_member_that_is_acknowledged_is_certain(group: Group) -> None:
    group.join()
    await group.until(lambda: group.membership.holds)
    assert group.membership.is_certain
    group.skipped += CERTAIN_SECONDS
    assert not group.membership.is_certain
    await group.until(lambda: group.membership.is_certain)
    assert group.ended == []


async def test_a_coordinator_that_loads_the_group_says_yes_to_everybody(group: Group) -> None:
    group.join()
    await group.until(lambda: group.membership.holds)
    group.kafka.answers[SyncGroupRequest] = LOADING
    group.skipped += CERTAIN_SECONDS
    heard = group.kafka.heard[HeartbeatRequest]
    await group.until(lambda: group.kafka.heard[HeartbeatRequest] > heard + 5)
    assert not group.membership.is_certain
    group.kafka.answers[SyncGroupRequest] = 0
    await group.until(lambda: group.membership.is_certain)


async def test_it_joins_again_when_the_group_rebalances(group: Group) -> None:
    group.join()
    await group.until(lambda: group.membership.holds)
    group.kafka.answers[HeartbeatRequest] = REBALANCING
    await group.until(lambda: group.kafka.heard[JoinGroupRequest] > 2)
    assert group.ended == []


@pytest.mark.parametrize("answer", [UNKNOWN_MEMBER, ILLEGAL_GENERATION])
async def test_who_holds_partitions_and_is_no_member_ends(group: Group, answer: int) -> None:
    group.join()
    await group.until(lambda: group.membership.holds)
    group.kafka.answers[HeartbeatRequest] = answer
    await group.until(lambda: group.ended)
    assert group.ended == [EXPELLED]


async def test_who_holds_nothing_and_is_no_member_joins_again(group: Group) -> None:
    group.kafka.answers[JoinGroupRequest] = UNKNOWN_MEMBER
    group.join()
    await group.until(lambda: group.kafka.heard[JoinGroupRequest] > 2)
    assert not group.membership.holds
    group.kafka.answers[JoinGroupRequest] = 0
    await group.until(lambda: group.membership.holds)
    assert group.ended == []


@pytest.mark.parametrize("request_", [JoinGroupRequest, SyncGroupRequest])
async def test_whose_name_another_has_joined_under_ends(group: Group, request_: type) -> None:
    group.kafka.answers[request_] = FENCED_INSTANCE_ID
    group.join()
    await group.until(lambda: group.ended)
    assert group.ended == [EXPELLED]


@pytest.mark.parametrize("request_", [JoinGroupRequest, SyncGroupRequest, HeartbeatRequest])
async def test_an_answer_that_nobody_expects_ends_it(group: Group, request_: type) -> None:
    group.kafka.answers[request_] = UNEXPECTED
    group.join()
    await group.until(lambda: group.ended)
    assert group.ended == [UNCOORDINATED]


async def test_an_error_that_nobody_expects_ends_it(group: Group) -> None:
    group.assignor.fails = True
    group.join()
    await group.until(lambda: group.ended)
    assert group.ended == [UNCOORDINATED]


async def test_an_assignment_for_another_address_is_not_taken_but_joined_for_again(group: Group) -> None:
    group.assignor.stale = 1
    group.join()
    await group.until(lambda: group.membership.holds)
    assert group.kafka.heard[JoinGroupRequest] == 2
