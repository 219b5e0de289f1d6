"""Pipelines, as all workers together score them."""

import msgspec

from agents.latency import Latency
from agents.pipelines import ChallengerStatus, PipelineStatus, ScoredStatus
from app.main import app
from clickwarden.detection.lineup import former
from clickwarden.models.labelled import Labelled
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.served import PREFIX
from clickwarden.times import epoch, isotime
from web.days import DayView, add_days
from web.fresh import Fresh
from web.labels import labelled
from web.live import feed, workers
from web.models import AppointmentStatus, ModelStatus, changes, manifests, waiting

#: Seconds of which alarms are held against the budget.
DAY = 86_400


class PipelineView(msgspec.Struct):
    """A pipeline, and its models.

    Attributes:
        pipeline: its name.
        topic: that it is of.
        trouble: why its records wait, or cannot be scored, in words; empty where they can.
        partitions: that are scored, or wait.
        lag: records not yet scored.
        scored: records that have a score, since the topic began.
        late: those that came too late for features, likewise.
        rejected: those that cannot be scored, by reason, likewise.
        lost: records that retention deleted before they were scored, since the workers started.
        alarms: anomalies told, since the topic began.
        champions: versions of the models whose alarms are told; one, unless a change is being taken up.
            ``online``, or ``online-`` and its alarms a day in each partition, is one that learns while it
            scores, where no model was trained.
        learning: by partition, how many records more it learns from before it scores one; of none that does.
        challengers: models that score beside, by version.
        key: the field by which its records belong together; this and all that follows is empty where this
            worker does not score the pipeline.
        features: columns that a model sees of a record.
        severity: of its anomalies.
        budget: alarms a day that are wanted; None where nobody said.
        event_time: how far the time of its records has come, ISO-8601 UTC; None before the first.
        alarms_of_day: anomalies told of records of the 24 h before ``event_time``, of those that are kept.
        day_is_kept: whether all of them are: if not, there were at least so many.
        edition: ``number`` of the newest change of its models; 0 before there is one.
        waiting: partitions that have not taken up that change yet.
        former: version of the champion before, which a rollback puts in charge again; empty where there was
            none.
        models: that are in the topic of the models: the champion, challengers, the others, the newest first.
        changes: of its models, the last first; at most 20.
        latency: how long records wait for their score, in the partition where they wait longest.
        days: that are over, held against what the champion has learnt, the newest first.
        labelled: what the labels that came say of its alarms; None where it has no topic of labels.
    """

    pipeline: str
    topic: str
    trouble: str = ""
    partitions: int = 0
    lag: int = 0
    scored: int = 0
    late: int = 0
    rejected: dict[str, int] = {}
    lost: int = 0
    alarms: int = 0
    champions: list[str] = []
    learning: dict[int, int] = {}
    challengers: list[ChallengerStatus] = []
    key: str = ""
    features: int = 0
    severity: str = ""
    budget: float | None = None
    event_time: str | None = None
    alarms_of_day: int = 0
    day_is_kept: bool = True
    edition: int = 0
    waiting: list[int] = []
    former: str = ""
    models: list[ModelStatus] = []
    changes: list[AppointmentStatus] = []
    latency: Latency | None = None
    days: list[DayView] = []
    labelled: Labelled | None = None


def pipelines() -> list[PipelineView]:
    """All pipelines by name, from what each worker said last, and what this one knows of them."""
    found: dict[str, PipelineView] = {
        pipeline.name: _defined(pipeline) for pipeline in app.pipelines.values()
    }
    right = labelled()
    for worker in workers.heard():
        for said in worker.pipelines:
            view = found.setdefault(said.pipeline, PipelineView(said.pipeline, said.topic))
            view.labelled = right.get(said.pipeline)
            _add(view, said)
    for view in found.values():
        _hold_against_budget(view)
    return [view for _, view in sorted(found.items())]


def _defined(pipeline: Pipeline) -> PipelineView:
    return PipelineView(
        pipeline.name,
        pipeline.topic,
        trouble=app.modelstopic.trouble,
        key=pipeline.key,
        features=len(pipeline.feature_names),
        severity=pipeline.severity,
        budget=pipeline.budget,
        edition=len(app.modelstopic.appointments(pipeline.name)),
        waiting=waiting(pipeline.name),
        former=former(app.modelstopic.appointments(pipeline.name)),
        models=manifests.models(pipeline),
        changes=changes(pipeline.name),
    )


def _add(view: PipelineView, said: PipelineStatus) -> None:
    view.trouble = view.trouble or said.trouble or (said.blindness.text if said.blindness else "")
    for partition in said.partitions:
        view.partitions += 1
        view.lag += partition.lag or 0
        view.scored += partition.scored
        view.late += partition.late
        view.lost += partition.lost
        view.alarms += partition.alarms
        if partition.event_time is not None:
            view.event_time = max(view.event_time or "", partition.event_time, key=_moment)
        for reason, count in partition.rejected.items():
            view.rejected[reason] = view.rejected.get(reason, 0) + count
        if partition.champion and partition.champion not in view.champions:
            view.champions.append(partition.champion)
        if partition.learning:
            view.learning[partition.partition] = partition.learning
        _challenge(view, partition)
        add_days(view.days, partition)
        if (here := partition.latency) and (view.latency is None or here.p99 > view.latency.p99):
            view.latency = here


def _moment(time: str) -> float:
    return epoch(time) if time else 0.0


def _challenge(view: PipelineView, partition: ScoredStatus) -> None:
    known = {each.version: each for each in view.challengers}
    for said in partition.challengers:
        if said.version not in known:
            known[said.version] = ChallengerStatus(said.version)
            view.challengers.append(known[said.version])
        each = known[said.version]
        each.scored += said.scored
        each.alarms += said.alarms
        each.champion_alarms += said.champion_alarms
        each.both += said.both
        each.agree()
        if said.alarms_a_day is not None:
            each.alarms_a_day = round((each.alarms_a_day or 0) + said.alarms_a_day, 2)


def _hold_against_budget(view: PipelineView) -> None:
    if view.event_time is None:
        return
    since = isotime(int(epoch(view.event_time)) - DAY)
    view.alarms_of_day = feed.told(PREFIX + view.pipeline, since)
    view.day_is_kept = feed.reaches(since)


encoded = Fresh(pipelines, seconds=1.0)
