"""The newest anomalies of all partitions, whichever worker found them."""

import asyncio
import sys
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from clickwarden.alerts.incidents import Kind, kind_of
from clickwarden.detection.anomaly import STATUSES, Anomaly, Status
from clickwarden.formats.json import UNREADABLE

#: Anomalies that are kept.
KEEP = 20_000
#: A larger record is none of ours, whose fields are all bounded.
RECORD_BYTES = 64 * 1024
#: Anomalies looked at without letting go of the event loop, which counts clicks too.
SLICE = 250
#: Places that are forgotten before the list of them is made shorter, which takes as long for one as for all.
SPARE = 1_000

#: Where an anomaly stands in the list, the same whatever its status: end of its window, and id.
Place = tuple[str, str]

_decode = msgspec.json.Decoder(Anomaly).decode


class Entry(msgspec.Struct, gc=False):
    """The record of an anomaly, and beside it what is asked for too often to decode it each time.

    ``low`` and ``high`` bound the clicks known by now, which may be more than the record says.
    """

    alert_id: str
    rule: str
    user_id: str
    category: str
    status: Status
    revision: int
    window_start: str
    window_end: str
    low: int
    high: int
    threshold: int
    incident_id: str
    kind: Kind
    record: msgspec.Raw

    @property
    def ongoing(self) -> bool:
        """Whether its window is open."""
        return self.status == "ongoing"

    @property
    def rank(self) -> tuple[int, int]:
        """Of two statements the one that ranks higher holds (:attr:`~Anomaly.rank`)."""
        return STATUSES.index(self.status), self.revision

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return self.window_end, self.alert_id

    @property
    def excess(self) -> float:
        """How many times the threshold its clicks are."""
        return self.high / max(1, self.threshold)

    @property
    def anomaly(self) -> Anomaly:
        """The whole record."""
        return _decode(self.record)


class News(NamedTuple):
    """What a record added to what was known: a new anomaly (``first``), its final figures, or others."""

    entry: Entry
    anomaly: Anomaly
    first: bool


