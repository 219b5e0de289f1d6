"""Server-sent events for everybody who has the page open.

What is sent is encoded and compressed once, and handed to each connection. A
connection's buffer is what the kernel has not taken yet; it is bounded, and
who reads too slowly is dropped: the browser comes back and names the last
event it has.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from time import monotonic

from aiohttp import web

from app.main import app
from web.live import following, stream
from web.now import encoded
from web.stream import Event, Stream, parse

log = logging.getLogger(__name__)

#: Between two sendings: more often costs each connection a call for each anomaly.
TICK_SECONDS = 0.25
#: Each is a system call, in the process that counts: the more listen, the longer the tick.
SENDS_A_SECOND = 400
#: Between two looks at what is going on now; and where there is news, which changes the verdict.
NOW_SECONDS = 1.0
NEWS_SECONDS = 0.5
#: Unsent bytes of a connection beyond which it is dropped.
BUFFER_BYTES = 1024 * 1024
#: Anomalies sent at once: a browser hears them in one task, and draws nothing meanwhile.
AT_ONCE = 200
#: Between such sendings, and how many of them there are at most where more has come.
PAUSE_SECONDS = 0.02
SENDINGS = 10
#: How long who comes back may wait for this worker to read what another had sent, and for its own buffer.
PATIENCE_SECONDS = 10.0

RETRY = b"retry: 1000\n\n"
#: What was missed is forgotten: ask for everything again.
RESET = b"event: reset\ndata: {}\n\n"

#: RFC 1952: deflate, no name, no time, unknown system.
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def deflated(text: bytes) -> bytes:
    """Blocks that stand for themselves, so that they can follow any others in a gzip stream (RFC 1951)."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH)


