"""Where people are told in a trial: a mail server, a webhook and Slack's contract, each of which can fail."""

import asyncio
import email.policy
import json
import re
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from email.parser import BytesParser
from typing import Any, Literal, NamedTuple, get_args

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from clickwarden.channels.message import PERHAPS_TOLD
from tests.channels import Received, Reply, Slack

Fault = Literal["down", "busy", "broken", "garbage", "silent"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
#: What a busy one asks for, seconds.
RETRY_AFTER = 2
TOKEN = "xoxb-1234-geheim"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK = "127.0.0.1"
#: Who holds a message back for a murder waits no longer, seconds.
AMBUSH_SECONDS = 30.0


class Seen(NamedTuple):
    """A message that somebody sees there.

    Attributes:
        what: names it, as well as can be told there: its key; of Slack, its title without figures.
        marked: whether it says that it may have been told before.
    """

    what: str
    marked: bool


class Sink:
    """A server of one channel, on a port that it keeps.

    Attributes:
        name: of the channel.
        fault: what is wrong with it; None: nothing.
        seen: what it took, and, to be hard on who sends, what it had when it said garbage or nothing.
        counted: of each of these, how many incidents it is about, and the thread that it is in.
        refused: how often it took nothing, by fault.
        unanswered: how much of what was seen it did not say that it took.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.fault: Fault | None = None
        self.seen: list[Seen] = []
        self.counted: list[tuple[int, str]] = []
        self.refused: Counter[str] = Counter()
        self.unanswered = 0
        self._ambush: Ambush | None = None
        self._port = 0
        self._well = asyncio.Event()
        self._well.set()
        self._server: asyncio.Server | None = None
        self._clients: list[Any] = []

    @property
    def host(self) -> str:
        """Where it is."""
        return f"{LOOPBACK}:{self._port}"

    def content(self) -> str:
        """What a channels.toml says of it."""
        raise NotImplementedError

    def protocol(self) -> asyncio.BaseProtocol:
        """Speaks with one client."""
        raise NotImplementedError

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._client, LOOPBACK, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def _client(self) -> asyncio.BaseProtocol:
        client = self.protocol()
        self._clients.append(client)
        return client

    def hang_up(self) -> None:
        """Listen no more, and speak with nobody."""
        if self._server is not None:
            self._server.close()
        clients, self._clients = self._clients, []
        for client in clients:
            if client.transport is not None:
                client.transport.abort()

    async def fail(self, fault: Fault, seconds: float) -> None:
        """Fail for so long."""
        self.fault = fault
        self._well.clear()
        if fault == "down":
            self.hang_up()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._well.wait(), seconds)
        self.fault = None
        self._well.set()
        if fault == "down":
            await self.open()

    def lie_in_wait(self, ambush: "Ambush") -> None:
        """Hold back the answer to the next message that is seen."""
        self._ambush = ambush

    async def see(self, seen: Seen, incidents: int, thread: str) -> None:
        """Keep a message."""
        self.seen.append(seen)
        self.counted.append((incidents, thread))
        if self.fault is not None:
            self.unanswered += 1
        elif self._ambush is not None:
            ambush, self._ambush = self._ambush, None
            ambush.struck.set()
            await asyncio.to_thread(ambush.over.wait, AMBUSH_SECONDS)

    def heal(self) -> None:
        """Fail no more."""
        self._well.set()

    async def silence(self) -> None:
        """Say nothing until it is well again."""
        await self._well.wait()


class Ambush:
    """A message that somebody has, and of whose sender nobody knows yet that it was told so."""

    def __init__(self) -> None:
        self.struck, self.over = threading.Event(), threading.Event()


class Http(Sink):
    """One that is spoken to over HTTP."""

    def protocol(self) -> asyncio.BaseProtocol:
        """As aiohttp speaks."""
        return web.Server(self._answer)()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.method, request.path, headers, await request.read())
        if self.fault in ("busy", "broken"):
            self.refused[self.fault] += 1
            if self.fault == "busy":
                return web.Response(status=429, headers={"Retry-After": str(RETRY_AFTER)})
            return web.Response(status=500)
        fault = self.fault
        reply = await self.take(received)
        if fault is None:
            return web.Response(status=reply.status, headers=reply.headers, body=reply.body)
        if fault == "silent":
            await self.silence()
        elif request.transport is not None:
            request.transport.write(b"\x00\x01 this is no HTTP\r\n\r\n")
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    async def take(self, received: Received) -> Reply:
        """Take a request."""
        raise NotImplementedError


class Hook(Http):
    """A webhook."""

    def content(self) -> str:
        """Its URL."""
        return f'url = "webhook+http://{self.host}/"\nsecret = "{KEY}"'

    async def take(self, received: Received) -> Reply:
        """Take a message."""
        data = received.json["data"]
        seen = Seen(received.headers["webhook-id"], data.get("mark") == PERHAPS_TOLD)
        await self.see(seen, len(data["incidents"]), data["thread"])
        return Reply()


class SlackLike(Http):
    """A server with Slack's contract."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._slack = Slack(TOKEN)

    def content(self) -> str:
        """Its URL."""
        return f'url = "slackbot://C0123ABCD?api=http://{self.host}/api/"\nsecret = "{TOKEN}"'

    async def take(self, received: Received) -> Reply:
        """Do what Slack documents; what is put in place of a message is no message."""
        reply = self._slack(received)
        if received.path == "/api/chat.postMessage":
            text, stamp = received.json["text"], json.loads(reply.body)["ts"]
            seen = Seen(subject(text.removeprefix(PERHAPS_TOLD)), text.startswith(PERHAPS_TOLD))
            await self.see(seen, incidents_of(text), received.json.get("thread_ts", stamp))
        return reply


class Post(Sink):
    """A mail server."""

    def content(self) -> str:
        """Its URL."""
        return f'url = "smtp+plain://{self.host}/?from=clickwarden@shop.example&to=ops@shop.example"'

    def protocol(self) -> asyncio.BaseProtocol:
        """As aiosmtpd speaks."""
        return SMTP(self, hostname="mail.shop.example", loop=asyncio.get_running_loop())

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a mail."""
        if self.fault in ("busy", "broken"):
            self.refused[self.fault] += 1
            return "451 Try again later"
        fault = self.fault
        assert isinstance(envelope.content, bytes)
        mail = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        body = mail.get_body(("plain",))
        assert body is not None
        key = str(mail["Message-ID"]).strip("<>").rpartition("@")[0]
        seen = Seen(key, PERHAPS_TOLD in body.get_content())
        thread = str(mail["References"] or mail["Message-ID"])
        await self.see(seen, incidents_of(body.get_content()), thread)
        if fault == "silent":
            await self.silence()
            transport: Any = server.transport  # of asyncio, or of uvloop, which has classes of its own
            transport.abort()
        return "this is no SMTP" if fault == "garbage" else "250 Message accepted"


def subject(title: str) -> str:
    """What a title tells, without figures.

    >>> subject("eve-1: 15 to 20 clicks, 2 times the limit"), subject(" eve-1 is worse: 40 clicks, 4 times")
    ('eve-1 opening', 'eve-1 escalation')
    >>> subject("eve-1 has stopped: 15 clicks in all"), subject("12 users in 12 incidents while it was quiet")
    ('eve-1 end', 'many')
    """
    who, _, rest = title.strip().partition(" ")
    if who.endswith(":"):
        return f"{who[:-1]} opening"
    return {"is": f"{who} escalation", "has": f"{who} end"}.get(rest.partition(" ")[0], "many")


def incidents_of(text: str) -> int:
    """How many incidents a title says that it is about.

    >>> incidents_of("1,200 users in 1,201 incidents while it was quiet"), incidents_of("eve-1: 15 clicks")
    (1201, 1)
    """
    found = re.search(r" users? in ([\d,]+) incident", text)
    return int(found[1].replace(",", "")) if found else 1


class Sinks(threading.Thread):
    """One of each kind.

    Attributes:
        by_name: the channels, by name.
    """

    def __init__(self) -> None:
        super().__init__(name="sinks", daemon=True)
        self.by_name: dict[str, Sink] = {}
        self._loop = asyncio.new_event_loop()
        self._failing: list[Any] = []

    def run(self) -> None:
        self._loop.run_forever()

    def open(self) -> None:
        """Have all of them listen."""
        self.start()
        self._do(self._open())

    async def _open(self) -> None:
        self.by_name = {sink.name: sink for sink in (Post("mail"), Hook("hook"), SlackLike("slack"))}
        for sink in self.by_name.values():
            await sink.open()

    def fail(self, name: str, fault: Fault, seconds: float) -> None:
        """Have one fail for so long, and do not wait."""
        self._failing.append(
            asyncio.run_coroutine_threadsafe(self.by_name[name].fail(fault, seconds), self._loop)
        )

    @property
    def well(self) -> list[str]:
        """Those that nothing is wrong with."""
        return [name for name, sink in self.by_name.items() if sink.fault is None]

    def heal(self) -> None:
        """Have none fail any more."""
        for sink in self.by_name.values():
            self._loop.call_soon_threadsafe(sink.heal)
        self.await_well()

    def await_well(self) -> None:
        """Wait until nothing is wrong with any."""
        for failing in self._failing:
            failing.result()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def close(self) -> None:
        """Be gone."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join()
        self._loop.close()

    async def _close(self) -> None:
        for sink in self.by_name.values():
            sink.hang_up()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
