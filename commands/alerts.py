"""``faust -A app alerts``: the incidents in the terminal."""

from collections.abc import Iterable
from contextlib import suppress

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError
from faust.cli import option
from rich.console import Console

from agents.status import GONE_SECONDS, Status, blindness_of, findings_of, unscored_of
from app.main import settings
from clickwarden.detection.anomaly import Anomaly
from clickwarden.errors import BrokerError, TopicMissing
from clickwarden.kafka import rights, roles
from clickwarden.kafka.reader import poll, reader, to_end
from commands.command import AsyncCommand
from commands.entries import Entries
from commands.terminal import describe

#: Of what workers say of themselves once a second, so much is read: of a hundred workers, ten seconds.
WORDS = 1000


class Alerts(AsyncCommand):
    """Show the incidents: who, when, how much and why; that heard of last at the end.

    Each is shown once, however many windows it lasts: the worst of them, and
    how many there are. It is shown again as it comes to 2, 5 and 20 times the
    threshold. Final figures (closed) replace what was known while a window was
    open (ongoing), and figures with the clicks that came late (corrected)
    replace those.
    """

    options = [  # noqa: RUF012
        option("--follow", is_flag=True, help="Go on with new ones as they come, until Ctrl-C."),
    ]

    async def run(self, follow: bool) -> None:
        """Print what the topic holds, and with ``follow`` what comes."""
        console = Console(highlight=False)
        latest: dict[str, Anomaly] = {}
        async with reader(settings, settings.anomalies_topic) as consumer:
            records = [record async for _, run in to_end(consumer) for record in run]
            entries = Entries()
            for entry in entries.hear(_news(sorted(records, key=lambda record: record.timestamp), latest)):
                console.print(describe(entry), soft_wrap=True)
            blind = await _blind()
            for why in blind:
                console.print(f"BLIND: {why}", style="bold red", markup=False, soft_wrap=True)
            if not blind and not latest:
                console.print("no anomalies yet")
            if follow:
                await _follow(consumer, latest, entries, console)


async def _blind() -> list[str]:
    """Why quiet would mean nothing, by what the workers said of themselves last."""
    try:
        async with reader(settings, settings.status_topic) as consumer:
            for partition, end in (await consumer.end_offsets(consumer.assignment())).items():
                begin = (await consumer.beginning_offsets([partition]))[partition]
                consumer.seek(partition, max(begin, end - WORDS))
            records = [record async for _, run in to_end(consumer) for record in run]
    except TopicMissing:
        return []  # no worker has said anything yet
    newest = max((record.timestamp for record in records), default=0)
    said: dict[str, Status] = {}
    for record in records:
        if newest - record.timestamp <= GONE_SECONDS * 1000:
            with suppress(msgspec.MsgspecError):
                status = msgspec.json.decode(record.value or b"", type=Status)
                said[status.worker] = status
    heard = list(said.values())
    blindness = blindness_of(heard, settings.blind_share)
    found = [blindness.text] if blindness is not None else []
    found += [finding.text for finding in findings_of(heard) if finding.blinds]
    return found + unscored_of(heard)


async def _follow(
    consumer: AIOKafkaConsumer, latest: dict[str, Anomaly], entries: Entries, console: Console
) -> None:
    away = False
    while True:
        try:
            batches = await poll(consumer)
        except KafkaError as error:
            cause = await rights.explain(settings, roles.reader(settings.anomalies_topic), error)
            if not isinstance(cause, BrokerError):
                raise cause from None
            if not away:
                console.print("Kafka does not answer; waiting for it", style="dim")
            away = True
            continue
        if away:
            console.print("Kafka is back", style="dim")
        away = False
        news = _news((record for run in batches.values() for record in run), latest)
        for entry in entries.hear(news):
            console.print(describe(entry), soft_wrap=True)


def _news(records: Iterable[ConsumerRecord], latest: dict[str, Anomaly]) -> list[Anomaly]:
    """Anomalies that say something new, in the order of their records; ``latest`` learns them."""
    news = []
    for record in records:
        try:
            anomaly = msgspec.json.decode(record.value or b"", type=Anomaly)
        except msgspec.MsgspecError:
            continue  # no record of ours; verify reports it
        known = latest.pop(anomaly.alert_id, None)
        if known is None or anomaly.rank > known.rank:
            latest[anomaly.alert_id] = anomaly
            news.append(anomaly)
        else:
            latest[anomaly.alert_id] = known
    return news
