"""How the worker itself is doing."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from agents.latency import Latency
from agents.owned import OwnedPartition
from agents.partitions import Partition
from agents.scored import BEHIND, ScoredPartition, ScoredPartitions
from app.clock import wrong
from clickwarden.alerts.sight import Blindness, Sight
from clickwarden.detection.anomaly import Shift
from clickwarden.kafka.findings import Finding
from clickwarden.models.calibration import DAY_MS
from clickwarden.models.monitor import JudgedDay
from clickwarden.models.standing import Comparison
from clickwarden.sources.watch import Capture
from clickwarden.times import isotime

#: Silence after which a worker is taken for gone, seconds.
GONE_SECONDS = 10.0
#: Of less time nothing is said by the day.
HOUR_MS = 3_600_000
#: Days that are told, the newest ones; and features of each, the farthest.
DAYS, FARTHEST = 7, 5

#: What all workers of a group have to have alike, by its field in the status, and what it is like if not.
SHARED = {
    "rules": "Workers have different rules, as one whose release cannot read a rule has, and what is found "
    "depends on the partition",
    "seed": "Workers have different seeds (CLICKWARDEN_SEED), so that none can go on where another counted",
}

State = Literal["ready", "blind", "recovering", "rebalancing", "away"]


class PartitionStatus(msgspec.Struct):
    """One partition of the clicks topic that this worker counts.

    Attributes:
        partition: its number.
        watermark: no click before this time is waited for, ISO-8601 UTC; None before the first.
        delay: Kafka's clock - watermark, seconds: large where old data is read or nobody clicks.
        next_offset: where counting goes on; None before the first record.
        end_offset: end of what Kafka holds; None while unknown.
        lag: records between the two.
        accepted, late, ignored: records by what became of them, since the topic began.
        uncounted: those of the late that a rule could not count any more; the others are counted.
        late_by_silence: those of the late that would have been in time, had not wall clock closed their
            window; since the worker started.
        rejected: records that could not be counted, by reason.
        lost: records that retention deleted before they were counted, since the worker started.
        capped: closed windows in which the places for suspects were all taken, likewise.
        open_windows: of all rules.
        suspects: users profiled in them.
        crowded_windows: of these windows, those where all places for suspects
            are taken: from now on only users over the threshold are profiled.
    """

    partition: int
    watermark: str | None
    delay: float | None
    next_offset: int | None
    end_offset: int | None
    lag: int | None
    accepted: int
    late: int
    rejected: dict[str, int]
    ignored: int
    lost: int
    capped: int
    open_windows: int
    suspects: int
    crowded_windows: int = 0
    uncounted: int = 0
    late_by_silence: int = 0

    @property
    def counted(self) -> int:
        """Records counted, whatever became of them."""
        return self.accepted + self.late + self.ignored + sum(self.rejected.values())


class ChallengerStatus(msgspec.Struct):
    """A challenger beside its champion, on the same records: of one partition, or of all where it is.

    Attributes:
        version: of the model.
        scored: records that both have scored since it is beside this champion.
        alarms: its own, which tell nobody.
        champion_alarms: those of the champion meanwhile.
        both: records that both alarm.
        agreement: the part of the records that either alarms which both do, 0 to 1; None where none is.
        alarms_a_day: its own, by the time of the records; None where that is too short to say.
    """

    version: str
    scored: int = 0
    alarms: int = 0
    champion_alarms: int = 0
    both: int = 0
    agreement: float | None = None
    alarms_a_day: float | None = None

    def agree(self) -> None:
        """Say how far both agree, by what they have alarmed."""
        either = self.alarms + self.champion_alarms - self.both
        self.agreement = round(self.both / either, 4) if either else None


class DayStatus(msgspec.Struct):
    """A day of a partition that is over, held against what its champion has learnt.

    Attributes:
        day: its date in UTC, by event time.
        version: of the champion.
        records: that were scored.
        alarms: among them.
        budget: so many were to be expected; None where the threshold is from labels.
        worth: how many independent records they are worth: fewer, where some keys have many of them.
        limit: a feature has drifted that is further than that.
        unseen: the largest share of words that are in no vocabulary.
        drifted: how many features have.
        features: the farthest ones, drifted or not.
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
    features: list[Shift]


