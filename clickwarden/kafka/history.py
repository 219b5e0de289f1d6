"""What a topic holds, as runs of records, up to what is its end now: for who reads it again."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from clickwarden.kafka.fetched import make_runs
from clickwarden.kafka.runs import Run

#: A fetch that brings nothing for so long may be one that nobody answers, seconds.
PATIENCE = 1.0

#: First offset, and the one behind the last, by partition.
Bounds = Mapping[TopicPartition, tuple[int, int]]


async def bounds(consumer: AIOKafkaConsumer, since: float | None = None) -> Bounds:
    """Where each partition begins and ends now, of a consumer in no group.

    Args:
        consumer: of :func:`clickwarden.kafka.reader.reader`.
        since: leave out what Kafka says is older, epoch seconds.
    """
    partitions = consumer.assignment()
    ends = await consumer.end_offsets(partitions)
    begins = await consumer.beginning_offsets(partitions)
    if since is not None:
        found = await consumer.offsets_for_times({tp: round(since * 1000) for tp in partitions})
        begins = {tp: found[tp].offset if found[tp] else ends[tp] for tp in partitions}
    return {tp: (min(begins[tp], ends[tp]), ends[tp]) for tp in partitions}


async def runs(consumer: AIOKafkaConsumer, bounds: Bounds) -> AsyncIterator[tuple[int, Run]]:
    """The runs within the bounds, with their partition; each partition's in order.

    Raises:
        KafkaError: Kafka does not answer.
    """
    for tp, (first, _) in bounds.items():
        consumer.seek(tp, first)
    fetcher, topics = consumer._fetcher, {tp.topic for tp in bounds}
    while behind := [tp for tp, (_, end) in bounds.items() if await consumer.position(tp) < end]:
        make_runs(fetcher, topics)
        with fetcher._subscriptions.fetch_context():
            fetched: Mapping[TopicPartition, list[Run]] = await fetcher.fetched_records(behind, timeout=0)
        for tp, found in fetched.items():
            end = bounds[tp][1]
            for run in found:
                if run.first < end:
                    yield tp.partition, run.between(run.first, min(run.next_offset, end))
        if not fetched:
            waiter = fetcher._create_fetch_waiter()
            await asyncio.wait([waiter], timeout=PATIENCE)
            if not waiter.done():
                waiter.cancel()
                await consumer.end_offsets(behind)  # which says that Kafka is away
