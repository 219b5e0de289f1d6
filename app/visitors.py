"""The page's port: how many connections it holds, and for how long one may say nothing."""

import asyncio
import logging
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from faust.web.drivers import aiohttp as driver

log = logging.getLogger(__name__)

#: How long a connection may take to ask for something, at first and again, seconds.
ASK_SECONDS = 75.0
#: Connections of which none has been let in yet; the oldest makes room for the next.
STRANGERS = 256
#: All of them.
CONNECTIONS = 4096


class Visitors:
    """The connections of the page's port.

    Who opens many and asks for nothing, or is not let in, displaces
    their own: a browser asks at once.

    Attributes:
        limit: connections at once; beyond it only strangers make room.
    """

    def __init__(self, limit: int = CONNECTIONS) -> None:
        self.limit = limit
        self._strangers: dict[RequestHandler, None] = {}  # oldest first
        self._known: set[RequestHandler] = set()

    def __len__(self) -> int:
        """How many connections."""
        return len(self._strangers) + len(self._known)

    def enter(self, connection: RequestHandler) -> None:
        """Hold another connection, and one less where it is too many."""
        self._strangers[connection] = None
        if len(self._strangers) > STRANGERS or len(self) > self.limit:
            oldest = next(iter(self._strangers))
            self.leave(oldest)
            if oldest.transport is not None:
                # Not at once: aiohttp has not begun with one that has just come.
                asyncio.get_running_loop().call_soon(oldest.transport.abort)

    def admit(self, request: web.Request) -> None:
        """Know a connection whose request was let in."""
        if request.protocol in self._strangers:
            del self._strangers[request.protocol]
            self._known.add(request.protocol)

    def leave(self, connection: RequestHandler) -> None:
        """Hold a connection no more."""
        self._strangers.pop(connection, None)
        self._known.discard(connection)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether an error is to be logged: what is no HTTP is its sender's, and is told so."""
    return record.exc_info is None or not isinstance(
        record.exc_info[1], HttpProcessingError | web.RequestPayloadError
    )


log.addFilter(_is_ours)


class Server(web.Server):
    """aiohttp's server, which tells of each connection."""

    visitors: Visitors

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """A connection is open."""
        super().connection_made(handler, transport)
        self.visitors.enter(handler)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """A connection is closed."""
        self.visitors.leave(handler)
        super().connection_lost(handler, exc)


class Runner(web.AppRunner):
    """Runs a web application.

    Args:
        app: the application.
        visitors: keeps its connections.
        options: more of aiohttp's.
    """

    def __init__(self, app: web.Application, visitors: Visitors, **options: Any) -> None:
        super().__init__(app, access_log=None, logger=log, keepalive_timeout=ASK_SECONDS, **options)
        self._visitors = visitors

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        made.__class__ = Server  # aiohttp asks nobody which class it is to be
        server = cast(Server, made)
        server.visitors = self._visitors
        return server


class Web(driver.Web):  # type: ignore[misc]
    """Faust's web server, with bounds.

    Attributes:
        visitors: who is connected.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.visitors = Visitors()
        self._runner = Runner(self.web_app, self.visitors)
