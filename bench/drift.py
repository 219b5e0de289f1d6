"""``drift``: whether a shift of habits is told on its first day, and no clean day is; no Kafka needed."""

from pathlib import Path

import numpy as np

from bench.results import at_least, at_most, report
from clickwarden.models.calibration import DAY_MS
from clickwarden.models.dataset import read
from clickwarden.models.drift import Drift, expected_of
from clickwarden.models.pipeline import Pipeline

PIPELINE = Path(__file__).parent.parent / "pipelines" / "fraud"
#: Days that are learnt from, and the day from which habits have shifted, both from the first one on.
LEARNT, SHIFTED = 18, 25


def measure(data: Path) -> bool:
    """Hold the days of card transactions against the first of them.

    Args:
        data: of records as those of ``pipelines/fraud``, whose habits shift on the 26th day.
    """
    pipeline = Pipeline.load(PIPELINE)
    dataset = read(data, pipeline, None, lambda count: None)
    assert dataset.times is not None  # the pipeline has time
    first = int(dataset.times[0]) // DAY_MS
    early = dataset.times // DAY_MS - first < LEARNT
    drift = Drift(pipeline.feature_names, expected_of(dataset.values[early]), pipeline.longest)
    drift.add(dataset.values[~early], dataset.times[~early], np.zeros(int((~early).sum()), bool))
    told = [day.name for day in drift.days if len(day.drifted)]
    rows = [
        {
            "day": day.name,
            "records": f"{day.records:,}",
            "farthest feature": f"{day.shift.max():.3f}",
            "usual up to": f"{day.limit:.3f}",
            "drifted": ", ".join(pipeline.feature_names[place] for place in day.drifted),
        }
        for day in drift.days
    ]
    shifted = np.datetime64((first + SHIFTED) * DAY_MS, "ms").astype("datetime64[D]").astype(str)
    false = [name for name in told if name < shifted]
    first_day = bool(told) and min(told) == shifted
    goals = [
        at_least("told on the first day", 1, float(first_day)),
        at_most("false on clean days", 0, len(false)),
    ]
    report(
        "drift", f"days of card transactions, held against the first {LEARNT}", rows, goals, {"told": told}
    )
    return first_day and not false
