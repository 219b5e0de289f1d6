"""What is wrong with the clicks topic is said by log, status, metrics, page and ``verify``."""

import asyncio
import logging
import re
import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)
from playwright.sync_api import expect

from clickwarden.errors import BrokerError
from clickwarden.kafka.inspection import Inspection, configuration
from experiments.chromium import chromium
from tests.site import Site, click, clicks, window_before

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
#: As somebody else may have made it; nothing is compacted yet.
THEIRS = {
    "cleanup.policy": "compact,delete",
    "message.timestamp.type": "CreateTime",
    "min.cleanable.dirty.ratio": "0",
    "min.compaction.lag.ms": "3600000",
    "retention.ms": "599000",
}


def clean_often(here: Site, change: AlterConfigOpType) -> None:
    """Have Kafka look for what it can compact ten times a second, or as seldom as before."""
    entry = ConfigEntry("log.cleaner.backoff.ms", "100", incremental_operation=change)
    resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
    here.admin.incremental_alter_configs([resource])[resource].result()


def compact(here: Site) -> None:
    """Let Kafka compact the clicks, and wait until it has."""
    sent = len(here.clicks())
    here.configure("min.compaction.lag.ms", "0")
    here.configure("segment.ms", "1")
    clean_often(here, AlterConfigOpType.SET)

    def compacted() -> bool:
        for partition in range(2):  # into a new segment: the one before can then be compacted
            here.send(click("eve", time.time()), partition=partition, key=b"eve")
        return len(here.clicks()) < sent

    here.until(compacted, seconds=180)  # when Kafka has taken that up, and its cleaner comes by
    clean_often(here, AlterConfigOpType.DELETE)


def test_a_topic_that_hides_users_is_told_of_everywhere_and_cannot_be_judged(site: Sites) -> None:
    here = site(rules=RULES, partitions=2, idle_timeout=1)
    here.create(**THEIRS)
    start = window_before(time.time())
    here.send(*clicks("eve", 60, start, start + 50), key=b"eve")
    for number, value in enumerate(clicks("bot-7", 80, start, start + 50)):
        here.send(value, partition=number % 2, key=b"session %d" % number)
    worker = here.start()

    here.until(lambda: worker.ask("/api/v1/now")[1]["health"]["findings"], worker)
    health = worker.ask("/api/v1/now")[1]["health"]
    abouts = [finding["about"] for finding in health["findings"]]
    assert abouts == ["key", "compaction", "retention", "timestamps"]
    hiding = [
        "one user's clicks are in several partitions",
        f"topic {here.settings.clicks_topic} is compacted",
    ]
    assert health["impaired"] == hiding
    here.await_counted(worker)
    here.until(lambda: len(here.anomalies("closed")) == 1, worker)
    here.until(lambda: worker.ask("/api/v1/now")[1]["verdict"]["state"] == "quiet", worker)
    assert worker.ask("/api/v1/now")[1]["verdict"]["text"] == (
        f"Quiet, as far as can be seen: {'; '.join(hiding)}"
    )
    assert worker.ask("/api/v1/status")[1]["findings"] == health["findings"]
    told = {f'clickwarden_finding{{about="{about}"}} 1.0' for about in abouts}
    assert worker.metrics() >= told | {'clickwarden_finding{about="partitions"} 0.0'}
    for finding in health["findings"]:
        assert worker.log.count(f"{finding['consequence']} {finding['cure']}") == 1
        assert finding["command"] in worker.log
    assert worker.ready  # what comes is counted

    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{worker.settings.web_port}/")
        expect(page.locator("#headline")).to_have_text("Quiet, as far as can be seen")
        expect(page.locator("#facts .impaired")).to_contain_text("; ".join(hiding))
        warnings = page.locator("#warnings .warning")
        expect(warnings).to_have_count(4)
        expect(warnings.nth(0)).to_contain_text("user 'bot-7' has some in partitions 0 and 1")
        expect(warnings.nth(1).locator("code")).to_contain_text("--add-config cleanup.policy=delete")

    done = here.run("verify")  # nothing is compacted yet
    assert done.returncode == 3, done.stdout
    assert "apart: 1 user with clicks of one window in several partitions" in done.stdout
    assert "user 'bot-7': 80 clicks, threshold 50; by partition 40 in 0, 40 in 1" in done.stdout
    assert "OK" not in done.stdout
    assert "cannot be judged" not in done.stdout

    compact(here)
    done = here.run("verify")
    assert done.returncode == 3, done.stdout
    name = here.settings.clicks_topic
    gone = re.search(
        rf"cannot be judged: topic {name} is compacted, and (\d+) of \d+ offsets \(\d+ %\) hold no record",
        done.stdout,
    )
    assert gone is not None, done.stdout
    assert int(gone[1]) >= 59
    assert "OK" not in done.stdout
    assert "anomalies reported of such windows: 1" in done.stdout  # and not one invented


async def test_what_changes_while_a_worker_runs_is_noticed_once(
    site: Sites, caplog: pytest.LogCaptureFixture
) -> None:
    here = await asyncio.to_thread(site, partitions=2)
    here.create(**{"message.timestamp.type": "LogAppendTime"})
    inspection = Inspection(here.settings, lambda: 2)
    caplog.set_level(logging.INFO, "clickwarden")

    async def until_told(line: str) -> None:
        """Wait until something is logged; it must begin so, and be all."""
        await asyncio.to_thread(here.until, lambda: caplog.messages)
        assert [message[: len(line)] for message in caplog.messages] == [line]
        caplog.clear()

    name = here.settings.clicks_topic
    watching = asyncio.create_task(inspection.watch(lambda: 60, seconds=0.05))
    await asyncio.to_thread(here.configure, "cleanup.policy", "compact")
    await until_told(f"Topic {name} is compacted (cleanup.policy=compact)")
    await asyncio.to_thread(here.configure, "cleanup.policy", "delete")
    await until_told(f"No longer so: topic {name} is compacted")
    await asyncio.to_thread(here.configure, "retention.ms", "30000")
    await until_told(
        f"Topic {name} keeps clicks for 30 s (retention.ms), and the longest window of a rule takes 60 s"
    )
    await asyncio.to_thread(here.configure, "retention.ms", "-1")
    await until_told(f"No longer so: topic {name} keeps clicks for 30 s")
    here.admin.create_partitions([NewPartitions(name, 3)])[name].result()
    await until_told(f"Topic {name} has 3 partitions, and 2 are counted")
    assert [finding.about for finding in inspection.findings] == ["partitions"]
    watching.cancel()


async def test_a_topic_that_a_node_does_not_know_yet_is_asked_for_again(site: Sites) -> None:
    here = await asyncio.to_thread(site)
    with pytest.raises(BrokerError, match="UnknownTopicOrPartition"):
        await configuration(here.settings)


def test_a_status_that_kafka_does_not_take_is_said_once(site: Sites) -> None:
    here = site()
    worker = here.start()
    here.configure("max.message.bytes", "100", here.settings.status_topic)
    here.until(lambda: "This worker's status is not told: " in worker.log, worker)
    assert "MessageSizeTooLarge" in worker.log
    here.send(click("eve", time.time()))
    here.await_counted(worker)
    assert worker.log.count("This worker's status is not told") == 1
    here.configure("max.message.bytes", "1048588", here.settings.status_topic)
    here.until(lambda: worker.ask("/api/v1/now")[1]["health"]["accepted"] == 1, worker)
