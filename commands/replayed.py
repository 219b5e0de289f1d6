"""``faust -A app replay --pipeline``: the records of files into the topic of a pipeline."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from rich.console import Console

from app.main import settings
from clickwarden.alerts.words import plural
from clickwarden.errors import SettingsError
from clickwarden.kafka import rights, roles, topics
from clickwarden.models.datafile import lines
from clickwarden.models.fields import NO_TIME
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records

#: Records that are sent before Kafka has acknowledged them.
AT_ONCE = 1_000


async def replayed(pipeline: Pipeline, files: Sequence[Path], speed: float | None, console: Console) -> None:
    """Send the records, keyed by the pipeline's key, as they stand in the files.

    Args:
        pipeline: of the topic, which is made where there is none.
        files: one after the other.
        speed: so many times faster than by the records' own times; None: as fast as Kafka takes them.
        console: to say on what became of them.

    Raises:
        SettingsError: the pipeline has no topic that records can be sent to, or a file cannot be read.
        BrokerError, AccessError: Kafka does not take them.
    """
    if not pipeline.topic:
        raise SettingsError(f"{pipeline.folder}/pipeline.toml: names no topic; add one, with key and time")
    if pipeline.format != "json":
        raise SettingsError(
            f"{pipeline.topic} is of a captured table (format of {pipeline.folder}/pipeline.toml); write to "
            "the table"
        )
    await topics.declare(settings, topics.scored(settings, pipeline.topic))
    began, sent = time.monotonic(), 0
    try:
        async with AIOKafkaProducer(
            **settings.client_options(), enable_idempotence=True, compression_type="lz4"
        ) as producer:
            pace = _Pace(speed)
            for values in _pieces(pipeline, files):
                records = Records.of_json(pipeline, values)
                rows = zip(values, records.keys, records.times.tolist(), strict=True)
                acknowledged = []
                for value, key, moment in rows:
                    if (wait := pace.wait(moment)) > 0:
                        await asyncio.sleep(wait)
                    name = None if key is None else key.encode(errors="replace")
                    acknowledged.append(await producer.send(pipeline.topic, value.rstrip(), name))
                await asyncio.gather(*acknowledged)
                sent += len(values)
    except KafkaError as error:
        raise await rights.explain(settings, roles.feeder(pipeline.topic), error) from error
    finally:
        took = time.monotonic() - began
        console.print(
            f"{plural(sent, 'record')} into the topic {pipeline.topic}; {took:.1f} s, {sent / took:,.0f} "
            "records/s"
        )


def _pieces(pipeline: Pipeline, files: Sequence[Path]) -> Iterator[list[bytes]]:
    for file in files:
        found = lines(file, pipeline)
        while piece := list(islice(found, AT_ONCE)):
            yield piece


class _Pace:
    """How long to wait before a record is sent; ``speed`` None: not at all."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._began: float | None = None

    def wait(self, moment: int) -> float:
        """Seconds; of a record of this moment, epoch milliseconds."""
        if self._speed is None or moment == NO_TIME:
            return 0.0
        due = moment / 1000 / self._speed
        if self._began is None:
            self._began = time.monotonic() - due
        return self._began + due - time.monotonic()
