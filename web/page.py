"""The page and its login; what they show comes from the API."""

from aiohttp import web

from app.main import app, settings
from web import files, now
from web.guard import COOKIE, cookie, is_token

routes = web.RouteTableDef()

#: What each page is made of; what it shows comes from the API.
PAGES = {"/user": "user.html", "/history": "history.html", "/rules": "rules.html"}


@routes.get("/")
async def look(_: web.Request) -> web.Response:
    """The first page, with the API's answer in it, which a browser would ask for last of all."""
    answer = now.encoded().replace(b"<", rb"\u003c")  # no id in it ends the element
    body = files.FILES["now.html"].body.replace(b">null</script>", b">" + answer + b"</script>")
    return web.Response(body=body, content_type="text/html", charset="utf-8")


@routes.get("/user")
@routes.get("/history")
@routes.get("/rules")
async def page(request: web.Request) -> web.Response:
    """The pages of one user (``?id=``), of what was found, and of what is being watched."""
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
    given = (await request.post()).get("token")
    token = settings.web_token.get_secret_value()
    if not isinstance(given, str) or not is_token(given, token):
        raise web.HTTPSeeOther("/login#wrong")
    response = web.Response(status=303, headers={"Location": "/"})
    response.set_cookie(COOKIE, cookie(token), httponly=True, samesite="Strict", secure=request.secure)
    return response


app.web.web_app.add_routes(routes)
