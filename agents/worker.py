"""The worker itself: its pulse, whether Kafka is there, and what it says of itself to every worker's page."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError

from agents import capture, garbage
from agents.clicks import partitions, registry
from agents.pipelines import PipelineStatus, pipeline_status
from agents.scoring import scored
from agents.status import PartitionStatus, State, Status, partition_status
from agents.telling import Telling
from agents.throughput import Throughput
from app.clock import wrong
from app.main import app, settings
from clickwarden.alerts.sight import Blindness, Sight
from clickwarden.detection import sketch
from clickwarden.detection.rules import digest_of
from clickwarden.kafka.inspection import Inspection
from clickwarden.kafka.rights import Right, denied
from clickwarden.release import RELEASE
from clickwarden.times import isotime

log = logging.getLogger(__name__)

#: Between two words of this worker, seconds.
SECONDS = 1.0

_started = monotonic()
_throughput = Throughput()
_telling = Telling(settings.rejected_topic)
_telling_of = {
    name: Telling(settings.rejected_topic, f"Pipeline {ours.pipeline.name}: ")
    for name, ours in scored.items()
}
_inspection = Inspection(settings, lambda: app.growth.partitions)


@app.task
async def beat() -> None:
    """Keep the worker's pulse."""
    await app.pulse.beat()


@app.task
async def watch_kafka() -> None:
    """Notice when Kafka is away, and when it is back."""
    async with app.crash_on_error():
        await app.presence.watch()


@app.task
async def watch_membership() -> None:
    """Notice when the worker's place in the group is uncertain, and when it is certain again."""
    await app.membership.watch()


@app.task
async def inspect_topic() -> None:
    """Notice what is wrong with the clicks topic, at the start and when it changes."""
    await _inspection.watch(lambda: max((rule.window for rule in app.rules), default=0))


@app.task
async def tune_garbage_collection() -> None:
    """Leave what is loaded at start-up out of every later collection."""
    garbage.tune()


@app.timer(1.0)
async def measure() -> None:
    """Sample the throughput."""
    _throughput.sample(monotonic(), {partition.partition: partition.counted for partition in _partitions()})


@app.timer(1.0)
async def tell() -> None:
    """Log what cannot be counted."""
    for partition in partitions:
        _telling.take(partition.intake)
    seen = sight()
    warnings = dict(seen.warnings(app.rules))
    if by := wrong(app.clock.ahead):
        warnings["clock"] = f"The worker's clock is {by}"
    _telling.tell(seen, seen.blindness(settings.blind_share), warnings, monotonic())
    for name, ours in scored.items():
        for each in ours:
            _telling_of[name].take(each.intake)
        known = pipeline_status(ours, app.consumer, settings.blind_share)
        _telling_of[name].tell(known.sight, known.blindness, {}, monotonic())


@app.companion
async def watch_growth() -> None:
    """Notice when the clicks topic has more partitions."""
    async with app.crash_on_error():
        await app.growth.watch(lambda: app.assignor.partitions, rejoin)


async def rejoin() -> None:
    """Have the partitions shared out among the workers again."""
    if app.membership.holds:
        await app.consumer.rejoin()


@app.companion
async def report() -> None:
    """Write this worker's status to the status topic until cancelled.

    With a producer of its own: nothing that is counted waits behind it, and it
    runs before and after the tables do. Not everything need arrive. Others
    know by it that the name is taken, so the worker must have the name first.
    """
    write = Right("Write", "topic", settings.status_topic)
    told = False
    while True:
        producer = AIOKafkaProducer(
            **settings.client_options(), acks=1, request_timeout_ms=5000, compression_type="zstd"
        )
        try:
            await producer.start()
            while True:
                await asyncio.sleep(SECONDS)
                app.pulse.check()
                if not app.membership.admitted:
                    continue
                value = msgspec.json.encode(status())
                sent = monotonic()
                answer = await producer.send_and_wait(
                    settings.status_topic, value, settings.member.encode(), 0
                )
                app.clock.learn(answer, sent)
                told = False
        except KafkaError as error:
            is_away = error.retriable or isinstance(error, KafkaTimeoutError)  # of which others tell
            if not is_away and not told:
                is_denied = isinstance(error, TopicAuthorizationFailedError)
                why = denied(settings, [write]) if is_denied else str(error)
                log.warning("This worker's status is not told: %s", why)
                told = True
            await asyncio.sleep(SECONDS)
        except Exception:
            log.exception("This worker's status is not told")
            await asyncio.sleep(SECONDS)
        finally:
            await producer.stop()


class Condition(NamedTuple):
    """The worker's state, and why it is not ready, in words without a stranger's."""

    state: State
    detail: str


def sight() -> Sight:
    """What can be seen of the records of this worker's partitions."""
    return sum((partition.sight for partition in partitions), Sight())


def condition() -> Condition:
    """Whether clicks are counted."""
    return _condition(sight().blindness(settings.blind_share), _pipelines())


def _condition(blindness: Blindness | None, pipelines: Sequence[PipelineStatus]) -> Condition:
    """Whether clicks are counted.

    Where Kafka is away, neither recovery nor a rebalance goes on.

    It is asked before recovery too. Faust sets ``recovery.completed`` once;
    later recoveries, after a rebalance, show in ``in_recovery``.
    """
    if trouble := app.presence.trouble or app.membership.trouble:
        return Condition("away", trouble)
    if app.rebalancing:
        return Condition("rebalancing", "")
    if registry.trouble:
        return Condition("away", registry.trouble)
    if app.in_recovery or not app.tables.recovery.completed.is_set() or not app.pulse.begun:
        return Condition("recovering", "")
    if not capture.asked():
        return Condition("recovering", "")
    if why := next(_blind(blindness, pipelines), ""):
        return Condition("blind", why)
    return Condition("ready", "")


def _blind(blindness: Blindness | None, pipelines: Sequence[PipelineStatus]) -> Iterator[str]:
    """Why quiet would mean nothing, the gravest first."""
    if blindness is not None:
        yield blindness.summary
    yield from (finding.summary for finding in capture.watch.findings if finding.blinds)
    for pipeline in pipelines:
        if why := pipeline.blind_of:
            yield why


def _partitions() -> list[PartitionStatus]:
    now = app.clock.now()
    found = (partition_status(partition, app.consumer, now) for partition in partitions)
    return sorted(found, key=lambda partition: partition.partition)


def _pipelines() -> list[PipelineStatus]:
    share = settings.blind_share
    return [pipeline_status(ours, app.consumer, share) for ours in scored.values()]


def status() -> Status:
    """The state of this worker now."""
    seen = sight()
    blindness = seen.blindness(settings.blind_share)
    pipelines = _pipelines()
    state, detail = _condition(blindness, pipelines)
    return Status(
        worker=settings.member,
        version=RELEASE,
        state=state,
        detail=detail,
        uptime=round(monotonic() - _started, 3),
        time=isotime(app.clock.now()),
        clock_ahead=round(app.clock.ahead, 3),
        rules=digest_of(app.rules),
        seed=sketch.digest_of(settings.seed).hex(),
        clicks_per_second=_throughput.rate,
        partitions=_partitions(),
        sight=seen,
        blindness=blindness,
        findings=[*capture.watch.findings, *_inspection.findings],
        captures=capture.watch.captures,
        pipelines=pipelines,
    )
