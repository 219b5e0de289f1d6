"""Who may send clicks over HTTP, and how many."""

import logging
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from clickwarden.allowance import Allowance, network
from clickwarden.formats.clients import Clients
from clickwarden.guesses import Guesses, TooManyGuesses
from clickwarden.settings import Settings
from clickwarden.sources.keys import Keys

log = logging.getLogger(__name__)

#: Seconds of its rate that a client may use at once.
BURST_SECONDS = 10
#: Characters of X-Forwarded-For that are read, from its end: what stands there is remembered.
FORWARDED_MAX = 256
#: Where a request keeps the origin whose pages may read the answer.
READER = web.RequestKey("reader", str)


class TurnedAway(Exception):
    """A request is not taken, and nothing of what it holds.

    Attributes:
        status: of the answer.
        reason: a word for it, in figures and answers.
        wait: seconds after which to try again; 0 where that is of no use.
        click: which of the request's clicks is wrong, from 0; None where it is none of them.
    """

    def __init__(
        self, status: HTTPStatus, reason: str, error: str, wait: int = 0, click: int | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.reason = reason
        self.wait = wait
        self.click = click


class Door:
    """Lets in servers, by the token, as much as they like; and pages, by a key, at a rate a client.

    Without a token it lets in everybody, at that rate.

    Args:
        settings: ``collect_token``, and ``collect_rate``, clicks a second of a client.
        clients: whom to take for the client.

    Attributes:
        guesses: at the token.
    """

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self._token = settings.collect_token.get_secret_value()
        self.guesses = Guesses(self._token, "collector")
        self._keys = Keys(self._token)
        self._clients = clients
        self._warned = False
        self._allowance = Allowance(settings.collect_rate * BURST_SECONDS, settings.collect_rate)

    def client(self, request: web.Request) -> str:
        """Who sends this: an address, a host name, or nobody who is known."""
        forwarded = ", ".join(request.headers.getall("X-Forwarded-For", ()))
        if forwarded and not self._clients.trusting and not self._warned:
            self._warned = True
            log.warning(
                "%s sends X-Forwarded-For, which is not read: if that is a proxy of yours, name it with "
                "--trusted-proxies, or all who come through it are one client",
                request.remote,
            )
        if len(forwarded) > FORWARDED_MAX:
            forwarded = forwarded[-FORWARDED_MAX:].partition(",")[2]
        (client,) = self._clients.of([request.remote or ""], [forwarded])
        return client

    def enter(self, request: web.Request, client: str) -> bool:
        """Let a request in; whether what it holds is to be paid for.

        Raises:
            TurnedAway: it is not let in.
        """
        if self._token and "Authorization" in request.headers:
            self.check_token(request, client)
            return False
        self._check_key(request)
        payer = network(client)
        if self._allowance.left(payer) < 1:
            raise TurnedAway(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_often",
                f"{client} sends more clicks than CLICKWARDEN_COLLECT_RATE allows",
                wait=self._allowance.wait(payer),
            )
        self.pay(client, 1)
        return True

    def pay(self, client: str, clicks: int) -> None:
        """Take so many clicks from what a client may send, also where it has less left."""
        if clicks:
            self._allowance.spend(network(client), clicks)

    def check_token(self, request: web.Request, client: str) -> None:
        """Let in whoever has the token.

        Raises:
            TurnedAway: who has not, or tries many.
        """
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        try:
            right = scheme.lower() == "bearer" and self.guesses.is_right(credentials.strip(), client)
        except TooManyGuesses:
            error = "too many wrong tokens came from this address, so that this one was not looked at"
            raise TurnedAway(HTTPStatus.TOO_MANY_REQUESTS, "too_many_guesses", error, wait=1) from None
        if not right:
            error = "that is not the token: Authorization: Bearer TOKEN"
            raise TurnedAway(HTTPStatus.UNAUTHORIZED, "wrong_token", error)

    def _check_key(self, request: web.Request) -> None:
        """Let in the pages of an origin that has a key, and let them read the answer."""
        origin = request.headers.get("Origin", "")
        if not self._token:
            if origin:
                request[READER] = "*"
            return
        key = request.query.get("key")
        if key is None:
            error = "needs the token, Authorization: Bearer TOKEN, or of a page its key, ?key=KEY"
            raise TurnedAway(HTTPStatus.UNAUTHORIZED, "no_key", error)
        # A picture is asked for without an Origin.
        origin = origin or _origin(request.headers.get("Referer", ""))
        if not self._keys.is_good(key, origin):
            error = f"the key is not for pages of {origin[:100]!r}, or too old: collect --key makes one"
            raise TurnedAway(HTTPStatus.FORBIDDEN, "wrong_key", error)
        request[READER] = origin


def _origin(url: str) -> str:
    """The origin of a page; empty where it has none.

    >>> _origin("https://shop.example/cart?id=7"), _origin(""), _origin("http://[::1")
    ('https://shop.example', '', '')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
