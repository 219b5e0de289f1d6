"""What is wrong with the clicks topic is said in the log, the status, the page and by ``verify``."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from http.client import HTTPConnection
from typing import Any

import pytest
from confluent_kafka.admin import NewPartitions
from playwright.sync_api import expect

from clickwarden.kafka.findings import Finding
from clickwarden.kafka.inspection import Inspection, configuration
from experiments.chromium import chromium
from tests.site import Site, Worker, clicks, faust, window_before

Sites = Callable[..., Site]

RULES = """
[[rule]]
name = "bot"
window = 60
threshold = 50

[[rule]]
name = "slow"
window = 600
threshold = 200
"""
#: As somebody else may have made the topic; nothing is compacted yet.
THEIRS = {
    "cleanup.policy": "compact,delete",
    "message.timestamp.type": "CreateTime",
    "min.compaction.lag.ms": "3600000",
    "min.cleanable.dirty.ratio": "0",
    "retention.ms": "599000",
}


def test_a_topic_that_hides_users_is_told_of_everywhere(site: Sites) -> None:
    here = site(rules=RULES, partitions=2)
    here.create(**THEIRS)
    start = window_before(time.time())
    here.send(*clicks("eve", 60, start, start + 50), key=b"eve")
    for number, value in enumerate(clicks("bot-7", 80, start, start + 50)):
        here.send(value, partition=number % 2, key=b"session %d" % number)
    worker = here.start()

    here.until(lambda: len(ask(worker, "/api/v1/now")["health"]["findings"]) == 4, worker)
    health = ask(worker, "/api/v1/now")["health"]
    assert [finding["about"] for finding in health["findings"]] == [
        "key",
        "compaction",
        "retention",
        "timestamps",
    ]
    hiding = ["one user's clicks are in several partitions", f"topic {here.settings.clicks_topic} is compacted"]
    assert health["impaired"] == hiding
    assert ask(worker, "/api/v1/status")["findings"] == health["findings"]
    for about in "key", "compaction", "retention", "timestamps":
        assert f'clickwarden_finding{{about="{about}"}} 1.0' in metrics(worker)
    assert 'clickwarden_finding{about="partitions"} 0.0' in metrics(worker)
    for finding in health["findings"]:
        assert worker.log.count(finding["consequence"]) == 1
        assert worker.log.count(finding["command"] or finding["cure"]) == 1
    assert worker.ready  # what comes is counted
    shows(worker, health["findings"], hiding)

    here.await_counted(worker)
    compact(here)
    done = verify(here)
    assert done["code"] == 3, done
    assert (done["ok"], done["conclusive"], done["invented"], done["split"], done["hidden"]) == (
        True, False, 0, 1, 1,
    )  # fmt: skip


def ask(worker: Worker, path: str) -> Any:
    return worker.ask(path)[1]
