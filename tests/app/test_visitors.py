"""The page's port, on a real aiohttp server."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from app import visitors
from app.visitors import STRANGERS, Runner, Visitors
from web.page import login

#: What no browser sends to /login.
MALFORMED = (
    b"Content-Type: multipart/form-data\r\nContent-Length: 5\r\n\r\ntoken",
    b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9\r\n\r\n--x\r\n\r\n\r\n",
    b"Content-Type: application/x-www-form-urlencoded; charset=nope\r\nContent-Length: 1\r\n\r\nx",
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\ntoken=\xff",
    b"Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
    b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nxxxxx",
    b"Transfer-Encoding: chunked\r\n\r\nnope\r\n",
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"\xff\xfe: \x00\r\n\r\n",
)


class Port:
    """A port, and who is connected to it."""

    def __init__(self, number: int, visitors: Visitors) -> None:
        self.visitors = visitors
        self._number = number
        self._writers: list[StreamWriter] = []

    async def connect(self) -> tuple[StreamReader, StreamWriter]:
        """A connection that says nothing."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._number)
        self._writers.append(writer)
        return reader, writer

    async def ask(
        self, path: str = "/", method: str = "GET", rest: bytes = b"\r\n"
    ) -> tuple[int, StreamReader]:
        """Status of an answer on a connection that stays open."""
        reader, writer = await self.connect()
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + rest)
        return int((await reader.readline()).split()[1]), reader

    def close(self) -> None:
        """End the connections."""
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def listen(limit: int = 1000) -> AsyncIterator[Port]:
    """A port that lets in whoever asks for /known."""
    visitors = Visitors(limit)

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/known":
            visitors.admit(request)
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", answer)
    app.router.add_get("/known", answer)
    app.router.add_post("/login", login)
    runner = Runner(app, visitors)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = Port(runner.addresses[0][1], visitors)
    try:
        yield port
    finally:
        port.close()
        await runner.cleanup()


@pytest.mark.parametrize("rest", MALFORMED, ids=repr)
async def test_a_malformed_login_is_told_so_and_leaves_no_trace(
    rest: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with listen() as port:
        assert (await port.ask("/login", "POST", rest))[0] == 400
    assert not caplog.records


async def test_half_a_login_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async with listen() as port:
        _, writer = await port.connect()
        writer.write(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\ntok")
        await port.ask()
        port.close()
        while len(port.visitors):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert not caplog.records


async def test_who_says_nothing_makes_room_for_who_comes_next() -> None:
    async with listen() as port:
        status, known = await port.ask("/known")
        assert status == 200
        first, _ = await port.connect()
        for _ in range(3 * STRANGERS):
            await port.connect()
        assert (await port.ask())[0] == 200
        assert len(port.visitors) == STRANGERS + 1
        assert await first.read() == b""
        assert not known.at_eof()


async def test_beyond_the_limit_only_strangers_make_room() -> None:
    async with listen(limit=3) as port:
        readers = [(await port.ask("/known"))[1] for _ in range(3)]
        late, _ = await port.connect()
        assert await late.read() == b""
        assert len(port.visitors) == 3
        assert not any(reader.at_eof() for reader in readers)


async def test_a_closed_connection_is_held_no_more() -> None:
    async with listen() as port:
        await port.ask("/known")
        await port.connect()
        port.close()
        while len(port.visitors):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_silence_ends_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "ASK_SECONDS", 0.1)
    async with listen() as port:
        silent, _ = await port.connect()
        begun, writer = await port.connect()
        writer.write(b"GET / HT")
        _, answered = await port.ask()
        async with asyncio.timeout(10):
            await silent.read()
            await begun.read()
            await answered.read()
        assert not len(port.visitors)
