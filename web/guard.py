"""Who may ask: the token, the Host header, and what answers allow a browser to do."""

import hashlib
import hmac
import re

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.main import app, settings
from clickwarden.settings import LOOPBACK, Settings

COOKIE = "clickwarden"
#: Open without the token: they say nothing about the clicks.
OPEN = frozenset({"/login", "/ready", "/health"})
OPEN_FILES = "/static/"

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

_LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)


def cookie(token: str) -> str:
    """What a browser keeps instead of the token, the same for every worker."""
    return hmac.new(_bytes(token), b"clickwarden login", hashlib.sha256).hexdigest()


def is_token(given: str, token: str) -> bool:
    """Whether they are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(_bytes(given), _bytes(token))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")  # as aiohttp reads headers


def guard(settings: Settings) -> Middleware:
    """Refuse requests without the token, and on loopback those that name another host.

    A foreign page can have a browser on this machine resolve the page's own
    name to 127.0.0.1 (DNS rebinding); the Host header then names that page.
    """
    token = settings.web_token.get_secret_value()
    only_loopback = settings.web_bind in LOOPBACK

    def is_known(request: web.Request) -> bool:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and is_token(credentials.strip(), token):
            return True
        return hmac.compare_digest(_bytes(request.cookies.get(COOKIE, "")), _bytes(cookie(token)))

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if only_loopback and not _LOOPBACK_HOST.fullmatch(request.host):
            # RFC 9110, 15.5.20
            error = f"served on this machine only: open http://127.0.0.1:{settings.web_port}/"
            return web.json_response({"error": error}, status=421)
        is_open = request.path in OPEN or request.path.startswith(OPEN_FILES)
        if not token or is_open or is_known(request):
            return await handler(request)
        if "text/html" in request.headers.get("Accept", "") and not request.path.startswith("/api/"):
            raise web.HTTPSeeOther("/login")
        error = "needs the token: Authorization: Bearer TOKEN, or a login at /login"
        return web.json_response({"error": error}, status=401, headers={"WWW-Authenticate": "Bearer"})

    return check


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer's headers; nothing is to be stored where its maker does not allow it."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


app.web.web_app.middlewares.append(guard(settings))
app.web.web_app.on_response_prepare.append(add_headers)