class ScoredStatus(msgspec.Struct):
    """One partition of a pipeline's topic that this worker scores.

    Attributes:
        partition: its number.
        next_offset: where scoring goes on; None before the first record.
        end_offset: end of what Kafka holds; None while unknown.
        lag: records between the two.
        scored: records that have a score, since the topic began.
        late: those that came too late for features, likewise.
        rejected: those that cannot be scored, by reason, likewise.
        lost: records that retention deleted before they were scored, since the worker started.
        alarms: anomalies told, since the topic began.
        memory: bytes of what its features remember.
        champion: the version of the model whose alarms are told; empty where there is none, and ``online-``
            with the alarms a day that it may tell of where one learns while it scores.
        challengers: those that score beside it.
        event_time: how far the time of its records has come, ISO-8601 UTC; None before the first.
        latency: how long its newest records waited for their score; None before the first, since the worker
            started.
        days: that were judged, the newest ones, in their order.
        learning: records that the champion has yet to learn from before it scores one; 0 where it does.
    """

    partition: int
    next_offset: int | None
    end_offset: int | None
    lag: int | None
    scored: int
    late: int
    rejected: dict[str, int]
    lost: int
    alarms: int
    memory: int
    champion: str
    challengers: list[ChallengerStatus]
    event_time: str | None = None
    latency: Latency | None = None
    days: list[DayStatus] = []
    learning: int = 0


class PipelineStatus(msgspec.Struct):
    """A pipeline, as far as this worker scores it.

    Attributes:
        pipeline: its name.
        topic: that it is of.
        trouble: why its records wait, in words; empty where they do not.
        partitions: assigned to this worker.
        sight: what it can see of their records.
        blindness: why it is blind.
    """

    pipeline: str
    topic: str
    trouble: str
    partitions: list[ScoredStatus]
    sight: Sight = msgspec.field(default_factory=Sight)
    blindness: Blindness | None = None

    @property
    def blind_of(self) -> str:
        """Why its records have no verdict, in words; empty where they do."""
        why = self.trouble or (self.blindness.summary if self.blindness else "")
        return f"Pipeline {self.pipeline}: {why}" if why else ""


#: States of a worker whose clicks are counted.
COUNTING = ("ready", "blind")


class Status(msgspec.Struct):
    """What a worker says of itself.

    Attributes:
        worker: its name in the consumer group.
        version: of Clickwarden.
        state: ``ready`` to count, ``blind`` where too much of what comes cannot be counted,
            ``recovering`` its tables, ``rebalancing`` with other workers, or waiting for Kafka or the
            schema registry, which is ``away``.
        detail: why it is blind, or which of the two is away, in words; else empty.
        uptime: seconds.
        time: Kafka's clock, ISO-8601 UTC.
        clock_ahead: seconds that the worker's own is ahead of it; negative: behind.
        clicks_per_second: records counted, whatever became of them, over
            the last five seconds; None until known.
        partitions: those assigned to this worker.
        sight: what it can see of their records.
        blindness: why it is blind.
        findings: what is wrong with the clicks topic, and with what is captured from tables.
        captures: connectors that capture what this worker reads.
        pipelines: that this worker scores.
        rules, seed: digests of those it counts with; workers of a group have the same.
    """

    worker: str
    version: str
    state: State
    detail: str
    uptime: float
    time: str
    clicks_per_second: float | None
    partitions: list[PartitionStatus]
    sight: Sight = msgspec.field(default_factory=Sight)
    blindness: Blindness | None = None
    findings: list[Finding] = []
    clock_ahead: float = 0.0
    rules: str = ""
    seed: str = ""
    pipelines: list[PipelineStatus] = []
    captures: list[Capture] = []


def pipeline_status(partitions: ScoredPartitions, consumer: Any, share: float) -> PipelineStatus:
    """A pipeline as it is now; ``share`` of its records that cannot be scored makes it blind."""
    sight = sum((partition.sight for partition in partitions), Sight())
    return PipelineStatus(
        pipeline=partitions.pipeline.name,
        topic=partitions.pipeline.topic,
        trouble=partitions.trouble,
        partitions=sorted(
            (_scored_status(partition, consumer) for partition in partitions),
            key=lambda partition: partition.partition,
        ),
        sight=sight,
        blindness=sight.blindness(share),
    )


def _end_and_lag(partition: OwnedPartition[Any], consumer: Any) -> tuple[int | None, int | None]:
    """End of what Kafka holds of a partition, and the records before it that are not taken, where known."""
    end = consumer.highwater(partition.tp) if partition.tp in consumer.assignment() else None
    position = partition.next_offset
    return end, None if end is None or position is None else max(0, end - position)


def _scored_status(partition: ScoredPartition, consumer: Any) -> ScoredStatus:
    end, lag = _end_and_lag(partition, consumer)
    total, lineup = partition.sight.total, partition.standing.lineup
    rejected = dict(total.rejected)
    late = rejected.pop(BEHIND, 0)
    return ScoredStatus(
        partition=partition.tp.partition,
        next_offset=partition.next_offset,
        end_offset=end,
        lag=lag if partition.waits is None else partition.waits,
        scored=total.accepted,
        late=late,
        rejected=rejected,
        lost=partition.lost,
        alarms=partition.standing.alarms,
        memory=partition.features.memory,
        champion=lineup.champion,
        challengers=[
            _challenger(version, partition.standing.compared.get(version, Comparison()))
            for version in lineup.challengers
        ],
        event_time=isotime(partition.features.time) if math.isfinite(partition.features.time) else None,
        latency=partition.delays.latency,
        days=[_day(day) for day in partition.days[-DAYS:]],
        learning=partition.judges.learning,
    )


