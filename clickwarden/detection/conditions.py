"""Whether a click fulfils what a rule says of its fields; how that is written, :mod:`~.clauses` says.

Which value fulfils what never changes, so it is judged once, and remembered.
"""

import operator
import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache

from clickwarden.detection.clauses import Glob, Range, Value, Written, clause_of, number_of

#: Values, of so many signs at most, whose judgement is remembered; beyond that all are forgotten.
REMEMBERED, REMEMBERED_SIGNS = 20_000, 200

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_Judge = Callable[[str], bool]


class Condition(dict[str | None, bool]):
    """What a rule asks of one field: whether a value fulfils it, by the value; None: there is none.

    >>> Condition("!/static/*")["/static/x.css"], Condition("!404")[None], Condition(">= 400")["404"]
    (False, True, True)
    """

    def __init__(self, written: Written) -> None:
        super().__init__()
        self._excludes, any_of = clause_of(written)
        self._judges = list(map(_judge, any_of))

    def __missing__(self, value: str | None) -> bool:
        """Judge a value."""
        if len(self) > REMEMBERED:
            self.clear()
        found = (value is not None and any(judge(value) for judge in self._judges)) is not self._excludes
        if value is None or len(value) <= REMEMBERED_SIGNS:
            self[value] = found
        return found


@lru_cache(maxsize=1024)
def condition_of(written: Written) -> Condition:
    """The condition that is written so, one for all rules that have it."""
    return Condition(written)


def _judge(one: Value | Glob | Range) -> _Judge:
    if isinstance(one, Value):
        return _of_value(one.text)
    if isinstance(one, Glob):
        match = re.compile(translate(one.pattern)).match
        return lambda value: match(value) is not None
    return _of_range(one)


def _of_value(text: str) -> _Judge:
    wanted = number_of(text)
    if wanted is None:
        return text.__eq__
    return lambda value: value == text or number_of(value) == wanted


def _of_range(wanted: Range) -> _Judge:
    bounds = [(_COMPARISONS[sign], bound) for sign, bound in wanted.bounds]

    def judge(value: str) -> bool:
        number = number_of(value)
        return number is not None and all(compare(number, bound) for compare, bound in bounds)

    return judge
