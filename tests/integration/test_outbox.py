"""A producer that dies at any moment: what it has acknowledged is in the topic once, in order.

KILLS=20 kills it so often, SEED= repeats the moments of a run before.
"""

import asyncio
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickError, OutboxError, SettingsError
from clickwarden.kafka.reader import reader, to_end
from clickwarden.sandbox.broker import Broker
from clickwarden.settings import Settings
from clickwarden.sources.outbox import Outbox
from clickwarden.sources.producer import ClickProducer
from tests.integration import producers
from tests.integration.producers import CROWD, SHOPPERS, numbered

KILLS = int(os.environ.get("KILLS", "6"))
SEED = int(os.environ.get("SEED", secrets.randbelow(10_000)))
NOWHERE = "127.0.0.1:9"


def own(bootstrap: str, folder: Path, **more: Any) -> Settings:
    name = uuid4().hex[:8]
    return Settings(
        broker=f"kafka://{bootstrap}",
        clicks_topic=f"c-{name}",
        anomalies_topic=f"a-{name}",
        data_dir=folder,
        **more,
    )


async def arrived(settings: Settings) -> dict[str, list[float]]:
    """The timestamps of each user's clicks in the topic, as readers of committed records see them."""
    found: dict[str, list[float]] = {}
    async with reader(settings, settings.clicks_topic) as consumer:
        async for _, run in to_end(consumer):
            for record in run:
                click = json.loads(record.value)
                found.setdefault(click["user_id"], []).append(click["timestamp"])
    return found


def in_order(clicks: int) -> dict[str, list[float]]:
    return {f"user-{user}": [float(time) for time in range(user, clicks, 10)] for user in range(10)}


def test_a_click_is_on_the_disk_when_send_returns(tmp_path: Path) -> None:
    settings = own(NOWHERE, tmp_path)
    program = """
import asyncio, os, signal
from clickwarden.sources.producer import ClickProducer
from clickwarden.settings import Settings

async def main():
    async with ClickProducer(Settings()) as producer:
        times = range(100_000_000, 100_000_100)
        await asyncio.gather(*(producer.send("user", "view", None, float(time)) for time in times))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    killed = subprocess.run([sys.executable, "-c", program], env=os.environ | environment(settings))
    assert killed.returncode == -signal.SIGKILL
    outbox = Outbox(settings)
    assert outbox.found == 100
    outbox.close()


async def test_flush_waits_for_what_is_on_its_way_to_the_disk(kafka: str, tmp_path: Path) -> None:
    async with ClickProducer(own(kafka, tmp_path)) as producer:
        sending = asyncio.create_task(producer.send_all(numbered(1000)))
        await asyncio.sleep(0)
        sending.cancel()
        await producer.flush()
        assert (producer.sent, producer.acked) == (1000, 1000)


@pytest.mark.parametrize("moment", ["batches sent", "position sent", "committed"])
async def test_the_next_producer_goes_on_at_any_point_of_a_transaction(
    kafka: str, tmp_path: Path, moment: str
) -> None:
    settings = own(kafka, tmp_path)
    first = await asyncio.create_subprocess_exec(
        *(sys.executable, producers.__file__, "transact", moment), env=os.environ | environment(settings)
    )
    assert await first.wait() == -signal.SIGKILL
    async with ClickProducer(settings) as second:
        assert second.left == 5000
        await second.send_all(numbered(1000, first=6000))
    assert await arrived(settings) == in_order(7000)


async def test_a_full_quota_is_an_error_until_kafka_has_drained_it(kafka: str, tmp_path: Path) -> None:
    settings = own(kafka, tmp_path, outbox_quota=1)
    away = settings.model_copy(update={"broker": f"kafka://{NOWHERE}"})
    sent = 0

    async def fill() -> None:
        nonlocal sent
        async with ClickProducer(away) as producer:
            while True:
                await producer.send_all(numbered(500, first=sent))
                sent += 500

    with pytest.raises(OutboxError, match="CLICKWARDEN_OUTBOX_QUOTA=1: "):
        await fill()
    assert sent > 5000
    async with ClickProducer(settings) as producer:
        assert producer.left == sent
        await producer.flush()
        await producer.send_all(numbered(500, first=sent))
    assert await arrived(settings) == in_order(sent + 500)


async def test_what_kafka_would_never_take_is_refused_and_blocks_nothing(kafka: str, tmp_path: Path) -> None:
    settings = own(kafka, tmp_path)
    huge = Clicks(["user-0"] * 2, ["view"] * 2, ["x", "x" * 2**20], np.zeros(2))
    async with ClickProducer(settings) as producer:
        with pytest.raises(ClickError, match="more than 524288"):
            await producer.send_all(huge)
        largest = Clicks(["user-0"], ["view"], [random.randbytes(2**18 - 100).hex()], np.zeros(1))
        await producer.send_all(largest)
        await producer.flush()
    assert await arrived(settings) == {"user-0": [0.0]}


async def test_an_old_copy_of_an_outbox_is_refused(kafka: str, tmp_path: Path) -> None:
    settings = own(kafka, tmp_path)
    async with ClickProducer(settings) as producer:
        await producer.send("user", "view", None, 1_600_000_001.0)
    (file,) = (tmp_path / "outbox").iterdir()
    copy = file.read_bytes()
    async with ClickProducer(settings) as producer:
        await producer.send("user", "view", None, 1_600_000_002.0)
    file.write_bytes(copy)
    restored = ClickProducer(settings)
    with pytest.raises(SettingsError, match=r"CLICKWARDEN_DATA_DIR=.*old copy"):
        async with restored:
            await restored.send("user", "view", None, 1_600_000_003.0)


async def test_what_a_killed_simulate_left_is_sent_by_a_replay(kafka: str, tmp_path: Path) -> None:
    settings = own(kafka, tmp_path)
    file = tmp_path / "one.ndjson"
    file.write_text('{"user_id":"replayed","event":"view","timestamp":1600000000}\n')

    def start(broker: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "app", *arguments],
            env=os.environ | environment(settings) | {"CLICKWARDEN_BROKER": broker},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    with start(NOWHERE, "simulate", "--attack", "0", "--rate", "1000") as simulate:
        assert simulate.stdout
        for line in simulate.stdout:
            if "acknowledged nothing" in line:
                simulate.kill()
    with start(settings.broker, "replay", str(file)) as replay:
        output, _ = replay.communicate(timeout=60)
    assert replay.returncode == 0, output
    left = int(output.split(" clicks of an earlier producer")[0].split()[-1])
    assert left > 1000
    assert f"{left + 1:,} clicks acknowledged, 0 wait on disk" in output
    found = await arrived(settings)
    assert sum(map(len, found.values())) == left + 1
    assert all(times == sorted(times) for times in found.values())


def environment(settings: Settings) -> dict[str, str]:
    names = "broker", "clicks_topic", "anomalies_topic", "data_dir"
    return {f"CLICKWARDEN_{name.upper()}": str(getattr(settings, name)) for name in names}


class Shop:
    """A producer in a process of its own, and what it was promised."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self.lives = 0

    def live(self, sign: str, seconds: float) -> None:
        """Start it, and kill it that long after the sign: "promised" a click, or "delivered" one to Kafka."""
        self.lives += 1
        with (
            (self._folder / "shop.log").open("ab") as log,
            subprocess.Popen(
                [sys.executable, producers.__file__, "shop", str(self._folder), str(self.lives)],
                env=os.environ | environment(self._settings),
                stderr=log,
            ) as process,
        ):
            while not (self._folder / f"{sign}-{self.lives}").exists():
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(seconds)
            process.kill()
        assert process.returncode == -signal.SIGKILL

    def promised(self) -> Iterator[tuple[str, float]]:
        for journal in self._folder.glob("promised-*"):
            for line in journal.read_text().splitlines():
                user, number = line.split()
                yield user, float(number)


