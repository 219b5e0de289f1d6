"""Accounts by window and user, of one rule in one partition."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from clickwarden.audit.accounts import Account, Figure, account_of
from clickwarden.audit.conditions import fulfils
from clickwarden.audit.reading import Click
from clickwarden.detection.rules import Rule


class Case(NamedTuple):
    """One user in one window of one rule, in one partition of the clicks topic."""

    partition: int
    rule: str
    user_id: str
    window: int

    def __str__(self) -> str:
        """Name it for people; a user id is an attacker's text, and so escaped."""
        start = datetime.fromtimestamp(self.window, UTC)
        return f"{self.rule} {start:%Y-%m-%dT%H:%M:%SZ} user {self.user_id!r} partition {self.partition}"


class Count(NamedTuple):
    """What a case comes to.

    Attributes:
        in_time: by the clicks that came before the window was closed.
        told: by those, and the late ones that nothing more has come behind for so
            long that a correction must have told of them.
        total: by all that could be counted.
        late: clicks that came when the window was closed, and could still be counted.
        settled: those of them that a correction must have told of.
    """

    in_time: Figure
    told: Figure
    total: Figure
    late: int
    settled: int


class Tally:
    """What users did in the windows of one rule that start in [since, until)."""

    def __init__(
        self,
        partition: int,
        rule: Rule,
        since: float,
        cross: Callable[[], int],
        max_suspects: int,
        *,
        lost: bool,
    ) -> None:
        self.rule, self.since, self.until = rule, since, math.inf
        self.name, self.window, self.events = rule.name, rule.window, frozenset(rule.events)
        self.slide = slide_of(rule)
        self.whole_from = math.inf if lost else -math.inf
        self._partition, self._max_suspects = partition, max_suspects
        self._in_time: dict[int, dict[str, Account]] = {}
        self._cross = cross
        self._crossed: dict[tuple[int, str], int] = {}
        self._late: dict[int, dict[str, list[tuple[float, Click]]]] = {}
        self._nothing = account_of(rule)

    def holds(self, case: Case) -> bool:
        """Whether the case is of a window of its own."""
        return self.name == case.rule and self.since <= case.window < self.until

    def matches(self, click: Click) -> bool:
        """Whether the rule counts a click."""
        of_event = not self.events or click.event in self.events
        return of_event and fulfils(self.rule.where or {}, click.said) and self._nothing.counts(click)

    def starts_with(self, second: int) -> Iterator[int]:
        """Starts of the windows that hold this second, the oldest first."""
        start = second - second % self.slide
        for back in reversed(range(0, self.window, self.slide)):
            yield start - back

    def count(self, click: Click, start: int, lateness: float) -> None:
        """Count a click that came in time."""
        users = self._in_time.get(start)
        if users is None:
            users = self._in_time[start] = {}
            # The first click was not late, so those lost before it were earlier than this.
            self.whole_from = min(self.whole_from, start + self.window + lateness)
        account = users.get(click.user)
        if account is None:
            account = users[click.user] = account_of(self.rule)
        if account.add(click):
            self._crossed[start, click.user] = self._cross()

    def count_late(self, click: Click, start: int, came: float) -> None:
        """Count a click that came, by Kafka's clock, when its window was closed."""
        self._late.setdefault(start, {}).setdefault(click.user, []).append((came, click))

    def crossed(self, case: Case) -> int | None:
        """Number of the case, ascending as they went over a threshold in time; None: it never did."""
        return self._crossed.get((case.window, case.user_id))

    @property
    def starts(self) -> set[int]:
        """Of the windows that have clicks."""
        return self._in_time.keys() | self._late.keys()

    def accounts(self, start: int) -> Mapping[str, Account]:
        """By user, in a window, whether in time or late."""
        in_time, late = self._in_time.get(start, {}), self._late.get(start, {})
        return {**in_time, **{user: self._with(in_time.get(user), came) for user, came in late.items()}}

    def _with(self, account: Account | None, late: list[tuple[float, Click]]) -> Account:
        """An account with late clicks on top."""
        together = account_of(self.rule)
        if account is not None:
            together.join(account)
        for _, click in late:
            together.add(click)
        return together

    def leaders(self, windows: int) -> list[tuple[str, int, int]]:
        """Who has most clicks in the last windows: user, the user's clicks, and everybody's."""
        apart = sorted(start for start in self._in_time if start % self.window == 0)
        return [_leader(self._in_time[start]) for start in apart[-windows:]]

    def over(self, now: float, lateness: float) -> Iterator[tuple[Case, Count]]:
        """Who is over the threshold, or doubtful, ``now`` by Kafka's clock."""
        for start in self.starts:
            in_time, late = self._in_time.get(start, {}), self._late.get(start, {})
            crowded = self._crowded(in_time.values())
            for user in in_time.keys() | late.keys():
                came = late.get(user, [])
                settled = [each for each in came if each[0] + max(lateness, self.window) <= now]
                account = in_time.get(user, self._nothing)
                figure = account.figure(crowded=crowded)
                told = self._with(account, settled).figure(crowded=crowded) if settled else figure
                total = self._with(account, came).figure(crowded=crowded) if came else figure
                if total.over or total.doubtful:
                    count = Count(figure, told, total, len(came), len(settled))
                    yield Case(self._partition, self.name, user, start), count

    def _crowded(self, accounts: Iterable[Account]) -> bool:
        """Whether there may have been no place to know somebody in a window by more than a number.

        Where windows overlap, their places are shared out among what they have
        in common, and somebody may take one for another window's sake.
        """
        overlap = self.window // self.slide
        level = self.rule.level if overlap == 1 else 1
        return sum(account.clicks >= level for account in accounts) >= self._max_suspects // overlap


def _leader(accounts: Mapping[str, Account]) -> tuple[str, int, int]:
    user = max(accounts, key=lambda user: accounts[user].clicks)
    return user, accounts[user].clicks, sum(account.clicks for account in accounts.values())


def slide_of(rule: Rule) -> int:
    """Seconds from the start of one window of a rule to the next."""
    return rule.slide or rule.window
