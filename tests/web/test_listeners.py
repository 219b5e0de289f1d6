"""Server-sent events on a real aiohttp server."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import count

import msgspec
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from web.listeners import BUFFER_BYTES, Listener, Listeners
from web.stream import Stream


class Site:
    """A stream over two partitions, and who listens to it."""

    def __init__(self, keep: int = 1000) -> None:
        self.stream = Stream(keep)
        self.loaded = asyncio.Event()
        self.listeners = Listeners(self.stream, self.loaded, lambda: b'{"now":1}')
        for partition in 0, 1:
            self.stream.begin(partition, 0)
        self._offsets = count()

    def find(self, *names: str, partition: int = 0) -> None:
        """Anomalies, one after the other."""
        for name in names:
            self.stream.take(partition, next(self._offsets), msgspec.Raw(msgspec.json.encode(name)))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        listener = Listener(request)
        await self.listeners.listen(listener, request.headers.get("Last-Event-ID"))
        return listener.response


@asynccontextmanager
async def serving(site: Site) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    app.router.add_get("/", site.answer)
    broadcasting = asyncio.create_task(site.listeners.broadcast())
    try:
        async with asyncio.timeout(60), TestClient(TestServer(app)) as client:
            yield client
            site.listeners.drop()
    finally:
        broadcasting.cancel()
        await asyncio.wait([broadcasting])


async def events(answer: ClientResponse) -> AsyncGenerator[dict[str, str], None]:
    """The events of an answer, as a browser takes them apart."""
    fields: dict[str, str] = {}
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif fields:
            yield fields
            fields = {}


async def anomalies(answer: ClientResponse, last: str) -> list[str]:
    """The names of the anomalies up to this one."""
    names: list[str] = []
    async with aclosing(events(answer)) as found:
        async for event in found:
            if event.get("event") == "anomaly":
                names.append(msgspec.json.decode(event["data"]))
            if names and names[-1] == last:
                return names
    return names


async def position(answer: ClientResponse) -> str:
    """The first id."""
    async with aclosing(events(answer)) as found:
        async for event in found:
            if "id" in event:
                return event["id"]
    raise AssertionError("no id")


async def until_live(site: Site, listeners: int) -> None:
    while sum(each.told is not None for each in site.listeners) < listeners:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("encoding", ["gzip, deflate", "identity"])
async def test_who_comes_hears_what_comes(encoding: str) -> None:
    site = Site()
    site.loaded.set()
    site.find("before")
    async with serving(site) as client, client.get("/", headers={"Accept-Encoding": encoding}) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers.get("Content-Encoding") == ("gzip" if "gzip" in encoding else None)
        assert await position(answer) == "1-0"
        site.find("one", "two")
        site.find("three", partition=1)
        assert await anomalies(answer, "three") == ["one", "two", "three"]


async def test_who_comes_back_hears_what_was_missed_once() -> None:
    site = Site()
    site.loaded.set()
    site.find("a", "b")
    site.find("c", partition=1)
    async with serving(site) as client, client.get("/", headers={"Last-Event-ID": "1-0"}) as answer:
        site.find("d")  # perhaps while it catches up
        assert await anomalies(answer, "d") == ["b", "c", "d"]


async def test_nobody_hears_twice_what_was_found_between_two_sendings() -> None:
    site = Site()
    site.loaded.set()
    async with serving(site) as client:
        for number in range(20):
            # Found, and not yet told to anybody: the position is behind it already.
            site.find(f"old {number}")
            given = site.stream.position
            site.find(f"new {number}")
            async with client.get("/", headers={"Last-Event-ID": given}) as answer:
                site.find(f"last {number}")
                assert await anomalies(answer, f"last {number}") == [f"new {number}", f"last {number}"]


async def test_many_missed_ones_come_in_their_order() -> None:
    site = Site(keep=5000)
    site.loaded.set()
    site.find(*map(str, range(5000)))
    async with serving(site) as client, client.get("/", headers={"Last-Event-ID": "17-0"}) as answer:
        assert await anomalies(answer, "4999") == [str(number) for number in range(17, 5000)]


@pytest.mark.parametrize("given", ["0-0", "nonsense", "5", "5-0-0", "", "9" * 40 + "-0"])
async def test_who_comes_back_too_late_starts_anew(given: str) -> None:
    site = Site(keep=3)
    site.loaded.set()
    site.find("a", "b", "c", "d")
    async with serving(site) as client, client.get("/", headers={"Last-Event-ID": given}) as answer:
        async with aclosing(events(answer)) as found:
            said = [event async for event in _first(found, 3)]
        assert said == [{"retry": "1000"}, {"id": "4-0"}, {"event": "reset", "data": "{}"}]
        site.find("e")
        assert await anomalies(answer, "e") == ["e"]


async def _first(found: AsyncIterator[dict[str, str]], most: int) -> AsyncIterator[dict[str, str]]:
    for _ in range(most):
        yield await anext(found)


async def test_who_has_read_further_at_another_worker_waits_for_this_one() -> None:
    site = Site()
    site.loaded.set()
    site.find("a")
    async with serving(site) as client, client.get("/", headers={"Last-Event-ID": "2-0"}) as answer:
        site.find("b", "c")
        assert await anomalies(answer, "c") == ["c"]


async def test_while_loading_nobody_is_told_of_history() -> None:
    site = Site()
    async with serving(site) as client, client.get("/") as fresh:
        async with (
            client.get("/", headers={"Last-Event-ID": "1-0"}) as back,
            aclosing(events(fresh)) as found,
        ):
            assert [event async for event in _first(found, 2)] == [
                {"retry": "1000"},
                {"event": "now", "data": '{"now":1}'},
            ]
            site.find("a", "b")
            site.loaded.set()
            await until_live(site, 2)
            site.find("c")
            assert await anomalies(back, "c") == ["b", "c"]
        assert await anomalies(fresh, "c") == ["c"]


async def test_a_slow_reader_is_dropped_and_nobody_waits_for_it() -> None:
    site = Site()
    site.loaded.set()
    async with serving(site) as client, client.get("/") as quick:
        slow = socket.create_connection((client.host, client.port))
        with slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")  # and never reads
            await until_live(site, 2)
            received = 0
            while len(site.listeners) == 2:
                names = [f"{number}" * 50_000 for number in range(10)]
                site.find(*names)
                assert await anomalies(quick, names[-1]) == names
                received += sum(map(len, names))
                assert received < 20 * BUFFER_BYTES
            assert received >= BUFFER_BYTES
            site.find("last")
            assert await anomalies(quick, "last") == ["last"]


async def test_who_left_is_forgotten() -> None:
    site = Site()
    site.loaded.set()
    async with serving(site) as client:
        async with client.get("/"):
            await until_live(site, 1)
        while len(site.listeners):  # noqa: ASYNC110 - found out when it is told next
            await asyncio.sleep(0.01)
