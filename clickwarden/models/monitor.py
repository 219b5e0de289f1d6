"""What a partition's champion sees, day by day, held against what it has learnt from."""

from collections.abc import Iterator, Sequence
from datetime import date

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.anomaly import Anomaly, DriftedDay, Shift
from clickwarden.models.alarms import drift_id, drift_of
from clickwarden.models.calibration import DAY_MS
from clickwarden.models.drift import Day, Drift, place_of
from clickwarden.models.features import Rows
from clickwarden.models.fields import NO_TIME
from clickwarden.models.manifest import Manifest
from clickwarden.models.pipeline import Pipeline

#: Days that are remembered, the newest ones; of all but the last, so many features.
DAYS, FARTHEST = 30, 3
#: Features that an anomaly names.
NAMED = 10
#: Records that are counted together, as far as nothing asks for the counts before.
TOGETHER = 2_000
EPOCH = date(1970, 1, 1).toordinal()


class JudgedDay(msgspec.Struct, array_like=True, frozen=True):
    """A day that is over, as it was judged.

    Attributes:
        day: its date in UTC.
        version: of the model that scored it.
        records: that were scored.
        alarms: among them.
        budget: so many were to be expected; None where the threshold is from labels.
        worth: how many independent records they are worth.
        limit: a feature has drifted that is further than that.
        unseen: the largest share of words that are in no vocabulary.
        drifted: how many features have.
        shifts: of the features, the farthest first: of the last day all, of those before it some.
    """

    day: str
    version: str
    records: int
    alarms: int
    budget: float | None
    worth: float
    limit: float
    unseen: float
    drifted: int
    shifts: tuple[Shift, ...]


class Watched(msgspec.Struct, array_like=True):
    """What is known of a partition's days.

    Attributes:
        champion: the version of the model whose days they are; empty before there is one.
        first: event time when the partition began, epoch milliseconds; None before that is known.
        counts: of the day that goes on, as :meth:`~clickwarden.models.drift.Drift.encode` gives them.
        drifting: the first and the last of the days on which it has drifted, as days since the epoch, and on
            all between; None before one has.
        days: that are over, the newest ones, in their order; of whichever champions.
    """

    champion: str = ""
    first: int | None = None
    counts: bytes = b""
    drifting: tuple[int, int] | None = None
    days: list[JudgedDay] = []


class Monitor:
    """Counts what the champion sees of a partition, and judges each day when a record of a later one comes.

    A record is of the day that event time shows behind it, so that at any time one day goes on, whatever
    records claim. With another champion the day begins anew: it is held against what that one has learnt.
    All of it is a function of the partition's records and models, in whatever batches.
    """

    def __init__(self, pipeline: Pipeline, partition: int, known: Watched) -> None:
        self.known = known
        self._pipeline = pipeline
        self._partition = partition
        self._manifest: Manifest | None = None
        self._drift = Drift((), (), 0)
        self._waiting: list[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_], list[str]]] = []

    def serve(self, champion: Manifest) -> None:
        """Have the next records scored by this champion.

        Raises:
            SnapshotError: what is known is of another model than it says.
        """
        if self._manifest is not None and self._manifest.version == champion.version:
            return
        self._manifest = champion
        self._waiting = []
        self._drift = Drift(
            champion.features, champion.expected, self._pipeline.longest, first=self.known.first
        )
        if self.known.champion == champion.version and self.known.counts:
            self._drift.merge(self.known.counts)
        elif self.known.champion != champion.version:
            self.known = Watched(champion.version, self.known.first, days=self.known.days)

    def add(self, rows: Rows, keys: Sequence[str | None], alarmed: NDArray[np.bool_]) -> Iterator[Anomaly]:
        """Count records that the champion has scored; the anomalies of days that were over meanwhile."""
        here = np.flatnonzero(rows.taken & (rows.event != NO_TIME))
        if not len(here):
            return
        event = rows.event[here]
        before = self._waiting[-1][1][-1] if self._waiting else event[0]
        self._waiting.append(
            (rows.values[here], event, alarmed[here], [keys[place] or "" for place in here.tolist()])
        )
        if self.known.first is None:
            self.known.first = int(event[0])
        if before // DAY_MS < event[-1] // DAY_MS or sum(len(each[1]) for each in self._waiting) >= TOGETHER:
            self._count()
        for day in self._drift.over(int(event[-1])):
            yield from self._judge(day)

    def pack(self) -> Watched:
        """All that is known, up to the last record."""
        self._count()
        if self._manifest is not None:
            self.known.counts = self._drift.encode()
        return self.known

    def _count(self) -> None:
        if not self._waiting:
            return
        values, event, alarmed = (
            np.concatenate([each[column] for each in self._waiting]) for column in range(3)
        )
        places = [place_of(key) for each in self._waiting for key in each[3]]
        self._waiting = []
        self._drift.add(values, event, alarmed, np.array(places))

    def _judge(self, day: Day) -> Iterator[Anomaly]:
        manifest = self._manifest
        assert manifest is not None  # or nothing were counted
        shifts = sorted(
            (
                Shift(name, round(float(shift), 4), round(float(missing), 4))
                for name, shift, missing in zip(manifest.features, day.shift, day.missing, strict=True)
            ),
            key=lambda each: -each.farthest,
        )
        limit = round(day.limit, 4)
        drifted = [each for each in shifts if each.farthest > limit]
        judged = JudgedDay(
            day.name,
            manifest.version,
            day.records,
            day.alarms,
            None if manifest.share is None else round(manifest.share * day.records, 1),
            round(day.worth, 1),
            limit,
            round(day.unseen, 4),
            len(drifted),
            tuple(shifts),
        )
        self.known.days = [
            *(msgspec.structs.replace(each, shifts=each.shifts[:FARTHEST]) for each in self.known.days),
            judged,
        ][-DAYS:]
        if drifted:
            yield self._drifted(judged, drifted, manifest)

    def _drifted(self, judged: JudgedDay, drifted: Sequence[Shift], manifest: Manifest) -> Anomaly:
        number = date.fromisoformat(judged.day).toordinal() - EPOCH
        first, last = self.known.drifting or (number, number)
        if number > last + 1:
            first = number
        self.known.drifting = first, number
        began = date.fromordinal(first + EPOCH).isoformat()
        day = DriftedDay(
            pipeline=self._pipeline.name,
            topic=self._pipeline.topic,
            day=judged.day,
            records=judged.records,
            alarms=judged.alarms,
            budget=judged.budget,
            worth=judged.worth,
            limit=judged.limit,
            unseen=judged.unseen,
            features=tuple(drifted[:NAMED]),
            detector=manifest.detector,
            version=manifest.version,
            severity=self._pipeline.severity,
        )
        incident = drift_id(self._pipeline.name, manifest.version, began)
        return drift_of(day, number * 86_400, self._partition, incident)
