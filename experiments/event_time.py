"""``python -m experiments.event_time``: one log replayed in several ways.

Each replay goes into topics of its own, on a real Kafka and past a real
worker. What the worker reports, by the clicks' own time, is held against what
a consumer would report that counts per user and minute of arrival.

Two logs: the sample, and one of 100 s made up so that a replay in real time
ends soon, with users who sit on the edge of a minute on purpose.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

import click
from rich.console import Console
from rich.table import Table

from clickwarden.kafka.reader import reader, to_end
from clickwarden.sandbox.broker import Broker
from experiments.deployment import Deployment

SAMPLE = Path("examples/access.log")
MADE = "made-up"
#: Findings shown of a replay.
SHOWN = 4
#: As rule bot of rules.toml, but side by side.
WINDOW = 60
THRESHOLD = 50
RULES = f'[[rule]]\nname = "bot"\nwindow = {WINDOW}\nthreshold = {THRESHOLD}\n'
#: 2026-01-01T12:00:00Z, the made-up log's first second.
NOON = 1_767_268_800
MADE_SECONDS = 100
#: The made-up log's users: from when to when they click, and how often.
USERS = {
    "shopper": (0, MADE_SECONDS, 80),  # 48 in the first minute
    "bot": (5, 55, 108),
    "bot-across": (30, 90, 160),  # 80 in each minute
    "reader-across": (30, 90, 96),  # 48 in each minute
}


class Way(NamedTuple):
    """How a log is replayed."""

    log: str
    name: str
    options: tuple[str, ...]


SHUFFLED = ("--shuffle-within", "5")
WAYS = (
    Way(MADE, "1 ×", ("--speed", "1")),
    Way(MADE, "100 ×", ("--speed", "100")),
    Way(MADE, "100 ×, shuffled within 5 s", ("--speed", "100", *SHUFFLED)),
    Way(SAMPLE.name, "10,000 ×", ("--speed", "10000")),
    Way(SAMPLE.name, "10,000 ×, shuffled within 5 s", ("--speed", "10000", *SHUFFLED)),
    Way(SAMPLE.name, "as fast as Kafka takes it", ()),
)


class Finding(NamedTuple):
    """One user over the threshold, ``minute`` as a clock shows it."""

    user_id: str
    minute: str
    clicks: int

    def __str__(self) -> str:
        """As it stands in the table."""
        return f"{self.user_id} {self.minute} {self.clicks}"


class Record(Protocol):
    """What is read of a Kafka record."""

    @property
    def timestamp(self) -> int:
        """Kafka's own, epoch milliseconds."""

    @property
    def value(self) -> bytes | None:
        """The click."""


@dataclass
class Outcome:
    """What came of one replay.

    Attributes:
        way: how the log was replayed.
        by_event_time: what the worker reported in the end.
        final: the same as it stands in the topic, ``emitted_at`` aside, by ``alert_id``.
        by_arrival: what counting per minute of arrival would have reported.
        out_of_order: clicks behind an earlier one of their partition.
        verdict: of ``verify``.
    """

    way: Way
    by_event_time: list[Finding]
    final: dict[str, dict[str, Any]]
    by_arrival: list[Finding]
    out_of_order: int
    verdict: dict[str, Any]


def made_up() -> Iterator[str]:
    """The made-up log, as NDJSON in order of time."""
    clicks = [
        (round(NOON + first + (last - first) * (click + 0.5) / count, 3), user)
        for user, (first, last, count) in USERS.items()
        for click in range(count)
    ]
    for time, user in sorted(clicks):
        yield json.dumps({"user_id": user, "event": "view", "timestamp": time})


