"""Tests that a rule brings along: a few clicks, and what must come of them."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import msgspec
import numpy as np

from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.clauses import OWN, flat, text_of
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.rules import Rule
from clickwarden.detection.whole import WholeDetection

#: Clicks of one test: more take seconds, and a rule that needs them has too high a threshold to be tested.
MOST_CLICKS = 100_000
#: Windows of a test begin behind this moment, epoch seconds.
MOMENT = 1_600_000_000


#: What a test calls what a click has of itself.
_OWN = dict(zip(OWN, ("user", "event", "product"), strict=True))


class ClicksOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Clicks of one user.

    Attributes:
        user: who.
        event: what; empty: the first that the rule counts, else ``view``.
        times: how many.
        every: seconds from one to the next.
        start: of the first, seconds behind the beginning of a window.
        product: on which; empty: none.
        fields: what else stands in it, by the field's name as the rule has it.
        different: a field, or ``product_id``, in which something else stands in each of them; empty: none.
    """

    user: str
    event: str = ""
    times: int = 1
    every: float = 0.0
    start: float = 0.0
    product: str = ""
    fields: dict[str, Any] = {}
    different: str = ""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is wrong; with its name.
        """
        if not 1 <= self.times <= MOST_CLICKS:
            raise ValueError(f"times: {self.times} must be 1 to {MOST_CLICKS:,}")
        for name in ("every", "start"):
            if not 0 <= getattr(self, name) <= 86_400:
                raise ValueError(f"{name}: {getattr(self, name):g} must be 0 to 86400 seconds")
        if self.different in ("user_id", "event"):
            raise ValueError(
                f"different: clicks of one test line have one {self.different}; write more lines"
            )
        for name, value in flat(self.fields):
            if name in OWN:
                raise ValueError(f"fields: {name} is no further field; write {_OWN[name]} = beside fields")
            if text_of(value) is None:
                raise ValueError(
                    f"fields: {name} = {value!r:.40} is no text, number, true or false; write one"
                )

    def product_of(self, number: int) -> str | None:
        """On which product the click of this number is."""
        return f"{number}" if self.different == "product_id" else self.product or None

    def texts_of(self, number: int) -> dict[str, str | None]:
        """The further fields of the click of this number as conditions see them."""
        texts = {name: text_of(value) for name, value in flat(self.fields)}
        return texts | {self.different: f"{number}"} if self.different else texts


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user who must be found, once, with this count: of clicks, or of different values."""

    user: str
    count: int


class RuleTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A few clicks, and what must come of them.

    Attributes:
        name: what it shows, in words.
        clicks: in any order.
        expect: who must be found, a line each window in which that is so; nobody if empty.
    """

    name: str
    clicks: tuple[ClicksOf, ...]
    expect: tuple[Expected, ...]

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is wrong; with its name.
        """
        if sum(clicks.times for clicks in self.clicks) > MOST_CLICKS:
            raise ValueError(f"clicks: a test has at most {MOST_CLICKS:,}; a lower threshold needs fewer")

    def fault(self, rule: Rule) -> str:
        """What comes of the clicks under a rule in place of what is expected, in words; empty if that does.

        >>> bot = Rule(name="bot", window=60, threshold=2)
        >>> eve = ClicksOf(user="eve", times=3)
        >>> RuleTest(name="eve", clicks=(eve,), expect=(Expected("eve", 3),)).fault(bot)
        ''
        >>> RuleTest(name="eve", clicks=(eve,), expect=()).fault(bot)
        'expected nobody, came eve with 3 clicks'
        """
        wanted = sorted((one.user, one.count) for one in self.expect)
        found = sorted((anomaly.user_id, anomaly.count) for anomaly in _found(rule, self.clicks))
        return (
            ""
            if found == wanted
            else f"expected {_words(wanted, rule.unit)}, came {_words(found, rule.unit)}"
        )


class Draft(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A rule as it is written down: with its tests, and without what it leaves as it is.

    What a newer release has brought, and the rule does not use, an older one then need not know.
    """

    test: tuple[RuleTest, ...] = ()

    @property
    def rule(self) -> Rule:
        """What is counted by."""
        return Rule(**{name: getattr(self, name) for name in Rule.__struct_fields__})

    def faults(self) -> list[tuple[int, str]]:
        """The tests that fail, by their place, and what is wrong, in words."""
        faults = ((number, test, test.fault(self.rule)) for number, test in enumerate(self.test))
        return [(number, f"test {test.name!r}: {fault}") for number, test, fault in faults if fault]


class _Parameters:
    """Of a detection over clicks that are all there."""

    lateness, seed, max_suspects, late_limit = 0.0, 0, MOST_CLICKS, 0.0


def _found(rule: Rule, clicks: Sequence[ClicksOf]) -> list[Anomaly]:
    """Who the detection finds."""
    begin = -(-MOMENT // rule.window) * rule.window
    event = rule.events[0] if rule.events else "view"
    each = sorted(
        (
            (
                begin + one.start + one.every * number,
                one.user,
                one.event or event,
                one.product_of(number),
                one.texts_of(number),
            )
            for one in clicks
            for number in range(one.times)
        ),
        key=lambda click: click[0],
    )
    times, users, events, products, texts = map(list, zip(*each, strict=True)) if each else ([],) * 5
    detection = WholeDetection([rule], _Parameters(), BytesIO())
    fields = {name: [one.get(name) for one in texts] for name in rule.fields}
    made = Clicks(users, events, products, np.array(times, np.float64), fields=fields)
    detection.count(Batch(made, rule.fields))
    return [anomaly for _, anomalies in detection.close() for anomaly in anomalies]


def _words(found: Sequence[tuple[str, int]], unit: str) -> str:
    return ", ".join(f"{user} with {count:,} {unit}" for user, count in found) or "nobody"
