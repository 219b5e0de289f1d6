"""What Prometheus scrapes of this worker."""

from collections.abc import Iterator
from typing import get_args

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agents.pipelines import PipelineStatus
from agents.scoring import scored
from agents.status import PartitionStatus
from agents.worker import status
from app.main import app, settings
from clickwarden.alerts.incidents import KINDS
from clickwarden.kafka.findings import About
from clickwarden.release import RELEASE
from clickwarden.sources.watch import Capture
from web.bouncers import guessed_keys
from web.guard import guesses
from web.labels import labelled
from web.listeners import listeners
from web.live import feed, following, untold

PREFIX = "clickwarden_"

#: Figures of a partition by name, as in its status, and what they mean.
COUNTERS = {
    "accepted": "Clicks counted in time",
    "late": "Clicks whose window was closed when they came",
    "uncounted": "Of these, clicks that a rule could not count any more",
    "late_by_silence": "Of the late, clicks whose window wall clock had closed behind a silence",
    "ignored": "Records without a value",
    "lost": "Records that retention deleted before they were counted",
}
GAUGES = {
    "lag": "Records not yet counted",
    "watermark_delay_seconds": "Kafka's clock - watermark",
    "open_windows": "Windows of all rules that are open",
    "suspects": "Users profiled in open windows",
    "crowded_windows": "Open windows where all places for suspects are taken",
}
#: The same of a pipeline's partition.
SCORED_COUNTERS = {
    "scored": "Records that have a score",
    "late": "Records that came too late for features",
    "lost": "Records that retention deleted before they were scored",
    "alarms": "Anomalies told of records",
}
#: Of its last day that is over.
DAY_GAUGES = {
    "records": "Records scored on the last day that is over",
    "alarms": "Anomalies told of these",
    "budget": "So many were to be expected",
    "unseen": "The largest share of words in no vocabulary",
    "drifted": "Features that had drifted",
    "limit": "The index above which a feature has drifted",
}
#: Of a connector that captures tables.
CAPTURE_GAUGES = {
    "slot_active": "Whether somebody reads its slot",
    "slot_lag_bytes": "Bytes of PostgreSQL's log that it has not read",
    "wal_kept_bytes": "Bytes of the log that are kept for its slot",
    "slot_room_bytes": "Bytes that may still be written until its slot is lost",
    "heartbeat_age_seconds": "Since its last heartbeat came",
}
CAPTURE_FIELDS = {
    "slot_active": "active",
    "slot_lag_bytes": "lag_bytes",
    "wal_kept_bytes": "kept_bytes",
    "slot_room_bytes": "room_bytes",
    "heartbeat_age_seconds": "heartbeat_age",
}
#: Where the status calls a figure otherwise.
FIELDS = {"watermark_delay_seconds": "delay"}


class _Collector(Collector):
    """Reads the figures when it is asked for them."""

    def collect(self) -> Iterator[Metric]:
        now = status()
        yield GaugeMetricFamily(f"{PREFIX}ready", "Whether clicks are counted", now.state == "ready")
        yield GaugeMetricFamily(
            f"{PREFIX}blind",
            "Whether too much of what comes cannot be counted or scored, or what is captured does not come",
            now.blindness is not None
            or any(finding.blinds for finding in now.findings)
            or any(pipeline.blind_of for pipeline in now.pipelines),
        )
        yield GaugeMetricFamily(
            f"{PREFIX}clicks_per_second", "Records counted, over five seconds", now.clicks_per_second or 0
        )
        known = GaugeMetricFamily(
            f"{PREFIX}anomalies", "Anomalies the page knows, of all workers", labels=["kind"]
        )
        ongoing = GaugeMetricFamily(
            f"{PREFIX}anomalies_ongoing", "Of these, windows still open", labels=["kind"]
        )
        for kind in KINDS:
            known.add_metric([kind], feed.kept(kind))
            ongoing.add_metric([kind], feed.ongoing(kind))
        yield known
        yield ongoing
        yield GaugeMetricFamily(
            f"{PREFIX}following", "Whether the page can read Kafka", not following.trouble
        )
        yield GaugeMetricFamily(
            f"{PREFIX}clock_ahead_seconds", "The worker's clock - Kafka's clock", now.clock_ahead
        )
        unheard = GaugeMetricFamily(
            f"{PREFIX}untold_incidents", "Incidents that a channel was not told of", labels=["channel"]
        )
        for channel, incidents in untold.incidents().items():
            unheard.add_metric([channel], incidents)
        yield unheard
        yield GaugeMetricFamily(f"{PREFIX}listeners", "Open live connections", len(listeners))
        found = GaugeMetricFamily(
            f"{PREFIX}finding", "Something is wrong with the clicks topic, or a capture", labels=["about"]
        )
        for about in get_args(About):
            found.add_metric([about], any(finding.about == about for finding in now.findings))
        yield found
        yield GaugeMetricFamily(
            f"{PREFIX}connections", "Open connections to this port", len(app.web.visitors)
        )
        tried = CounterMetricFamily(
            f"{PREFIX}token_guesses",
            "Wrong tokens, and what was refused without a look after too many",
            labels=["answer"],
        )
        for answer, count in guesses.counts.items():
            tried.add_metric([answer], count + guessed_keys()[answer])
        yield tried
        build = GaugeMetricFamily(f"{PREFIX}build", "Always 1", labels=["version"])
        build.add_metric([RELEASE], 1)
        yield build
        yield from _of_partitions(now.partitions)
        if settings.connect_url:
            yield from _of_captures(now.captures)
        if now.pipelines:
            yield from _of_pipelines(now.pipelines)
            yield from _of_labels()


