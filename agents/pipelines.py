"""What a worker says of the pipelines that it scores."""

import math
from typing import Any

import msgspec

from agents.latency import Latency
from agents.owned import OwnedPartition
from agents.scored import BEHIND, ScoredPartition, ScoredPartitions
from clickwarden.alerts.sight import Blindness, Sight
from clickwarden.detection.anomaly import Shift
from clickwarden.models.calibration import DAY_MS
from clickwarden.models.monitor import JudgedDay
from clickwarden.models.standing import Comparison
from clickwarden.times import isotime

#: Of less time nothing is said by the day.
HOUR_MS = 3_600_000
#: Days that are told, the newest ones; and features of each, the farthest.
DAYS, FARTHEST = 7, 5


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


def end_and_lag(partition: OwnedPartition[Any], consumer: Any) -> tuple[int | None, int | None]:
    """End of what Kafka holds of a partition, and the records before it that are not taken, where known."""
    end = consumer.highwater(partition.tp) if partition.tp in consumer.assignment() else None
    position = partition.next_offset
    return end, None if end is None or position is None else max(0, end - position)


def _scored_status(partition: ScoredPartition, consumer: Any) -> ScoredStatus:
    end, lag = end_and_lag(partition, consumer)
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
