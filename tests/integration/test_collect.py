"""Clicks over HTTP: what is answered with success is in the topic once, and nothing else is.

KILLS=20 kills the collector so often, SEED= repeats the moments of a run before.
"""

import asyncio
import contextlib
import gzip
import itertools
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from app.visitors import STRANGERS
from clickwarden.formats.clients import Clients
from clickwarden.guesses import BURST
from clickwarden.settings import Settings
from clickwarden.sources import collector
from clickwarden.sources.collector import BODY_MAX, CLICKS_MAX, PIXEL, Collector
from clickwarden.sources.door import BURST_SECONDS
from clickwarden.sources.keys import Keys
from clickwarden.sources.producer import ClickProducer
from tests.collecting import arrived, command, own
from tests.site import inherited

KILLS = int(os.environ.get("KILLS", "3"))
SEED = int(os.environ.get("SEED", secrets.randbelow(10_000)))
NOWHERE = "127.0.0.1:9"
TOKEN = "c0ffee" * 6
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SHOP = "https://shop.example"


class Port(NamedTuple):
    """A collector that answers."""

    url: str
    producer: ClickProducer
    asked: aiohttp.ClientSession

    async def post(self, body: Any, query: str = "", **headers: str) -> tuple[int, Any]:
        """Status and content of the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.asked.post(f"{self.url}/clicks{query}", data=data, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None


@asynccontextmanager
async def collecting(settings: Settings, *proxies: str, ipv6_prefix: int = 128) -> AsyncIterator[Port]:
    """A collector; when it is left, Kafka has what it took."""
    async with ClickProducer(settings) as producer, aiohttp.ClientSession() as asked:
        made = Collector(settings, producer, Clients(proxies, ipv6_prefix), lambda _: None)
        runner = web.AppRunner(made.application, auto_decompress=False, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield Port(f"http://127.0.0.1:{runner.addresses[0][1]}", producer, asked)
        finally:
            await runner.cleanup()


# -- what is taken ------------------------------------------------------------------------------------


async def test_a_click_an_array_lines_and_a_pixel_arrive(kafka: str, tmp_path: Path) -> None:
    settings = own(kafka, tmp_path)
    began = time.time()
    async with collecting(settings) as port:
        assert await port.post({"user_id": "ann", "event": "view", "product_id": "p"}) == (204, None)
        bodies = [
            [{"user_id": 7, "event": "view", "timestamp": 1_600_000_000}] * 2,
            b'{"user_id":"bob","event":"login"}\n\n{"user_id":"bob","event":"view"}\r\n',
            b'{\n "user_id": "eve",\n "event": "view"\n}\n',
            {"records": [{"user_id": "joe", "event": "view"}]},
            [],
        ]
        for body in bodies:
            assert await port.post(body) == (204, None)
        query = "?user_id=pix&event=view&product_id=p%26q&timestamp=1600000000.5&more=1"
        async with port.asked.get(f"{port.url}/pixel.gif{query}") as answer:
            assert (answer.status, await answer.read()) == (200, PIXEL)
            assert answer.headers["Cache-Control"] == "no-store"
        assert port.producer.sent == 8
    clicks = await arrived(settings)
    assert Counter(click["user_id"] for click in clicks) == {
        "ann": 1, "7": 2, "bob": 2, "eve": 1, "joe": 1, "pix": 1,
    }  # fmt: skip
    (pixel,) = (click for click in clicks if click["user_id"] == "pix")
    assert pixel == {"user_id": "pix", "event": "view", "timestamp": 1_600_000_000.5, "product_id": "p&q"}
    assert [click["event"] for click in clicks if click["user_id"] == "bob"] == ["login", "view"]
    assert {click["timestamp"] for click in clicks if click["user_id"] == "7"} == {1_600_000_000}
    (ann,) = (click for click in clicks if click["user_id"] == "ann")
    assert began - 1 < ann["timestamp"] <= time.time()


async def test_fields_go_by_the_names_of_the_settings(kafka: str, tmp_path: Path) -> None:
    names = {
        "field_user_id": "who.id|uid|@key",
        "field_timestamp": "at|@timestamp",
        "field_event": "what|@key",
    }
    settings = own(kafka, tmp_path, **names)
    async with collecting(settings) as port:
        assert (await port.post({"who": {"id": "a"}, "what": "view", "at": "2020-09-13T12:26:40Z"}))[0] == 204
        assert (await port.post({"uid": "b", "what": "view"}))[0] == 204
        assert (await port.post({"what": "view"}))[0] == 204
        assert (await port.post({"uid": "b"}))[0] == 400
    clicks = await arrived(settings)
    assert {click["who.id"] for click in clicks} == {"a", "b", "127.0.0.1"}
    assert min(click["at"] for click in clicks) == 1_600_000_000


@pytest.mark.parametrize(
    ("body", "reason", "number"),
    [
        ([{"event": "view"}] * 3 + [{"user_id": "u"}, {}], "missing_field", 3),
        (b'{"event":"view"}\n\nnonsense\n', "not_json", 1),
        ({"records": [{"event": "view"}, {"event": 1}]}, "wrong_field", 1),
        ([{"event": "view", "user_id": "u" * 257}], "huge_user_id", 0),
        ([{"event": "view", "timestamp": 4e9}], "future", 0),
        ([{"event": "view", "timestamp": "yesterday"}], "bad_timestamp", 0),
        (b"", "not_json", 0),
        (b'{"event":"\xff"}', "not_json", 0),
        (b'{"event":"view","more":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not_json", 0),
        (b"[" * 100_000, "not_json", 0),
        (b'["view"]', "not_object", 0),
        (b"user_id=u&event=view", "not_json", 0),
    ],
)
async def test_a_wrong_click_is_named_and_nothing_of_its_request_taken(
    kafka: str, tmp_path: Path, body: Any, reason: str, number: int
) -> None:
    async with collecting(own(kafka, tmp_path)) as port:
        good = [port.post([{"user_id": "u", "event": "view"}] * 10) for _ in range(3)]
        (status, told), *others = await asyncio.gather(port.post(body), *good)
        assert (status, told["reason"], told["click"]) == (400, reason, number)
        assert others == [(204, None)] * 3
        assert port.producer.sent == 30


async def test_a_request_has_a_size(kafka: str, tmp_path: Path) -> None:
    async with collecting(own(kafka, tmp_path, collect_token=TOKEN)) as port:
        click = {"user_id": "u", "event": "view"}
        assert (await port.post([click] * CLICKS_MAX, **BEARER))[0] == 204
        assert (await port.post([click] * (CLICKS_MAX + 1), **BEARER))[0] == 413
        assert (await port.post(b" " * (BODY_MAX + 1), **BEARER))[0] == 413

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b" " * (BODY_MAX // 8)

        async with port.asked.post(f"{port.url}/clicks", data=endless(), headers=BEARER) as answer:
            assert answer.status == 413
        bomb = gzip.compress(b" " * 100_000_000)
        assert (await port.post(bomb, **BEARER, **{"Content-Encoding": "gzip"}))[0] == 415
        assert port.producer.sent == CLICKS_MAX


async def test_a_body_that_does_not_come_is_not_waited_for(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "BODY_SECONDS", 0.2)
    async with collecting(own(kafka, tmp_path)) as port:
        stream, writer = await asyncio.open_connection("127.0.0.1", int(port.url.rpartition(":")[2]))
        writer.write(b"POST /clicks HTTP/1.1\r\nHost: c\r\nContent-Length: 100\r\n\r\n{")
        assert (await asyncio.wait_for(stream.readline(), 30)).startswith(b"HTTP/1.1 408 ")
        writer.close()


# -- who may send, and how much -----------------------------------------------------------------------


async def test_servers_have_the_token_and_guesses_are_counted(kafka: str, tmp_path: Path) -> None:
    async with collecting(own(kafka, tmp_path, collect_token=TOKEN, collect_rate=1)) as port:
        click = {"user_id": "u", "event": "view"}
        for _ in range(3 * BURST_SECONDS):
            assert (await port.post(click, **BEARER))[0] == 204
        assert (await port.post(click))[0] == 401
        wrong = {"Authorization": "Bearer " + TOKEN.upper()}
        answers = Counter([(await port.post(click, **wrong))[0] for _ in range(2 * BURST)])
        assert answers[429] >= BURST - 2  # some may be looked at again by the end
        assert (await port.post(click, **BEARER))[0] == 429
        assert port.producer.sent == 3 * BURST_SECONDS


async def test_pages_of_an_origin_have_a_key(kafka: str, tmp_path: Path) -> None:
    keys = Keys(TOKEN)
    key = f"?key={keys.make(SHOP, 1)}"
    click = {"user_id": "u", "event": "view"}
    async with collecting(own(kafka, tmp_path, collect_token=TOKEN)) as port:
        assert (await port.post(click, key, Origin=SHOP))[0] == 204
        assert (await port.post(click, key, Origin="https://shop.example.evil"))[0] == 403
        assert (await port.post(click, key, Origin="null"))[0] == 403
        assert (await port.post(click, key))[0] == 403
        assert (await port.post(click, f"?key={keys.make(SHOP, -1)}", Origin=SHOP))[0] == 403
        assert (await port.post(click, f"?key={Keys('another').make(SHOP, 1)}", Origin=SHOP))[0] == 403
        assert (await port.post(click, "?key=9999999999.\u20ac", Origin=SHOP))[0] == 403
        pixel = f"{port.url}/pixel.gif{key}&event=view"
        async with port.asked.get(pixel, headers={"Referer": f"{SHOP}/cart?id=1"}) as answer:
            assert answer.status == 200
        async with port.asked.get(pixel) as answer:
            assert answer.status == 403
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        async with port.asked.options(f"{port.url}/clicks{key}", headers={"Origin": SHOP} | asks) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == SHOP
            assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
        async with port.asked.options(f"{port.url}/clicks{key}", headers={"Origin": "http://x"}) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert port.producer.sent == 2


async def test_a_client_has_a_rate_and_others_have_theirs(kafka: str, tmp_path: Path) -> None:
    settings = own(kafka, tmp_path, collect_rate=2)
    async with collecting(settings, "127.0.0.1") as port:

        async def send(address: str, clicks: int = 1) -> int:
            forwarded = {"X-Forwarded-For": f"192.0.2.66, {address}"}
            return (await port.post([{"event": "view"}] * clicks, **forwarded))[0]

        assert await send("203.0.113.7", 40) == 204  # more than is left, which has to come back first
        async with port.asked.post(
            f"{port.url}/clicks", data=b'{"event":"view"}', headers={"X-Forwarded-For": "203.0.113.7"}
        ) as answer:
            assert answer.status == 429
            assert 1 <= int(answer.headers["Retry-After"]) <= 11
            assert "203.0.113.7" in (await answer.json())["error"]
        assert await send("203.0.113.8") == 204
        assert await send("2001:db8::1", 40) == 204
        assert await send("2001:db8::2") == 429
        assert await send("2001:db8:0:1::2") == 204
    assert Counter(click["user_id"] for click in await arrived(settings)) == {
        "203.0.113.7": 40,
        "203.0.113.8": 1,
        "2001:db8::1": 40,
        "2001:db8:0:1::2": 1,
    }


async def test_the_client_is_found_by_the_rules_of_logs(
    kafka: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = own(kafka, tmp_path)
    made_up = {"X-Forwarded-For": "203.0.113.9"}
    async with collecting(settings) as port:
        for _ in range(2):
            assert (await port.post({"event": "view"}, **made_up))[0] == 204
    assert [told for told in caplog.messages if "--trusted-proxies" in told] == [
        "127.0.0.1 sends X-Forwarded-For, which is not read: if that is a proxy of yours, name it with "
        "--trusted-proxies, or all who come through it are one client"
    ]
    async with collecting(settings, "127.0.0.1", ipv6_prefix=56) as port:
        made_up = {"X-Forwarded-For": f"{'192.0.2.6, ' * 600}2001:db8:0:1ff::1"}
        assert (await port.post({"event": "view"}, **made_up))[0] == 204
    assert {click["user_id"] for click in await arrived(settings)} == {"127.0.0.1", "2001:db8:0:100::/56"}


async def test_figures_are_for_those_with_the_token(kafka: str, tmp_path: Path) -> None:
    async with collecting(own(kafka, tmp_path, collect_token=TOKEN)) as port:
        await port.post([{"user_id": "u", "event": "view"}] * 3, **BEARER)
        await port.post({"user_id": "u"}, **BEARER)
        async with port.asked.get(f"{port.url}/metrics") as answer:
            assert answer.status == 401
        async with port.asked.get(f"{port.url}/metrics", headers=BEARER) as answer:
            figures = (await answer.text()).splitlines()
        assert "clickwarden_collect_clicks_total 3.0" in figures
        assert 'clickwarden_collect_refused_total{reason="missing_field"} 1.0' in figures
        async with port.asked.get(f"{port.url}/health") as answer:
            assert answer.status == 200
        async with port.asked.get(f"{port.url}/elsewhere") as answer:
            assert answer.status == 404
            assert "aiohttp" not in answer.headers["Server"]


# -- what dies ----------------------------------------------------------------------------------------


class Ended(Exception):
    """Leaves a producer at once, with Kafka away."""


async def test_a_full_disk_takes_nothing_that_it_cannot_keep(kafka: str, tmp_path: Path) -> None:
    settings = own(kafka, tmp_path, outbox_quota=1, collect_token=TOKEN)
    away = settings.model_copy(update={"broker": f"kafka://{NOWHERE}"})
    taken: list[str] = []
    with contextlib.suppress(Ended):
        async with collecting(away) as port:
            for number in itertools.count():
                click = {"user_id": f"u{number}", "event": "view", "product_id": "x" * 8000}
                async with port.asked.post(f"{port.url}/clicks", json=click, headers=BEARER) as answer:
                    if answer.status == 503:
                        assert int(answer.headers["Retry-After"]) > 0
                        assert "QUOTA" not in await answer.text()
                        break
                    assert answer.status == 204
                    taken.append(f"u{number}")
            raise Ended
    assert len(taken) > 50
    async with collecting(settings) as port:
        assert port.producer.left == len(taken)
        await port.producer.flush()
        assert (await port.post({"user_id": "after", "event": "view"}, **BEARER))[0] == 204
    assert sorted(click["user_id"] for click in await arrived(settings)) == sorted([*taken, "after"])


class Shoppers:
    """Connections that click as fast as they are answered, and what they were promised."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.promised: list[tuple[str, int]] = []
        self.unknown = 0
        self.answered = asyncio.Event()

    async def click(self, user: str, size: int) -> None:
        """Send so many clicks at once, again and again, until the connection is lost."""
        stream, writer = await asyncio.open_connection("127.0.0.1", self._port)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            for first in itertools.count(0, size):
                numbers = range(first, first + size)
                clicks = [{"user_id": user, "event": "view", "product_id": number} for number in numbers]
                body = json.dumps(clicks).encode()
                self.unknown += size
                head = f"POST /clicks HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer {TOKEN}\r\n"
                writer.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                answer = await stream.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 204 "), answer
                self.promised += [(user, number) for number in numbers]
                self.unknown -= size
                self.answered.set()
        writer.close()


