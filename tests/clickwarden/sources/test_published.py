"""Networks that operators publish are fetched once; what cannot be had is said with the cure."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clickwarden.errors import SettingsError
from clickwarden.sources import published
from clickwarden.sources.published import MOST_BYTES


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    async def networks(_: web.Request) -> web.Response:
        return web.json_response({"prefixes": [{"ipv4Prefix": "203.0.113.0/24"}]})

    async def endless(_: web.Request) -> web.Response:
        return web.Response(body=b" " * (MOST_BYTES + 2**20))

    app = web.Application()
    app.add_routes([web.get("/networks.json", networks), web.get("/endless", endless)])
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


async def test_a_url_is_fetched(server: TestServer) -> None:
    assert await published.published(str(server.make_url("/networks.json"))) == ["203.0.113.0/24"]


async def test_what_cannot_be_had_is_said_with_the_cure(server: TestServer, tmp_path: Path) -> None:
    for source, words in (
        (str(server.make_url("/nothing")), "cannot be fetched .*404.*; try again, or save it"),
        (str(server.make_url("/endless")), "has more than 8,388,608 bytes; is it another file?"),
        ("http://127.0.0.1:1/x", "cannot be fetched"),
        (f"{tmp_path}/nothing", "cannot be read .*; name a file, or a URL"),
        (f"{tmp_path}", "cannot be read"),
    ):
        with pytest.raises(SettingsError, match=words):
            await published.published(source)


async def test_a_server_that_is_not_there_is_said_in_a_sentence() -> None:
    with pytest.raises(SettingsError) as refused:
        await published.published("https://127.0.0.1:9/crawler.json")
    assert str(refused.value) == (
        "https://127.0.0.1:9/crawler.json: cannot be fetched (127.0.0.1:9 cannot be reached: connection "
        "refused); try again, or save it and name the file"
    )
