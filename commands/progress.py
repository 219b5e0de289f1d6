"""A topic read to its end, with a progress bar."""

from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from rich.progress import Progress

from clickwarden.kafka.reader import to_end


async def read(
    consumer: AIOKafkaConsumer, what: str, progress: Progress
) -> AsyncIterator[tuple[int, list[ConsumerRecord]]]:
    """The records of each partition, some at a time."""
    partitions = consumer.assignment()
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    task = progress.add_task(what, total=sum(ends.values()) - sum(begins.values()))
    async for partition, run in to_end(consumer):
        yield partition, run
        progress.advance(task, len(run))
