"""Stories: what is heard of anomalies becomes incidents, in whatever order and however often it is heard."""

import sys
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

import msgspec

from clickwarden.alerts.incidents import SEVERITIES, Incident, apart, cover
from clickwarden.alerts.words import owasp_label
from clickwarden.detection.anomaly import DRIFT, STATUSES, Anomaly
from clickwarden.detection.steps import reached
from clickwarden.times import epoch, isotime

#: Windows whose figures are kept of a story, the newest.
WINDOWS = 240
#: Windows shown of a long incident, the newest.
SPARK = 30
#: An incident has ended when so long, and one window longer, nothing more was told of it, seconds: until then
#: clicks in time can take the user over the threshold in the next window.
QUIET_SECONDS = 120
#: Stories that are kept, those heard of last.
KEEP = 50_000

#: Of two statements on a window the one that ranks higher holds, and of repeats the newest, which is the one
#: that compaction leaves.
Rank = tuple[int, int, str]


class Progress(NamedTuple):
    """What was counted in an open window since its anomaly."""

    low: int
    high: int
    last_seen: str


class _Figure(NamedTuple):
    """What holds of one window."""

    window_start: str
    window_end: str
    rank: Rank
    low: int
    high: int
    caught_up: bool

    @property
    def ongoing(self) -> bool:
        return self.rank[0] == 0

    @property
    def corrected(self) -> bool:
        return self.rank[0] == STATUSES.index("corrected")

    @property
    def over(self) -> str:
        """When it was over for who is told: what a backlog says of last year is of today."""
        if not self.caught_up or self.corrected:
            return self.window_end
        return max(self.window_end, self.rank[2], key=_plain)


class _Newest(NamedTuple):
    """What an incident takes of its newest window."""

    window_start: str
    rank: Rank
    category: str
    owasp: str
    threshold: int
    partition: int
    shadow: bool
    allowed: str
    distinct: str | None
    pipeline: str


class _Worst(NamedTuple):
    """What an incident takes of the statement with the most clicks, of several the last."""

    high: int
    window_start: str
    rank: Rank
    reasons: list[str]


class _Story(msgspec.Struct, gc=False, eq=False):
    """One incident, as far as it is known.

    What windows beyond :data:`WINDOWS` leave behind is the least or the most
    of something, so that it does not matter when they are forgotten.
    """

    incident_id: str
    rule: str
    user_id: str
    window_start: str
    window_end: str
    since: str
    last_seen: str
    peak: int
    level: int
    newest: _Newest
    worst: _Worst
    figures: list[_Figure]
    progress: dict[str, Progress]

    @property
    def ongoing(self) -> bool:
        return any(figure.ongoing for figure in self.figures)

    @property
    def ending(self) -> float:
        """When it is over if nothing more is heard of it, epoch seconds."""
        over = max((figure.over for figure in self.figures), key=_plain)
        return epoch(over) + self.window + QUIET_SECONDS

    @property
    def window(self) -> int:
        """Of the rule, seconds."""
        last = self.figures[-1]
        return int(epoch(last.window_end) - epoch(last.window_start))

    def hear(self, anomaly: Anomaly) -> None:
        self.window_start = min(self.window_start, anomaly.window_start)
        self.window_end = max(self.window_end, anomaly.window_end)
        if _is_before(anomaly.first_seen, self.since):
            self.since = anomaly.first_seen
        if _is_before(self.last_seen, anomaly.last_seen):
            self.last_seen = anomaly.last_seen
        self.peak = max(self.peak, anomaly.count_high)
        self.level = max(self.level, _level(anomaly))
        rank = *anomaly.rank, anomaly.emitted_at
        self._note(_figure(anomaly, rank))
        newest = self.newest
        if (anomaly.window_start, rank) > (newest.window_start, newest.rank):
            self.newest = _newest(anomaly, rank)
        if (anomaly.count_high, anomaly.window_start, rank) > self.worst[:3]:
            self.worst = _worst(anomaly, rank)

    def further(self) -> "_Story":
        """The story, as far as it has come since the anomalies."""
        progress = self.progress
        high = max(counted.high for counted in progress.values())
        return msgspec.structs.replace(
            self,
            figures=[
                figure._replace(
                    low=max(figure.low, progress[start].low), high=max(figure.high, progress[start].high)
                )
                if (start := figure.window_start) in progress
                else figure
                for figure in self.figures
            ],
            last_seen=max(self.last_seen, *(counted.last_seen for counted in progress.values()), key=_plain),
            peak=max(self.peak, high),
            level=max(self.level, reached(high, self.newest.threshold)),
        )

    def place(self, window_start: str) -> int:
        """Where the figure of a window is, or would be."""
        return bisect_left(self.figures, window_start, key=_by_start)

    def _note(self, figure: _Figure) -> None:
        if not self.figures or self.figures[-1].window_start < figure.window_start:
            place = len(self.figures)
        else:
            place = self.place(figure.window_start)
        if place == len(self.figures) or self.figures[place].window_start != figure.window_start:
            self.figures.insert(place, figure)
        elif figure.rank > self.figures[place].rank:
            self.figures[place] = figure
            if self.progress and not figure.ongoing:
                self.progress.pop(figure.window_start, None)
        if len(self.figures) > WINDOWS:
            self.progress.pop(self.figures.pop(0).window_start, None)


