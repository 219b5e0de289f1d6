"""The page and its login; what they show comes from the API."""

from pathlib import Path

from aiohttp import web

from app.application import app, settings
from web.guard import COOKIE, cookie, is_token

STATIC = Path(__file__).parent / "static"

routes = web.RouteTableDef()
routes.static("/static/", STATIC)

#: What each page is made of; what it shows comes from the API.
PAGES = {"/": "now.html", "/user": "user.html", "/history": "history.html", "/rules": "rules.html"}


@routes.get("/")
@routes.get("/user")
@routes.get("/history")
@routes.get("/rules")
async def page(request: web.Request) -> web.FileResponse:
    """What is going on now; a user (``?id=``); what was found; what is being watched."""
    return web.FileResponse(STATIC / PAGES[request.path])


@routes.get("/login")
async def login_form(_: web.Request) -> web.FileResponse:
    """Asks for the token."""
    return web.FileResponse(STATIC / "login.html")


@routes.post("/login")
async def login(request: web.Request) -> web.Response:
    """Trade the form's ``token`` for a cookie that lasts until the browser is closed."""
    given = (await request.post()).get("token")
    token = settings.web_token.get_secret_value()
    if not isinstance(given, str) or not is_token(given, token):
        raise web.HTTPSeeOther("/login#wrong")
    response = web.Response(status=303, headers={"Location": "/"})
    response.set_cookie(COOKIE, cookie(token), httponly=True, samesite="Strict", secure=request.secure)
    return response


app.web.web_app.add_routes(routes)
