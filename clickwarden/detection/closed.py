"""Windows that are over, and the clicks that came too late for them."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden import zstd
from clickwarden.detection.batch import Batch
from clickwarden.detection.measure import Distinct
from clickwarden.detection.measured import measuring_of
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import DEPTH, cells_of
from clickwarden.detection.suspect import Suspect
from clickwarden.detection.windows import Window, WindowName

#: Of one partition: memory for the windows and what they had counted, and late users, once a window; beyond
#: that the window used longest ago is forgotten.
MEMORY_BYTES = 8 * 1024 * 1024
LATE_USERS = 100_000
#: Memory of a window without its counts, about.
WINDOW_BYTES = 1024
#: Places for further values of a late click: each takes one at most.
LATE_VALUES = 1
#: Spans of forgotten windows that are told apart, of one rule.
SPANS = 64


class Outcome(NamedTuple):
    """What a window had counted when it was closed. It never changes.

    Attributes:
        seed: of the users' hashes.
        cell_bytes: of one cell of the sketch.
        cells: the sketch, compressed.
        suspects: by user.
    """

    seed: int
    cell_bytes: int
    cells: bytes
    suspects: dict[str, Suspect]

    @classmethod
    def of(cls, window: Window) -> "Outcome":
        """What this window has counted."""
        cells = window.cells
        packed = zstd.compress(cells.tobytes(), level=1)
        return cls(window.seed, cells.itemsize, packed, window.suspects)

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return len(self.cells) + sum(
            200 + 32 * (len(suspect.events) + len(suspect.products or ()) + len(suspect.values or ()))
            for suspect in self.suspects.values()
        )

    def unpack(self) -> NDArray[np.unsignedinteger]:
        """The cells of the sketch."""
        cells = zstd.decompress(self.cells)
        return np.frombuffer(cells, np.dtype(f"u{self.cell_bytes}"))


class Correction(NamedTuple):
    """A user over the threshold once the late clicks are counted too; ``revision`` counts from 1."""

    user_id: str
    suspect: Suspect
    revision: int


class ClosedWindow:
    """A window that is over: what it had counted, and the late clicks since.

    A late click goes on top of what the sketch knew of its user when the
    window was closed. From the promotion level on the user is a suspect, as in
    an open window. A user whose count changed and is over the threshold is
    told of when no further late click has come for a while (``due``).

    Attributes:
        start: first second of the window.
        rule: that it was counted under.
        outcome: what was counted until it was closed; None where nothing was.
        closed: when it was closed, by Kafka's clock; -inf where that is not known.
        late: late clicks by user, below the promotion level.
        suspects: those who came late, from the promotion level on, with the clicks that were in time.
        revisions: how often each user was told of as corrected.
        changed: users over the threshold of whom there is something to tell.
        due: when to tell, by :attr:`EventClock.now`; -inf: at once.
        until: when to tell at the latest.
        stored: whether the outcome is durable; set by whoever makes it so.
    """

    __slots__ = (
        "_cells",
        "changed",
        "closed",
        "due",
        "late",
        "outcome",
        "revisions",
        "rule",
        "start",
        "stored",
        "suspects",
        "until",
    )

    def __init__(self, start: int, rule: Rule, outcome: Outcome | None, closed: float) -> None:
        self.start = start
        self.rule = rule
        self.outcome = outcome
        self.closed = closed
        self.late: dict[str, int] = {}
        self.suspects: dict[str, Suspect] = {}
        self.revisions: dict[str, int] = {}
        self.changed: dict[str, None] = {}
        self.due = self.until = math.inf
        self.stored = False
        self._cells: NDArray[np.unsignedinteger] | None = None

    @property
    def name(self) -> WindowName:
        """What tells it from others of the partition."""
        return WindowName(self.rule.name, self.start)

    @property
    def end(self) -> int:
        """First second behind the window."""
        return self.start + self.rule.window

    @property
    def size(self) -> int:
        """Bytes of memory, about, without the late users."""
        return WINDOW_BYTES + (0 if self.outcome is None else self.outcome.size)

    @property
    def users(self) -> int:
        """Users with late clicks."""
        return len(self.late) + len(self.suspects)

    def count(self, late: "LateClick", patience: float) -> None:
        """Count a late click; what changes is told ``patience`` seconds after the last."""
        batch, click, now = late.batch, late.click, late.now
        user_id = late.user_id
        suspect = self.suspects.get(user_id) or self._suspected(user_id, batch, click)
        if suspect is None:
            return
        measuring = measuring_of(self.rule, batch, late.seed)
        if measuring.counted(suspect, [click], LATE_VALUES):
            suspect.add(batch.evidence, [click])
            measuring.note(suspect, [click], LATE_VALUES)
        if suspect.incident is not None or measuring.over(suspect):
            if not self.changed:
                self.until = now + self.rule.window
            self.changed[user_id] = None
            self.due = min(now + patience, self.until)

    def suspect(self, user_id: str) -> Suspect | None:
        """What is known of a user, in time or late; None if it is no suspect."""
        if user_id in self.suspects or self.outcome is None:
            return self.suspects.get(user_id)
        return self.outcome.suspects.get(user_id)

    def _suspected(self, user_id: str, batch: Batch, click: int) -> Suspect | None:
        """The suspect that this click makes of its user, if it does."""
        if self.outcome is not None and user_id in self.outcome.suspects:
            suspect = self.outcome.suspects[user_id].copy()
        else:
            late = self.late.get(user_id, 0) + 1
            estimate = self._estimate(batch, click) + late
            if estimate < self.rule.level:
                self.late[user_id] = late
                return None
            self.late.pop(user_id, None)
            distinct = isinstance(self.rule.measure, Distinct)
            suspect = Suspect(promoted=estimate, values=set() if distinct else None)
        self.suspects[user_id] = suspect
        return suspect

    def _estimate(self, batch: Batch, click: int) -> int:
        """Clicks of the user that were in time, at most; the estimate of the sketch."""
        if self.outcome is None:
            return 0
        if self._cells is None:
            self._cells = self.outcome.unpack()
        user = batch.user[click : click + 1]
        cells = cells_of(batch.hashes(self.outcome.seed)[user], len(self._cells) // DEPTH)
        return int(self._cells[cells].min())

    def tell(self) -> list[Correction]:
        """What there is to tell, which is told with this."""
        corrections = []
        for user_id in self.changed:
            revision = self.revisions[user_id] = self.revisions.get(user_id, 0) + 1
            corrections.append(Correction(user_id, self.suspects[user_id].copy(), revision))
        self.changed = {}
        self.due = self.until = math.inf
        self._cells = None
        return corrections


class Spans:
    """Stretches of time in which forgotten windows of one rule begin, in whole seconds.

    Of :data:`SPANS` at most; beyond that the two closest to each other become
    one, with what lies between.

    >>> spans = Spans()
    >>> for start in (0, 120, 60): spans.add(start, start + 60)
    >>> spans.bounds, 150 in spans, 200 in spans
    ([(0, 180)], True, False)
    """

    def __init__(self, bounds: Iterable[tuple[int, int]] = ()) -> None:
        self.bounds = list(bounds)

    def __contains__(self, second: int) -> bool:
        """Whether a window that begins in this second was forgotten."""
        at = bisect_right(self.bounds, (second, math.inf)) - 1
        return at >= 0 and second < self.bounds[at][1]

    def add(self, begin: int, end: int) -> None:
        """Add ``[begin, end)``."""
        apart = [(first, last) for first, last in self.bounds if last < begin or first > end]
        touching = [(first, last) for first, last in self.bounds if last >= begin and first <= end]
        begin = min([begin, *(first for first, _ in touching)])
        end = max([end, *(last for _, last in touching)])
        self.bounds = sorted([*apart, (begin, end)])
        if len(self.bounds) > SPANS:
            gaps = [after[0] - before[1] for before, after in zip(self.bounds, self.bounds[1:], strict=False)]
            at = gaps.index(min(gaps))
            self.bounds[at : at + 2] = [(self.bounds[at][0], self.bounds[at + 1][1])]


class LateClick(NamedTuple):
    """A click of which a window is closed.

    Attributes:
        rule: that it matches.
        start: of that window.
        batch: that holds it.
        click: its position there.
        received: when it came, by Kafka's clock; -inf where that is not known.
        now: the same; where it is not known, see :attr:`EventClock.now`.
        seed: of the hashes.
    """

    rule: Rule
    start: int
    batch: Batch
    click: int
    received: float
    now: float
    seed: int

    @property
    def user_id(self) -> str:
        """Whose click it is."""
        user_id: str = self.batch.users[self.batch.user[self.click]]
        return user_id


class ClosedWindows:
    """The windows of one partition that are over and can still be corrected.

    A window is kept for ``keep`` seconds of Kafka's clock after it was closed,
    while all of them stay within :data:`MEMORY_BYTES` and :data:`LATE_USERS`;
    beyond that the one used longest ago is forgotten. Event time, which a
    sender may have made up, makes nothing be forgotten. What was forgotten is remembered as
    such: a click of it cannot be counted any more, while one of a window that
    nobody has seen before can.

    Attributes:
        forgotten: stretches of time in which forgotten windows begin, by name of the rule.
        gone: names of windows forgotten whose outcome is stored; emptied by whoever removes them there.
    """

    def __init__(self, keep: float) -> None:
        self.forgotten: dict[str, Spans] = {}
        self.gone: list[WindowName] = []
        self._keep = keep
        self._windows: dict[WindowName, ClosedWindow] = {}  # used longest ago first
        self._ages: dict[WindowName, float] = {}  # closed longest ago first
        self._pending: dict[WindowName, ClosedWindow] = {}
        self._told: list[tuple[ClosedWindow, Correction]] = []
        self._bytes = self._users = 0

    def __iter__(self) -> Iterator[ClosedWindow]:
        """The windows, used longest ago first."""
        return iter(self._windows.values())

    def __len__(self) -> int:
        """How many windows."""
        return len(self._windows)

    def add(self, window: ClosedWindow) -> None:
        """Keep a window that is over."""
        self._windows[window.name] = window
        if math.isfinite(window.closed):
            self._ages[window.name] = window.closed
        if window.changed:
            self._pending[window.name] = window
        self._users += window.users
        self._bytes += window.size
        while self._bytes > MEMORY_BYTES and len(self._windows) > 1:
            self._forget(next(iter(self._windows)))

    def get(self, name: WindowName) -> ClosedWindow | None:
        """The window of that name; None where there is none."""
        return self._windows.get(name)

    def count(self, late: "LateClick", patience: float) -> ClosedWindow | None:
        """Count a late click; returns its window, None where that was forgotten.

        What changed is told after ``patience`` seconds without another late click of the window.
        """
        window = self._use(late)
        if window is None:
            return None
        self._tell(window, late.now)
        before = window.users
        window.count(late, patience)
        self._users += window.users - before
        if window.changed:
            self._pending[window.name] = window
        while self._users > LATE_USERS and len(self._windows) > 1:
            self._forget(next(iter(self._windows)))
        return window

    def _use(self, late: "LateClick") -> ClosedWindow | None:
        window = self._windows.pop(WindowName(late.rule.name, late.start), None)
        if window is not None:
            self._windows[window.name] = window
        elif late.start not in self.forgotten.get(late.rule.name, ()):
            window = ClosedWindow(late.start, late.rule, None, late.received)
            self.add(window)
        return window

    def expire(self, received: float) -> None:
        """Forget what was closed too long ago, ``received`` being the time by Kafka's clock."""
        while self._ages:
            name, closed = next(iter(self._ages.items()))
            if received - closed <= self._keep:
                break
            self._forget(name)

    def _forget(self, name: WindowName) -> None:
        window = self._windows.pop(name)
        self._ages.pop(name, None)
        self._users -= window.users
        self._bytes -= window.size
        self.forgotten.setdefault(window.rule.name, Spans()).add(
            window.start, window.start + window.rule.step
        )
        if window.stored:
            self.gone.append(name)
        self._tell(window, math.inf)

    def _tell(self, window: ClosedWindow, now: float) -> None:
        if window.changed and window.due <= now:
            self._told += [(window, correction) for correction in window.tell()]
            self._pending.pop(window.name, None)

    def decide(self, now: float) -> bool:
        """Let wall clock decide that nothing more comes for what is due ``now``; whether there is such.

        As with :meth:`Detection.seal`, the decision must be durable before :meth:`corrections` tells it.
        """
        due = [window for window in self._pending.values() if -math.inf < window.due <= now]
        for window in due:
            window.due = -math.inf
        return bool(due)

    def corrections(self, now: float) -> list[tuple[ClosedWindow, Correction]]:
        """What is due to be told, once."""
        for window in list(self._pending.values()):
            self._tell(window, now)
        told, self._told = self._told, []
        return told
