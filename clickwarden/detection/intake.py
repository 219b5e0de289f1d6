"""What becomes of the records of one partition: how many of them could be counted lately, and why not."""

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Rejected
from clickwarden.detection.detection import Findings
from clickwarden.detection.measure import Distinct
from clickwarden.detection.rules import Rule
from clickwarden.detection.windows import Window
from clickwarden.times import isotime

#: Records that are followed together. So many at least are recent, however old.
BLOCK = 64
#: Blocks that are kept, 65,536 records.
BLOCKS = 1024
#: What came so long before the newest is recent, seconds by the records' time stamps: long enough for the
#: batches of many senders, short enough that half of it is unreadable 5 s after all senders broke.
RECENT_SECONDS = 10.0
#: Different things that can become of a record; a dozen are in use.
MOST_FATES = 32
#: Names of events that are kept beside those the rules name, the ones seen last.
EVENTS = 32
#: After so long without one, an event counts as sent no more: the rarest have their hour of the day, seconds.
EVENT_SECONDS = 86_400.0
#: What is kept of a record as an example.
EXAMPLE_BYTES = 8192
#: Windows in a row of which one user has so large a part: an attack is rarely that long and that alone.
WINDOWS = 10
NEARLY_ALL = 0.9

#: What can become of a record, beside the reasons to reject it.
FATES = ACCEPTED, LATE, UNCOUNTED, IGNORED = ("accepted", "late", "uncounted", "ignored")


