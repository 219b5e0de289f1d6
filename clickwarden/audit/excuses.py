"""What only a worker knows of a late click, as the topic of late clicks says it."""

from collections.abc import Iterable
from typing import NamedTuple

from clickwarden.audit.reading import AuditRecord
from clickwarden.formats.aside import (
    HEADER_ELEMENT,
    HEADER_OFFSET,
    HEADER_PARTITION,
    HEADER_RULES,
    HEADER_TOPIC,
    HEADER_UNCOUNTED,
    HEADER_UNCOUNTED_WINDOWS,
    HEADER_WINDOWS,
)


class Missed(NamedTuple):
    """What the topic of late clicks says of one click: rule and start of windows.

    Older releases named the rules alone, whose windows did not overlap: the
    start is then None.

    Attributes:
        late: that were closed.
        uncounted: that could not count it any more.
    """

    late: frozenset[tuple[str, int | None]]
    uncounted: frozenset[tuple[str, int | None]]


#: Of a click: partition, offset, and which of the things in its record it is, from 0.
Place = tuple[int, int, int]

#: Of a click that the topic of late clicks does not hold.
NOTHING = Missed(frozenset(), frozenset())


def excuses(records: Iterable[AuditRecord], topic: str) -> dict[Place, Missed]:
    """What became of late clicks of the topic, by the click's place.

    Args:
        records: of the topic of late clicks.
        topic: the clicks topic.
    """
    missed: dict[Place, Missed] = {}
    for record in records:
        headers = dict(record.headers)
        try:
            element = int(headers.get(HEADER_ELEMENT, b"0"))
            place = int(headers[HEADER_PARTITION]), int(headers[HEADER_OFFSET]), element
            late = _named(headers[HEADER_RULES], headers.get(HEADER_WINDOWS))
            uncounted = _named(headers.get(HEADER_UNCOUNTED, b""), headers.get(HEADER_UNCOUNTED_WINDOWS))
        except (KeyError, ValueError):
            continue  # what says not which click it is excuses none
        if headers.get(HEADER_TOPIC) == topic.encode():
            known = missed.get(place, NOTHING)
            missed[place] = Missed(known.late | late, known.uncounted | uncounted)
    return missed


def _named(rules: bytes, windows: bytes | None) -> frozenset[tuple[str, int | None]]:
    """Windows as the headers have them: rules and, but for older releases, ``RULE/START``."""
    if windows is None:
        return frozenset((rule, None) for rule in rules.decode().split(",") if rule)
    pairs = (window.rpartition("/") for window in windows.decode().split(","))
    return frozenset((rule, int(start)) for rule, _, start in pairs)


def names(windows: frozenset[tuple[str, int | None]], rule: str, start: int) -> bool:
    """Whether this window is among those."""
    return bool(windows) and ((rule, start) in windows or (rule, None) in windows)
