"""A file's records with their scores where no model was trained: by trees that learn on the way."""

import math
from collections.abc import Iterator
from pathlib import Path

from clickwarden.detection.lineup import ONLINE
from clickwarden.models import datafile
from clickwarden.models.dataset import FATES
from clickwarden.models.features import Features
from clickwarden.models.fields import NO_TIME
from clickwarden.models.online import WINDOW, HalfSpaceTrees, seed_of
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.scoring import Scored
from clickwarden.times import isotime

#: Why the first records have no score.
EARLY = f"among the first {WINDOW}, from which it learns what is usual"


def score(path: Path, pipeline: Pipeline) -> Iterator[list[Scored]]:
    """Score the records of a file in its order, each by those before it, some thousand at a time.

    As a worker does those of a topic with one partition.

    Raises:
        SettingsError: it cannot be read.
    """
    features = Features(pipeline)
    trees = HalfSpaceTrees(len(pipeline.feature_names), seed_of(pipeline.name, 0), pipeline.budget)
    count = 0
    for records in datafile.read(path, pipeline):
        rows = features.of(records)
        judged = trees.judge(rows.values[rows.taken], rows.event[rows.taken])
        each = zip(judged.scores.tolist(), judged.p_values.tolist(), judged.thresholds.tolist(), strict=True)
        found = []
        for place, (id, taken, moment) in enumerate(
            zip(records.ids, rows.taken.tolist(), records.times.tolist(), strict=True)
        ):
            given, p_value, threshold = next(each) if taken else (math.nan, math.nan, math.inf)
            known = math.isfinite(given)
            found.append(
                Scored(
                    count + place + 1,
                    id,
                    records.keys[place],
                    None if moment == NO_TIME else isotime(moment / 1000),
                    given if known else None,
                    known and given >= threshold,
                    p_value if known else None,
                    threshold,
                    (),
                    f"{pipeline.name}/{ONLINE}",
                    ONLINE,
                    "" if known else EARLY if taken else FATES[int(rows.fates[place])],
                )
            )
        count += records.size
        yield found
