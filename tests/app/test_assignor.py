"""New partitions are shared out as soon as one worker knows that all topics have them."""

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from faust.assignor import PartitionAssignor

from app.assignor import Assignor

CLICKS, SNAPSHOTS, ACTIVITY = "clicks", "app-snapshots-changelog", "app-activity-changelog"
TOPICS = {CLICKS, SNAPSHOTS, ACTIVITY}


class Member:
    """A worker that knows of some partitions."""

    def __init__(self, name: str, knows: int) -> None:
        self.name = name
        self.more: set[str] = set()
        ignored = SimpleNamespace(
            on_assignment_start=lambda *_: None, on_assignment_completed=lambda *_: None
        )
        self.growth = SimpleNamespace(partitions=knows)
        app: Any = SimpleNamespace(
            tables=SimpleNamespace(data={}, changelog_topics={SNAPSHOTS, ACTIVITY}),
            conf=SimpleNamespace(canonical_url=f"http://{name}"),
            growth=self.growth,
            sensors=ignored,
            tracer=None,
        )
        self.assignor = Assignor(app, replicas=1)

    def tells(self) -> ConsumerProtocolMemberMetadata:
        return self.assignor.metadata(TOPICS | self.more)

    def counts(self) -> set[int]:
        """The partitions of clicks it has, of which it must have the changelogs."""
        actives: dict[str, set[int]] = {topic: set() for topic in TOPICS | self.more}
        for tp in self.assignor.assigned_actives():
            actives[tp.topic].add(tp.partition)
        assert actives[SNAPSHOTS] == actives[ACTIVITY] == actives[CLICKS]
        return actives[CLICKS]


def rebalance(leader: Member, *others: Member) -> int:
    """Have the leader share out what there is, who believes whatever of Kafka; how many there were."""
    members = {member.name: member for member in (leader, *others)}
    assigned = leader.assignor.assign(
        ClusterMetadata(), {name: each.tells() for name, each in members.items()}
    )
    for name, assignment in assigned.items():
        members[name].assignor.on_assignment(assignment)
    counted = [member.counts() for member in members.values()]
    assert sum(map(len, counted)) == len(set().union(*counted))
    assert set().union(*counted) == set(range(leader.assignor.partitions))
    return leader.assignor.partitions


@pytest.mark.parametrize("leads", [0, 1])
def test_a_number_that_one_member_knows_of_is_shared_out_whoever_leads(leads: int) -> None:
    members = [Member("one", 4), Member("two", 4)]
    assert rebalance(members[leads], members[1 - leads]) == 4
    members[0].growth.partitions = 8
    assert rebalance(members[leads], members[1 - leads]) == 8
    assert all(len(member.counts()) == 4 for member in members)


def test_what_was_shared_out_once_is_when_only_who_has_not_noticed_is_left() -> None:
    one, two, three = Member("one", 8), Member("two", 4), Member("three", 4)
    assert rebalance(two, one, three) == 8
    assert rebalance(two, three) == 8
    assert rebalance(Member("one", 4), two) == 8


def test_members_of_an_older_release_tell_no_number() -> None:
    one, old = Member("one", 4), Member("old", 0)
    stock = PartitionAssignor(old.assignor.app, replicas=1)
    old.assignor.metadata = stock.metadata  # type: ignore[method-assign]
    assert rebalance(one, old) == 4


def test_who_comes_back_with_other_topics_is_given_the_old_ones_and_asks_again() -> None:
    one, two = Member("one", 4), Member("two", 4)
    for before, now in ((set(), {"payments"}), ({"payments"}, set())):
        one.more = two.more = before
        assert rebalance(two, one) == 4
        kept = two.assignor.assign(ClusterMetadata(), {each.name: each.tells() for each in (one, two)})
        one = Member("one", 4)
        one.more = two.more = now
        one.tells()
        one.assignor.on_assignment(kept["one"])
        assert one.assignor.outdated
        assert rebalance(two, one) == 4
        assert not one.assignor.outdated
        assert {tp.topic for tp in one.assignor.assigned_actives()} == TOPICS | now


@pytest.mark.parametrize("seed", range(20))
def test_members_come_and_go_while_the_topic_grows(seed: int) -> None:
    random = Random(seed)
    number = random.randint(1, 4)
    members = [Member("one", number)]
    for step in range(30):
        if random.random() < 0.2:
            number += random.randint(1, 6)
        if len(members) > 1 and random.random() < 0.3:
            members.remove(random.choice(members))
        if len(members) < 5 and random.random() < 0.4:
            members.append(Member(f"new-{step}", number))
        if random.random() < 0.5:
            random.choice(members).growth.partitions = number
        random.shuffle(members)
        known = max(max(each.growth.partitions, each.assignor.partitions) for each in members)
        assert rebalance(*members) == known
