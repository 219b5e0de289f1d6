"""The features of a partition's records, run by run: what a model sees of each, by those before it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clock import EventClock
from clickwarden.models import alone, segments
from clickwarden.models.fields import NO_TIME, STEPS_MAX
from clickwarden.models.histories import RUN_MAX
from clickwarden.models.kinds import OF_KEYS
from clickwarden.models.memory import Memory, Seen, bucket_of
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records, Words
from clickwarden.models.windows import NO_NUMBER

#: What becomes of a record: it has features; it is further behind event time than the lateness; it has no
#: key; it does not say when it happened; it is no record.
FATES = TAKEN, LATE, KEYLESS, TIMELESS, UNREADABLE = range(5)

_FLOAT_MAX = float(np.finfo(np.float32).max)


class Rows(NamedTuple):
    """What a model sees of some records.

    Attributes:
        values: float32[n, d], a column for each of ``pipeline.feature_names``; NaN where the record lacks
            what the column is of, and in every column of a record that was set aside.
        fates: uint8[n]; TAKEN, or why it was set aside.
        event: int64[n], event time behind each, epoch milliseconds; NO_TIME where it is not known: before the
            fifth record, of one without key or time, and in a pipeline without key.
        keys: of each; None where it has none.
    """

    values: NDArray[np.float32]
    fates: NDArray[np.uint8]
    event: NDArray[np.int64]
    keys: Sequence[str | None]

    @property
    def taken(self) -> NDArray[np.bool_]:
        """bool[n], which have features."""
        taken: NDArray[np.bool_] = self.fates == TAKEN
        return taken


class Placed(NamedTuple):
    """What becomes of some records, before anything is made of them.

    Attributes:
        fates: uint8[n]; TAKEN, or why one is set aside.
        event: int64[n], event time behind each, as :class:`Rows` have it.
    """

    fates: NDArray[np.uint8]
    event: NDArray[np.int64]


class Segment(NamedTuple):
    """What was learnt of records between two checkpoints: a row of the changelog.

    Attributes:
        data: compressed.
        newest: the newest moment in it, epoch milliseconds; NO_TIME where it has no record.
    """

    data: bytes
    newest: int


class Features:
    """What the features of a partition's next record depend on.

    A pipeline without key looks at each record alone, and nothing is remembered.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        """Begin with no record."""
        self._pipeline = pipeline
        self._keyed = bool(pipeline.key)
        self._hashes = alone.Hashes()
        self._clock = EventClock()
        keyed = [feature for feature in pipeline.features if feature.kind in OF_KEYS]
        self._memories = {bucket: Memory(pipeline, bucket) for bucket in sorted(set(map(bucket_of, keyed)))}
        self._longest = max((memory.longest for memory in self._memories.values()), default=0)
        fields = dict.fromkeys(feature.field for feature in keyed if feature.field)
        self._columns: dict[str, type[np.generic]] = {
            name: np.uint32 if pipeline.fields[name].type == "text" else np.int32 for name in fields
        }
        self._learnt: list[tuple[list[str], NDArray[np.int64], dict[str, NDArray[Any]]]] = []
        self._newest = NO_TIME
        self._moved = False
        self._event = NO_TIME  # behind the last record that features were made of

    @property
    def time(self) -> float:
        """Event time, epoch seconds; -inf before it is known."""
        return self._clock.time

    @property
    def forgotten(self) -> int:
        """Epoch milliseconds; a segment whose ``newest`` is not above it may go, but never the last one."""
        time = self._clock.time
        return self._forgotten(round(time * 1000) if np.isfinite(time) else NO_TIME)

    @property
    def memory(self) -> int:
        """Bytes of what is remembered, without the names of the keys."""
        return sum(memory.histories.bytes for memory in self._memories.values())

    def of(self, records: Records) -> Rows:
        """The features of the partition's next records, each by what came before it in the log."""
        return self.of_placed(records, self.placed(records))

    def placed(self, records: Records) -> Placed:
        """What becomes of the partition's next records; event time goes on by those with key and time."""
        fates = np.full(records.size, TAKEN, np.uint8)
        event = np.full(records.size, NO_TIME, np.int64)
        if self._keyed:
            fates[records.times == NO_TIME] = TIMELESS
            if None in records.keys:
                fates[np.array([key is None for key in records.keys], np.bool_)] = KEYLESS
        fates[~records.readable] = UNREADABLE
        if not self._keyed or not (fates == TAKEN).any():
            return Placed(fates, event)
        placed = np.flatnonzero(fates == TAKEN)
        moments = moments_of(records)[placed]
        # Only as Kafka's own clock bounds them: event time is what several of the records agree on.
        passage = self._clock.advance(moments / 1000, np.full(len(placed), np.nan))
        agreed = np.rint(passage.time[1:] * 1000)
        late = moments < agreed - self._pipeline.lateness
        fates[placed[late]] = LATE
        known = np.isfinite(agreed)
        event[placed[known]] = agreed[known].astype(np.int64)
        self._moved = True
        return Placed(fates, event)

    def of_placed(self, records: Records, placed: Placed) -> Rows:
        """The features of records that :meth:`placed` has seen, here or where all of the log was read.

        These may be of some of the log's keys alone, as long as they are all of theirs, in the log's order:
        no feature is made of another key's records.
        """
        fates, event = placed
        forgotten = self._forgotten(self._event)  # the first of them may look back further than the last
        self._event = max(self._event, int(event.max(initial=NO_TIME)))
        values = np.full((records.size, len(self._pipeline.feature_names)), np.nan, np.float32)
        taken = np.flatnonzero(fates == TAKEN)
        for begin in range(0, len(taken), RUN_MAX):
            part = taken[begin : begin + RUN_MAX]
            values[part] = self._values(records, part, forgotten)
        return Rows(values, fates, event, records.keys)

    def segment(self) -> Segment | None:
        """What is new since the last call, for the changelog; None where there is nothing."""
        if not self._moved:
            return None
        keys = [key for some, _, _ in self._learnt for key in some]
        moments = np.concatenate([np.zeros(0, np.int64), *(some for _, some, _ in self._learnt)])
        columns = {
            name: np.concatenate([np.zeros(0, kind), *(some[name] for _, _, some in self._learnt)])
            for name, kind in self._columns.items()
        }
        learnt = segments.Learnt(keys, moments, columns, self._clock.time, self._clock.moments)
        segment = Segment(segments.packed(learnt, self._pipeline.definition_hash), self._newest)
        self._learnt, self._newest, self._moved = [], NO_TIME, False
        return segment

    def merged(self, parts: Sequence[Segment]) -> Segment:
        """Segments that follow one another as one: what restores one restores all.

        Raises:
            SnapshotError: one is broken, of a newer release, or of other features.
        """
        definition = self._pipeline.definition_hash
        found = [segments.unpacked(part.data, definition, self._columns) for part in parts]
        learnt = segments.Learnt(
            [key for each in found for key in each.keys],
            np.concatenate([each.moments for each in found]),
            {name: np.concatenate([each.columns[name] for each in found]) for name in self._columns},
            found[-1].time,
            found[-1].latest,
        )
        return Segment(segments.packed(learnt, definition), max(part.newest for part in parts))

    def restore(self, rows: Iterable[bytes]) -> None:
        """Go on where the last of the segments ended; before the first record.

        Raises:
            SnapshotError: one is broken, of a newer release, or of other features.
        """
        for data in rows:
            learnt = segments.unpacked(data, self._pipeline.definition_hash, self._columns)
            self._clock.time = learnt.time
            self._clock.moments = learnt.latest
            self._clock.live = [False] * len(learnt.latest)
            self._event = round(learnt.time * 1000) if np.isfinite(learnt.time) else NO_TIME
            for begin in range(0, len(learnt.keys), RUN_MAX):
                part = slice(begin, begin + RUN_MAX)
                columns = {name: column[part] for name, column in learnt.columns.items()}
                self._remember(learnt.keys[part], learnt.moments[part], columns, self.forgotten)

    def _forgotten(self, event: int) -> int:
        return NO_TIME if event == NO_TIME else event - self._pipeline.lateness - self._longest

    def _values(self, records: Records, part: NDArray[np.int64], forgotten: int) -> NDArray[np.float32]:
        """float32[m, d] of records that are taken."""
        values = np.zeros((len(part), len(self._pipeline.feature_names)), np.float32)
        seen = self._seen(records, part, forgotten) if self._keyed else {}
        place = 0
        for feature in self._pipeline.features:
            count = len(list(feature.names))
            columns = values[:, place : place + count]
            place += count
            match feature.kind:
                case "rolling":
                    seen[bucket_of(feature)].roll(feature, columns)
                case "since_last":
                    seen[0].wait(feature, columns)
                case "time_of_day":
                    times = records.columns[feature.field] if feature.field else records.times
                    columns[:] = alone.clock(np.asarray(times, np.int64)[part])
                case "raw" | "log1p":
                    numbers = np.asarray(records.columns[feature.field], np.float64)[part]
                    if feature.kind == "log1p":
                        numbers = alone.log1p(numbers)
                    columns[:, 0] = np.clip(numbers, -_FLOAT_MAX, _FLOAT_MAX)
                case "one_hot":
                    columns[:] = alone.one_hot(feature, _words(records, feature.field, part))
                case "hash":
                    columns[:] = alone.hashed(feature, self._hashes.of(_words(records, feature.field, part)))
        return values

    def _seen(self, records: Records, part: NDArray[np.int64], forgotten: int) -> Mapping[int, Seen]:
        """Remember records; what is seen behind them, by the size of the buckets."""
        columns: dict[str, NDArray[Any]] = {}
        for name, kind in self._columns.items():
            if kind is np.uint32:
                columns[name] = self._hashes.of(_words(records, name, part))
            else:
                numbers = np.asarray(records.columns[name], np.float64)[part]
                columns[name] = _steps(numbers, self._pipeline.fields[name].step or 1.0)
        keys = [key for key in _taken(records.keys, part) if key is not None]
        moments = moments_of(records)[part]
        seen = self._remember(keys, moments, columns, forgotten)
        if 0 in seen:
            moments = seen[0].moments
        self._learnt.append((keys, moments, columns))
        self._newest = max(
            self._newest, int(moments.max()), *(int(each.moments.max()) for each in seen.values())
        )
        return seen

    def _remember(
        self, keys: list[str], moments: NDArray[np.int64], columns: Mapping[str, NDArray[Any]], forgotten: int
    ) -> Mapping[int, Seen]:
        return {
            bucket: memory.add(keys, moments, columns, forgotten) for bucket, memory in self._memories.items()
        }


def _words(records: Records, name: str, part: NDArray[np.int64]) -> Words:
    column = records.columns[name]
    assert isinstance(column, Words)  # what is hashed or compared is text
    return column.of(part)


def _taken(keys: list[str | None], part: NDArray[np.int64]) -> Iterable[str | None]:
    return keys if len(part) == len(keys) else map(keys.__getitem__, part.tolist())


def moments_of(records: Records) -> NDArray[np.int64]:
    """int64[n], when each happened, and no later than when Kafka received it; epoch milliseconds."""
    received = records.received
    return np.where(received == NO_TIME, records.times, np.minimum(records.times, received))


def _steps(numbers: NDArray[np.float64], step: float) -> NDArray[np.int32]:
    """Numbers in steps of their grid; what is further than STEPS_MAX of them counts as that far."""
    missing = np.isnan(numbers)
    most = STEPS_MAX * step
    steps = np.rint(np.clip(np.where(missing, 0.0, numbers), -most, most) / step)
    return np.where(missing, NO_NUMBER, steps).astype(np.int32)