class Stories:
    """The incidents that anomalies tell of.

    An incident is what its anomalies say, as a set: of each window the highest
    statement holds (:attr:`clickwarden.detection.anomaly.Anomaly.rank`), and
    everything else is a least, a most, or a sum over the newest windows. An
    anomaly of an older release, which names no incident, is one of its own.
    """

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        # A dict takes longer and longer to find its first when those before have gone.
        self._stories: OrderedDict[str, _Story] = OrderedDict()
        self._runs: dict[tuple[str, str], list[_Story]] = {}
        self._rules: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        """The ids of the incidents, those heard of last at the end."""
        return iter(list(self._stories))

    def hear(self, anomaly: Anomaly) -> list[str]:
        """Take over a statement; returns the ids of the incidents that it may have changed.

        None where a time is none.
        """
        if not (
            _is_time(anomaly.window_start)
            and _is_time(anomaly.window_end)
            and (not anomaly.emitted_at or _is_time(anomaly.emitted_at))
        ):
            return []
        incident_id = anomaly.incident_id or anomaly.alert_id
        story = self._stories.get(incident_id)
        span = None if story is None else (story.window_start, story.window_end)
        if story is None:
            self._stories[incident_id] = story = _begin(incident_id, anomaly)
        else:
            self._stories.move_to_end(incident_id)
        story.hear(anomaly)
        changed = [incident_id]
        if (story.window_start, story.window_end) != span:
            self._place(story, None if span is None else span[0])
            changed += [other.incident_id for other in self._meanwhile(story)]
        if len(self._stories) > self._keep:
            self._forget(next(iter(self._stories)))
        return changed

    def progress(
        self, user_id: str, rule: str, window_start: str, low: int, high: int, last_seen: str
    ) -> None:
        """Learn what was counted in an open window since its anomaly."""
        for story in reversed(self._runs.get((user_id, rule), ())):
            if story.window_end < window_start:
                return
            place = story.place(window_start)
            figure = story.figures[place] if place < len(story.figures) else None
            if figure is not None and figure.window_start == window_start and figure.ongoing:
                known = story.progress.get(window_start, Progress(figure.low, figure.high, ""))
                story.progress[window_start] = Progress(
                    max(known.low, low),
                    max(known.high, high),
                    max(known.last_seen, last_seen, key=_plain),
                )
                return

    def get(self, incident_id: str, now: float) -> Incident | None:
        """What the anomalies say of an incident at a time, epoch seconds."""
        story = self._stories.get(incident_id)
        return None if story is None else self._incident(story, now)

    def seen(self, incident_id: str, now: float) -> Incident | None:
        """The same, and what was counted in its open windows since."""
        story = self._stories.get(incident_id)
        return None if story is None else self._incident(story.further() if story.progress else story, now)

    def of(self, user_id: str) -> Iterator[str]:
        """The ids of a user's incidents."""
        for rule in self._rules:
            yield from (story.incident_id for story in self._runs.get((user_id, rule), ()))

    def ending(self, incident_id: str) -> float | None:
        """When an incident is over if nothing more is heard of it, epoch seconds; None while it goes on."""
        story = self._stories.get(incident_id)
        return None if story is None or story.ongoing else story.ending

    def _incident(self, story: _Story, now: float) -> Incident:
        figures = story.figures
        newest, ending = story.newest, self.ending(story.incident_id)
        covering = list(cover(figures))
        # Of an open window it is known what it had when that was told: of some that is longer ago.
        high = max(sum(figure.high for figure in covering), *(figure.high for figure in figures))
        low = max(sum(figure.low for figure in apart(figures)), *(figure.low for figure in figures))
        rules = sorted({other.rule for other in self._meanwhile(story) if not other.newest.shadow})
        first_told = [figure for figure in figures if not figure.corrected] or figures
        return Incident(
            incident_id=story.incident_id,
            rule=story.rule,
            user_id=story.user_id,
            category=newest.category,
            owasp=newest.owasp,
            owasp_label=owasp_label(newest.owasp),
            status="ongoing" if ending is None else "closed",
            since=story.since,
            until=None if ending is None else story.last_seen,
            windows=len(covering),
            count=high,
            count_low=low,
            count_high=high,
            threshold=newest.threshold,
            window=story.window,
            peak=story.peak,
            reasons=story.worst.reasons,
            spark=[figure.high for figure in figures[-SPARK:]],
            partition=newest.partition,
            caught_up=all(figure.caught_up for figure in first_told),
            corrected=any(figure.corrected for figure in figures),
            window_start=story.window_start,
            window_end=story.window_end,
            last_seen=story.last_seen,
            severity=SEVERITIES[min(story.level + bool(rules), len(SEVERITIES) - 1)],
            rules=rules,
            ended=None if ending is None or ending > now else isotime(ending),
            shadow=newest.shadow,
            allowed=newest.allowed,
            distinct=newest.distinct,
            pipeline=newest.pipeline,
        )

    def _place(self, story: _Story, before: str | None) -> None:
        """Have a story found by its beginning, which was another before."""
        if story.window_start == before:
            return
        if before is not None:
            self._displace(story)
        insort(self._runs.setdefault((story.user_id, story.rule), []), story, key=_by_start)
        self._rules.add(story.rule)

    def _displace(self, story: _Story) -> None:
        name = story.user_id, story.rule
        run = self._runs[name]
        run.remove(story)
        if not run:
            del self._runs[name]

    def _meanwhile(self, story: _Story) -> Iterator[_Story]:
        """The incidents of the same user under other rules that overlap or adjoin this one.

        Those of one rule follow one another, so whatever begins before one that is over is over too.
        """
        if story.newest.category == DRIFT:  # of a pipeline, and of nobody who could do more than that
            return
        for rule in self._rules - {story.rule}:
            run = self._runs.get((story.user_id, rule), [])
            for place in reversed(range(bisect_right(run, story.window_end, key=_by_start))):
                if run[place].window_end < story.window_start:
                    break
                if run[place].newest.category != DRIFT:
                    yield run[place]

    def _forget(self, incident_id: str) -> None:
        self._displace(self._stories.pop(incident_id))