async def test_a_collector_killed_under_load_loses_nothing_and_doubles_nothing(
    kafka: str, tmp_path: Path
) -> None:
    print(f"SEED={SEED} KILLS={KILLS}")
    chance = random.Random(SEED)
    settings = own(kafka, tmp_path, collect_token=TOKEN)
    promised: Counter[tuple[str, int]] = Counter()
    unknown = 0
    for life in range(KILLS):
        shoppers = Shoppers(settings.collect_port)
        with command(settings, tmp_path) as process:
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(shoppers.click(f"shopper-{life}-{number}", 1))
                for number in range(4):
                    group.create_task(shoppers.click(f"crowd-{life}-{number}", 50))
                await asyncio.wait_for(shoppers.answered.wait(), 30)
                await asyncio.sleep(chance.uniform(0, 1.5))
                process.kill()
        assert process.returncode == -signal.SIGKILL
        promised.update(shoppers.promised)
        unknown += shoppers.unknown
    async with ClickProducer(settings) as last:
        await last.flush()
    clicks = await arrived(settings)
    found = Counter((click["user_id"], click["product_id"]) for click in clicks)
    lost, doubled = promised - found, sum(times - 1 for times in found.values())
    print(
        f"SEED={SEED}: {sum(promised.values()):,} clicks acknowledged in {KILLS} lives; "
        f"lost {sum(lost.values())}, doubled {doubled}; of {unknown:,} without an answer "
        f"{len(found - promised):,} arrived"
    )
    assert (sum(lost.values()), doubled) == (0, 0)
    assert len(found - promised) <= unknown
    for user in {click["user_id"] for click in clicks}:
        numbers = [click["product_id"] for click in clicks if click["user_id"] == user]
        assert numbers == list(range(len(numbers)))


