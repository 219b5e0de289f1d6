"""The page and its login; what they show comes from the API."""

import asyncio
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from app.main import app
from clickwarden.guesses import TooManyGuesses
from web import files, now
from web.guard import COOKIE, cookie, guesses

routes = web.RouteTableDef()

#: How long the login's form may take to arrive, seconds.
FORM_SECONDS = 10.0
#: What comes of one that is none, or of which only the beginning comes.
MALFORMED = (
    KeyError,
    ValueError,
    TimeoutError,
    ConnectionError,
    web.RequestPayloadError,
    HttpProcessingError,
)

#: What each page is made of; what it shows comes from the API.
PAGES = {
    "/user": "user.html",
    "/history": "history.html",
    "/record": "record.html",
    "/rules": "rules.html",
    "/pipelines": "pipelines.html",
    "/allowed": "allowed.html",
    "/blocked": "blocked.html",
}


@routes.get("/")
async def look(_: web.Request) -> web.Response:
    """The first page, with the API's answer in it, which a browser would ask for last of all."""
    answer = now.encoded().replace(b"<", rb"\u003c")  # no id in it ends the element
    body = files.FILES["now.html"].body.replace(b">null</script>", b">" + answer + b"</script>")
    return web.Response(body=body, content_type="text/html", charset="utf-8")


@routes.get("/user")
@routes.get("/history")
@routes.get("/record")
@routes.get("/rules")
@routes.get("/pipelines")
@routes.get("/allowed")
@routes.get("/blocked")
async def page(request: web.Request) -> web.Response:
    """A page that is one file; which user or record it is of, ``?id=`` says."""
    return files.answer(request, PAGES[request.path])


@routes.get("/static/{name}")
async def static(request: web.Request) -> web.Response:
    """A file of the page."""
    return files.answer(request, request.match_info["name"])


@routes.get("/login")
async def login_form(request: web.Request) -> web.Response:
    """The form that asks for the token."""
    return files.answer(request, "login.html")


@routes.post("/login")
async def login(request: web.Request) -> web.Response:
    """Trade the form's ``token`` for a cookie that lasts until the browser is closed."""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            given = parse_qs((await request.read()).decode())["token"][0]
    except MALFORMED:
        raise web.HTTPBadRequest(text="a login is a form with the field token") from None
    try:
        if not guesses.is_right(given, request.remote):
            raise web.HTTPSeeOther("/login#wrong")
    except TooManyGuesses:
        raise web.HTTPSeeOther("/login#later") from None
    response = web.Response(status=303, headers={"Location": "/"})
    response.set_cookie(COOKIE, cookie(given), httponly=True, samesite="Strict", secure=request.secure)
    return response


app.web.web_app.add_routes(routes)
