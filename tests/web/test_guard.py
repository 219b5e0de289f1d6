"""Who may ask, on a real aiohttp server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from clickwarden.guesses import BURST, Guesses
from clickwarden.settings import Settings
from web.guard import COOKIE, HEADERS, add_headers, cookie, guard, refuse_foreign

TOKEN = "täken täken"


#: Requests that were let in.
admitted: list[web.Request] = []


@pytest.fixture(autouse=True)
def nobody() -> None:
    """No request yet."""
    admitted.clear()


@asynccontextmanager
async def serve(**given: Any) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    settings = Settings(_env_file=None, **given)
    guesses = Guesses(settings.web_token.get_secret_value(), "page")
    app = web.Application(middlewares=[refuse_foreign, guard(settings, guesses, admitted.append)])
    app.on_response_prepare.append(add_headers)
    for path in (
        "/",
        "/v1/decisions",
        "/api/v1/status",
        "/table/",
        "/health",
        "/ready",
        "/login",
        "/feedback/{token}",
    ):
        app.router.add_get(path, hello)
        app.router.add_post(path, hello)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "127.0.0.1:80", "[::1]:6066"])
async def test_loopback_answers_to_its_own_names(host: str) -> None:
    async with serve() as client, client.get("/", headers={"Host": host}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "host", ["example.org", "localhost.example.org", "127.0.0.1.example.org", "127.0.0.2", "localhost:x", ""]
)
@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/health", "/table/", "/no/such"])
async def test_loopback_answers_to_no_other(host: str, path: str) -> None:
    async with serve() as client, client.get(path, headers={"Host": host}) as answer:
        assert answer.status == 421
        assert "open http://127.0.0.1:6066/" in (await answer.json())["error"]


async def test_another_address_answers_to_any_name() -> None:
    headers = {"Host": "shop.example.org", "Authorization": f"Bearer {TOKEN}"}
    async with (
        serve(web_bind="0.0.0.0", web_token=TOKEN) as client,
        client.get("/", headers=headers) as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": b"Bearer \xff\xfe".decode(errors="surrogateescape")},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": f"{COOKIE}={cookie('wrong')}"},
    ],
    ids=str,
)
async def test_without_the_token(headers: dict[str, str]) -> None:
    async with serve(web_token=TOKEN) as client:
        for path in ("/", "/api/v1/status", "/table/", "/no/such"):
            async with client.get(path, headers=headers) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert "error" in await answer.json()
        for path in ("/health", "/ready", "/login", "/v1/decisions"):
            async with client.get(path, headers=headers) as answer:
                assert answer.status == 200
    assert not admitted


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN}"},
        {"Cookie": f"{COOKIE}={cookie(TOKEN)}"},
    ],
    ids=str,
)
async def test_with_the_token(headers: dict[str, str]) -> None:
    async with serve(web_token=TOKEN) as client, client.get("/table/", headers=headers) as answer:
        assert answer.status == 200
        assert [request.path for request in admitted] == ["/table/"]


async def test_who_has_tried_too_many_is_refused_the_right_one_too_but_not_the_cookie() -> None:
    async with serve(web_token=TOKEN) as client:
        answers = []
        for token in [*["wrong"] * BURST, TOKEN]:
            async with client.get("/table/", headers={"Authorization": f"Bearer {token}"}) as answer:
                answers.append(answer.status)
        assert answers == [*[401] * BURST, 429]
        assert answer.headers["Retry-After"] == "1"
        async with client.get("/table/", headers={"Cookie": f"{COOKIE}={cookie(TOKEN)}"}) as answer:
            assert answer.status == 200
        async with client.get("/ready", headers={"Authorization": "Bearer wrong"}) as answer:
            assert answer.status == 200


async def test_a_browser_is_sent_to_the_login_and_the_api_never_is() -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with serve(web_token=TOKEN) as client:
        async with client.get("/", headers=browser, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        async with client.get("/api/v1/status", headers=browser) as answer:
            assert answer.status == 401


async def test_a_link_of_a_message_needs_no_token_and_opens_nothing_else() -> None:
    async with serve(web_token=TOKEN) as client:
        for origin in ("null", "http://localhost"):  # of a form, a browser says null
            async with client.post("/feedback/a.1.b", headers={"Origin": origin}) as answer:
                assert answer.status == 200
        for path in ("/feedback", "/feedbacks/", "/api/v1/status/feedback/", "/feedback/../table/"):
            async with client.get(path) as answer:
                assert answer.status == 401
        async with client.get(URL("/feedback/%2e%2e%2ftable%2f", encoded=True)) as answer:
            assert (answer.status, answer.request_info.url.raw_path) == (200, "/feedback/%2e%2e%2ftable%2f")
        assert not admitted


@pytest.mark.parametrize("path", ["/", "/no/such"])
@pytest.mark.parametrize("host", ["localhost", "example.org"])
async def test_every_answer_has_the_headers(path: str, host: str) -> None:
    async with serve() as client, client.get(path, headers={"Host": host}) as answer:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert answer.headers["Cache-Control"] == "no-store"


FORM = {"Content-Type": "text/plain", "Cookie": f"{COOKIE}={cookie(TOKEN)}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # no browser
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://LOCALHOST"}, 200),
        ({"Origin": "http://proxy.example", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://evil.example/localhost"}, 403),
        ({"Origin": "http://localhost@evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "anything"}, 403),
    ],
    ids=str,
)
@pytest.mark.parametrize("token", ["", TOKEN])
async def test_what_a_foreign_page_sends_changes_nothing(
    headers: dict[str, str], status: int, token: str
) -> None:
    sent = FORM | {"Host": "localhost"} | headers
    async with serve(web_token=token) as client:
        async with client.post("/api/v1/status", data="a=b", headers=sent) as answer:
            assert answer.status == status
            assert (status == 200) == bool(admitted)
            if status == 403:
                assert "comes from the page of another site" in (await answer.json())["error"]
        async with client.get("/api/v1/status", headers=sent) as answer:
            assert answer.status == 200  # reading is for the browser to forbid


async def test_a_login_is_let_in_whose_origin_is_null_as_our_own_policy_has_it() -> None:
    async with serve(web_token=TOKEN) as client, client.post("/login", headers={"Origin": "null"}) as answer:
        assert answer.status == 200