async def test_told_to_end_it_answers_sends_what_it_has_and_exits_with_0(kafka: str, tmp_path: Path) -> None:
    settings = own(kafka, tmp_path, collect_token=TOKEN)
    shoppers = Shoppers(settings.collect_port)
    with command(settings, tmp_path) as process:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(shoppers.click(f"shopper-{number}", 1))
            await asyncio.wait_for(shoppers.answered.wait(), 30)
            process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == 0
    log = (tmp_path / "log").read_text()
    said = re.search(
        r"^([\d,]+) clicks taken; ([\d,]+) acknowledged by Kafka, ([\d,]+) wait on disk$", log, re.M
    )
    assert said, log
    taken, acknowledged, waiting = (int(figure.replace(",", "")) for figure in said.groups())
    assert len(shoppers.promised) == taken == acknowledged + waiting  # none was left without an answer
    async with ClickProducer(settings) as last:
        assert last.left == waiting
    found = Counter((click["user_id"], click["product_id"]) for click in await arrived(settings))
    assert found == Counter(shoppers.promised)


async def test_who_connects_and_says_nothing_keeps_no_room(tmp_path: Path) -> None:
    settings = own(NOWHERE, tmp_path)
    with command(settings, tmp_path):
        idle = [
            await asyncio.open_connection("127.0.0.1", settings.collect_port) for _ in range(STRANGERS + 50)
        ]
        async with aiohttp.ClientSession() as asked:
            url = f"http://127.0.0.1:{settings.collect_port}/clicks"
            for _ in range(2):
                async with asked.post(url, json={"user_id": "u", "event": "view"}) as answer:
                    assert answer.status == 204
        await asyncio.wait_for(asyncio.gather(*(stream.read() for stream, _ in idle[:50])), 30)
        for _, writer in idle:
            writer.close()


