"""Splits: users whose clicks of one window lie in several partitions, because the topic was given more."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from aiokafka.partitioner import murmur2

from clickwarden.audit.recount import Case, Recount


class Split(NamedTuple):
    """A user over the threshold of a rule in a window whose clicks were counted in several parts."""

    rule: str
    user_id: str
    window: int

    @classmethod
    def of(cls, case: Case) -> "Split":
        """That of which this would be a part."""
        return cls(case.rule, case.user_id, case.window)


def splits(truth: Recount) -> set[Split]:
    """Those that more partitions account for, and nothing else does.

    Clients put a user into the partition ``hash % number`` (murmur2 of the
    key, which is the user's id), and so into another when the number has
    changed. Each partition of such a user must be the one under a number that
    the topic can have had while it had this partition: all partitions beyond
    that number are younger. Of a topic that was never given more, or whose
    key is something else, no user is explained so, chance aside.
    """
    born = truth.born()
    found = set()
    for rule, window, partitions in truth.windows():
        for user in _apart(partitions.values()):
            cases = {
                number: Case(number, rule, user, window)
                for number, users in partitions.items()
                if user in users
            }
            clicks = sum(partitions[number][user] for number in cases)
            over = clicks > min(truth.threshold(case) for case in cases.values())
            if over and all(_is_theirs(case, born) for case in cases.values()):
                found.add(Split(rule, user, window))
    return found


def _apart(partitions: Iterable[Mapping[str, int]]) -> set[str]:
    """Users of more than one partition."""
    seen: set[str] = set()
    again: set[str] = set()
    for users in partitions:
        again |= seen & users.keys()
        seen |= users.keys()
    return again


def _is_theirs(case: Case, born: Mapping[int, float]) -> bool:
    """Whether a user's partition is the right one, now or before the topic was given more."""
    hashed = murmur2(case.user_id.encode()) & 0x7FFFFFFF
    return any(hashed % number == case.partition for number in _numbers(case.partition, born))


def _numbers(partition: int, born: Mapping[int, float]) -> Iterator[int]:
    """How many partitions there can have been since this one has records."""
    youngest = math.inf
    for number in range(max(born) + 1, partition, -1):
        if born[partition] < youngest:
            yield number
        youngest = min(youngest, born.get(number - 1, math.inf))
