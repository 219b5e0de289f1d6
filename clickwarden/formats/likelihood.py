"""How likely a place holds the user, the event, the time or the product of clicks: by name and values."""

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from clickwarden.formats.candidates import (
    HANDFUL,
    PLAUSIBLE,
    Candidate,
    keys_of,
    pattern_of,
    share_of_equal,
    times_of,
)
from clickwarden.formats.clients import address, is_inside
from clickwarden.formats.naming import CERTAIN, TELLING, name_score
from clickwarden.formats.shapes import EVENT_MAX, USER_ID_MAX
from clickwarden.formats.specimens import Specimen

#: A field that is there as often as this is always there; one that fits as often fits.
ALWAYS, MOSTLY = 0.995, 0.9
DAY = 86_400.0
#: What stands where there is nobody.
NOBODY = frozenset(
    {"-", "0", "-1", "null", "none", "nil", "undefined", "unknown", "anonymous", "guest", "n/a", "(not set)"}
    | {"00000000-0000-0000-0000-000000000000"}
)

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.I)
#: A browser's name, or the address of a page.
_SENTENCE = re.compile(r"Mozilla/|[A-Za-z]+/\d+\.\d+ |https?://")
#: In Debezium's envelope no time of the row's, any of which goes before it.
DEBEZIUM_TIME = ("ts_ms",)


class Judged(NamedTuple):
    """A place that may hold a field.

    Attributes:
        candidate: the place.
        score: how likely it does; from about 80 on there is no doubt, and below 45 it is a guess.
        doubts: what its values say against it, in words.
    """

    candidate: Candidate
    score: float
    doubts: tuple[str, ...] = ()


class Likelihood:
    """Judges places.

    Args:
        specimens: of the records.
        events: that rules name, in small letters.
        in_kafka: the records' time stamps are Kafka's, and not of the moment at which a file is read.
    """

    def __init__(self, specimens: Sequence[Specimen], events: Collection[str], *, in_kafka: bool) -> None:
        self._stamps = [one.record.timestamp / 1000 for one in specimens]
        self._keys = keys_of(specimens)
        self._events = frozenset(events)
        self._in_kafka = in_kafka

    def is_key(self, one: Candidate) -> bool:
        """Whether the key of the record is the same."""
        return one.place != "@key" and share_of_equal(one.values, self._keys) >= MOSTLY

    def timestamp(self, one: Candidate) -> Judged | None:
        """Whether it is the time; None where it cannot be."""
        if any(isinstance(value, bool) for value in one.present[:HANDFUL]):
            return None
        moments = list(zip(times_of(one, pattern_of(one)), self._stamps, strict=True))
        pairs = [(time, stamp) for time, stamp in moments if time is not None and time >= PLAUSIBLE]
        name = name_score("timestamp", one.names)
        unread = len(one.present) - len(pairs)
        if not pairs or unread > _tolerated(name) * len(one.present):
            return None
        times = [time for time, _ in pairs]
        is_number = not isinstance(one.present[0], str) or one.present[0].strip().isdigit()
        latest = max(self._stamps) + 2 * DAY
        ahead = sum(time > latest for time in times)
        if is_number and name < TELLING and (2 * ahead > len(times) or one.place.lower().endswith("id")):
            return None  # a number that happens to be large
        score, doubts = float(name or (10 if is_number else 30)), []
        if unread:
            doubts.append(f"{unread:,} of {len(one.present):,} are no moment")
        if ahead:
            doubts.append(f"{ahead:,} of {len(times):,} are in the future")
            score -= 40 * (2 * ahead > len(times))
        elif self._in_kafka and median(abs(time - stamp) for time, stamp in pairs) < DAY:
            score += 8
        if len(times) >= HANDFUL and len(set(times)) == 1:
            doubts.append("it is the same moment in all records")
            score -= 30
        if len(times) >= HANDFUL and all(time % DAY == 0 for time in times):
            doubts.append("it is a day without a time of day")
            score -= 60
        score += 12 * (name < TELLING and _is_rising(times))
        score += 2 * one.is_near + 4 * (one.share >= ALWAYS) - 30 * (one.share < 0.5)
        if one.names == DEBEZIUM_TIME and not one.is_near:
            doubts.append("it is when Debezium has read the row: behind an outage many are of one moment")
            score -= 20
        return Judged(one, score, tuple(doubts))

    def user_id(self, one: Candidate) -> Judged | None:
        """Whether it is the user; None where it cannot be."""
        present = len(one.present)
        unfit = present - sum(map(_may_be_user, one.present))
        score: float = name_score("user_id", one.names)
        if unfit > _tolerated(score) * present or 10 * sum(map(_is_sentence, one.present)) > present:
            return None
        if score < TELLING:
            score = self._user_by_values(one)
        if not score:
            return None
        score += 8 * self.is_key(one) + 3 * one.is_near - 25 * (one.share < 0.02)
        found = [_variety(one), _private(one)]
        doubts = [doubt for _, doubt in found if doubt]
        if unfit:
            doubts.append(f"{unfit:,} of {present:,} can be no user")
        return Judged(one, score - sum(less for less, _ in found), tuple(doubts))

    def _user_by_values(self, one: Candidate) -> float:
        """How much it looks like a user where its name says nothing; 0 where it does not."""
        if not 1 < len(one.counted) < MOSTLY * len(one.present):
            return 0
        if one.place == "@key":
            return 42
        times = [time for time in times_of(one, "") if time is not None and time >= PLAUSIBLE]
        telling = max(name_score(role, one.names) for role in ("event", "timestamp", "product_id"))
        if telling >= TELLING or 2 * len(times) > len(one.present):
            return 0
        some = [str(value) for value in one.present[:50]]
        score = 20
        score += 22 * (one.names in (("id",), ("_id",)))
        score += 16 * all("@" in value and "." in value for value in some)
        score += 12 * all(_UUID.fullmatch(value) is not None for value in some)
        score += 12 * all("." in value and address(value) is not None for value in some)
        score += 8 * all(re.search(r"\d", value) is not None for value in some)
        score += 25 * self.is_key(one)
        score -= 12 * (len(one.counted) <= 4 and len(one.present) >= 3 * HANDFUL)
        return max(score, 1)

    def event(self, one: Candidate) -> Judged | None:
        """Whether it is what was done; None where it cannot be."""
        unfit = len(one.present) - sum(map(may_be_event, one.present))
        if unfit > _tolerated(0) * len(one.present):
            return None
        some = list(one.counted)[:5]
        if any(map(address, some)) or any(map(_UUID.fullmatch, some)):
            return None
        name = name_score("event", one.names)
        is_known = not self._events.isdisjoint(value.lower() for value in one.counted)
        if name < TELLING and not is_known:
            return None
        score, doubts = max(name, 40) + 15 * is_known, []
        if unfit:
            doubts.append(f"{unfit:,} of {len(one.present):,} can be no event")
        if len(one.present) > 2 * HANDFUL and len(one.counted) > max(HANDFUL, len(one.present) / 2):
            doubts.append("it is another in nearly every record")
            score -= 40
        score += 4 * one.is_near - 8 * one.is_constant - 20 * (one.share < 0.2)
        return Judged(one, score, tuple(doubts)) if score > 0 else None

    def product_id(self, one: Candidate) -> Judged | None:
        """Whether it is the product; None where it cannot be."""
        name = name_score("product_id", one.names)
        if name < TELLING or not all(map(may_be_product, one.present)):
            return None
        return Judged(one, name + 4 * one.is_near - 15 * one.is_constant - 30 * (one.share < 0.1))