class Chunk:
    """A text, and the same compressed, made when first asked for."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._deflated = b""

    @property
    def deflated(self) -> bytes:
        """The text as a part of a gzip stream."""
        self._deflated = self._deflated or deflated(self.text)
        return self._deflated


class Listener:
    """One connection.

    Attributes:
        gone: set when it has ended.
        told: events of the stream that it was told of or had before; None while it catches up.
    """

    def __init__(self, request: web.Request) -> None:
        self.told: int | None = None
        self.gone = asyncio.Event()
        self._request = request
        self._gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        self.response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "X-Accel-Buffering": "no",
                "Vary": "Accept-Encoding",
            }
        )
        if self._gzip:
            self.response.headers["Content-Encoding"] = "gzip"

    async def begin(self) -> None:
        """Send the head of the answer."""
        self.response.force_close()
        await self.response.prepare(self._request)
        assert self._request.transport is not None
        # Beyond the bound, so that sending to all never waits for one.
        self._request.transport.set_write_buffer_limits(high=2 * BUFFER_BYTES)
        if self._gzip:
            await self.response.write(GZIP_HEADER)
        await self.send(Chunk(RETRY))

    async def send(self, chunk: Chunk) -> None:
        """Send, or drop the connection if it is gone or too slow."""
        transport = self._request.transport
        try:
            if transport is None or transport.get_write_buffer_size() > BUFFER_BYTES:
                raise ConnectionError("reads too slowly")
            await self.response.write(chunk.deflated if self._gzip else chunk.text)
        except ConnectionError as error:
            log.debug("A listener is dropped: %s", error)
            self.drop()

    def is_read(self) -> bool:
        """Whether the reader has taken what was sent, or most of it."""
        transport = self._request.transport
        return transport is None or transport.get_write_buffer_size() < BUFFER_BYTES // 2

    def drop(self) -> None:
        """End the connection, whatever is unsent."""
        self.gone.set()
        if self._request.transport is not None:
            self._request.transport.abort()


class Listeners:
    """The connections of everybody who listens.

    Args:
        stream: of the anomalies.
        loaded: set once what the topic held was read; until then nobody is told of it.
        now: what is going on, as JSON.
    """

    def __init__(self, stream: Stream, loaded: asyncio.Event, now: Callable[[], bytes]) -> None:
        self._stream = stream
        self._loaded = loaded
        self._now = now
        self._all: set[Listener] = set()
        self._told = 0

    def __len__(self) -> int:
        """How many listen."""
        return len(self._all)

    def __iter__(self) -> Iterator[Listener]:
        """The listeners, as they are now."""
        return iter(list(self._all))

    async def broadcast(self) -> None:
        """Tell all of them what is new, until cancelled."""
        looked = 0.0
        while True:
            await asyncio.sleep(max(TICK_SECONDS, len(self) / SENDS_A_SECOND))
            try:
                pause = NEWS_SECONDS if self._stream.count > self._told else NOW_SECONDS
                is_due = monotonic() >= looked + pause and bool(self._all)
                looked = monotonic() if is_due else looked
                await self._tell(self._look() if is_due else b"")
            except Exception:
                log.exception("The listeners were not told")

    async def _tell(self, now: bytes) -> None:
        told, self._told = self._told, self._stream.count
        listening = [listener for listener in self if listener.told is not None]
        if not listening:
            return
        events = list(self._stream.behind(told))
        together = [listener for listener in listening if listener.told == told]
        for listener in listening:
            had, listener.told = listener.told or 0, self._told
            if had != told:  # who has just caught up has had some of these
                await listener.send(Chunk(_text(self._stream.behind(had)) + now))
        size = max(AT_ONCE, -(-len(events) // SENDINGS))
        for first in range(0, max(1, len(events)), size):
            if first:
                await asyncio.sleep(PAUSE_SECONDS)
            is_last = first + size >= len(events)
            chunk = Chunk(_text(events[first : first + size]) + (now if is_last else b""))
            for listener in together if chunk.text else ():
                await listener.send(chunk)

    async def listen(self, listener: Listener, position: str | None) -> None:
        """Send what came behind a position, then all that comes, until the connection is gone."""
        await listener.begin()
        self._all.add(listener)
        try:
            while not self._loaded.is_set() and not listener.gone.is_set():
                await listener.send(Chunk(self._look()))
                await self._wait(listener, self._loaded.is_set, NOW_SECONDS)
            await self._catch_up(listener, position)
            await listener.gone.wait()
        finally:
            self._all.discard(listener)

    async def _catch_up(self, listener: Listener, position: str | None) -> None:
        """Send what came behind a position, or have the listener begin anew where that is forgotten."""
        stream = self._stream
        had = parse(position or "")
        if stream.has(had):
            # Another worker, whom it listened to before, may have read on further than this one.
            await self._wait(listener, lambda: stream.reaches(had))
        if stream.has(had) and stream.reaches(had):
            await self._send_missed(listener, had, stream.first)
        else:
            now, count = parse(stream.position), stream.count
            reset = b"" if position is None else RESET
            await listener.send(Chunk(b"id: %b\n\n" % stream.position.encode() + reset + self._look()))
            await self._send_missed(listener, now, count)

    async def _send_missed(self, listener: Listener, had: list[int], count: int) -> None:
        """Send the events since there were ``count`` of them, but for those before the offsets it had."""
        while count < self._stream.count and not listener.gone.is_set():
            if count < self._stream.first:  # forgotten while this one was reading: it begins anew
                listener.drop()
                return
            events = list(islice(self._stream.behind(count), AT_ONCE))
            count += len(events)
            text = _text(event for event in events if event.offset >= had[event.partition])
            if text:
                await listener.send(Chunk(text))
            await self._wait(listener, listener.is_read)
        listener.told = count

    async def _wait(
        self, listener: Listener, met: Callable[[], bool], seconds: float = PATIENCE_SECONDS
    ) -> None:
        until = monotonic() + seconds
        while not (met() or listener.gone.is_set() or monotonic() > until):  # noqa: ASYNC110 - of many
            await asyncio.sleep(TICK_SECONDS)

    def _look(self) -> bytes:
        return b"event: now\ndata: %b\n\n" % self._now()

    def drop(self) -> None:
        """End all connections."""
        for listener in self:
            listener.drop()


def _text(events: Iterable[Event]) -> bytes:
    return b"".join(event.text for event in events)


listeners = Listeners(stream, following.loaded, encoded)


async def _broadcasting(_: web.Application) -> AsyncIterator[None]:
    broadcasting = asyncio.create_task(listeners.broadcast())
    yield
    broadcasting.cancel()
    await asyncio.wait([broadcasting])


async def _end(_: web.Application) -> None:
    listeners.drop()


app.web.web_app.cleanup_ctx.append(_broadcasting)
app.web.web_app.on_shutdown.append(_end)
