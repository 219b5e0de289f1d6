"""What is counted behind a run that was cut short: nothing."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from agents.decoding import Decoded
from agents.partitions import Partition, Tables
from clickwarden.detection.rulebook import Rulebook
from clickwarden.detection.rules import Rule
from clickwarden.kafka.runs import Run
from clickwarden.settings import Settings
from tests.clickwarden.detection.reference import batch_of

T = 1_600_000_020  # start of a window of 60 s
APP: Any = SimpleNamespace(
    settings=Settings(_env_file=None),
    rules=[Rule(name="bot", window=60, threshold=50)],
    rulestopic=SimpleNamespace(book=Rulebook()),
    consumer_generation_id=1,
    consumer=SimpleNamespace(earliest_offsets=lambda tp: asyncio.sleep(0, {tp: 0})),
)
EMPTY: Any = SimpleNamespace(rows=lambda _: {})


class Decoders:
    """Decode ten clicks of a run; the first of them dies in the middle of it, and another takes its place."""

    def __init__(self) -> None:
        self.dies = True

    async def decoded(self, run: Run) -> AsyncIterator[Decoded]:
        yield batch_of([("ann", "view", None, float(T))] * 5), run.first + 5
        if self.dies:
            self.dies = False
            raise RuntimeError("the decoding process ended")
        yield batch_of([("ann", "view", None, float(T))] * 5), run.next_offset


def test_nothing_is_counted_or_kept_behind_a_run_that_was_cut_short() -> None:
    decoding: Any = Decoders()
    partition = Partition(APP, Tables(EMPTY, EMPTY), 0, decoding)

    async def count(first: int) -> None:
        await partition.take(Run(b"", first, first + 10))

    async def go_on() -> None:
        with pytest.raises(RuntimeError, match="the decoding process ended"):
            await count(0)
        # Faust restarts the agent, which takes the next run.
        with pytest.raises(RuntimeError, match="the run before was cut short"):
            await count(10)
        await partition.checkpoint()

    asyncio.run(go_on())
    assert (partition.detection.next_offset, partition.detection.accepted) == (5, 5)
