"""The page's files, on a real aiohttp server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from web import files
from web.guard import HEADERS, add_headers


@asynccontextmanager
async def serve() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async def static(request: web.Request) -> web.Response:
        return files.answer(request, request.match_info["name"])

    app = web.Application()
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/static/{name}", static)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("now.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
async def test_a_file_may_be_kept_and_is_asked_for_anew(name: str, content_type: str) -> None:
    async with serve() as client:
        async with client.get(f"/static/{name}") as first:
            assert first.status == 200
            assert first.content_type == content_type
            assert await first.read() == (files.STATIC / name).read_bytes()
            assert first.headers["Cache-Control"] == "no-cache"
            assert {header: first.headers[header] for header in HEADERS} == HEADERS
        for known in (first.headers["ETag"], f'"other", W/{first.headers["ETag"]}', "*"):
            async with client.get(f"/static/{name}", headers={"If-None-Match": known}) as again:
                assert (again.status, await again.read()) == (304, b"")
                assert again.headers["ETag"] == first.headers["ETag"]
        async with client.get(f"/static/{name}", headers={"If-None-Match": '"other"'}) as changed:
            assert changed.status == 200
        async with client.head(f"/static/{name}") as head:
            assert head.headers["Content-Length"] == str(len(files.FILES[name].body))


@pytest.mark.parametrize("name", ["no.js", "..%2Fpage.py", "%2Fetc%2Fpasswd", ".", "%00"])
async def test_nothing_else_is_served(name: str) -> None:
    async with serve() as client, client.get(f"/static/{name}") as answer:
        assert answer.status == 404
