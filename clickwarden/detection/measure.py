"""What a rule counts beside clicks: different values of a field, or the share of some events."""

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from clickwarden.detection.clauses import check_field

#: What is counted if nothing else is asked for.
CLICKS = "clicks"
#: Different values that a threshold may ask for: each is kept, of every user who comes near it.
DISTINCT_MAX = 10_000

_OF = " of "


class Distinct(NamedTuple):
    """Different values of a field; a click without it is not counted."""

    field: str


class Portion(NamedTuple):
    """How many of the clicks with one of some events have one of a few of these.

    Attributes:
        part: the few.
        whole: all of them.
        at_least: the share from which on it is too many, exactly as it is written.
    """

    part: tuple[str, ...]
    whole: tuple[str, ...]
    at_least: Fraction

    @property
    def written(self) -> str:
        """The events as a rule has them."""
        return f"{', '.join(self.part)}{_OF}{', '.join(self.whole)}"

    def reached(self, part: int, whole: int) -> bool:
        """Whether so many of so many clicks are too large a share.

        >>> Portion(("a",), ("a", "b"), Fraction("0.9")).reached(9, 10)
        True
        """
        return part * self.at_least.denominator >= whole * self.at_least.numerator


Measure = Distinct | Portion | None


@lru_cache(maxsize=256)
def measure_of(count: str, share: str, at_least: float | None) -> Measure:
    """What a rule with these fields counts; None: clicks.

    Raises:
        ValueError: one is wrong; with its name, and the cure.

    >>> measure_of("clicks", "", None), measure_of("distinct product_id", "", None)
    (None, Distinct(field='product_id'))
    >>> measure_of("clicks", "login_failed of login, login_failed", 0.9)
    Portion(part=('login_failed',), whole=('login', 'login_failed'), at_least=Fraction(9, 10))
    """
    distinct = _distinct(count)
    if not share:
        if at_least is not None:
            raise ValueError(
                f'at_least: {at_least:g} is the share of what? Add share = "PART of ALL", or leave it out'
            )
        return distinct
    if distinct:
        raise ValueError(f'count: "{count}" and a share make two rules; leave one of them out')
    part, whole = _share(share)
    if at_least is None:
        raise ValueError("at_least: is missing; add from which share on it is too many, as in 0.9")
    if not 0 < at_least <= 1:
        raise ValueError(
            f"at_least: {at_least:g} must be more than 0, and at most 1, which is all of them; nine of ten "
            "are 0.9"
        )
    return Portion(part, whole, Fraction(repr(at_least)))


def _distinct(count: str) -> Distinct | None:
    if count == CLICKS:
        return None
    kind, _, rest = count.partition(" ")
    field = rest.strip()
    if kind != "distinct" or len(field.split()) > 1:
        raise ValueError(
            f'count: {count!r} must be "clicks" or "distinct FIELD", as in "distinct product_id"'
        )
    if not field:
        raise ValueError('count: "distinct" does not say of what; name a field, as in "distinct product_id"')
    if field == "user_id":
        raise ValueError("count: a user has one user_id; name a field of which many values are too many")
    if "timestamp" in (field, field.removeprefix("@")):
        raise ValueError("count: each click has a time of its own; count clicks, or name another field")
    check_field(field, "count")
    return Distinct(field)


def _share(share: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A part of some events, and all of them, of which names may hold " of ", too."""
    pieces = share.split(_OF)
    cuts = range(1, len(pieces))
    read = [(_names(_OF.join(pieces[:at])), _names(_OF.join(pieces[at:]))) for at in cuts]
    named = [(part, whole) for part, whole in read if "" not in part + whole]
    within = [(part, whole) for part, whole in named if set(part) <= set(whole)]
    if len(within) == 1:
        return within[0]
    if len(named) == 1:
        part, whole = named[0]
        outside = " and ".join(sorted(set(part) - set(whole)))
        raise ValueError(f"share: {outside} must be among the events behind 'of', too; add it there")
    raise ValueError(
        f'share: {share!r} must say which events of which, as in "login_failed of login, login_failed"'
    )


def _names(listed: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in listed.split(",")))