def _day(day: JudgedDay) -> DayStatus:
    names = (name for name in DayStatus.__struct_fields__ if name != "features")
    return DayStatus(**{name: getattr(day, name) for name in names}, features=list(day.shifts[:FARTHEST]))


def _challenger(version: str, compared: Comparison) -> ChallengerStatus:
    span = (compared.last or 0) - (compared.first or 0)
    found = ChallengerStatus(
        version=version,
        scored=compared.scored,
        alarms=compared.alarms,
        champion_alarms=compared.champion,
        both=compared.both,
        alarms_a_day=round(compared.alarms * DAY_MS / span, 2) if span >= HOUR_MS else None,
    )
    found.agree()
    return found


def partition_status(partition: Partition, consumer: Any, now: float) -> PartitionStatus:
    """A partition as it is ``now``, by Kafka's clock in epoch seconds."""
    detection = partition.detection
    begun = math.isfinite(detection.watermark)
    windows = list(detection.open_windows())
    end, lag = _end_and_lag(partition, consumer)
    return PartitionStatus(
        partition=detection.partition,
        watermark=isotime(detection.watermark) if begun else None,
        delay=round(now - detection.watermark, 3) if begun else None,
        next_offset=partition.next_offset,
        end_offset=end,
        lag=lag,
        accepted=detection.accepted,
        late=detection.late,
        rejected=detection.rejected,
        ignored=detection.ignored,
        lost=partition.lost,
        capped=partition.capped,
        open_windows=len(windows),
        suspects=sum(len(pane.suspects) for pane in detection.panes()),
        crowded_windows=sum(window.full for window in windows),
        uncounted=detection.uncounted,
        late_by_silence=partition.lateness.by_silence,
    )


def sight_of(workers: Iterable[Status]) -> Sight:
    """What some workers can see, all together."""
    return sum((worker.sight for worker in workers), Sight())


def blindness_of(workers: Sequence[Status], share: float) -> Blindness | None:
    """Why some workers together, or else one of them, can count too little of what comes.

    Args:
        workers: what each said last.
        share: of the records that cannot be counted, from which on they are blind together.
    """
    together = sight_of(workers).blindness(share)
    return together or next((worker.blindness for worker in workers if worker.blindness is not None), None)


def findings_of(workers: Iterable[Status]) -> list[Finding]:
    """What some workers have found about the topic and what fills it, each thing once."""
    found = (finding for worker in workers for finding in worker.findings)
    return list({(finding.about, finding.summary): finding for finding in found}.values())


def captures_of(workers: Iterable[Status]) -> list[Capture]:
    """What some workers know of connectors, each once."""
    return list({capture.connector: capture for worker in workers for capture in worker.captures}.values())


def unscored_of(workers: Sequence[Status]) -> list[str]:
    """Why records of pipelines have no verdict, in words, each thing once."""
    found = [said.blind_of for worker in workers for said in worker.pipelines if said.blind_of]
    if workers and all(worker.state in COUNTING for worker in workers):
        shared = {said.pipeline for worker in workers for said in worker.pipelines if said.partitions}
        known = {said.pipeline for worker in workers for said in worker.pipelines}
        found += [f"Pipeline {name}: no worker has its partitions" for name in sorted(known - shared)]
    return list(dict.fromkeys(found))


def learning_of(workers: Iterable[Status]) -> list[str]:
    """What some workers take records from with no verdict on them, as they learn from them; in words."""
    return [
        f"pipeline {name} learns what is usual"
        for name in dict.fromkeys(
            pipeline.pipeline
            for worker in workers
            for pipeline in worker.pipelines
            if any(partition.learning and partition.scored for partition in pipeline.partitions)
        )
    ]


def clocks_of(workers: Iterable[Status]) -> Iterator[str]:
    """Whose clock is wrong, in words."""
    for worker in workers:
        if by := wrong(worker.clock_ahead):
            yield f"The clock of worker {worker.worker} is {by}"


def discord_of(workers: Iterable[Status]) -> dict[str, str]:
    """What workers that should count alike have each another of, in words; by what it is."""
    sides: dict[str, dict[str, list[str]]] = {}
    for worker in workers:
        for name in SHARED:
            if digest := getattr(worker, name):  # none from a release that did not say it
                sides.setdefault(name, {}).setdefault(digest, []).append(worker.worker)
    return {
        name: f"{SHARED[name]}: {'; others: '.join(map(', '.join, found.values()))}"
        for name, found in sides.items()
        if len(found) > 1
    }
