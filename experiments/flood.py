"""``python -m experiments.flood``: ten million users in one window, and what that does to the worker.

Two runs of as many clicks on the same Kafka, read by a fresh worker from the
beginning of the topic:

* *normal*: 100,000 users, a million clicks in each minute;
* *flood*: every click is of a user of its own, all of them in one minute.

In both, some users are over the threshold by one click. Shown are the peak
memory of the worker's process and what ``verify`` says.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
import numpy as np
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from clickwarden.detection import rulesfile
from clickwarden.sandbox.broker import Broker
from experiments.deployment import Deployment

CLICKS = 10_000_000
USERS = 100_000
#: Clicks in a minute of the normal run.
RATE = 1_000_000
#: Users over the threshold, in the last window.
ATTACKERS = 100
#: Epoch seconds, the start of a minute.
BEGIN = 1_760_000_040
#: How much later than all others a click is that closes every window, seconds.
CLOSING = 700
CHUNK = 20_000
MIB = 1 << 20

VALUE = b'{"user_id":"%b","event":"view","timestamp":%.3f}'


class Outcome(NamedTuple):
    """What came of one run: peak memory of the worker in bytes, and what ``verify`` found."""

    name: str
    peak: int
    verdict: dict[str, Any]


def normal(clicks: int) -> Iterator[list[tuple[bytes, float]]]:
    """User and time of each click, a chunk at a time."""
    random = np.random.default_rng(0)
    for first in range(0, clicks, CHUNK):
        times = BEGIN + np.arange(first, first + CHUNK) * (60 / RATE)
        users = random.integers(USERS, size=CHUNK)
        yield [(b"user-%d" % user, time) for user, time in zip(users.tolist(), times.tolist(), strict=True)]


def flood(clicks: int) -> Iterator[list[tuple[bytes, float]]]:
    """The same, of users that click once, within a minute."""
    for first in range(0, clicks, CHUNK):
        times = BEGIN + np.arange(first, first + CHUNK) * (59 / clicks)
        yield [(b"flood-%d" % user, time) for user, time in enumerate(times.tolist(), first)]


def produce(deployment: Deployment, chunks: Iterator[list[tuple[bytes, float]]], threshold: int) -> int:
    """Send the clicks, the attackers' behind the others', and one that closes all windows; how many."""
    producer = Producer(
        {
            "bootstrap.servers": deployment.settings.bootstrap,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 20,
            "queue.buffering.max.messages": 10 * CHUNK,
            "log_level": 0,
        }
    )
    topic, sent, time = deployment.settings.clicks_topic, 0, float(BEGIN)

    def send(clicks: list[tuple[bytes, float]]) -> None:
        nonlocal sent, time
        producer.produce_batch(topic, [{"key": user, "value": VALUE % (user, time)} for user, time in clicks])
        while len(producer) > 8 * CHUNK:
            producer.poll(0.01)
        sent, time = sent + len(clicks), clicks[-1][1]

    for clicks in chunks:
        send(clicks)
    for attacker in range(ATTACKERS):
        send([(b"attacker-%d" % attacker, time)] * (threshold + 1))
    partitions = range(deployment.settings.partitions)
    for partition in partitions:
        producer.produce(topic, VALUE % (b"last", time + CLOSING), partition=partition)
    producer.flush()
    return sent + len(partitions)


async def play(name: str, deployment: Deployment, chunks: Iterator[list[tuple[bytes, float]]]) -> Outcome:
    """Count the clicks with a worker, and judge it."""
    await deployment.declare()
    threshold = next(rule.threshold for rule in rulesfile.load(deployment.settings.rules) if not rule.events)
    sent = produce(deployment, chunks, threshold)
    with deployment.worker() as process:
        while not await _counted(deployment, sent):
            if process.poll() is not None:
                raise RuntimeError(f"the worker died:\n{deployment.log.read_text()[-3000:]}")
            await asyncio.sleep(0.25)
        peak = _peak(process.pid)
    return Outcome(name, peak, await asyncio.to_thread(deployment.verdict))


async def _counted(deployment: Deployment, sent: int) -> bool:
    status = await deployment.status()
    return (
        status is not None
        and sum(partition["next_offset"] or 0 for partition in status["partitions"]) >= sent
    )


def _peak(pid: int) -> int:
    """Most memory the process has used, bytes (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def show(outcomes: list[Outcome]) -> Table:
    """The outcomes side by side."""
    table = Table("what", *(outcome.name for outcome in outcomes))
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("peak memory of the worker", *(f"{outcome.peak / MIB:,.0f} MiB" for outcome in outcomes))
    table.add_row("of the first", *(f"{outcome.peak / outcomes[0].peak:.2f} ×" for outcome in outcomes))
    for figure in ("produced", "expected", "reported", "missing", "invented", "interval_misses"):
        table.add_row(figure.replace("_", " "), *(f"{outcome.verdict[figure]:,}" for outcome in outcomes))
    return table


@click.command(help=__doc__)
@click.option("--clicks", default=CLICKS, show_default=True, help="of each run")
def main(clicks: int) -> None:
    """Run both and show them."""
    with TemporaryDirectory() as temporary, Broker(Path(temporary) / "kafka", port=0) as kafka:
        outcomes = []
        for name, chunks in (("normal", normal(clicks)), ("flood", flood(clicks))):
            deployment = Deployment(kafka.bootstrap, Path(temporary) / name)
            outcomes.append(asyncio.run(play(name, deployment, chunks)))
    Console().print(show(outcomes))


if __name__ == "__main__":
    main()
