"""The site of the documentation: it builds without a warning, and who reads it asks nobody else."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal

import pytest

from experiments.chromium import chromium

ROOT = Path(__file__).parent.parent
#: A page of each kind: the map, a page of docs/, one from elsewhere, one that shows a file.
SHOWN = "files/deploy/prometheus/rules.yml.html"
READ = ["index.html", "performance.html", "guide.html", "decisions/index.html", SHOWN]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_map_leads_three_readers_everywhere(site: Path) -> None:
    text = (site / "index.html").read_text()
    assert [text.index(reader) for reader in ("You try it", "You run it", "You change it")]
    article = text[text.index("<article") : text.index("</article>")]
    led = re.findall(r'href="([^"#]+)', article)
    assert {"guide.html", "operations.html", "contributing.html", "how-it-works.html"} <= set(led)
    assert [link for link in led if not (site / link).exists()] == []


def test_a_link_out_of_docs_leads_to_what_it_shows(site: Path) -> None:
    assert f'href="{SHOWN}"' in (site / "operations.html").read_text()
    shown = (site / SHOWN).read_text()
    assert "ClickwardenBlind" in shown
    assert 'href="kubernetes/statefulset.yaml.html"' in (site / "files/deploy/kubernetes.html").read_text()


def test_a_diagram_is_shown_as_its_drawing(site: Path) -> None:
    text = (site / "how-it-works.html").read_text()
    (image,) = re.findall(r'src="(img/diagram-\w+\.svg)"', text)
    assert (site / image).exists()
    assert "flowchart LR" not in text


def test_a_page_that_is_read_asks_nobody_else(address: str) -> None:
    asked: list[str] = []
    with chromium() as browser:
        context = browser.new_context()
        context.route(lambda url: not url.startswith(address), lambda route: route.abort())
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        for read in READ:
            page.goto(address + read, wait_until="networkidle")
            assert page.locator("article h1").count() == 1, read
        page.locator(".md-search__input").click()
        page.get_by_text("Type to start searching").wait_for()
        page.locator(".md-search__input").press_sequentially("tombstone")
        page.locator(".md-search-result__item a").first.wait_for()
        assert "capture.html" in "".join(
            link.get_attribute("href") or "" for link in page.locator(".md-search-result__item a").all()
        )
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_no_page_sideways(address: str, scheme: Literal["light", "dark"]) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 375, "height": 800}, color_scheme=scheme)
        for read in READ:
            page.goto(address + read)
            assert page.evaluate("document.documentElement.scrollWidth") == 375, read
