"""Decoding: from record batches to columns, in a process of its own.

A Python process runs one thread at a time. Half of a click's way, to unpack,
decode, number and hash it, needs no state; taking it beside the worker is
what a second core is good for.

A program: ``python -m agents.decoding FD``, with a socket at that descriptor.
It ends with the worker, however the worker ends.
"""

import asyncio
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from agents import garbage
from clickwarden.detection.batch import Batch
from clickwarden.errors import DecodingError, SchemasMissing
from clickwarden.formats.clicks import Decoder
from clickwarden.formats.fields import Record
from clickwarden.kafka.runs import RUN_RECORDS, Run

#: A batch of clicks, and the offset to read on from behind it.
Decoded = tuple[Batch, int]
#: What the process says of a run; None: that was all.
_Answer = Decoded | SchemasMissing | None

#: More of a run's records, or of the things that they hold, become several batches.
BATCH_RECORDS = 2 * RUN_RECORDS

#: How long the process may take to start, on whatever machine.
START_SECONDS = 60.0

#: Of a request: lengths of what there is to know of the run and of it, its first and next offset; of an
#: answer: its length, 0 at the end of a run, and once when the process has started.
_REQUEST = struct.Struct("!QQQQ")
_ANSWER = struct.Struct("!Q")


def decode(run: Run, decoder: Decoder, seed: int) -> Iterator[Decoded]:
    """The clicks of a run, hashed with ``seed``.

    Raises:
        SchemasMissing: records behind what was yielded are of schemas that are not known.
    """
    decoder.want(run.fields)
    with decoder.knowing(run.answers):
        yield from _decode(run, decoder, seed)


def _decode(run: Run, decoder: Decoder, seed: int) -> Iterator[Decoded]:
    unpacked = run.unpack()
    records = list(islice(unpacked, BATCH_RECORDS))
    while records:
        following = list(islice(unpacked, BATCH_RECORDS))
        end = following[0].offset if following else run.next_offset
        taken = 0
        for clicks in decoder.parts(records, BATCH_RECORDS):
            batch = Batch(clicks, run.fields)
            batch.hashes(seed)
            taken += batch.taken
            yield batch, records[taken].offset if taken < len(records) else end
        records = following