_by_start = attrgetter("window_start")


def _begin(incident_id: str, anomaly: Anomaly) -> _Story:
    rank = *anomaly.rank, anomaly.emitted_at
    return _Story(
        incident_id=incident_id,
        rule=sys.intern(anomaly.rule),
        user_id=anomaly.user_id,
        window_start=sys.intern(anomaly.window_start),
        window_end=sys.intern(anomaly.window_end),
        since=anomaly.first_seen,
        last_seen=anomaly.last_seen,
        peak=0,
        level=0,
        newest=_newest(anomaly, rank),
        worst=_worst(anomaly, rank),
        figures=[],
        progress={},
    )


def _figure(anomaly: Anomaly, rank: Rank) -> _Figure:
    return _Figure(
        sys.intern(anomaly.window_start),
        sys.intern(anomaly.window_end),
        rank,
        anomaly.count_low,
        anomaly.count_high,
        anomaly.caught_up,
    )


def _newest(anomaly: Anomaly, rank: Rank) -> _Newest:
    return _Newest(
        sys.intern(anomaly.window_start),
        rank,
        sys.intern(anomaly.category),
        sys.intern(anomaly.owasp),
        anomaly.threshold,
        anomaly.partition,
        anomaly.shadow,
        anomaly.allowed,
        anomaly.distinct,
        "" if (of := anomaly.scored or anomaly.drift) is None else sys.intern(of.pipeline),
    )


def _worst(anomaly: Anomaly, rank: Rank) -> _Worst:
    return _Worst(anomaly.count_high, sys.intern(anomaly.window_start), rank, anomaly.reasons)


def _level(anomaly: Anomaly) -> int:
    """How bad it is: by how far it is over the threshold of a rule, or as a pipeline has it."""
    if (of := anomaly.scored or anomaly.drift) is not None:
        return SEVERITIES.index(of.severity)
    return reached(anomaly.count_high, anomaly.threshold)


def _is_before(one: str, other: str) -> bool:
    """Whether of two moments one is the earlier."""
    return one != other and _plain(one) < _plain(other)


def _plain(moment: str) -> str:
    """A moment as text that sorts: of those of one second the one without a fraction is the first.

    >>> sorted(["2026-01-01T00:00:02.500Z", "2026-01-01T00:00:02Z"], key=_plain)
    ['2026-01-01T00:00:02Z', '2026-01-01T00:00:02.500Z']
    """
    return moment.removesuffix("Z")


@lru_cache(maxsize=4096)
def _is_time(text: str) -> bool:
    try:
        epoch(text)
    except (ValueError, OverflowError):
        return False
    return True