class Feed:
    """One entry an ``alert_id``: what ranks higher replaces what was known; the newest windows are kept.

    Attributes:
        live: the attacks whose window is open.
        aside: the others whose window is: of rules in shadow, of users who are allowed, or of nobody.
    """

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._latest: dict[str, Entry] = {}
        self._places: list[Place] = []
        self._gone = 0
        self._by_user: dict[str, dict[str, Entry]] = {}
        self.live = Live()
        self.aside = Live()
        self._fired: Counter[str] = Counter()
        self._kinds: Counter[Kind] = Counter()

    def __len__(self) -> int:
        """How many anomalies are kept."""
        return len(self._latest)

    def kept(self, kind: Kind) -> int:
        """How many of a kind are kept."""
        return self._kinds[kind]

    def ongoing(self, kind: Kind) -> int:
        """How many of a kind have an open window."""
        return self.live.kinds[kind] + self.aside.kinds[kind]

    def worst(self, live: "Live", count: int) -> list[Entry]:
        """At most so many of these, the largest excess first, one a user and rule."""
        found: dict[tuple[str, str], Entry] = {}
        for _, alert_id in reversed(live.ranks):
            entry = self._latest[alert_id]
            found.setdefault((entry.rule, entry.user_id), entry)
            if len(found) == count:
                break
        return list(found.values())

    def fired(self, rule: str) -> int:
        """How many anomalies of a rule are kept."""
        return self._fired[rule]

    def shadowed(self, rule: str, since: str) -> int:
        """How many incidents a rule in shadow would have told of, in windows that end after ``since``."""
        found = (entry for entry in self._since(since) if entry.rule == rule and entry.kind == "shadow")
        return len({entry.incident_id for entry in found})

    def _since(self, since: str) -> Iterator[Entry]:
        """Those of which the window ends at ``since`` or later."""
        for _, alert_id in self._places[bisect_left(self._places, (since, ""), self._gone) :]:
            yield self._latest[alert_id]

    def told(self, rule: str, since: str) -> int:
        """How many anomalies of a rule that are told are kept, of windows that end at ``since`` or later."""
        return sum(entry.rule == rule and entry.kind == "attack" for entry in self._since(since))

    def reaches(self, since: str) -> bool:
        """Whether none was forgotten of which the window ends at ``since`` or later."""
        return len(self._latest) < self._keep or self._places[self._gone][0] < since

    def get(self, alert_id: str) -> Entry | None:
        """An anomaly; None where it is not kept."""
        return self._latest.get(alert_id)

    def of(self, user_id: str) -> list[Entry]:
        """All anomalies of a user, in no order."""
        return list(self._by_user.get(user_id, {}).values())

    async def select(
        self, wanted: Callable[[Entry], bool] = lambda entry: True, before: Place | None = None
    ) -> AsyncIterator[list[Entry]]:
        """Yield the wanted anomalies some at a time, the newest window first, from behind a place on."""
        while True:
            end = len(self._places) if before is None else bisect_left(self._places, before, self._gone)
            places = self._places[max(self._gone, end - SLICE) : end]
            if not places:
                return
            entries = (self._latest[alert_id] for _, alert_id in reversed(places))
            yield [entry for entry in entries if wanted(entry)]
            before = places[0]
            await asyncio.sleep(0)

    def take(self, value: bytes | None) -> News | None:
        """Take over a record of the topic; None where it says nothing new, or is no anomaly.

        Fields that a newer version added are kept.
        """
        anomaly = read(value)
        return None if value is None or anomaly is None else self.add(anomaly, value)

    def add(self, anomaly: Anomaly, value: bytes) -> News | None:
        """Take over an anomaly, and the record that it was read from; None where it says nothing new."""
        known = self._latest.get(anomaly.alert_id)
        if known is not None and anomaly.rank <= known.rank:
            return None  # said again after a crash
        try:
            record = _line(value)
        except UnicodeDecodeError:
            return None
        entry = _entry(anomaly, record)
        if known is not None and known.ongoing and entry.ongoing:
            entry.low, entry.high = max(known.low, entry.low), max(known.high, entry.high)
        if known is not None and _is_alike(known, entry):
            self._replace(known, entry)
        else:
            if known is not None:
                self._displace(known)
                self._forget(known)
            self._add(entry)
            self._place(entry)
        return News(entry, anomaly, known is None)

    def progress(self, user_id: str, rule: str, window_start: str, low: int, high: int) -> None:
        """Learn what was counted of an ongoing anomaly since its record."""
        for entry in self._by_user.get(user_id, {}).values():
            if entry.ongoing and entry.rule == rule and entry.window_start == window_start:
                live = self._side_of(entry)
                live.discard(entry)
                entry.low, entry.high = max(entry.low, low), max(entry.high, high)
                live.add(entry)

    def _side_of(self, entry: Entry) -> "Live":
        return self.live if entry.kind == "attack" else self.aside

    def _place(self, entry: Entry) -> None:
        insort(self._places, entry.place, self._gone)
        if len(self._latest) > self._keep:
            self._forget(self._latest[self._places[self._gone][1]])
            self._gone += 1
        if self._gone > SPARE:
            del self._places[: self._gone]
            self._gone = 0

    def _displace(self, entry: Entry) -> None:
        del self._places[bisect_left(self._places, entry.place, self._gone)]

    def _add(self, entry: Entry) -> None:
        self._latest[entry.alert_id] = entry
        self._by_user.setdefault(entry.user_id, {})[entry.alert_id] = entry
        self._fired[entry.rule] += 1
        self._kinds[entry.kind] += 1
        if entry.ongoing:
            self._side_of(entry).add(entry)

    def _replace(self, known: Entry, entry: Entry) -> None:
        self._latest[entry.alert_id] = self._by_user[entry.user_id][entry.alert_id] = entry
        if known.ongoing:
            self._side_of(known).discard(known)
        if entry.ongoing:
            self._side_of(entry).add(entry)

    def _forget(self, entry: Entry) -> None:
        del self._latest[entry.alert_id]
        of_user = self._by_user[entry.user_id]
        del of_user[entry.alert_id]
        if not of_user:
            del self._by_user[entry.user_id]
        _less(self._fired, entry.rule)
        _less(self._kinds, entry.kind)
        if entry.ongoing:
            self._side_of(entry).discard(entry)


