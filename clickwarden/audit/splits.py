"""Splits: users whose clicks of one window lie in several partitions, where each is counted by itself."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter

from aiokafka.partitioner import murmur2

from clickwarden.audit.accounts import Account, Figure, account_of
from clickwarden.audit.recount import Recount
from clickwarden.audit.tally import Case

#: Partitions that get their first records so shortly after one another were made together, seconds.
TOGETHER_SECONDS = 1.0
#: For so long a producer may go by the old number, Java's and librdkafka's ``metadata.max.age.ms``, seconds.
NOTICED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Split:
    """One such user in one window of one rule.

    Attributes:
        rule: its name.
        user_id: an attacker's text.
        window: its start, epoch seconds.
        parts: what the user comes to, by partition.
        together: what all parts come to as one.
        unit: of what is counted, in words.
        threshold: the least that a partition went by.
        grown: whether the topic was given more partitions, and that accounts for it.
    """

    rule: str
    user_id: str
    window: int
    parts: Mapping[int, Figure]
    together: Figure
    unit: str
    threshold: int
    grown: bool

    @property
    def over(self) -> bool:
        """Whether the user is over the threshold with all parts together."""
        return self.together.over

    @property
    def hidden(self) -> bool:
        """Whether the user is over the threshold, and in no partition alone."""
        return self.over and not any(part.over for part in self.parts.values())

    def __str__(self) -> str:
        """Name it for people; a user id is an attacker's text, and so escaped."""
        start = datetime.fromtimestamp(self.window, UTC)
        places = ", ".join(f"{part.count:,} in {number}" for number, part in sorted(self.parts.items()))
        return (
            f"{self.rule} {start:%Y-%m-%dT%H:%M:%SZ} user {self.user_id!r}: {self.together.count:,} "
            f"{self.unit}, threshold {self.threshold:,}; by partition {places}"
        )


def splits(truth: Recount) -> Iterator[Split]:
    """The users of a recount who are split, window by window.

    Clients put a user into the partition ``hash % number`` (murmur2 of the
    key, which is the user's id), and so into another when the number has
    changed. That accounts for a split if each partition of the user is the one
    under a number that the topic can have had when the window was open: all
    partitions beyond that number are younger than this one, and younger than
    the window or not yet noticed by every producer. Of a topic that was never
    given more, or whose key is something else, no user is explained so, chance
    aside.
    """
    born = truth.born()
    for rule, window, partitions in truth.windows():
        for user in sorted(_apart(partitions.values())):
            parts = {number: users[user] for number, users in partitions.items() if user in users}
            cases = [Case(number, rule, user, window) for number in parts]
            grown = all(_is_theirs(case, born) for case in cases)
            together = _together(list(parts.values()))
            yield Split(
                rule=rule,
                user_id=user,
                window=window,
                parts={number: part.figure(crowded=False) for number, part in parts.items()},
                together=together.figure(crowded=False),
                unit=together.rule.unit,
                threshold=together.rule.threshold,
                grown=grown,
            )


def _together(parts: Sequence[Account]) -> Account:
    """All parts as one, under the rule of the lowest threshold that one of them was counted by."""
    rule = min((part.rule for part in parts), key=attrgetter("threshold"))
    together = account_of(rule)
    for part in parts:
        if part.rule.measure == rule.measure:
            together.join(part)
    return together


def _apart(partitions: Iterable[Mapping[str, Account]]) -> set[str]:
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
    return any(hashed % number == case.partition for number in _numbers(case, born))


def _numbers(case: Case, born: Mapping[int, float]) -> Iterator[int]:
    """How many partitions there can have been for the window, while this one had records."""
    earliest = max(born[case.partition] + TOGETHER_SECONDS, case.window - NOTICED_SECONDS)
    oldest = math.inf
    for number in range(max(born) + 1, case.partition, -1):
        if oldest > earliest:
            yield number
        oldest = min(oldest, born.get(number - 1, math.inf))
