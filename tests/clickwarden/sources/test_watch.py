"""What answers in the place of Kafka Connect may say anything, and late: it is not waited for, nor kept."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clickwarden.errors import AnswerError
from clickwarden.kafka.findings import Finding
from clickwarden.settings import Settings
from clickwarden.sources import debezium
from clickwarden.sources.captor import Captor, captured
from clickwarden.sources.connectors import LONGEST, TASKS, Connectors
from clickwarden.sources.watch import ASKED, WATCHED, Watch

TOPIC = "pg.public.customerorderstransactions"
#: Within which an operator learns of blindness, seconds.
SECONDS = 15.0
RUNS = {"connector": {"state": "RUNNING"}, "tasks": [{"id": 0, "state": "RUNNING"}]}

Answer = Callable[[str], Awaitable[Any]]


def config(listed: str = "public.customerorderstransactions", **more: str) -> dict[str, str]:
    """The settings of a connector as `register` writes them, changed."""
    settings = debezium.settings(
        "c",
        [listed],
        host="h",
        port=1,
        database="d",
        role="r",
        password="",
        prefix="pg",
        keys={},
        partitions=1,
        replication=1,
    )
    return settings | more


@asynccontextmanager
async def connect(answer: Answer) -> AsyncIterator[str]:
    """Where something answers so: bytes as they are, anything else as JSON."""

    async def answered(request: web.Request) -> web.Response:
        said = await answer(request.path)
        return web.Response(
            body=said if isinstance(said, bytes) else msgspec.json.encode(said),
            content_type="application/json",
        )

    app = web.Application()
    app.add_routes([web.get("/{path:.*}", answered)])
    server = TestServer(app)
    await server.start_server()
    yield str(server.make_url("/"))
    await server.close()


def honest(names: list[str], **more: str) -> Answer:
    async def answer(path: str) -> Any:
        if path == "/connectors":
            return names
        return config(**more) if path.endswith("/config") else RUNS

    return answer


def lying(end: str, said: Any) -> Answer:
    """One of which what ends so is answered by ``said``, and all else truly."""
    truly = honest(["c"])

    async def answer(path: str) -> Any:
        return said if path.endswith(end) else await truly(path)

    return answer


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[Watch]:
    """Watches, while no PostgreSQL is there."""
    settings = Settings(
        _env_file=None, connect_url=url, capture_database="postgresql://nobody@127.0.0.1:1/none"
    )
    watch = Watch(settings, [TOPIC])
    watching = asyncio.create_task(watch.watch())
    try:
        yield watch
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        await asyncio.sleep(0.01)


def of_connect(watch: Watch) -> list[Finding]:
    return [finding for finding in watch.findings if "PostgreSQL" not in finding.summary]


@pytest.mark.parametrize(
    ("listed", "is_captured"),
    [
        ("public.clicks_of_a_customer_in_all_shops", True),
        (r"public\.clicks_of_a_customer_in_all_shops", True),
        ("other.clicks, PUBLIC.Clicks_of_a_customer_in_all_shops,", True),
        (r"public.clicks,public\.clicks_of_a_customer_in_all_shops2,clicks.public", False),
        # What may capture it, for all that is known.
        ("", True),
        ("(((", True),
        ("public.*", True),
        (r"([a-z.]+)+\d", True),
        (r"(.*)*(.*)*(.*)*\d", True),
        ("other.x," * 2000, True),
    ],
)
@pytest.mark.timeout(20)
def test_a_list_of_tables_is_read_and_not_run(listed: str, is_captured: bool) -> None:
    table = "public.clicks_of_a_customer_in_all_shops"
    topics = [f"pg.{table}", f"other.{table}"]
    found = captured(config() | {"table.include.list": listed}, topics)
    assert found == ([f"pg.{table}"] if is_captured else [])


def test_who_captures_nothing_from_tables() -> None:
    assert captured(config() | {"connector.class": "org.apache.kafka.Mirror"}, [TOPIC]) == []
    assert captured({key: value for key, value in config().items() if key != "topic.prefix"}, [TOPIC]) == []


@pytest.mark.parametrize(
    ("every", "seconds"),
    [
        ("5000", 5.0),
        (" 1000 ", 1.0),
        ("0", 0.0),
        ("abc", 0.0),
        ("-1", 0.0),
        ("9" * 5000, 0.0),
        ("${a:b}", 0.0),
    ],
)
def test_an_interval_that_is_no_number_is_not_heard(every: str, seconds: float) -> None:
    found = Captor.of(config() | {"heartbeat.interval.ms": every}, [TOPIC])
    assert found is not None
    assert (found.interval, found.heartbeats, found.slot) == (seconds, "__debezium-heartbeat.pg", "c")


@pytest.mark.timeout(30)
async def test_a_regular_expression_does_not_stop_the_worker() -> None:
    hostile = lying("/config", config() | {"table.include.list": r"([a-z.]+)+\d"})
    async with connect(hostile) as url, watching(url) as watch:
        await until(lambda: watch.looked)
        assert [capture.topics for capture in watch.captures] == [[TOPIC]]
        assert of_connect(watch) == []


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("/connectors", b'[1,"a",null]'),
        ("/connectors", b"5"),
        ("/connectors", b""),
        ("/connectors", b"\xff\x00<html>"),
        ("/connectors", b"[" * 100_000),
        ("/connectors", ["x" * 1000] * 10_000),
        ("/connectors", [f"n{number}" for number in range(ASKED + 1)]),
        ("/connectors", [f"n{number}" for number in range(WATCHED + 1)]),
        ("/config", b"[1,2]"),
        ("/config", config() | {"junk": "x" * 10_000_000}),
        ("/status", b'{"connector":5,"tasks":{"a":1}}'),
        ("/status", {"connector": {"state": "F" * 10_000_000}, "tasks": []}),
    ],
)
async def test_what_is_no_answer_of_connect_is_blindness_and_is_not_kept(
    end: str, said: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(lying(end, said)) as url, watching(url) as watch:
        await until(lambda: watch.looked)
        (finding,) = of_connect(watch)
        assert finding.blinds
        assert finding.cure
        assert f"Kafka Connect at {url.rstrip('/')}" in finding.consequence
        assert len(msgspec.json.encode([watch.findings, watch.captures])) < 10_000
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_long_answer_is_told_in_short() -> None:
    states = [{"state": "RUNNING"}] * 1000 + [{"state": "FAILED", "trace": "why\n" + "x" * 100_000}]
    long = {"connector": {"state": "F\x1b" * 20_000}, "tasks": states}
    assert len(msgspec.json.encode(long)) < LONGEST
    async with connect(lying("/status", long)) as url, Connectors(url) as connectors:
        state = await connectors.state("c")
    assert (len(state.connector), len(state.tasks), state.tasks[0]) == (100, TASKS, "FAILED")
    assert state.connector.isprintable()
    assert state.trace == "why"
    async with connect(lying("/status", b"0" * (LONGEST + 1))) as url, Connectors(url) as connectors:
        with pytest.raises(AnswerError, match="longer than 256 KiB"):
            await connectors.state("c")


async def test_names_are_told_in_short() -> None:
    name = "n" * 5000
    async with connect(honest([name])) as url, watching(url) as watch:
        await until(lambda: watch.looked)
        assert [len(capture.connector) for capture in watch.captures] == [100]


async def test_many_slow_connectors_do_not_hold_up_a_look() -> None:
    """Each answers in time, and all of them together do not."""
    names, pause = [f"n{number:03}" for number in range(200)], 0.0
    truly = honest(names, **{"table.include.list": "public.other"})

    async def answer(path: str) -> Any:
        await asyncio.sleep(pause if path != "/connectors" else 0)
        return await truly(path)

    async with connect(answer) as url, watching(url) as watch:
        # Of a machine that is busy, the first look may have been too short.
        await until(
            lambda: [each.summary for each in of_connect(watch)] == [f"topic {TOPIC} is not captured"]
        )
        pause = 1.0
        await until(lambda: "Kafka Connect does not answer" in {each.summary for each in watch.findings})

    async with connect(answer) as url, watching(url) as watch:
        await until(lambda: watch.looked)
        (finding,) = of_connect(watch)
        assert finding.blinds
        assert "has not said in 3 s all that it was asked" in finding.text
