"""Where messages go in tests: servers on loopback, what strangers call themselves, and incidents."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from clickwarden.alerts.incidents import Incident
from clickwarden.channels.channel import Channel
from clickwarden.channels.message import Case
from clickwarden.channels.secret import Secret

NASTY = (
    "<!channel>",
    "<!here|you>",
    "<!subteam^S012AB3CD>",
    "<@U024BE7LH>",
    "<@&8675309>",
    "<#C024BE7LR|general>",
    "<https://evil.example/login|Clickwarden>",
    "@everyone",
    "@channel @here @all",
    "＠everyone",
    "[Clickwarden](https://evil.example)",
    "![x](http://evil.example/x.png)",
    "http://evil.example/?a=1&b=2",
    "HTTPS://EVIL.EXAMPLE",
    "www.evil.example",
    "evil.example/path",
    "xn--e1afmkfd.xn--p1ai",
    "пример.рф",
    "evil。example",
    "mailto:eve@evil.example",
    "javascript:alert(1)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</td></table></body><svg onload=alert(1)>",
    "'\"><a href=//evil.example>x</a>",
    "&lt;!channel&gt; &#60;script&#62; &amp;",
    "`code` ```block``` *bold* _it_ ~no~ > quote | # head",
    "eve\r\nBcc: all@victim.example\r\n\r\n<script>alert(1)</script>",
    "eve\nSubject: Nothing to see",
    "eve\x00\x07\x1b[2J\x1b]8;;http://evil.example\x07x\x1b]8;;\x07\x7f\x9b1m",
    "eve\u202egpj.exe\u202c\u2066x\u2069\u200f\u061c",
    "e\u200bv\u200ce\u200d\ufeff\u2060\u00ad\u3164\u115f\ufe0f\U000e0041\u034f",
    "a\u2028b\u2029c\u0085d",
    "{{ .Labels.user }} {% raw %} ${SECRET} %(name)s {0} %s",
    "=cmd|' /C calc'!A0",
    "-rf --help",
    "\\x3c!channel\\x3e",
    "eve" * 2000,
    "💣" * 300,
    "",
)

#: What no rendering shows.
UNSEEN = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u00ad\u034f\u061c\u115f\u1160\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u2060\u3164\ufe0f\ufeff",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
    "\U000e0041",
]


def case(user_id: str = "203.0.113.9", **more: Any) -> Case:
    given: dict[str, Any] = {
        "incident_id": "e1fed9de55ec615495aece53a70f57fc",
        "user_id": user_id,
        "rule": "bot",
        "category": "bot",
        "owasp": "OAT-003",
        "threshold": 50,
        "window": 60,
        "usual": "at most 50 clicks in 1 minute, one every 1.2 s",
        "count_low": 8_400,
        "count_high": 10_000,
        "peak": 10_000,
        "since": "2026-03-10T14:20:00Z",
        "last_seen": "2026-03-10T14:20:59.500Z",
        "reasons": (f"nothing but {user_id}"[:400], "8,400 of them counted one by one"),
    }
    return Case(**given | more)


def incident(**more: Any) -> Incident:
    given: dict[str, Any] = {
        "incident_id": "a", "rule": "bot", "user_id": "u", "category": "bot", "owasp": "OAT-003",
        "owasp_label": "", "status": "ongoing", "since": "2026-03-10T14:20:00Z", "until": None, "windows": 1,
        "count": 60, "count_low": 60, "count_high": 60, "threshold": 50, "window": 60, "peak": 60,
        "reasons": [], "spark": [60], "partition": 0, "caught_up": False, "corrected": False,
        "window_start": "2026-03-10T14:20:00Z", "window_end": "2026-03-10T14:21:00Z",
        "last_seen": "2026-03-10T14:20:30Z", "severity": "medium", "rules": [], "ended": None,
    }  # fmt: skip
    return msgspec.convert(given | more, Incident)


def channel(url: str, secret: str = "") -> Channel:
    given = Secret(secret)
    return Channel(name="there", url=Secret(url), secret=given, secrets=(given,) if secret else ())


class Received(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


class Reply(NamedTuple):
    """What is answered."""

    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b"ok"


class Sink:
    """An HTTP server that keeps what comes.

    Attributes:
        received: in the order it came.
        reply: what the next is answered with, given a request.
    """

    def __init__(self, reply: Callable[[Received], Reply] | None = None) -> None:
        self.received: list[Received] = []
        self.reply = reply or (lambda request: Reply())
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(self.command, self.path, headers, body)
                sink.received.append(request)
                reply = sink.reply(request)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_PUT = do_POST

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def host(self) -> str:
        """Where it is."""
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def sink(reply: Callable[[Received], Reply] | None = None) -> Iterator[Sink]:
    """An HTTP server that is ended on exit."""
    server = Sink(reply)
    try:
        yield server
    finally:
        server.close()


Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw(answer: Answering) -> AsyncIterator[tuple[str, list[object]]]:
    """Where a server is that answers each connection in its own way and ends it, and the connections."""
    connections: list[object] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())
        with suppress(OSError):
            await answer(reader, writer)
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
        await asyncio.gather(*(task for task in connections if isinstance(task, asyncio.Task)))


#: Elements of rich text, and what they must have: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
RICH = {"text": {"text"}, "link": {"url", "text"}}


class Slack:
    """What Slack documents of chat.postMessage and chat.update.

    Attributes:
        messages: by time stamp, with the one that they are a reply to.
        error: what all is answered with; empty: nothing is wrong.
        fixed: whether no message may be changed.
    """

    def __init__(self, token: str, place: str = "C0123ABCD") -> None:
        self._token = token
        self._place = place
        self.messages: dict[str, dict[str, Any]] = {}
        self.error = ""
        self.fixed = False

    def __call__(self, request: Received) -> Reply:
        """Answer a request."""
        if self.error == "ratelimited":
            return self._answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"})
        if self.error == "garbage":
            return Reply(200, {"Content-Type": "text/html"}, b"<html>Sign in to the hotel's Wi-Fi")
        if self.error == "text":
            return Reply(200, {"Content-Type": "text/plain"}, b"hello")
        if self.error == "half":
            return Reply(200, {"Content-Type": "application/json"}, b'{"ok": tr')
        if self.error.isdigit():
            return Reply(int(self.error), {"Content-Type": "text/html"}, b"<html>")
        error = self.error or self._wrong(request)
        if error:
            return self._answer(200, {"ok": False, "error": error})
        given = request.json
        if request.path == "/api/chat.update":
            self.messages[given["ts"]] |= {"text": given["text"], "blocks": given["blocks"]}
            stamp = given["ts"]
        else:
            stamp = f"1773152400.{len(self.messages):06}"
            self.messages[stamp] = given
        return self._answer(200, {"ok": True, "channel": self._place, "ts": stamp})

    def _wrong(self, request: Received) -> str:
        if request.headers.get("authorization") != f"Bearer {self._token}":
            return "invalid_auth"
        given = request.json
        if given.get("channel") != self._place:
            return "channel_not_found"
        if request.path == "/api/chat.update" and given.get("ts") not in self.messages:
            return "message_not_found"
        if request.path == "/api/chat.update" and self.fixed:
            return "cant_update_message"
        if "thread_ts" in given and given["thread_ts"] not in self.messages:
            return "thread_not_found"
        return "" if self._right(given["blocks"]) else "invalid_blocks"

    @staticmethod
    def _right(blocks: list[dict[str, Any]]) -> bool:
        sections = [section for block in blocks for section in block["elements"]]
        elements = [element for section in sections for element in section["elements"]]
        return (
            len(blocks) <= 50
            and all(block["type"] == "rich_text" for block in blocks)
            and all(section["type"] == "rich_text_section" for section in sections)
            and all(
                element["type"] in RICH
                and element.keys() - {"type", "style"} == RICH[element["type"]]
                and element["text"]
                for element in elements
            )
        )

    @staticmethod
    def _answer(status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> Reply:
        return Reply(
            status, {"Content-Type": "application/json"} | (headers or {}), json.dumps(content).encode()
        )
