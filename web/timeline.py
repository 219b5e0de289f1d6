"""Clicks and anomalies of the last hour."""

from collections.abc import Mapping

import msgspec

from clickwarden.times import isotime

#: Seconds of a point.
STEP = 10
#: Seconds that are shown.
SPAN = 3600


class Point(msgspec.Struct):
    """What happened in ``step`` seconds.

    Attributes:
        time: their first, ISO-8601 UTC.
        clicks_per_second: records counted; None where no worker said.
        anomalies: found.
        aside: of rules in shadow and of users who are allowed, found likewise; not among the others.
    """

    time: str
    clicks_per_second: float | None
    anomalies: int
    aside: int = 0


class _Bucket:
    __slots__ = ("anomalies", "aside", "clicks", "until")

    def __init__(self) -> None:
        self.anomalies = self.aside = 0
        self.clicks: int | None = None
        self.until = 0.0

    def rate(self, start: int, is_open: bool) -> float | None:
        """Clicks a second; the bucket that is open began a few seconds ago."""
        if self.clicks is None:
            return None
        seconds = min(STEP, max(1.0, self.until - start)) if is_open else STEP
        return round(self.clicks / seconds, 1)


class LastHour:
    """Sums by time of Kafka's clock, which is the same for every worker.

    Clicks are what the totals of the partitions have grown by, which are part
    of their state: whoever counts, and however often a worker dies, each
    counts once. (Offsets would not do: transactions take some.)

    >>> timeline = LastHour()
    >>> for second in range(21):
    ...     timeline.counted(1_600_000_000 + second, {0: 100 * second, 1: 7})
    >>> timeline.found(1_600_000_012)
    >>> for point in timeline.points(): print(point)
    Point(time='2020-09-13T12:26:40Z', clicks_per_second=90.0, anomalies=0, aside=0)
    Point(time='2020-09-13T12:26:50Z', clicks_per_second=100.0, anomalies=1, aside=0)
    Point(time='2020-09-13T12:27:00Z', clicks_per_second=100.0, anomalies=0, aside=0)
    """

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}
        self._totals: dict[int, int] = {}

    def counted(self, time: float, totals: Mapping[int, int]) -> None:
        """Note how many records a worker had counted by then, by partition."""
        bucket = self._bucket(time)
        bucket.until = max(bucket.until, time)
        for partition, total in totals.items():
            before = self._totals.get(partition, total)
            bucket.clicks = (bucket.clicks or 0) + max(0, total - before)
            self._totals[partition] = max(before, total)

    def found(self, time: float, *, aside: bool = False) -> None:
        """Note that an anomaly was found then; ``aside`` if nobody is told of it."""
        bucket = self._bucket(time)
        bucket.anomalies += not aside
        bucket.aside += aside

    def points(self) -> list[Point]:
        """The last hour, oldest first; times of which nothing is known are left out."""
        newest = max(self._buckets, default=0)
        for old in [start for start in self._buckets if start <= newest - SPAN]:
            del self._buckets[old]
        return [
            Point(isotime(start), bucket.rate(start, start == newest), bucket.anomalies, bucket.aside)
            for start, bucket in sorted(self._buckets.items())
        ]

    def _bucket(self, time: float) -> _Bucket:
        return self._buckets.setdefault(int(time) // STEP * STEP, _Bucket())
