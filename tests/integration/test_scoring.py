"""Topics of pipelines are scored beside the clicks, each record once, killed anywhere."""

import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clickwarden.models.pipeline import Pipeline
from tests.pipelines import define, payments, train
from tests.site import Site, Worker, clicks, minute_over

Sites = Callable[..., Site]


@pytest.fixture
def scored(site: Sites, tmp_path: Path) -> tuple[Site, Pipeline]:
    """A site whose workers score a pipeline with a model of its own, in two partitions."""
    folder = tmp_path / "payments"
    made = site(pipelines=str(folder), partitions=2, checkpoint_interval=0.5)
    pipeline = define(folder, made.settings.clicks_topic.replace("clicks", "payments"))
    train(pipeline)
    return made, pipeline


def verdict(site: Site, pipeline: Pipeline) -> dict[str, Any]:
    done = site.run("verify", str(pipeline.folder), "--json")
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def await_scored(site: Site, pipeline: Pipeline, *workers: Worker) -> None:
    site.until(lambda: not site.behind(pipeline.topic), *workers)


def _more_than(site: Site, count: int) -> bool:
    return len(site.read(site.settings.anomalies_topic)) > count


def test_killed_anywhere_under_load_beside_clicks_nothing_is_missing_invented_or_said_in_two_ways(
    scored: tuple[Site, Pipeline],
) -> None:
    site, pipeline = scored
    worker = site.start()
    start = minute_over()
    sent = threading.Event()

    def load() -> None:
        producer = site.producer()
        values = payments(12_000, seed=7)
        for first in range(0, len(values), 200):
            part = values[first : first + 200]
            site.send(*part[:100], by=producer, topic=pipeline.topic, partition=0)
            site.send(*part[100:], by=producer, topic=pipeline.topic, partition=1)
            site.send(*clicks(f"bot-{first}", 60, start, start + 50), by=producer)
        sent.set()

    loading = threading.Thread(target=load)
    loading.start()
    for _ in range(3):
        before = len(site.read(site.settings.anomalies_topic))
        site.until(partial(_more_than, site, before), worker)
        worker.kill()
        worker = site.start()
    loading.join()
    assert sent.is_set()
    await_scored(site, pipeline, worker)
    site.await_counted(worker)
    found = verdict(site, pipeline)
    assert (found["missing"], found["invented"], found["conflicting"]) == (0, 0, 0), found["examples"]
    assert found["expected"] == found["reported"] > 40
    assert found["fates"].keys() == {"taken", "late", "keyless", "unreadable"}
    assert sum(found["fates"].values()) == 12_000
    assert site.verdict().ok
    assert site.verdict().reported == 60
