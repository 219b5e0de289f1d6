"""The suite's proxies: what the two ends of a connection see of each condition."""

import asyncio
import socket
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from clickwarden.sandbox.broker import Forward
from clickwarden.sandbox.ports import HOST
from tests.chaos.proxy import CHUNK_BYTES, CUT, HALF_OPEN, STALLED, WHOLE, Condition, Proxy

SECONDS = 10.0
#: For so long nothing comes where nothing may.
SILENCE_SECONDS = 0.3
LETTER = bytes(range(256)) * 4096


class Server:
    """Sends everything back, and remembers it."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = asyncio.Event()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            self.heard += data
            writer.write(data)
        self.ended.set()
        writer.close()


@asynccontextmanager
async def _proxied() -> AsyncIterator[tuple[Proxy, Server, int]]:
    """A proxy before a server, and the port it listens on."""
    server = Server()
    async with await asyncio.start_server(server.serve, HOST, 0) as behind:
        forward = Forward(_free_port(), behind.sockets[0].getsockname()[1])
        async with Proxy(forward) as proxy:
            yield proxy, server, forward.port


async def _answer(reader: StreamReader, writer: StreamWriter, said: bytes) -> bytes:
    writer.write(said)
    async with asyncio.timeout(SECONDS):
        return await reader.readexactly(len(said))


async def _is_silent(reader: StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), SILENCE_SECONDS)
    except TimeoutError:
        return True
    return False


async def _has_ended(reader: StreamReader) -> bool:
    async with asyncio.timeout(SECONDS):
        try:
            return not await reader.read(1)
        except ConnectionError:
            return True


async def test_it_passes_everything_on_in_both_directions_and_the_end() -> None:
    async with _proxied() as (_, server, port):
        reader, writer = await asyncio.open_connection(HOST, port)
        assert await _answer(reader, writer, LETTER) == LETTER
        writer.close()
        await asyncio.wait_for(server.ended.wait(), SECONDS)


async def test_cut_it_ends_what_is_open_and_what_is_opened_until_it_is_whole() -> None:
    async with _proxied() as (proxy, server, port):
        before = await asyncio.open_connection(HOST, port)
        assert await _answer(*before, b"before") == b"before"
        proxy.become(CUT)
        assert await _has_ended(before[0])
        meanwhile = await asyncio.open_connection(HOST, port)
        meanwhile[1].write(b"meanwhile")
        assert await _has_ended(meanwhile[0])
        proxy.become(WHOLE)
        behind = await asyncio.open_connection(HOST, port)
        assert await _answer(*behind, b"behind") == b"behind"
        assert server.heard == b"beforebehind"
        for _, writer in (before, meanwhile, behind):
            writer.close()


async def test_half_open_it_swallows_what_is_said_without_a_word_and_then_ends_the_connection() -> None:
    async with _proxied() as (proxy, server, port):
        before = await asyncio.open_connection(HOST, port)
        assert await _answer(*before, b"before") == b"before"
        proxy.become(HALF_OPEN)
        meanwhile = await asyncio.open_connection(HOST, port)
        for reader, writer in (before, meanwhile):
            writer.write(b"swallowed")
            assert await _is_silent(reader)
        before[1].close()
        assert await _is_silent(meanwhile[0])
        assert not server.ended.is_set()
        proxy.become(WHOLE)
        assert await _has_ended(meanwhile[0])
        await asyncio.wait_for(server.ended.wait(), SECONDS)
        assert server.heard == b"before"
        meanwhile[1].close()


async def test_stalled_it_brings_everything_later_though_who_sent_it_has_gone() -> None:
    async with _proxied() as (proxy, server, port):
        reader, writer = await asyncio.open_connection(HOST, port)
        assert await _answer(reader, writer, b"before") == b"before"
        proxy.become(STALLED)
        writer.write(LETTER[: 2 * CHUNK_BYTES])
        assert await _is_silent(reader)
        writer.close()
        await writer.wait_closed()
        assert server.heard == b"before"
        proxy.become(WHOLE)
        await asyncio.wait_for(server.ended.wait(), SECONDS)
        assert server.heard == b"before" + LETTER[: 2 * CHUNK_BYTES]


@pytest.mark.parametrize("slow", [Condition(latency=0.2), Condition(bandwidth=5 * CHUNK_BYTES)])
async def test_slow_it_takes_its_time_in_each_direction(slow: Condition) -> None:
    async with _proxied() as (proxy, _, port):
        reader, writer = await asyncio.open_connection(HOST, port)
        proxy.become(slow)
        began = time.monotonic()
        said = LETTER[:CHUNK_BYTES]
        assert await _answer(reader, writer, said) == said
        assert time.monotonic() - began >= 0.4
        writer.close()


async def test_where_nobody_listens_behind_it_it_ends_the_connection() -> None:
    forward = Forward(_free_port(), _free_port())
    async with Proxy(forward):
        reader, writer = await asyncio.open_connection(HOST, forward.port)
        assert await _has_ended(reader)
        writer.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