class Live:
    """Anomalies whose window is open, in the order of how bad they are.

    Attributes:
        ranks: how bad, and which.
        users: how many a rule and user has.
        rules: how many a rule has.
        kinds: how many there are of a kind.
    """

    def __init__(self) -> None:
        self.ranks: list[tuple[float, str]] = []
        self.users: Counter[tuple[str, str]] = Counter()
        self.rules: Counter[str] = Counter()
        self.kinds: Counter[Kind] = Counter()

    def __len__(self) -> int:
        """How many users have one, counted once for each rule."""
        return len(self.users)

    def add(self, entry: Entry) -> None:
        """Add one."""
        insort(self.ranks, (entry.excess, entry.alert_id))
        self.users[entry.rule, entry.user_id] += 1
        self.rules[entry.rule] += 1
        self.kinds[entry.kind] += 1

    def discard(self, entry: Entry) -> None:
        """Take one out."""
        del self.ranks[bisect_left(self.ranks, (entry.excess, entry.alert_id))]
        _less(self.users, (entry.rule, entry.user_id))
        _less(self.rules, entry.rule)
        _less(self.kinds, entry.kind)


def read(value: bytes | None) -> Anomaly | None:
    """The anomaly that a record of the topic is; None where it is none."""
    if value is None or len(value) > RECORD_BYTES:
        return None
    try:
        return _decode(value)
    except UNREADABLE:
        return None


def _line(value: bytes) -> msgspec.Raw:
    r"""JSON that was decoded, as it is handed on: text, on a line of its own.

    A parser passes over fields that it does not know without a look at their
    bytes. Line breaks, which JSON has between its tokens only, would end an
    event of the stream.

    >>> _line(b'{"text": "a\\nb",\n"more": 1}') == msgspec.Raw(b'{"text": "a\\nb", "more": 1}')
    True
    >>> _line(b'{"more": "\xff"}')
    Traceback (most recent call last):
        ...
    UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 10: invalid start byte
    """
    value.decode()
    return msgspec.Raw(value.replace(b"\n", b" ").replace(b"\r", b" "))


def _is_alike(known: Entry, entry: Entry) -> bool:
    """Whether what is said anew of an anomaly is to be found where the old was."""
    return (
        known.window_end == entry.window_end
        and known.user_id == entry.user_id
        and known.rule == entry.rule
        and known.kind == entry.kind
    )


def _less(counter: Counter[Any], name: object) -> None:
    """One less; what is down to nothing is forgotten."""
    counter[name] -= 1
    if not counter[name]:
        del counter[name]


def _entry(anomaly: Anomaly, record: msgspec.Raw) -> Entry:
    return Entry(
        alert_id=anomaly.alert_id,
        rule=sys.intern(anomaly.rule),
        user_id=anomaly.user_id,
        category=sys.intern(anomaly.category),
        status=anomaly.status,
        revision=anomaly.revision,
        window_start=sys.intern(anomaly.window_start),
        window_end=sys.intern(anomaly.window_end),
        low=anomaly.count_low,
        high=anomaly.count_high,
        threshold=anomaly.threshold,
        incident_id=anomaly.incident_id or anomaly.alert_id,
        kind=kind_of(anomaly.shadow, anomaly.allowed, anomaly.category),
        record=record,
    )
