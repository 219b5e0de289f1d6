"""Takes clicks over HTTP: from servers, with the token, and from pages of a shop, with a key.

| request | takes |
|---|---|
| ``POST /clicks`` | a click, an array of some, or one a line (NDJSON): JSON, whatever the content type |
| ``GET /pixel.gif`` | a click, whose fields are those of the query |
| ``OPTIONS /clicks`` | nothing: a browser asks whether it may send |
| ``GET /health``, ``GET /metrics`` | nothing |

An answer of success says that the disk has all clicks of the request
(:class:`~clickwarden.sources.reception.Reception`): from there on each comes to
Kafka once. Any other says that none was taken. A client that has seen no answer
cannot know, and may double its clicks when it sends them again.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from clickwarden.errors import ClickwardenError, OutboxError
from clickwarden.formats import ndjson
from clickwarden.formats.clients import Clients
from clickwarden.settings import Settings
from clickwarden.sources.door import READER, Door, TurnedAway
from clickwarden.sources.producer import ClickProducer
from clickwarden.sources.reception import Received, Reception, WrongClick
from clickwarden.sources.takings import Takings

#: Clicks of a request, and the bytes of its body, at most; less than the largest click that Kafka takes.
CLICKS_MAX = 1000
BODY_MAX = 256 * 1024
#: All bodies that are being read or wait for the disk, bytes.
BODIES_MAX = 64 * 1024 * 1024
#: How long a body may take to come.
BODY_SECONDS = 10.0
#: A browser asks again after so long whether it may send.
PREFLIGHT_SECONDS = 24 * 60 * 60
#: When to come back, where the disk or the memory is full.
FULL_SECONDS = 5
BUSY_SECONDS = 1

#: One transparent point.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b")


class Collector:
    """Answers the requests that bring clicks; :attr:`application` is to be served.

    Args:
        settings: who may send, how much, and how clicks are written.
        producer: keeps the clicks, and sends them to Kafka.
        clients: whom to take for the client.
        admit: called with each request that was taken.

    Attributes:
        application: for aiohttp; it must not unpack bodies (``auto_decompress``).
        ended: fails when clicks cannot come to Kafka any more, with what the producer said.
    """

    def __init__(
        self,
        settings: Settings,
        producer: ClickProducer,
        clients: Clients,
        admit: Callable[[web.Request], None],
    ) -> None:
        self._door = Door(settings, clients)
        self._reception = Reception(settings, producer)
        self._admit = admit
        self._guarded = bool(settings.collect_token.get_secret_value())
        self._takings = Takings(producer, self._door.guesses)
        self._held = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.application = web.Application(client_max_size=BODY_MAX, middlewares=[self._answer])
        self.application.add_routes(
            [
                web.post("/clicks", self._post),
                web.options("/clicks", self._preflight),
                web.get("/pixel.gif", self._pixel, allow_head=False),
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
            ]
        )

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn what is refused into an answer, which the page may read that has the key."""
        try:
            response = await handler(request)
        except TurnedAway as refused:
            self._takings.refuse(refused.reason, str(refused.__cause__ or refused))
            response = _refusal(refused)
        except web.HTTPException as error:  # of aiohttp, about the path or the method
            self._takings.refuse("no_request", f"{request.method} {request.path}")
            told = "there are POST /clicks, GET /pixel.gif, /health and /metrics"
            response = _refusal(TurnedAway(HTTPStatus(error.status), "no_request", told))
        reader = request.get(READER)
        if reader is not None:
            response.headers["Access-Control-Allow-Origin"] = reader
            response.headers["Vary"] = "Origin"
        response.headers["Server"] = "clickwarden"
        return response

    async def _post(self, request: web.Request) -> web.Response:
        client = self._door.client(request)
        pays = self._door.enter(request, client)
        with self._room(request):
            await self._take(request, ndjson.texts(await _body(request)), client, pays)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _pixel(self, request: web.Request) -> web.Response:
        client = self._door.client(request)
        pays = self._door.enter(request, client)
        await self._take(request, [msgspec.json.encode(dict(request.query))], client, pays)
        return web.Response(body=PIXEL, content_type="image/gif", headers={"Cache-Control": "no-store"})

    async def _preflight(self, request: web.Request) -> web.Response:
        self._door.enter(request, self._door.client(request))
        headers = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"state": "collecting"})

    async def _metrics(self, request: web.Request) -> web.Response:
        if self._guarded:
            self._door.check_token(request, self._door.client(request))
        return web.Response(body=self._takings.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _take(self, request: web.Request, texts: Sequence[bytes], client: str, pays: bool) -> None:
        """Put clicks on the disk.

        Raises:
            TurnedAway: none of them is there.
        """
        if len(texts) > CLICKS_MAX:
            error = f"a request holds {CLICKS_MAX:,} clicks at most, this one {len(texts):,}"
            raise TurnedAway(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many", error)
        now, key = int(time.time() * 1000), client.encode() or None
        things = 1
        try:
            things = await self._reception.take([Received(text, key, now) for text in texts])
        except WrongClick as wrong:
            things = wrong.things
            raise TurnedAway(HTTPStatus.BAD_REQUEST, wrong.reason, str(wrong), click=wrong.number) from None
        except ClickwardenError as error:
            if not isinstance(error, OutboxError) and not self.ended.done():
                self.ended.set_exception(error)
            # What is wrong with us is no business of whoever clicks.
            told = "clicks cannot be kept now"
            raise TurnedAway(HTTPStatus.SERVICE_UNAVAILABLE, "no_room", told, FULL_SECONDS) from error
        finally:
            if pays:
                self._door.pay(client, max(0, things - 1))
        self._admit(request)

    @contextmanager
    def _room(self, request: web.Request) -> Iterator[None]:
        """Room in memory for a request's body.

        Raises:
            TurnedAway: it may be too large, or there is no room.
        """
        size = request.content_length
        if size is None:
            size = BODY_MAX if request.body_exists else 0
        if size > BODY_MAX:
            raise _too_large()
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            error = "bodies are not unpacked: send it without a Content-Encoding"
            raise TurnedAway(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "packed", error)
        if self._held + size > BODIES_MAX:
            error = "too many requests at once"
            raise TurnedAway(HTTPStatus.SERVICE_UNAVAILABLE, "busy", error, BUSY_SECONDS)
        self._held += size
        try:
            yield
        finally:
            self._held -= size


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        error = f"the body did not come within {BODY_SECONDS:.0f} s"
        raise TurnedAway(HTTPStatus.REQUEST_TIMEOUT, "slow", error) from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large() from None
    except web.RequestPayloadError as error:
        raise TurnedAway(HTTPStatus.BAD_REQUEST, "no_body", f"the body is broken: {error}") from None


def _too_large() -> TurnedAway:
    error = f"a body has {BODY_MAX // 1024} KiB at most"
    return TurnedAway(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", error)


def _refusal(refused: TurnedAway) -> web.Response:
    told: dict[str, str | int] = {"error": str(refused), "reason": refused.reason}
    if refused.click is not None:
        told["click"] = refused.click
    headers = {"Retry-After": str(refused.wait)} if refused.wait else {}
    if refused.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response(told, status=refused.status, headers=headers)
