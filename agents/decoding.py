"""Decoding: from record batches to columns, in a process of its own.

A Python process runs one thread at a time. Half of a click's way, to unpack,
decode, number and hash it, needs no state; taking it beside the worker is
what a second core is good for.

A program: ``python -m agents.decoding FD``, with a socket at that descriptor.
It ends with the worker, however the worker ends.
"""

import asyncio
import gc
import pickle
import signal
import socket
import struct
import sys
from collections import deque
from math import ceil
from typing import Any

from app.clicks import Decoder
from app.runs import RUN_RECORDS, Run
from tables.batch import Batch

#: Batches of clicks, each with the offset to read on from behind it.
Decoded = list[tuple[Batch, int]]

#: More of a run's records are cut into several batches.
BATCH_RECORDS = 2 * RUN_RECORDS

#: Of a request: its length, first and next offset; of an answer: its length.
_REQUEST = struct.Struct("!QQQ")
_ANSWER = struct.Struct("!Q")


def decode(run: Run, decoder: Decoder, seed: int) -> Decoded:
    """The clicks of a run, hashed with ``seed``."""
    records = run.records
    if not records:
        return []
    size = ceil(len(records) / ceil(len(records) / BATCH_RECORDS))
    decoded = []
    for cut in range(0, len(records), size):
        batch = Batch(decoder.decode(records[cut : cut + size]))
        batch.hashes(seed)
        behind = cut + size
        decoded.append((batch, records[behind].offset if behind < len(records) else run.next_offset))
    return decoded


class Decoding:
    """The process, and the runs that are on their way through it.

    Args:
        names: field names of a click in the topic.
        skew: see :class:`app.clicks.Decoder`.
        seed: of the users' hashes.
    """

    def __init__(self, names: dict[str, str], skew: float, seed: int) -> None:
        self._make = (names, skew, seed)
        self._decoder = Decoder(names, skew)
        self._seed = seed
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: deque[asyncio.Future[Decoded]] = deque()

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            RuntimeError: the process ended.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            command = (sys.executable, "-m", __name__, str(theirs.fileno()))
            process = await asyncio.create_subprocess_exec(*command, pass_fds=[theirs.fileno()])
        reader, self._writer = await asyncio.open_connection(sock=ours)
        try:
            setup = pickle.dumps(self._make)
            self._writer.write(_REQUEST.pack(len(setup), 0, 0) + setup)
            while True:
                (size,) = _ANSWER.unpack(await reader.readexactly(_ANSWER.size))
                answer = await reader.readexactly(size)
                answered = self._waiting.popleft()
                if not answered.cancelled():
                    answered.set_result(pickle.loads(answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            status = await process.wait()
            raise RuntimeError(f"the decoding process ended with status {status}") from None
        finally:
            self._writer.close()
            self._writer = None
            self._waiting.clear()

    def submit(self, run: Run) -> None:
        """Decode a run ahead of its counting."""
        if self._writer is not None:
            run.decoded = asyncio.get_running_loop().create_future()
            self._waiting.append(run.decoded)
            self._writer.write(_REQUEST.pack(len(run.raw), run.first, run.next_offset) + run.raw)

    async def decoded(self, run: Run) -> Decoded:
        """What a run says: decoded here and now where it was not submitted."""
        if run.decoded is None:
            return decode(run, self._decoder, self._seed)
        found: Decoded = await run.decoded
        return found


def _serve(connection: Any) -> None:
    (size, *_) = _REQUEST.unpack(connection.read(_REQUEST.size))
    names, skew, seed = pickle.loads(connection.read(size))
    decoder = Decoder(names, skew)
    while request := connection.read(_REQUEST.size):
        size, first, next_offset = _REQUEST.unpack(request)
        run = Run(connection.read(size), first, next_offset)
        answer = pickle.dumps(decode(run, decoder, seed), pickle.HIGHEST_PROTOCOL)
        connection.write(_ANSWER.pack(len(answer)))
        connection.write(answer)
        connection.flush()


def main() -> None:
    """Decode what comes, until the worker has gone."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # the worker's to answer
        signal.signal(stop, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    with socket.socket(fileno=int(sys.argv[1])) as ours, ours.makefile("rwb") as connection:
        _serve(connection)


if __name__ == "__main__":
    main()
