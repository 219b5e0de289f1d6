"""The lines of the README in a page of a shop, in Chromium; the collector is another origin."""

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from clickwarden.settings import Settings
from clickwarden.sources.keys import Keys
from tests.collecting import acknowledged, arrived, command, own

README = Path(__file__).parents[2] / "README.md"
TOKEN = "c0ffee" * 6
LOGIN = '<form onsubmit="return false"><input type="password"><button>Sign in</button></form>'
#: As a shop may send on its own: in JSON, for which a browser asks first.
FETCH = """url => fetch(url, {
    method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify([{event: "fetched", user_id: "ann"}, {event: "fetched", user_id: "ann"}]),
}).then(answer => answer.status)"""
REFUSED = """url => fetch(url, {method: "POST", body: '{"user_id": "ann"}'}).then(answer => answer.json())"""
FOREIGN = """url => fetch(url, {method: "POST", body: '{"event": "foreign"}'})
    .then(() => "read", () => "not read")"""
PIXEL = """url => new Promise((done, failed) => {
    const pixel = new Image();
    pixel.onload = () => done(pixel.width);
    pixel.onerror = failed;
    pixel.src = url;
})"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], ThreadingHTTPServer]]:
    """Makes a shop of one page, which is an origin of its own."""
    shops: list[ThreadingHTTPServer] = []
    (tmp_path / "shop").mkdir()

    def make() -> ThreadingHTTPServer:
        shops.append(ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "shop"))))
        threading.Thread(target=shops[-1].serve_forever).start()
        return shops[-1]

    yield make
    for shop in shops:
        shop.shutdown()
        shop.server_close()


def snippet(url: str) -> str:
    """What the README has a shop paste, for a collector of this address."""
    found: str
    (found,) = re.findall(r"^```html\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert len(found.splitlines()) <= 12
    return found.replace("https://collect.example/clicks?key=KEY", url)


def origin(shop: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{shop.server_port}"


def found_in(settings: Settings) -> list[dict[str, Any]]:
    """The clicks in the topic; read in a thread, for Playwright has the event loop of this one."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(lambda: asyncio.run(arrived(settings))).result()


def test_a_page_of_a_shop_sends_its_clicks(
    kafka: str, tmp_path: Path, page: Page, serve: Callable[[], ThreadingHTTPServer]
) -> None:
    settings = own(kafka, tmp_path, collect_token=TOKEN)
    shop, other = serve(), serve()
    key = Keys(TOKEN).make(origin(shop), 1)
    door = f"http://127.0.0.1:{settings.collect_port}"
    content = f"<!doctype html>{LOGIN}{snippet(f'{door}/clicks?key={key}')}"
    (tmp_path / "shop" / "product-7.html").write_text(content)
    with command(settings, tmp_path) as process:
        page.goto(f"{origin(shop)}/product-7.html")
        page.click("button")
        assert page.evaluate(FETCH, f"{door}/clicks?key={key}") == 204
        assert page.evaluate(REFUSED, f"{door}/clicks?key={key}")["reason"] == "missing_field"
        assert page.evaluate(PIXEL, f"{door}/pixel.gif?key={key}&event=seen") == 1
        page.evaluate("navigator.sendBeacon = () => false")  # its queue is full
        page.click("button")
        page.goto(f"{origin(other)}/product-7.html")
        page.click("button")
        assert page.evaluate(FOREIGN, f"{door}/clicks?key={key}") == "not read"
        deadline = time.monotonic() + 60
        while acknowledged(settings) < 6:
            assert time.monotonic() < deadline, acknowledged(settings)
            time.sleep(0.05)
        process.terminate()
        assert process.wait(30) == 0
    clicks = found_in(settings)
    found = Counter((click["user_id"], click["event"], click.get("product_id")) for click in clicks)
    assert found == {
        ("127.0.0.1", "view", "/product-7.html"): 1,
        ("127.0.0.1", "login", "/product-7.html"): 2,
        ("127.0.0.1", "seen", None): 1,
        ("ann", "fetched", None): 2,
    }
    assert all(abs(click["timestamp"] - time.time()) < 120 for click in clicks)