async def test_a_producer_killed_again_and_again_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    print(f"SEED={SEED} KILLS={KILLS}")
    chance = random.Random(SEED)
    outages = max(1, KILLS // 6)
    with Broker(tmp_path / "kafka", port=0) as broker, ThreadPoolExecutor(1) as other:
        settings = own(broker.bootstrap, tmp_path)
        victim = Shop(settings, tmp_path)

        def kill(sign: str, times: int = 1) -> None:
            for _ in range(times):
                victim.live(sign, chance.uniform(0, 1))

        for outage in range(1, outages + 1):
            kill("delivered")
            ending = other.submit(chance.choice([broker.kill, broker.stop]))
            kill("promised")  # while Kafka goes
            ending.result()
            kill("promised", 2)  # while it is away
            starting = other.submit(broker.start)
            kill("promised")  # while it comes
            starting.result()
            kill("delivered", (KILLS if outage == outages else 6 * outage) - victim.lives)
        assert victim.lives == KILLS
        async with ClickProducer(settings) as last:
            await last.flush()
        found = await arrived(settings)
    promised = Counter(victim.promised())
    sent = Counter((user, number) for user, numbers in found.items() for number in numbers)
    report = f"SEED={SEED}: {len(promised):,} clicks acknowledged in {KILLS} lives and {outages} outages"
    print(report)
    assert max(promised.values()) == 1
    assert promised - sent == Counter(), report
    assert [click for click, times in sent.items() if times > 1] == [], report
    assert all(numbers == sorted(numbers) for numbers in found.values()), report
    # What was on its way when a life ended is no promise, and may be there.
    assert len(sent) - len(promised) <= KILLS * (SHOPPERS + CROWD)