class Decoding:
    """The process, and the runs that are on their way through it.

    Args:
        make: makes the decoder, here and in the process.
        seed: of the users' hashes.
        patience: seconds without an answer after which the process is taken for frozen.
    """

    def __init__(self, make: Callable[[], Decoder], seed: int, patience: float) -> None:
        self._setup = pickle.dumps((make, seed))
        self._decoder = make()
        self._seed = seed
        self._patience = patience
        self._answers = 0
        self._started = asyncio.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: deque[asyncio.Queue[_Answer]] = deque()

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            DecodingError: the process ended, or does not start.
        """
        near, far = socket.socketpair()
        with far:
            self._process = _launch(far)
        try:
            reader, self._writer = await asyncio.open_connection(sock=near)
            self._writer.write(_REQUEST.pack(len(self._setup), 0, 0, 0) + self._setup)
            await self._start(reader)
            while True:
                (size,) = _ANSWER.unpack(await reader.readexactly(_ANSWER.size))
                answer = await reader.readexactly(size)
                self._answers += 1
                if size:
                    self._waiting[0].put_nowait(pickle.loads(answer))
                else:
                    self._waiting.popleft().put_nowait(None)
        except (asyncio.IncompleteReadError, ConnectionError):
            status = await asyncio.to_thread(self._process.wait)
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise DecodingError(
                f"the decoding process {how}; what it had is counted at the next start"
            ) from None
        finally:
            if self._writer is None:
                near.close()
            else:
                self._writer.close()
            self._writer = None
            self._kill()
            await asyncio.to_thread(self._process.wait)

    async def _start(self, reader: asyncio.StreamReader) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                await reader.readexactly(_ANSWER.size)
        except TimeoutError:
            raise DecodingError(f"the decoding process did not start within {START_SECONDS:.0f} s") from None
        self._started.set()

    async def started(self) -> None:
        """Wait until the process answers: on a busy machine its start takes longer than ``patience``."""
        await self._started.wait()

    def _kill(self) -> None:
        """End the process, which may be frozen and would outlive the worker."""
        if self._process is not None:
            self._process.kill()

    def elements(self, record: Record) -> list[bytes]:
        """The several things in a record, each as it stands there."""
        return self._decoder.elements(record)

    def submit(self, run: Run) -> None:
        """Decode a run ahead of its counting."""
        with self._decoder.knowing(run.answers):
            pass  # so that elements can be taken out of it here, too
        if self._writer is not None:
            run.decoded = asyncio.Queue()
            self._waiting.append(run.decoded)
            known = pickle.dumps((run.answers, run.fields)) if run.answers or run.fields else b""
            sizes = len(known), len(run.raw)
            if not self._writer.is_closing():  # else nobody answers, and what serves says why
                self._writer.write(_REQUEST.pack(*sizes, run.first, run.next_offset) + known + run.raw)

    async def decoded(self, run: Run) -> AsyncIterator[Decoded]:
        """What a run says: decoded here and now where it was not submitted.

        Raises:
            DecodingError: the process does not answer. It has to be noticed before
                Kafka gives the partition, which cannot be checkpointed while a run
                is being counted, to another worker.
            SchemasMissing: records behind what was yielded are of schemas that are
                not known.
        """
        if run.decoded is None:
            for decoded in decode(run, self._decoder, self._seed):
                yield decoded
            return
        while (found := await self._next(run.decoded)) is not None:
            if isinstance(found, SchemasMissing):
                raise found
            yield found

    async def _next(self, decoded: asyncio.Queue[_Answer]) -> _Answer:
        while True:
            answers = self._answers
            try:
                async with asyncio.timeout(self._patience):
                    return await decoded.get()
            except TimeoutError:
                if answers == self._answers:
                    self._kill()
                    raise DecodingError(
                        f"the decoding process has not answered for {self._patience:.0f} s; what it had is "
                        "counted at the next start"
                    ) from None


def _launch(far: socket.socket) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", __name__, str(far.fileno()))
    # A terminal's Ctrl-C is the worker's to answer, also while this one starts.
    return subprocess.Popen(command, pass_fds=[far.fileno()], process_group=0)


class _Gone(Exception):
    """The worker has gone, perhaps in the middle of a request."""


def _read(connection: Any, size: int) -> bytes:
    read: bytes = connection.read(size)
    if len(read) < size:
        raise _Gone
    return read


def _serve(connection: Any) -> None:
    (size, _, _, _) = _REQUEST.unpack(_read(connection, _REQUEST.size))
    make, seed = pickle.loads(_read(connection, size))
    decoder = make()
    connection.write(_ANSWER.pack(0))
    connection.flush()
    while True:
        known, size, first, next_offset = _REQUEST.unpack(_read(connection, _REQUEST.size))
        answers, fields = pickle.loads(_read(connection, known)) if known else ({}, frozenset())
        run = Run(_read(connection, size), first, next_offset)
        run.answers, run.fields = answers, fields
        for answer in _answers(run, decoder, seed):
            pickled = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
            connection.write(_ANSWER.pack(len(pickled)))
            connection.write(pickled)
        connection.write(_ANSWER.pack(0))
        connection.flush()


def _answers(run: Run, decoder: Decoder, seed: int) -> Iterator[Decoded | SchemasMissing]:
    try:
        yield from decode(run, decoder, seed)
    except SchemasMissing as missing:
        yield missing


def main() -> None:
    """Decode what comes, until the worker has gone."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # the worker's to answer
        signal.signal(stop, signal.SIG_IGN)
    garbage.tune()
    with (
        suppress(ConnectionError, _Gone),
        socket.socket(fileno=int(sys.argv[1])) as worker,
        worker.makefile("rwb") as connection,
    ):
        _serve(connection)


if __name__ == "__main__":
    main()
