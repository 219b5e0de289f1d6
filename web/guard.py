"""Who may ask: the token, the Host and Origin headers, and what answers allow a browser to do."""

import hashlib
import hmac
import re
from collections.abc import Callable
from functools import cache

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.main import app, settings
from clickwarden.guesses import Guesses, TooManyGuesses, encoded
from clickwarden.settings import LOOPBACK, Settings

COOKIE = "clickwarden"
#: Open without the token: they say nothing about the clicks.
OPEN = frozenset({"/login", "/ready", "/health"})
OPEN_FILES = "/static/"
#: And behind it, what a message links to; the link itself says who may.
OPEN_LINKS = "/feedback/"
#: What bouncers ask, who have a key of their own (:mod:`web.bouncers`).
OPEN_TO_BOUNCERS = "/v1/"

#: The page is made of files of ours, and nothing else may run, load or frame it.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "clickwarden",
}

#: Change nothing (RFC 9110, 9.2.1).
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN = (
    "comes from the page of another site, which may change nothing here: open the worker's own page; behind "
    "a proxy, have it hand on the Host header"
)

TOO_MANY = (
    "too many wrong tokens came from this address, so that this one was not looked at: try again in a second"
)

_LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)


@cache
def cookie(token: str) -> str:
    """What a browser keeps instead of the token, the same for every worker.

    To make one takes some 50 ms (RFC 7914), which whoever guesses it pays for each guess. So the right one is
    let in at any time, however many guess.
    """
    return hashlib.scrypt(encoded(token), salt=b"clickwarden login", n=2**14, r=8, p=1).hex()


@web.middleware
async def refuse_foreign(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what may change something and was made by a page that is not ours (CSRF).

    A browser says so by itself, in headers that no page can write. Who sends neither is no browser, and
    has no cookie that somebody else could make use of. Go's net/http has the same, as CrossOriginProtection.

    https://words.filippo.io/csrf/
    """
    # Of a form of ours Origin is null, as no-referrer has it; a link is known to nobody who was not told.
    if request.method in SAFE or request.path in OPEN or request.path.startswith(OPEN_LINKS):
        return await handler(request)
    origin = request.headers.get("Origin")
    if site := request.headers.get("Sec-Fetch-Site"):
        foreign = site not in ("same-origin", "none")
    else:
        foreign = origin is not None and origin.partition("://")[2].lower() != request.host.lower()
    if foreign:
        return web.json_response({"error": FOREIGN}, status=403)
    return await handler(request)


def guard(settings: Settings, guesses: Guesses, admit: Callable[[web.Request], None]) -> Middleware:
    """Refuse requests without the token, and on loopback those that name another host.

    A foreign page can have a browser on this machine resolve the page's own
    name to 127.0.0.1 (DNS rebinding); the Host header then names that page.

    Args:
        settings: of the page.
        guesses: at the token.
        admit: called with each request that is let in.
    """
    token = settings.web_token.get_secret_value()
    only_loopback = settings.web_bind in LOOPBACK

    def is_known(request: web.Request) -> bool:
        given = request.cookies.get(COOKIE, "")
        if not token or hmac.compare_digest(encoded(given), encoded(cookie(token))):
            return True
        if given:  # counted only: a page left open comes back with an old one
            guesses.counts["wrong"] += 1
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and guesses.is_right(credentials.strip(), request.remote)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if only_loopback and not _LOOPBACK_HOST.fullmatch(request.host):
            # RFC 9110, 15.5.20
            error = f"served on this machine only: open http://127.0.0.1:{settings.web_port}/"
            return web.json_response({"error": error}, status=421)
        if request.path in OPEN or request.path.startswith((OPEN_FILES, OPEN_LINKS, OPEN_TO_BOUNCERS)):
            return await handler(request)
        try:
            if is_known(request):
                admit(request)
                return await handler(request)
        except TooManyGuesses:
            return web.json_response({"error": TOO_MANY}, status=429, headers={"Retry-After": "1"})
        if "text/html" in request.headers.get("Accept", "") and not request.path.startswith("/api/"):
            raise web.HTTPSeeOther("/login")
        error = "needs the token: Authorization: Bearer TOKEN, or a login at /login"
        return web.json_response({"error": error}, status=401, headers={"WWW-Authenticate": "Bearer"})

    return check


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer's headers; nothing is to be stored where its maker does not allow it."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


guesses = Guesses(settings.web_token.get_secret_value(), "page")
app.web.web_app.middlewares.append(refuse_foreign)
app.web.web_app.middlewares.append(guard(settings, guesses, app.web.visitors.admit))
app.web.web_app.on_response_prepare.append(add_headers)