def may_be_event(value: Any) -> bool:
    """Whether a decoder takes it for an event."""
    return isinstance(value, str) and len(value) <= EVENT_MAX


def may_be_product(value: Any) -> bool:
    """Whether a decoder takes it for a product."""
    return isinstance(value, str) or _may_be_user(value)


def _tolerated(name: float) -> float:
    """The part of the values that need not fit, where the name says so much."""
    return 0.5 if name >= CERTAIN else 1 - MOSTLY


def _may_be_user(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= USER_ID_MAX
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def _variety(one: Candidate) -> tuple[int, str]:
    """What is to be taken off a user's score because of how many there are, and why."""
    present = len(one.present)
    nobody = {value: count for value, count in one.counted.items() if value.lower() in NOBODY}
    if 10 * sum(nobody.values()) > present:
        commonest = max(nobody, key=lambda value: nobody[value])
        return 45, f"{100 * sum(nobody.values()) // present} % of them are {commonest!r}, all one user"
    if one.is_constant:
        return 30, f"it is {str(one.present[0])!r:.40} in all records"
    if one.is_unique:
        return 25, "it is another in nearly every record, as if it were the record's own"
    if present >= 10 * HANDFUL and len(one.counted) <= 3:
        return 15, f"only {len(one.counted)} are different"
    return 0, ""


def _private(one: Candidate) -> tuple[int, str]:
    """The same of addresses that are one's own machines'."""
    some = [str(found) for found in map(address, list(one.counted)[:50]) if found is not None]
    if some and 2 * sum(map(is_inside, some)) > len(some):
        return 10, "most are private addresses, as proxies of one's own have"
    return 0, ""


def _is_rising(times: Sequence[float]) -> bool:
    steps = [later >= sooner for sooner, later in pairwise(times)]
    return len(steps) >= HANDFUL and sum(steps) > MOSTLY * len(steps) and times[0] != times[-1]


def _is_sentence(value: Any) -> bool:
    """Whether a text is a browser's name, the address of a page, or JSON."""
    return isinstance(value, str) and (value[:1] in ("{", "[") or _SENTENCE.search(value) is not None)