class Counts(msgspec.Struct):
    """Records by what became of them; those without a value, which are ignored, left out.

    Attributes:
        accepted: clicks counted in time.
        late: clicks whose window was closed.
        uncounted: those of the late that a rule could not count any more.
        rejected: records that could not be counted, by reason.
    """

    accepted: int = 0
    late: int = 0
    uncounted: int = 0
    rejected: dict[str, int] = {}

    def __add__(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(
            self.accepted + other.accepted,
            self.late + other.late,
            self.uncounted + other.uncounted,
            dict(Counter(self.rejected) + Counter(other.rejected)),
        )

    @property
    def records(self) -> int:
        """All of them."""
        return self.accepted + self.late + sum(self.rejected.values())

    @property
    def uncountable(self) -> dict[str, int]:
        """Those that could not be counted, by reason, most first."""
        reasons = Counter(self.rejected) + Counter({UNCOUNTED: self.uncounted})
        return dict(reasons.most_common())

    @property
    def share(self) -> float:
        """The part of them that could not be counted, 0 to 1."""
        return sum(self.uncountable.values()) / max(1, self.records)


class Example(NamedTuple):
    """A record that could not be counted; a stranger's text, to be escaped.

    Attributes:
        value: its beginning.
        detail: its fault, in words.
        votes: how many more records of its reason had this fault than others, of late.
    """

    value: bytes
    detail: str
    votes: int = 1


class Commonest(NamedTuple):
    """The user with most clicks of some.

    Attributes:
        user_id: as it stood in the click: an attacker's text; empty where there is none.
        clicks: of the user, hardly fewer and certainly no more.
        of: clicks of everybody.
    """

    user_id: str
    clicks: int
    of: int


class Intake:
    """Follows what becomes of the records of one partition.

    Its counts are a function of the records in their order since it was made,
    not of how they were cut into batches. It does not outlive the worker; the
    totals that do are the detection's.

    *Recent* are the records of the last :data:`RECENT_SECONDS`, at least
    :data:`BLOCK` of them and at most :data:`BLOCKS` blocks. Time is what the
    records' stamps say, looked at once a block, so that a producer's wrong one
    makes fewer records recent, for a moment, and nothing else.

    Args:
        rules: in effect. What part of the clicks one user has is looked at in
            the windows of the rule that counts most kinds of them.

    Attributes:
        clicks: clicks among the records, in time or late.
        widest: name of that rule.
        examples: a record that could not be counted, by reason.
        untold: rejected records, by reason, until somebody takes them out to tell of them.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.clicks = 0
        self.examples: dict[str, Example] = {}
        self.untold: Counter[str] = Counter()
        self._fates = {fate: number for number, fate in enumerate(FATES)}
        # A row a block: how many records each thing became of, and the stamp of its last one. Rows behind
        # the newest are zero.
        self._records = 0
        self._table = np.zeros((2 * BLOCKS, MOST_FATES), np.uint8)
        self._stamps = np.zeros(2 * BLOCKS)
        self._events: dict[str, float] = {}  # seen longest ago first
        self._windows: deque[Commonest] = deque(maxlen=WINDOWS)
        self.watch(rules)

    def watch(self, rules: Sequence[Rule]) -> None:
        """Go by these rules from now on."""
        self._watched = frozenset(event for rule in rules for event in rule.events)
        widest = min(
            rules,
            key=lambda rule: (isinstance(rule.measure, Distinct), bool(rule.events), rule.window),
            default=None,
        )
        self.widest = widest.name if widest else ""

    def take(self, batch: Batch, findings: Findings) -> None:
        """Learn what became of a batch."""
        if not batch.size:
            return
        self.note(self._fates_of(batch, findings), batch.thing_stamps, batch.size)
        self.hear(len(batch), batch.events)
        self.reject(batch.rejected)
        if findings.uncounted:
            self.examples[UNCOUNTED] = _late(batch, max(findings.uncounted))

    def _fates_of(self, batch: Batch, findings: Findings) -> NDArray[np.intp] | None:
        """Number of what became of each record; None where all of them were accepted."""
        if len(batch) == batch.size and not findings.late:
            return None
        fates = np.full(batch.size, FATES.index(IGNORED), np.intp)
        clicks = batch.things
        fates[clicks] = FATES.index(ACCEPTED)
        fates[clicks[list(findings.late)]] = FATES.index(LATE)
        fates[clicks[list(findings.uncounted)]] = FATES.index(UNCOUNTED)
        if batch.rejected:
            records = [record.record for record in batch.rejected]
            elements = [record.element or 0 for record in batch.rejected]
            reasons = [self.number(record.reason) for record in batch.rejected]
            fates[batch.firsts[records] + elements] = reasons
        return fates

    def number(self, fate: str) -> int:
        """Stands for a fate, or for a reason to reject, in :meth:`note`."""
        return self._fates.setdefault(fate, len(self._fates))

    def note(self, fates: NDArray[np.intp] | None, stamps: NDArray[np.float64] | None, size: int) -> None:
        """Learn what became of the next records.

        Args:
            fates: numbers of what, [size]; None where all of them were accepted.
            stamps: time stamps, [size], epoch seconds; None where there are none.
            size: how many records, one at least.
        """
        for first in range(0, size, BLOCKS * BLOCK):
            part = slice(first, min(size, first + BLOCKS * BLOCK))
            self._note(
                None if fates is None else fates[part],
                None if stamps is None else stamps[part],
                part.stop - part.start,
            )

    def _note(self, fates: NDArray[np.intp] | None, stamps: NDArray[np.float64] | None, size: int) -> None:
        if self._records + size > len(self._table) * BLOCK:
            self._forget()
        first, self._records = self._records, self._records + size
        row, end = first // BLOCK, (self._records - 1) // BLOCK + 1
        if fates is None:
            accepted = self._table[row:end, 0]
            accepted += BLOCK
            accepted[0] -= first % BLOCK
            accepted[-1] -= -self._records % BLOCK
        else:
            cells = (np.arange(first, self._records) // BLOCK - row) * MOST_FATES + fates
            counts = np.bincount(cells, minlength=(end - row) * MOST_FATES)
            self._table[row:end] += counts.reshape(-1, MOST_FATES).astype(np.uint8)
        if stamps is not None:
            self._stamps[row : end - 1] = stamps[BLOCK - 1 - first % BLOCK : size - 1 : BLOCK]
            self._stamps[end - 1] = stamps[-1]

    def _forget(self) -> None:
        """Make room behind the newest blocks."""
        newest = (self._records - 1) // BLOCK
        for column in (self._table, self._stamps):
            column[:BLOCKS] = column[newest + 1 - BLOCKS : newest + 1]
            column[BLOCKS:] = 0
        self._records -= (newest + 1 - BLOCKS) * BLOCK

    def recent(self) -> Counts:
        """What became of the recent records."""
        end = (self._records - 1) // BLOCK + 1
        table, stamps = (column[max(0, end - BLOCKS) : end][::-1] for column in (self._table, self._stamps))
        near = np.abs(stamps - self._newest) <= RECENT_SECONDS
        size = max(2, len(near) if near.all() else int(near.argmin()))
        found = dict(zip(self._fates, table[:size].sum(axis=0).tolist(), strict=False))
        counts = {name: found.pop(name) for name in FATES}
        rejected = {reason: count for reason, count in found.items() if count}
        return Counts(counts[ACCEPTED], counts[LATE] + counts[UNCOUNTED], counts[UNCOUNTED], rejected)

    def reject(self, rejected: Iterable[Rejected]) -> None:
        """Learn why some of the newest records could not be counted.

        The example of a reason is the newest record with the fault that most of
        them have (Boyer and Moore's majority vote), if there is such a fault.
        """
        elected: dict[str, tuple[bytes, str, int]] = {}
        for _, _, value, reason, detail, *_ in rejected:
            self.untold[reason] += 1
            known = elected.get(reason) or self.examples.get(reason) or (value, detail, 0)
            if known[2] == 0 or known[1] == detail:
                elected[reason] = value, detail, min(BLOCK, known[2] + 1)
            else:
                elected[reason] = known[0], known[1], known[2] - 1
        for reason, (value, detail, votes) in elected.items():
            self.examples[reason] = Example(value[:EXAMPLE_BYTES], detail, votes)

    def hear(self, clicks: int, events: Iterable[str]) -> None:
        """Learn that the newest records held so many clicks, with these events, each named once."""
        self.clicks += clicks
        known = list(events)
        if len(known) > EVENTS:  # made up, or they are no events: those that matter are enough
            known = [event for event in known if event in self._watched or event in self._events]
        stamp = self._newest
        for event in known:
            self._events.pop(event, None)
            self._events[event] = stamp
        while len(self._events) > EVENTS + len(self._watched):
            del self._events[next(event for event in self._events if event not in self._watched)]

    @property
    def _newest(self) -> float:
        """Stamp of the newest record."""
        return float(self._stamps[max(0, self._records - 1) // BLOCK])

    @property
    def events(self) -> list[str]:
        """The events of the last day, as far as they are kept, the newest first: attackers' text."""
        newest = self._newest
        return [
            event for event, stamp in reversed(self._events.items()) if abs(newest - stamp) <= EVENT_SECONDS
        ]

    @property
    def heard(self) -> list[str]:
        """Those of them that rules name."""
        return [event for event in self.events if event in self._watched]

    def close(self, window: Window) -> None:
        """Learn what a window that is over had counted; of those that overlap, one after the other."""
        if window.rule.name == self.widest and window.clicks and window.start % window.rule.window == 0:
            suspects = window.suspects
            user_id = max(suspects, key=lambda user_id: suspects[user_id].count_high, default="")
            self.compare(Commonest(user_id, suspects[user_id].count_high if suspects else 0, window.clicks))

    def compare(self, commonest: Commonest) -> None:
        """Learn who had most clicks of a window that is over."""
        self._windows.append(commonest)

    @property
    def commonest(self) -> Commonest:
        """The user who has nearly all clicks of each of the last windows, if there is one."""
        of = sum(window.of for window in self._windows)
        users = {
            window.user_id if window.clicks >= NEARLY_ALL * window.of else "" for window in self._windows
        }
        if len(self._windows) < WINDOWS or len(users) > 1 or "" in users:
            return Commonest("", 0, of)
        return Commonest(users.pop(), sum(window.clicks for window in self._windows), of)


def _late(batch: Batch, click: int) -> Example:
    """A click that came too late to be counted, as an example."""
    time = float(batch.times[click])
    value = {
        "user_id": batch.users[batch.user[click]],
        "event": batch.events[batch.event[click]],
        "timestamp": isotime(time),
    }
    received = float(batch.received[click])
    behind = "" if math.isnan(received) else f"{received - time:.0f} s before Kafka received it"
    return Example(msgspec.json.encode(value)[:EXAMPLE_BYTES], behind)
