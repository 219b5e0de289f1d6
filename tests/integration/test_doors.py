"""The page's port against who hammers at it, and what is to stay secret."""

import re
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
import pytest

from clickwarden import zstd
from clickwarden.guesses import BURST
from tests.site import Site, Worker, clicks, window_before

pytestmark = pytest.mark.alone

T = window_before(time.time())
SEED = 0xC0FFEE_C0FFEE_C0FF
TOKEN = "open sesame 65"
HALF_OPEN = 2000
GUESSES = 2000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Sites = Callable[..., Site]


class Door:
    """The port of a worker."""

    def __init__(self, worker: Worker) -> None:
        self.port = worker.settings.web_port

    def connect(self, start: bytes) -> socket.socket:
        """A connection on which a request has begun."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(start)
        return connection

    def ask(self, path: str, method: str = "GET", body: str | bytes = b"", **headers: str) -> tuple[int, str]:
        """Status of an answer, and its content or where it sends to."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.headers["Location"] or answer.read().decode()

    def log_in(self) -> str:
        """The cookie."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("POST", "/login", urlencode({"token": TOKEN}), FORM)
            return connection.getresponse().headers["Set-Cookie"].partition(";")[0]


@pytest.fixture
def many_files() -> Iterator[None]:
    """Descriptors for all the connections of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_door_holds_and_nothing_is_given_away(site: Sites, many_files: None) -> None:
    here = site(seed=SEED)
    worker = here.launch("one", "-l", "debug", web_token=TOKEN)
    here.until(lambda: worker.ready, worker)
    door = Door(worker)
    cookie = door.log_in()

    def unaffected() -> None:
        started = time.monotonic()
        assert door.ask("/ready")[0] == 200
        status, page = door.ask("/", Cookie=cookie)
        assert (status, "Clickwarden" in page) == (200, True)
        assert time.monotonic() - started < 2
        here.send(*clicks("eve", 60, T, T + 50))
        here.await_counted(worker)

    with ExitStack() as stack:
        for number in range(HALF_OPEN):
            start = (
                b""
                if number % 2
                else b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nt"
            )
            stack.enter_context(door.connect(start))
        unaffected()
        assert psutil.Process(worker.pid).num_fds() < 1000

    for number in range(GUESSES):
        if number % 500:
            assert door.ask("/", Authorization=f"Bearer guess-{number}")[0] in (401, 429)
        else:
            where = door.ask("/login", "POST", urlencode({"token": f"guess-{number}"}), **FORM)
            assert where in ((303, "/login#wrong"), (303, "/login#later"))
            unaffected()
    figures = door.ask("/metrics", Cookie=cookie)[1]
    counted = {
        answer: float(count)
        for answer, count in re.findall(
            r'^clickwarden_token_guesses_total{answer="(\w+)"} (\S+)', figures, re.M
        )
    }
    assert sum(counted.values()) == GUESSES
    assert BURST < counted["wrong"] < GUESSES / 10
    assert worker.log.count("guesses the page's token") == 1

    assert "Traceback" not in worker.log
    verdict = here.verdict()
    assert verdict.ok, verdict.examples

    secrets = [TOKEN, str(SEED), f"{SEED:x}"]
    for place, text in [*answers(here, door, cookie), *said(here.folder), *stored(here)]:
        assert not [secret for secret in secrets if secret in text], place


def answers(here: Site, door: Door, cookie: str) -> Iterator[tuple[str, str]]:
    """All that the port says to who has logged in."""
    described = re.findall(r'"(/api/[^"{]+)":', door.ask("/api/v1/openapi.json", Cookie=cookie)[1])
    rows = {record.key for record in here.read(f"{here.settings.app_id}-snapshots-changelog") if record.key}
    assert described
    assert rows
    shown = [f"/table/snapshots/{quote(row.decode(), safe='')}/" for row in rows]
    faust = ["/", "/table/", "/table/snapshots/", "/table/activity/eve/", "/router/", "/metrics"]
    for path in [*faust, *shown, "/table/snapshots/snapshot/", *described]:
        if not path.endswith("stream"):
            status, answer = door.ask(path, Cookie=cookie)
            assert (status == 404) == (path in shown or path.endswith("/snapshot/")), path
            yield path, answer


def said(folder: Path) -> Iterator[tuple[str, str]]:
    """Logs and the list of processes."""
    for log in folder.glob("*/log"):
        yield str(log), log.read_text(errors="replace")
    for process in psutil.process_iter(["pid", "cmdline"]):
        yield f"process {process.info['pid']}", " ".join(process.info["cmdline"] or ())


def stored(here: Site) -> Iterator[tuple[str, str]]:
    """Every record of every topic."""
    topics = here.admin.list_topics(timeout=10).topics
    for topic in topics:
        if here.settings.app_id in topic or here.settings.clicks_topic in topic:
            for record in here.read(topic):
                value = record.value or b""
                if value.startswith(b"CW"):
                    value = zstd.decompress(value[3:])
                form = value.replace(SEED.to_bytes(8), str(SEED).encode())
                yield topic, f"{record.key!r} {form!r}"
