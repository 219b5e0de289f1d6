"""Pipelines, as all workers together score them."""

from collections.abc import Iterable, Mapping

import msgspec

from agents.latency import Latency
from agents.status import ChallengerStatus, PipelineStatus, ScoredStatus, Status
from clickwarden.models.labelled import Labelled
from web.days import DayView, add_days


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
        challengers: models that score beside, by version.
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
    challengers: list[ChallengerStatus] = []
    latency: Latency | None = None
    days: list[DayView] = []
    labelled: Labelled | None = None


def pipelines_of(workers: Iterable[Status], labelled: Mapping[str, Labelled]) -> list[PipelineView]:
    """All pipelines by name, from what each worker said last; ``labelled`` is what labels say, by name."""
    found: dict[str, PipelineView] = {}
    for worker in workers:
        for said in worker.pipelines:
            view = found.setdefault(said.pipeline, PipelineView(said.pipeline, said.topic))
            view.labelled = labelled.get(said.pipeline)
            _add(view, said)
    return [view for _, view in sorted(found.items())]


def _add(view: PipelineView, said: PipelineStatus) -> None:
    view.trouble = view.trouble or said.trouble or (said.blindness.text if said.blindness else "")
    for partition in said.partitions:
        view.partitions += 1
        view.lag += partition.lag or 0
        view.scored += partition.scored
        view.late += partition.late
        view.lost += partition.lost
        view.alarms += partition.alarms
        for reason, count in partition.rejected.items():
            view.rejected[reason] = view.rejected.get(reason, 0) + count
        if partition.champion and partition.champion not in view.champions:
            view.champions.append(partition.champion)
        _challenge(view, partition)
        add_days(view.days, partition)
        if (here := partition.latency) and (view.latency is None or here.p99 > view.latency.p99):
            view.latency = here


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
