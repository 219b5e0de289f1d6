"""How the worker itself is doing."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from agents.partitions import Partition
from agents.pipelines import PipelineStatus, end_and_lag
from app.clock import wrong
from clickwarden.alerts.sight import Blindness, Sight
from clickwarden.kafka.findings import Finding
from clickwarden.sources.watch import Capture
from clickwarden.times import isotime

#: Silence after which a worker is taken for gone, seconds.
GONE_SECONDS = 10.0

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


def partition_status(partition: Partition, consumer: Any, now: float) -> PartitionStatus:
    """A partition as it is ``now``, by Kafka's clock in epoch seconds."""
    detection = partition.detection
    begun = math.isfinite(detection.watermark)
    windows = list(detection.open_windows())
    end, lag = end_and_lag(partition, consumer)
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
