"""The verdict of ``verify PIPELINE``: what a pipeline's models must have found, and what was told."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from rich.console import Console
from rich.progress import Progress

from app.main import settings
from clickwarden.audit.scored import ScoredJudgement, ScoredTruth, Scoring, judge_scored
from clickwarden.errors import ModelError
from clickwarden.kafka.modelstopic import ModelsTopic
from clickwarden.kafka.reader import reader
from clickwarden.models import artefact
from clickwarden.models.artefact import Model
from clickwarden.models.pipeline import Pipeline
from commands.judged import judged
from commands.progress import read
from commands.terminal import faults_table

MEANINGS = {
    "missing": "records over the threshold, or days of drift, that were not told",
    "invented": "records told that are not over it, or days without drift",
    "conflicting": "anomalies that contradict themselves, an earlier copy or the reference",
}


class _Judge:
    """A model, as the oracle asks it."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def threshold(self, key: str) -> float:
        known = self._model.manifest
        return float(np.float32(known.thresholds.get(key, known.threshold)))

    @property
    def share(self) -> float | None:
        return self._model.manifest.share

    @property
    def bins(self) -> Sequence[tuple[Sequence[float], Sequence[int]]]:
        return [(each.edges, each.counts) for each in self._model.manifest.expected]

    def score(self, rows: Sequence[Sequence[float]]) -> Sequence[float]:
        scores: list[float] = self._model.session.score(np.array(rows, np.float32)).tolist()
        return scores

    def p_value(self, score: float) -> float:
        return float(self._model.manifest.calibration.p_values(np.array([score], np.float32))[0])


async def verify(pipeline: Pipeline, progress: Progress) -> ScoredJudgement:
    """Hold the anomalies of a pipeline against its topic.

    Raises:
        BrokerError, AccessError: a topic cannot be read.
        ModelError: a model that has scored is not there, or is not what it says.
    """
    topic = ModelsTopic(settings)
    await topic.read()
    adopted = topic.adopted(pipeline.name)
    if not adopted:
        raise ModelError(
            f"no worker has told by which models pipeline {pipeline.name} is scored; has one run with "
            f"CLICKWARDEN_PIPELINES={pipeline.folder}?"
        )
    since = {
        partition: [Scoring(each.offset, each.lineup.champion, each.lineup.challengers) for each in told]
        for partition, told in adopted.items()
    }
    models = {
        version: _Judge(_model(topic, pipeline, version))
        for version in dict.fromkeys(
            version for told in adopted.values() for each in told for version in each.lineup.trained
        )
    }
    async with reader(settings, pipeline.topic) as consumer:
        begins = await consumer.beginning_offsets(consumer.assignment())
        truth = ScoredTruth(
            pipeline.name,
            pipeline.definition,
            pipeline.id,
            pipeline.feature_names,
            models,
            since,
            {tp.partition: offset for tp, offset in begins.items()},
        )
        async with reader(settings, settings.anomalies_topic) as telling:
            told = await telling.end_offsets(telling.assignment())
            async for partition, run in read(consumer, "Records", progress):
                truth.add(partition, run)
            records = [record async for _, run in read(telling, "Anomalies", progress) for record in run]
    return judged(partial(judge_scored, truth, pipeline.name), records, told)


def _model(topic: ModelsTopic, pipeline: Pipeline, version: str) -> Model:
    content = topic.artefact(pipeline.name, version)
    if content is None:
        raise ModelError(f"model {version} of pipeline {pipeline.name} is not in {settings.models_topic}")
    return artefact.unpacked(pipeline, content)


def show(verdict: ScoredJudgement, console: Console) -> None:
    """Print it for people."""
    console.print(faults_table(verdict, MEANINGS))
    for fault, examples in verdict.examples.items():
        console.print(f"{fault}:", style="bold red")
        for example in examples:
            console.print(f"  {example}", soft_wrap=True)
    fates = " + ".join(f"{count:,} {fate}" for fate, count in sorted(verdict.fates.items()))
    console.print(f"records: {fates} = {sum(verdict.fates.values()):,}", soft_wrap=True)
    console.print(
        f"anomalies: {verdict.expected:,} expected, {verdict.reported:,} reported, "
        f"{verdict.repeats:,} repeats; days of drift: {verdict.drift:,}",
        soft_wrap=True,
    )
    for partition in verdict.unjudged:
        console.print(
            f"partial: partition {partition} has lost its beginning, on which features depend; it was not "
            "judged",
            style="yellow",
            soft_wrap=True,
        )
    if verdict.ok and not verdict.unjudged:
        console.print("OK: every anomaly is as it should be", style="bold green")
