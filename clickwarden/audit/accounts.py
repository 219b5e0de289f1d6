"""What one user did in one window, exactly: clicks, different values of a field, or a share of clicks."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from clickwarden.audit.reading import Click
from clickwarden.detection.measure import Distinct, Portion
from clickwarden.detection.rules import Rule


@dataclass(frozen=True, slots=True)
class Figure:
    """What an account comes to.

    Attributes:
        count: clicks, or different values.
        over: whether that is abnormal.
        doubtful: whether it is not, and nobody can know that who keeps no more of a user than the rule asks
            for: of the clicks before the promotion level their number alone.
        part: of the clicks, those of which the rule wants a share; None where it wants none.
        sure: so many whoever counts them must be certain of, once the user is over: all but the clicks before
            the promotion level. Of different values none, as there may be no place to keep them.
    """

    count: int
    over: bool
    doubtful: bool = False
    part: int | None = None
    sure: int = 0


class Account:
    """What one user did in one window of a rule that counts clicks."""

    __slots__ = ("clicks", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.clicks = 0

    def counts(self, click: Click) -> bool:
        """Whether a click with one of the rule's events counts."""
        return True

    def add(self, click: Click) -> bool:
        """Count the next click; whether that is the one that takes the user over."""
        self.clicks += 1
        return self.clicks == self.rule.threshold + 1

    def join(self, other: Self) -> None:
        """Take what the same user did before, or elsewhere, on top."""
        self.clicks += other.clicks

    def figure(self, *, crowded: bool) -> Figure:
        """What it comes to; crowded, where there may be no place to know more of the user than a number."""
        over = self.clicks > self.rule.threshold
        return Figure(self.clicks, over, sure=self._sure(crowded=crowded))

    def _sure(self, *, crowded: bool) -> int:
        return self.clicks - (self.rule.threshold if crowded else self.rule.level - 1)


class _Values(Account):
    """Of a rule that counts different values of a field."""

    __slots__ = ("_field", "values")

    def __init__(self, rule: Rule, field: str) -> None:
        super().__init__(rule)
        self._field = field
        self.values: set[str] = set()

    def counts(self, click: Click) -> bool:
        return click.said[self._field] is not None

    def add(self, click: Click) -> bool:
        self.clicks += 1
        value = click.said[self._field]
        if value is None or value in self.values:
            return False
        self.values.add(value)
        return len(self.values) == self.rule.threshold + 1

    def join(self, other: Self) -> None:
        super().join(other)
        self.values |= other.values

    def figure(self, *, crowded: bool) -> Figure:
        values = len(self.values)
        most = self.clicks if crowded else min(self.clicks, self.rule.level - 1 + values)
        over = values > self.rule.threshold
        return Figure(values, over, not over and most > self.rule.threshold)


class _Shares(Account):
    """Of a rule that wants a share: over from the click on that finds both number and share too large."""

    __slots__ = ("_doubtful", "_least", "_over", "_part", "part")

    def __init__(self, rule: Rule, part: frozenset[str]) -> None:
        super().__init__(rule)
        self._part, self._least = part, Fraction(str(rule.at_least))
        self.part = 0
        self._over = self._doubtful = False

    def add(self, click: Click) -> bool:
        self.clicks += 1
        self.part += click.event in self._part
        before = self._over
        self._weigh()
        return self._over and not before

    def _weigh(self) -> None:
        if self.clicks > self.rule.threshold:
            most = min(self.clicks, self.part + self.rule.level - 1)
            self._over = self._over or Fraction(self.part, self.clicks) >= self._least
            self._doubtful = self._doubtful or Fraction(most, self.clicks) >= self._least

    def join(self, other: Self) -> None:
        super().join(other)
        self.part += other.part
        self._over, self._doubtful = self._over or other._over, self._doubtful or other._doubtful
        self._weigh()

    def figure(self, *, crowded: bool) -> Figure:
        doubtful = self._doubtful or (crowded and self.clicks > self.rule.threshold)
        sure = self._sure(crowded=crowded)
        return Figure(self.clicks, self._over, not self._over and doubtful, self.part, sure)


def account_of(rule: Rule) -> Account:
    """An empty account."""
    measure = rule.measure
    if isinstance(measure, Distinct):
        return _Values(rule, measure.field)
    return _Shares(rule, frozenset(measure.part)) if isinstance(measure, Portion) else Account(rule)
