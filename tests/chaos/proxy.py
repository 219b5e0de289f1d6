"""A TCP proxy: the way from a worker to a node of Kafka, which can be disturbed."""

import asyncio
import math
from asyncio import StreamReader, StreamWriter, Task
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from clickwarden.sandbox.broker import Forward
from clickwarden.sandbox.ports import HOST

CHUNK_BYTES = 1 << 16


class Condition(NamedTuple):
    """What becomes of what is sent, in either direction.

    Attributes:
        cut: connections are closed, those that were open and those that are opened.
        swallows: connections are accepted and stay open, and nothing that is sent arrives, nor their
            end. When it is over they are closed: bytes are missing in the middle.
        holds: the same, but all of it arrives when it is over, like what TCP sends again.
        latency: seconds that a piece of at most :data:`CHUNK_BYTES` takes; the next one waits for it.
        bandwidth: bytes a second, in each direction of each connection.
    """

    cut: bool = False
    swallows: bool = False
    holds: bool = False
    latency: float = 0.0
    bandwidth: float = math.inf


WHOLE = Condition()
CUT = Condition(cut=True)
HALF_OPEN = Condition(swallows=True)
STALLED = Condition(holds=True)


class Proxy:
    """Takes connections at a port and passes them on, as its condition has it; for one event loop."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._condition = WHOLE
        self._passing = asyncio.Event()
        self._passing.set()
        self._connections: set[Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, self._forward.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.become(CUT)
        await asyncio.gather(*self._connections, return_exceptions=True)

    def become(self, condition: Condition) -> None:
        """Treat so what is sent from now on."""
        if condition.cut or self._condition.swallows:
            for connection in self._connections:
                connection.cancel()
        self._condition = condition
        if condition.swallows or condition.holds:
            self._passing.clear()
        else:
            self._passing.set()

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        opened = [writer]
        try:
            if not self._condition.cut:
                with suppress(OSError):  # the node is down
                    source, sink = await asyncio.open_connection(HOST, self._forward.target)
                    opened.append(sink)
                    await asyncio.gather(self._pass(reader, sink), self._pass(source, writer))
        finally:
            for each in opened:
                each.transport.abort()

    async def _pass(self, source: StreamReader, sink: StreamWriter) -> None:
        sink.transport.set_write_buffer_limits(0)  # what is drained has left
        with suppress(OSError):  # one of the ends has gone
            while data := await source.read(CHUNK_BYTES):
                if self._condition.swallows:
                    continue
                await asyncio.sleep(self._condition.latency + len(data) / self._condition.bandwidth)
                await self._passing.wait()
                sink.write(data)
                await sink.drain()
        await self._passing.wait()
        with suppress(OSError):
            sink.write_eof()  # the other direction may have more to say
