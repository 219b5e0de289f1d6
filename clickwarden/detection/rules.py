"""What is abnormal: a rule."""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from clickwarden.detection import clauses
from clickwarden.detection.clauses import Written
from clickwarden.detection.measure import CLICKS, DISTINCT_MAX, Distinct, Measure, Portion, measure_of

Category = Literal["bot", "scraper", "credential_stuffing"]

#: OWASP Automated Threats to Web Applications, the closest to each category.
OWASP: dict[str, str] = {
    "bot": "OAT-003",
    "scraper": "OAT-011",
    "credential_stuffing": "OAT-008",
}

#: Cells a row of a sketch, at least.
WIDTH_MIN = 1024
#: More clicks than this in a window cannot be counted.
THRESHOLD_MAX = 2**31 - 1
#: Windows of one rule that a click may fall into.
OVERLAP_MAX = 12
#: Names of events that are spelled out where a rule is explained.
SPELLED = 2


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """More than ``threshold`` matching clicks of one user in one window.

    Or different values of a field among them (``count``), or so many clicks of
    which too large a share has some events (``share``): :attr:`measure`.

    A window is ``[start, start + window)`` in event time, in whole seconds. One
    begins at each multiple of ``slide`` since the epoch, so that they overlap;
    without it at each multiple of ``window``. ``events`` empty means every click
    matches, if it fulfils what ``where`` says of its fields
    (:mod:`~clickwarden.detection.clauses`). What a rule in ``shadow`` finds is
    recorded and tells nobody.
    """

    name: str
    window: int
    threshold: int
    category: Category = "bot"
    description: str = ""
    events: tuple[str, ...] = ()
    promote: int = 0
    width: int = 65_536
    owasp: str = ""
    slide: int = 0
    # Left out of what is written, so that a rule without them is one to older releases, too.
    where: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    count: str | msgspec.UnsetType = msgspec.UNSET
    share: str | msgspec.UnsetType = msgspec.UNSET
    at_least: float | msgspec.UnsetType = msgspec.UNSET
    shadow: bool = False

    def __hash__(self) -> int:
        """Of what most rules differ in."""
        return hash((self.name, self.window, self.threshold))

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is wrong; with its name.
        """
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.name):
            raise ValueError("name: 1 to 64 letters, digits, - and _")
        if self.window < 1 or self.window > 86_400:
            raise ValueError(f"window: {self.window} must be 1 to 86400 seconds")
        if self.slide and (self.slide < 1 or self.window % self.slide):
            raise ValueError(
                f"slide: {self.slide} of rule {self.name} must divide its window of {self.window} s; "
                "choose one that does, or leave it out"
            )
        if self.slide and self.window > OVERLAP_MAX * self.slide:
            raise ValueError(
                f"slide: {self.slide} of rule {self.name} has each click fall into "
                f"{self.window // self.slide} windows, and {OVERLAP_MAX} are the most: "
                f"choose at least {math.ceil(self.window / OVERLAP_MAX)}"
            )
        if not 1 <= self.threshold <= THRESHOLD_MAX:
            bound = "at least 1" if self.threshold < 1 else f"at most {THRESHOLD_MAX:,}"
            raise ValueError(f"threshold: {self.threshold} must be {bound}")
        self._check_measure()
        if not 0 <= self.promote <= self.threshold:
            raise ValueError(f"promote: {self.promote} must be 1 to the threshold, or left out")
        if self.width < WIDTH_MIN or self.width > 2**24 or self.width & (self.width - 1):
            raise ValueError(f"width: {self.width} must be a power of two from {WIDTH_MIN} to {2**24}")
        if self.where is not msgspec.UNSET:
            msgspec.structs.force_setattr(self, "where", clauses.normal(self.where))
            if self.events and "event" in self.where:
                raise ValueError("where.event: events says already which events count; leave one of them out")

    @property
    def conditions(self) -> Mapping[str, Written]:
        """What is asked of a click's fields, by the field."""
        return self.where or {}

    @property
    def clauses(self) -> list[str]:
        """The same in words."""
        return [_clause(field, written) for field, written in self.conditions.items()]

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a click that it looks at, beside its user, event and time."""
        counted = {self.measure.field} if isinstance(self.measure, Distinct) else set()
        return frozenset(self.conditions) | counted

    def _check_measure(self) -> None:
        measure = self.measure
        if self.count == CLICKS:
            msgspec.structs.force_setattr(self, "count", msgspec.UNSET)
        if isinstance(measure, Distinct) and self.threshold > DISTINCT_MAX:
            raise ValueError(
                f"threshold: {self.threshold} must be at most {DISTINCT_MAX} where different values are "
                "counted, for each of them is kept"
            )
        if isinstance(measure, Portion):
            if self.events and set(self.events) != set(measure.whole):
                raise ValueError(
                    "events: a share counts the events behind its 'of'; leave events out, or add them there"
                )
            msgspec.structs.force_setattr(self, "events", measure.whole)

    @property
    def step(self) -> int:
        """Seconds from the start of one window to the start of the next."""
        return self.slide or self.window

    @property
    def overlap(self) -> int:
        """Windows that a click falls into, each of as many panes."""
        return self.window // self.step

    @property
    def overlapping(self) -> bool:
        """Whether a click falls into more windows than one."""
        return self.step < self.window

    @property
    def cells(self) -> int:
        """Cells a row that the sketch of a window begins with: windows that overlap share the width out."""
        share = math.ceil(self.width * self.step / self.window)
        return max(WIDTH_MIN, 1 << (share - 1).bit_length())

    def alike(self, other: "Rule") -> bool:
        """Whether it has name, windows and shadow of the other, which it may have been before a change."""
        mine, theirs = ((rule.name, rule.window, rule.step, rule.shadow) for rule in (self, other))
        return mine == theirs

    @property
    def level(self) -> int:
        """Estimate at which a user becomes a suspect."""
        return self.promote or max(1, int(self.threshold * self._unknown))

    @property
    def _unknown(self) -> float:
        """How much of the threshold may be clicks of which nothing else is known."""
        if self.measure is None:
            return 1 / 2
        return 1 / 4 if isinstance(self.measure, Distinct) else 0

    @property
    def measure(self) -> Measure:
        """What is counted; None: clicks.

        Raises:
            ValueError: a field of it is wrong; with its name.
        """
        at_least = None if self.at_least is msgspec.UNSET else self.at_least
        return measure_of(self.count or CLICKS, self.share or "", at_least)

    @property
    def distinct(self) -> str | None:
        """The field of which different values are counted; None where clicks are."""
        return self.measure.field if isinstance(self.measure, Distinct) else None

    @property
    def unit(self) -> str:
        """What the threshold is a number of."""
        return "clicks" if self.distinct is None else f"different values of {self.distinct}"

    @property
    def threat(self) -> str:
        """The OWASP automated threat an anomaly of this rule is labelled with."""
        return self.owasp or OWASP[self.category]


def spelled(events: Sequence[str], separator: str) -> str:
    """The first names of some events, and how many more there are; the separator stands before the last.

    >>> spelled(("login", "login_failed"), " or "), spelled(("view", "page_view", "Page Viewed"), " or ")
    ('login or login_failed', 'view, page_view or 1 more')
    """
    names = list(events[:SPELLED])
    if len(events) > SPELLED:
        names.append(f"{len(events) - SPELLED} more")
    return separator.join((*([", ".join(names[:-1])] if names[1:] else ()), *names[-1:]))


def _clause(field: str, written: Written) -> str:
    """What is asked of a field, in words.

    >>> _clause("status", ">= 400, < 500"), _clause("path", "/api/*"), _clause("method", ("GET", "HEAD"))
    ('status >= 400, < 500', 'path /api/*', 'method GET or HEAD')
    >>> _clause("method", ("!GET", "!HEAD", "!PUT")), _clause("status", "!404"), _clause("plan", "!*")
    ('method not GET, HEAD or 1 more', 'status not 404', 'no plan')
    """
    if written in ("*", "!*"):
        return f"{'any' if written == '*' else 'no'} {field}"
    texts = (written,) if isinstance(written, str) else written
    excluded = "not " if texts[0].startswith("!") else ""
    return f"{field} {excluded}{spelled([text.removeprefix('!') for text in texts], ' or ')}"


def fields_of(rules: Iterable[Rule]) -> frozenset[str]:
    """The fields of a click that rules look at."""
    return frozenset().union(*(rule.fields for rule in rules))


def by_name(rules: Sequence[Rule]) -> dict[str, Rule]:
    """The rules in no order."""
    return {rule.name: rule for rule in rules}


def digest_of(rules: Sequence[Rule]) -> str:
    """What tells rules from others, whatever their order."""
    encoded = msgspec.json.encode(sorted(rules, key=lambda rule: rule.name))
    return hashlib.blake2b(encoded, digest_size=8).hexdigest()