def by_arrival(records: Iterable[Record]) -> list[Finding]:
    """Users over the threshold in a minute of Kafka's clock."""
    clicks = Counter(
        (json.loads(record.value or b"")["user_id"], record.timestamp // 1000 // WINDOW * WINDOW)
        for record in records
    )
    return sorted(
        Finding(user, _clock(minute), count) for (user, minute), count in clicks.items() if count > THRESHOLD
    )


def out_of_order(records: Iterable[Record]) -> int:
    """Clicks that happened before an earlier record of their partition."""
    newest, behind = 0.0, 0
    for record in records:
        time = float(json.loads(record.value or b"")["timestamp"])
        behind += time < newest
        newest = max(newest, time)
    return behind


async def outcome(bootstrap: str, folder: Path, way: Way, file: Path) -> Outcome:
    """Replay the file past a worker, wait until all there is to find is told in the end, and stop."""
    deployment = Deployment(bootstrap, folder, rules=folder / "rules.toml")
    (folder / "rules.toml").write_text(RULES)
    settings = deployment.settings
    await deployment.declare()
    with deployment.worker():
        await asyncio.to_thread(deployment.run, "replay", "--everything", str(file), *way.options)
        await deployment.all_final()
    verdict = await asyncio.to_thread(deployment.verdict)
    async with reader(settings, settings.anomalies_topic) as consumer:
        reported = [json.loads(record.value) async for _, run in to_end(consumer) for record in run]
    partitions: dict[int, list[Any]] = {}
    async with reader(settings, settings.clicks_topic) as consumer:
        async for partition, run in to_end(consumer):
            partitions.setdefault(partition, []).extend(run)
    # The last word: a correction comes behind what it corrects.
    final = {anomaly["alert_id"]: anomaly for anomaly in reported if anomaly["status"] != "ongoing"}
    for anomaly in final.values():
        del anomaly["emitted_at"]
    return Outcome(
        way,
        sorted(
            Finding(anomaly["user_id"], anomaly["window_start"][11:16], anomaly["count"])
            for anomaly in final.values()
        ),
        final,
        by_arrival(chain.from_iterable(partitions.values())),
        sum(map(out_of_order, partitions.values())),
        verdict,
    )


def same(outcomes: Sequence[Outcome]) -> bool:
    """Whether replays of one log reported the same, whatever the pace and the order."""
    return all(replay.final.keys() == outcomes[0].final.keys() for replay in outcomes) and all(
        replay.by_event_time == outcomes[0].by_event_time for replay in outcomes
    )


def identical(outcomes: Sequence[Outcome]) -> bool:
    """Whether those that kept the order reported the same in every field."""
    kept = [replay.final for replay in outcomes if "--shuffle-within" not in replay.way.options]
    return all(final == kept[0] for final in kept)


def show(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print a row a replay."""
    table = Table("log", "replay", "out of order", "late", "verify", "by event time", "by minute of arrival")
    for replay in outcomes:
        table.add_row(
            replay.way.log,
            replay.way.name,
            f"{replay.out_of_order:,}",
            f"{replay.verdict['late']:,}",
            "ok" if replay.verdict["ok"] else "FAULTS",
            _most(replay.by_event_time),
            _most(replay.by_arrival),
            end_section=True,
        )
    console.print(table)


def _most(findings: Sequence[Finding]) -> str:
    if not findings:
        return "nobody"
    lines = [str(finding) for finding in sorted(findings, key=lambda finding: -finding.clicks)[:SHOWN]]
    more = len(findings) - len(lines)
    return "\n".join([*lines, f"and {more} more"] if more else lines)


async def experiment(console: Console) -> list[Outcome]:
    """Replay both logs in all ways."""
    outcomes = []
    with TemporaryDirectory(prefix="clickwarden-") as name:
        folder = Path(name)
        made = folder / "made-up.ndjson"
        made.write_text("\n".join(made_up()))
        with console.status("Starting Kafka") as status, Broker(folder / "kafka", port=0) as kafka:
            for number, way in enumerate(WAYS):
                status.update(f"{way.log}, {way.name}")
                file = made if way.log == MADE else SAMPLE
                outcomes.append(await outcome(kafka.bootstrap, folder / f"replay-{number}", way, file))
    return outcomes


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
def main(as_json: bool) -> None:
    """Run the experiment; exit code 1 where the replays of a log differ."""
    outcomes = asyncio.run(experiment(Console(stderr=True)))
    logs = [[replay for replay in outcomes if replay.way.log == log] for log in (MADE, SAMPLE.name)]
    if as_json:
        print(json.dumps([asdict(replay) for replay in outcomes], indent=2))
    else:
        console = Console(highlight=False)
        console.width = max(console.width, 120)
        show(outcomes, console)
        for log in logs:
            console.print(
                f"{log[0].way.log}: the same anomalies in all replays: {_answer(same(log))}; "
                f"in every field where the order was kept: {_answer(identical(log))}"
            )
    sys.exit(0 if all(same(log) and identical(log) for log in logs) else 1)


def _answer(holds: bool) -> str:
    return "yes" if holds else "NO"


def _clock(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%H:%M")


if __name__ == "__main__":
    main()
