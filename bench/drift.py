"""``drift``: whether a shift of habits is told on its first day, and no clean day is; no Kafka needed."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.results import at_least, at_most, report
from clickwarden.models import datafile
from clickwarden.models.calibration import DAY_MS
from clickwarden.models.drift import Day, Drift, expected_of, place_of
from clickwarden.models.features import Features
from clickwarden.models.pipeline import Pipeline

PIPELINE = Path(__file__).parent.parent / "pipelines" / "fraud"
#: Days that are learnt from, and the day from which habits have shifted, both from the first one on.
LEARNT, SHIFTED = 18, 25
#: Of a topic, each of which judges its days by itself.
PARTITIONS = (1, 4, 16, 64)


def measure(data: Path) -> bool:
    """Hold the days of card transactions against the first of them, in one piece and by partitions.

    Args:
        data: of records as those of ``pipelines/fraud``, whose habits shift on the 26th day.
    """
    pipeline = Pipeline.load(PIPELINE)
    values, times, keys = _read(data, pipeline)
    first = int(times[0]) // DAY_MS
    early = times // DAY_MS - first < LEARNT
    expected = expected_of(values[early])
    shifted = np.datetime64((first + SHIFTED) * DAY_MS, "ms").astype("datetime64[D]").astype(str)
    places = np.array([place_of(key) for key in keys])
    hashes = np.array([zlib.adler32(key.encode()) for key in keys])

    def judged(here: NDArray[np.bool_], counted: NDArray[np.int64] | None) -> list[Day]:
        drift = Drift(pipeline.feature_names, expected, pipeline.longest, first=int(times[0]))
        alarmed = np.zeros(int(here.sum()), bool)
        drift.add(values[here], times[here], alarmed, None if counted is None else counted[here])
        return drift.days

    parts = {count: [~early & (hashes % count == number) for number in range(count)] for count in PARTITIONS}
    whole = judged(~early, None)
    found = {count: [day for here in of for day in judged(here, places)] for count, of in parts.items()}
    alike = [day for of in parts.values() for here in of for day in judged(here, None)]
    rows = [
        _row("in one piece", whole, shifted, 1),
        *(_row(str(count), days, shifted, count) for count, days in found.items()),
    ]
    told = [day.name for day in whole if len(day.drifted)]
    false = len(_told([*whole, *(day for days in found.values() for day in days)], shifted, clean=True))
    goals = [
        at_least("told on the first day", 1, float(bool(told) and min(told) == shifted)),
        at_least("by each of 16 partitions", 16, len(_told(found[16], shifted, clean=False))),
        at_most("false on clean days", 0, false),
    ]
    report(
        "drift",
        f"days of card transactions, held against the first {LEARNT}; of partitions "
        f"{len(_told(alike, shifted, clean=True))} are false where each record counts for itself",
        rows,
        goals,
        {"told": told},
    )
    return all(goal.met for goal in goals)


def _told(days: Sequence[Day], shifted: str, *, clean: bool) -> list[Day]:
    """The days of drift before the one of the shift, or those that are that."""
    return [
        day for day in days if len(day.drifted) and (day.name < shifted if clean else day.name == shifted)
    ]


def _row(partitions: str, days: Sequence[Day], shifted: str, count: int) -> dict[str, str]:
    clean = [day for day in days if day.name < shifted]
    return {
        "partitions": partitions,
        "farthest on clean days": f"{max(day.shift.max() for day in clean):.3f}",
        "usual up to": f"{np.median([day.limit for day in days]):.2f}",
        "false": f"{len(_told(days, shifted, clean=True))} of {len(clean)}",
        "on the first day": f"{len(_told(days, shifted, clean=False))} of {count}",
    }


def _read(data: Path, pipeline: Pipeline) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    """Features, times and keys of the records that have them, in the file's order."""
    features = Features(pipeline)
    values, times = [], []
    keys: list[str] = []
    for records in datafile.read(data, pipeline):
        rows = features.of(records)
        taken = np.flatnonzero(rows.taken)
        values.append(rows.values[taken])
        times.append(records.times[taken])
        keys += [records.keys[place] or "" for place in taken.tolist()]
    return np.concatenate(values), np.concatenate(times), keys
