"""``series``: Numenta's time series learnt together by one model; one threshold for all, and one for each.

All start on one day, at their own time of day. Alarms are judged as Numenta does, by its standard profile: a
window that is found counts the more the earlier, a false alarm the more the farther it is from the window
before; nothing alarmed is 0, everything right 100. Lavin, A. and Ahmad, S. (2015): Evaluating real-time
anomaly detection algorithms, the Numenta Anomaly Benchmark. ICMLA.
"""

import csv
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench import docs, learned
from bench.results import report
from bench.scores import table
from clickwarden.models import training
from clickwarden.models.calibration import SHARE, Limit, limits_of
from clickwarden.models.dataset import Dataset, read
from clickwarden.models.detectors.choice import SERIES
from clickwarden.models.pipeline import Pipeline
from clickwarden.times import epoch, isotime

HEADINGS = (
    "detector",
    "threshold",
    "windows found",
    "false alarms a day, median series",
    "worst series",
    "NAB",
)
#: The day on which all series begin, epoch seconds.
BEGIN = 1_600_041_600
DAY = 86_400
#: Weights of a false alarm in Numenta's standard profile; a window found or missed counts 1.
FALSE = 0.11


class Series(NamedTuple):
    """One of them, behind what was learnt from.

    Attributes:
        times: float64[n], epoch seconds.
        windows: first and last record of each window in which there is an anomaly.
    """

    times: NDArray[np.float64]
    windows: Sequence[tuple[int, int]]

    def judged(self, alarmed: NDArray[np.bool_]) -> tuple[int, float, float]:
        """Windows found, false alarms a day, and Numenta's score, that of silence being 0."""
        best = [0.0] * len(self.windows)
        false, score = 0, 0.0
        for place in np.flatnonzero(alarmed).tolist():
            number = next((n for n, (first, last) in enumerate(self.windows) if first <= place <= last), None)
            if number is not None:
                first, last = self.windows[number]
                position = -(last - place + 1) / (last - first + 1)
                best[number] = max(best[number], 1 + _sigmoid(position) / _sigmoid(-1))
                continue
            false += 1
            before = [(first, last) for first, last in self.windows if last < place]
            first, last = before[-1] if before else (0, 0)
            score += FALSE * (_sigmoid((place - last) / max(last - first, 1)) if before else -1)
        days = (self.times[-1] - self.times[0]) / DAY
        return sum(each > 0 for each in best), false / days, score + sum(best)


def measure(data: Path, folder: Path, seed: int, page: Path = learned.PAGE) -> bool:
    """Train each detector of time series once, alarm by one threshold and by many, and fill the page.

    Args:
        data: with Numenta's series in ``nab/``.
        folder: to work in.
        seed: of the detectors.
        page: to be filled between its comments.
    """
    pipeline, path, windows = _together(data / "nab", folder)
    dataset = read(path, pipeline, None, lambda count: None)
    assert dataset.series is not None  # the pipeline has both
    assert dataset.times is not None
    parts = _parts(dataset)
    judged = parts.judged
    known = [_series(judged, number, windows[name]) for number, name in enumerate(judged.names)]
    rows = []
    for name in SERIES:
        found = training.train(
            name, pipeline.feature_names, parts, Limit(SHARE, None), budgeted=True, seed=seed
        )
        for what, own in (("one", {}), ("each its own", found.own)):
            alarmed = found.scores >= limits_of(found.threshold, own, judged.keys).astype(np.float32)
            rows.append((name, what, *_row(judged, known, alarmed)))
    title = f"series learnt by one model, alarms for 1 % of what is usual, seed {seed}"
    report("series", title, [dict(zip(HEADINGS, row, strict=True)) for row in rows], [], {"rows": rows})
    if page.exists():
        page.write_text(docs.filled(page.read_text(), {"learned-thresholds": table(HEADINGS, rows, 2)}))
    return True


def _row(judged: Dataset, known: Sequence[Series], alarmed: NDArray[np.bool_]) -> tuple[str, ...]:
    found, false, scores = zip(
        *(each.judged(alarmed[judged.series == number]) for number, each in enumerate(known)), strict=True
    )
    count = sum(len(each.windows) for each in known)
    # A perfect detector has 1 for each window, and 1 more for not missing it.
    score = 100 * sum(scores) / (2 * count)
    return f"{sum(found)} of {count}", f"{np.median(false):.2f}", f"{max(false):.2f}", f"{score:.0f}"


def _sigmoid(position: float) -> float:
    """Numenta's weight of an alarm, by its place behind the end of a window, in its lengths."""
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


def _together(data: Path, folder: Path) -> tuple[Pipeline, Path, Mapping[str, Sequence[tuple[float, float]]]]:
    """A pipeline of all series, their records in the order of time, and the windows of each."""
    labels = json.loads((data / "combined_windows.json").read_text())
    rows: list[tuple[float, str, str]] = []
    windows = {}
    for path in sorted(data.glob("*/*.csv.gz")):
        with gzip.open(path, "rt", newline="") as file:
            _, *read_at_all = csv.reader(file)
        times = [epoch(time) for time, _ in read_at_all]
        shift = BEGIN - times[0] // DAY * DAY
        name = f"{path.parent.name}/{path.name.removesuffix('.gz')}"
        windows[path.name] = [(epoch(first) + shift, epoch(last) + shift) for first, last in labels[name]]
        rows += [
            (time + shift, value, path.name) for time, (_, value) in zip(times, read_at_all, strict=True)
        ]
    rows.sort(key=lambda row: row[0])
    spelled = [(isotime(time), value, name) for time, value, name in rows]
    pipeline, path = learned.written(
        folder / "together", learned.SERIES_TOML, ("timestamp", "value", "series"), spelled
    )
    return pipeline, path, windows


def _parts(dataset: Dataset) -> training.Split:
    """Of each series Numenta's probation to learn from and to calibrate on, and the rest."""
    assert dataset.series is not None
    numbers = dataset.series
    counts = np.bincount(numbers)
    probation = np.minimum((counts * learned.PROBATION).astype(int), learned.PROBATION_MAX)[numbers]
    order = np.argsort(numbers, kind="stable")
    place = np.empty(len(numbers), int)
    place[order] = np.arange(len(numbers)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = probation * training.LEARNT / training.CALIBRATED
    return training.Split(
        dataset.those(place < first),
        dataset.those((place >= first) & (place < probation)),
        dataset.those(place >= probation),
    )


def _series(judged: Dataset, number: int, windows: Sequence[tuple[float, float]]) -> Series:
    assert judged.times is not None
    times = judged.times[judged.series == number] / 1000
    places = [
        (int(np.searchsorted(times, first)), int(np.searchsorted(times, last, "right")) - 1)
        for first, last in windows
    ]
    return Series(times, places)