def await_said(log: Path, words: str) -> None:
    """Wait until a log holds these words."""
    while words not in log.read_text():
        time.sleep(0.05)


async def test_with_kafka_away_it_takes_clicks_says_so_and_ends_when_told(kafka: str, tmp_path: Path) -> None:
    settings = own(NOWHERE, tmp_path)
    with command(settings, tmp_path) as process:
        async with aiohttp.ClientSession() as asked:
            url = f"http://127.0.0.1:{settings.collect_port}/clicks"
            async with asked.post(url, json={"user_id": "u", "event": "view"}) as answer:
                assert answer.status == 204
        await asyncio.to_thread(await_said, tmp_path / "log", "1 clicks wait on disk")
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 30) == 0
    assert "1 click taken; 0 acknowledged by Kafka, 1 wait on disk" in (tmp_path / "log").read_text()
    there = settings.model_copy(update={"broker": f"kafka://{kafka}"})
    async with ClickProducer(there) as producer:
        assert producer.left == 1
    assert [click["user_id"] for click in await arrived(there)] == ["u"]


def test_a_port_that_is_taken_and_a_key_without_a_token_are_said(tmp_path: Path) -> None:
    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {f"CLICKWARDEN_{name.upper()}": value for name, value in settings.items()}
        return subprocess.run(
            [sys.executable, "-m", "faust", "-A", "app", "collect", *arguments],
            env=inherited() | {"CLICKWARDEN_BROKER": f"kafka://{NOWHERE}"} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = run(collect_port=str(other.getsockname()[1]))
    assert taken.returncode == 1
    assert "nothing can be taken there: address already in use" in taken.stderr.lower()
    assert "COLLECT_TOKEN is not set" in run("--key", SHOP).stderr
    assert "'https://shop.example/' is no origin" in run("--key", f"{SHOP}/", collect_token=TOKEN).stderr
    made = run("--key", SHOP, collect_token=TOKEN)
    assert made.returncode == 0
    assert Keys(TOKEN).is_good(made.stdout.strip(), SHOP)


async def test_a_producer_that_is_refused_ends_the_collector(kafka: str, tmp_path: Path) -> None:
    settings = own(kafka, tmp_path)
    async with ClickProducer(settings) as producer:
        await producer.send("u", "view", None, 1_600_000_001.0)
    (file,) = (tmp_path / "data" / "outbox").iterdir()
    copy = file.read_bytes()
    async with ClickProducer(settings) as producer:
        await producer.send("u", "view", None, 1_600_000_002.0)
    file.write_bytes(copy)  # as a backup would
    statuses = []
    with command(settings, tmp_path) as process:
        async with aiohttp.ClientSession() as asked:
            with contextlib.suppress(aiohttp.ClientError):
                while process.poll() is None:
                    url = f"http://127.0.0.1:{settings.collect_port}/clicks"
                    async with asked.post(url, json={"user_id": "u", "event": "view"}) as answer:
                        statuses.append(answer.status)
        assert await asyncio.to_thread(process.wait, 30) == 1
    assert set(statuses) <= {204, 429, 503}
    assert re.search(r"^clickwarden: CLICKWARDEN_DATA_DIR=.*old copy", (tmp_path / "log").read_text(), re.M)
