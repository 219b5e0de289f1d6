"""Runs become batches of clicks, and every record keeps its place."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import psutil
import pytest
import uvloop
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from agents.decoding import BATCH_RECORDS, Decoding, decode
from clickwarden.errors import DecodingError
from clickwarden.formats.clicks import Decoder
from clickwarden.kafka.runs import Run

FIELDS = {name: name for name in ("user_id", "event", "product_id", "timestamp")}
DECODER = Decoder(FIELDS, skew=60.0)
T = 1_760_000_000_000


def batches(first: int, *sizes: int) -> bytes:
    """Record batches of so many clicks each, the first of all at offset ``first``."""
    raw = b""
    for size in sizes:
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 2**24)
        for number in range(size):
            value = b'{"user_id":"u%d","event":"view","timestamp":%d}' % (first + number, T)
            assert builder.append(number, T, None, value, [])
        batch = builder.build()
        raw += first.to_bytes(8) + bytes(batch[8:])
        first += size
    return raw


def users(run: Run) -> list[str]:
    return [batch.users[number] for batch, _ in decode(run, DECODER, 7) for number in batch.user]


def test_a_long_run_is_cut_into_batches_that_know_where_to_read_on() -> None:
    records = 2 * BATCH_RECORDS + 2
    decoded = list(decode(Run(batches(10, records), 10, 10 + records), DECODER, 7))
    assert [batch.size for batch, _ in decoded] == [BATCH_RECORDS, BATCH_RECORDS, 2]
    assert [next_offset for _, next_offset in decoded] == [
        10 + BATCH_RECORDS,
        10 + 2 * BATCH_RECORDS,
        10 + records,
    ]


def test_behind_the_last_record_the_run_goes_on() -> None:
    ((_, next_offset),) = decode(Run(batches(0, 3), 0, 9), DECODER, 7)
    assert next_offset == 9


def test_only_records_of_the_runs_own_offsets_are_in_it() -> None:
    run = Run(batches(100, 5, 5), 102, 108)
    assert users(run) == [f"u{offset}" for offset in range(102, 108)]
    assert users(run.between(104, 106)) == ["u104", "u105"]
    assert list(decode(Run(b"", 5, 9), DECODER, 7)) == []


def test_a_batch_that_is_not_what_was_written_is_an_error() -> None:
    raw = bytearray(batches(0, 3))
    raw[-3] ^= 1
    with pytest.raises(CorruptRecordException, match="offset 0"):
        list(decode(Run(bytes(raw), 0, 3), DECODER, 7))


def test_a_run_that_was_decoded_ahead_of_a_change_of_rules_is_read_again_with_its_fields() -> None:
    run = Run(batches(0, 3), 0, 3)
    assert [batch.columns for batch, _ in decode(run, DECODER, 7)] == [{}]
    again = run.reading(frozenset({"user_id", "plan"}))
    assert again is not run
    assert again.decoded is None
    ((batch, _),) = decode(again, DECODER, 7)
    assert batch.columns["user_id"].values == ["u0", "u1", "u2"]
    assert batch.columns["plan"].values == [None]
    assert again.reading(frozenset({"plan"})) is again
    assert again.between(1, 2).fields == again.fields
    assert [batch.columns for batch, _ in decode(run, DECODER, 7)] == [{}]


def process() -> psutil.Process | None:
    """The process of ours that decodes, where it runs."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "agents.decoding" in child.cmdline():
                return child
    return None


def new() -> Decoding:
    return Decoding(partial(Decoder, FIELDS, skew=60.0), 7, patience=60.0)


async def test_it_has_started_when_the_process_answers() -> None:
    decoding = new()
    serving, started = (asyncio.create_task(each) for each in (decoding.run(), decoding.started()))
    await asyncio.sleep(0)  # both begin, one of them with the process
    child = process()
    assert child
    child.suspend()
    assert not (await asyncio.wait([started], timeout=1))[0]
    child.resume()
    await started
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_is_submitted_to_a_process_that_was_killed_ends_in_what_befell_it(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def submit(decoding: Decoding, serving: "asyncio.Task[None]") -> None:
        raw = batches(0, 1)
        while not serving.done():
            decoding.submit(Run(raw, 0, 1))
            if child := process():
                child.kill()
            await asyncio.sleep(0)

    async def serve() -> None:
        decoding = new()
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(decoding.run())
            tasks.create_task(submit(decoding, serving))

    with asyncio.Runner(loop_factory=loop) as runner, pytest.raises(ExceptionGroup) as failed:
        runner.run(serve())
    (error,) = failed.value.exceptions
    assert isinstance(error, DecodingError)
    assert "was killed by signal 9" in str(error)