def _of_partitions(partitions: list[PartitionStatus]) -> Iterator[Metric]:
    for name, meaning in COUNTERS.items():
        counter = CounterMetricFamily(f"{PREFIX}{name}", meaning, labels=["partition"])
        for partition in partitions:
            counter.add_metric([str(partition.partition)], getattr(partition, name))
        yield counter
    rejected = CounterMetricFamily(
        f"{PREFIX}rejected", "Records that could not be counted", labels=["partition", "reason"]
    )
    for partition in partitions:
        for reason, count in partition.rejected.items():
            rejected.add_metric([str(partition.partition), reason], count)
    yield rejected
    for name, meaning in GAUGES.items():
        gauge = GaugeMetricFamily(f"{PREFIX}{name}", meaning, labels=["partition"])
        for partition in partitions:
            value = getattr(partition, FIELDS.get(name, name))
            if value is not None:
                gauge.add_metric([str(partition.partition)], value)
        yield gauge


def _of_captures(captures: list[Capture]) -> Iterator[Metric]:
    for name, meaning in CAPTURE_GAUGES.items():
        gauge = GaugeMetricFamily(f"{PREFIX}capture_{name}", meaning, labels=["connector"])
        for capture in captures:
            value = getattr(capture, CAPTURE_FIELDS.get(name, name))
            if value is not None:
                gauge.add_metric([capture.connector], value)
        yield gauge
    runs = GaugeMetricFamily(
        f"{PREFIX}capture_connector_running", "Whether Connect says that it runs", labels=["connector"]
    )
    tasks = GaugeMetricFamily(
        f"{PREFIX}capture_task_running", "Whether Connect says that its tasks run", labels=["connector"]
    )
    for capture in captures:
        runs.add_metric([capture.connector], capture.state == "RUNNING")
        tasks.add_metric([capture.connector], set(capture.tasks) == {"RUNNING"})
    yield from (runs, tasks)


def _of_pipelines(pipelines: list[PipelineStatus]) -> Iterator[Metric]:
    scoring, labels = f"{PREFIX}pipeline_", ["pipeline", "partition"]
    known = [
        ([each.pipeline, str(partition.partition)], partition)
        for each in pipelines
        for partition in each.partitions
    ]
    for name, meaning in SCORED_COUNTERS.items():
        counter = CounterMetricFamily(f"{scoring}{name}", meaning, labels=labels)
        for where, partition in known:
            counter.add_metric(where, getattr(partition, name))
        yield counter
    rejected = CounterMetricFamily(
        f"{scoring}rejected", "Records that could not be scored", labels=[*labels, "reason"]
    )
    lag = GaugeMetricFamily(f"{scoring}lag", "Records not yet scored", labels=labels)
    latency = GaugeMetricFamily(
        f"{scoring}latency_seconds",
        "From Kafka to score, of the newest",
        labels=[*labels, "quantile"],
    )
    for where, partition in known:
        for reason, count in partition.rejected.items():
            rejected.add_metric([*where, reason], count)
        if partition.lag is not None:
            lag.add_metric(where, partition.lag)
        if partition.latency is not None:
            latency.add_metric([*where, "0.5"], partition.latency.median)
            latency.add_metric([*where, "0.99"], partition.latency.p99)
    yield from (rejected, lag, latency)
    for name, meaning in DAY_GAUGES.items():
        gauge = GaugeMetricFamily(f"{scoring}day_{name}", meaning, labels=labels)
        for where, partition in known:
            if partition.days and (value := getattr(partition.days[-1], name)) is not None:
                gauge.add_metric(where, value)
        yield gauge
    yield from _of_features(f"{scoring}feature_", labels)


def _of_labels() -> Iterator[Metric]:
    """As this worker knows them, which reads all of them."""
    known = labelled()
    recall = GaugeMetricFamily(
        f"{PREFIX}pipeline_recall", "Of the records labelled abnormal, those alarmed", labels=["pipeline"]
    )
    precision = GaugeMetricFamily(
        f"{PREFIX}pipeline_precision",
        "Of the alarms with a label, those labelled abnormal",
        labels=["pipeline", "version"],
    )
    for name, said in known.items():
        if said.recall is not None:
            recall.add_metric([name], said.recall)
        for model in said.models:
            if model.precision is not None:
                precision.add_metric([name, model.version], model.precision)
    yield from (recall, precision)


def _of_features(features: str, labels: list[str]) -> Iterator[Metric]:
    for name, meaning in (
        ("shift", "Population stability index of its values on the last day that is over"),
        ("missing", "The same of whether it is missing"),
    ):
        gauge = GaugeMetricFamily(features + name, meaning, labels=[*labels, "feature"])
        for partitions in scored.values():
            for partition in partitions:
                where = [partitions.pipeline.name, str(partition.tp.partition)]
                for each in partition.days[-1].shifts if partition.days else ():
                    gauge.add_metric([*where, each.feature], getattr(each, name))
        yield gauge


registry = CollectorRegistry(auto_describe=False)
registry.register(PROCESS_COLLECTOR)
registry.register(_Collector())

routes = web.RouteTableDef()


@routes.get("/metrics")
async def metrics(_: web.Request) -> web.Response:
    """Figures of this worker, in Prometheus' text format."""
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


app.web.web_app.add_routes(routes)
