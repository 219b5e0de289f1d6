"""The decisions API of CrowdSec's local API, which its bouncers poll.

| request | answer |
|---|---|
| ``GET /v1/decisions/stream?startup=true`` | :class:`Decisions`: all there are, and all that are over |
| ``GET /v1/decisions/stream`` | the same, since the bouncer asked last |
| ``GET /v1/decisions?ip=ADDRESS`` | a list of :class:`Decision`, ``null`` where there is none |
| ``HEAD`` of both | whether the key is right |

A bouncer is known by its key, its address and its User-Agent, ``TYPE/VERSION``. Of two that have all of them
alike one would be told of each change: so each has a key of its own, as with CrowdSec.
"""

import hmac
from collections import Counter, OrderedDict
from functools import cache

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from app.main import app
from clickwarden.blocking.decisions import SCOPES, Decisions, Wanted, decision_of
from clickwarden.guesses import Guesses, TooManyGuesses, encoded
from clickwarden.times import isotime
from web.blocking import Blocking, blocking
from web.guard import OPEN_TO_BOUNCERS

#: Bouncers that are remembered, those that asked last.
KEEP = 1000
#: Of what a stranger calls itself, so much is kept.
NAME_MAX = 64

routes = web.RouteTableDef()


class Bouncer(msgspec.Struct):
    """Who asks for decisions, with a right key.

    Attributes:
        type: what it calls itself.
        version: of it; N/A where it does not say.
        address: where it asks from.
        asked: when it did last, ISO-8601 UTC.
    """

    type: str
    version: str
    address: str
    asked: str


_Name = tuple[int, str, str]
_bouncers: OrderedDict[_Name, Bouncer] = OrderedDict()
_positions: dict[_Name, int] = {}


def known_bouncers() -> list[Bouncer]:
    """Those that asked this worker since it started, the last first."""
    return list(reversed(_bouncers.values()))


def _refusal(why: str, status: int, **headers: str) -> web.Response:
    """In CrowdSec's form."""
    return web.json_response({"message": why}, status=status, headers=headers)


@cache
def _guesses() -> Guesses:
    first, *others = (key.reveal() for key in app.bouncer_keys)
    return Guesses(first, "bouncer", others=others)


def guessed_keys() -> Counter[str]:
    """Wrong keys, as :attr:`Guesses.counts` has them."""
    return _guesses().counts if app.bouncer_keys else Counter()


def _name(request: web.Request) -> _Name | None:
    """Whose request it is; None: of somebody without a right key.

    Raises:
        TooManyGuesses: by the address.
    """
    given = request.headers.get("X-Api-Key")
    if not app.bouncer_keys or given is None or not _guesses().is_right(given, request.remote):
        return None
    same = [hmac.compare_digest(encoded(given), encoded(key.reveal())) for key in app.bouncer_keys]
    return same.index(True), request.remote or "", request.headers.get("User-Agent", "")[:NAME_MAX]


def _note(name: _Name) -> None:
    kind, slash, version = name[2].partition("/")
    if not slash or "/" in version:
        kind, version = name[2], "N/A"
    _bouncers[name] = Bouncer(kind, version, name[1], isotime(app.clock.now()))
    _bouncers.move_to_end(name)
    if len(_bouncers) > KEEP:
        forgotten, _ = _bouncers.popitem(last=False)
        _positions.pop(forgotten, None)


@web.middleware
async def _check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who has a key, while who is blocked is known."""
    if not request.path.startswith(OPEN_TO_BOUNCERS):
        return await handler(request)
    if blocking is None:
        return _refusal("acting is off: CLICKWARDEN_BLOCK_SEVERITY=high turns it on", 404)
    try:
        name = _name(request)
    except TooManyGuesses:
        return _refusal("too many wrong keys came from this address", 429, **{"Retry-After": "1"})
    if name is None:
        return _refusal("access forbidden", 403)
    request["bouncer"] = name
    _note(name)
    if blocking.listing is None:
        # Not an empty answer, which a bouncer would take for nobody.
        return _refusal(f"who is blocked cannot be known now: {blocking.trouble or 'loading'}", 503)
    try:
        return await handler(request)
    except ValueError as error:
        return _refusal(str(error), 400)
    except web.HTTPClientError as error:
        return _refusal(error.reason, error.status)


def _at_work() -> Blocking:
    assert blocking is not None  # _check lets nobody in otherwise
    return blocking


@routes.get("/v1/decisions/stream")
async def stream(request: web.Request) -> web.StreamResponse:
    """What has changed since the bouncer asked last; all of it when it starts, or is not known."""
    wanted = Wanted({"scopes": ",".join(SCOPES)} | dict(request.query), None)
    if request.method == "HEAD":
        return web.json_response(None)
    name: _Name = request["bouncer"]
    position = None if request.query.get("startup") == "true" else _positions.get(name)
    delta, now = _at_work().history.since(position), app.clock.now()
    content = Decisions(
        new=[decision_of(block, now) for block in delta.new if wanted(block) and block.until > now],
        deleted=[decision_of(block, max(now, block.until)) for block in delta.deleted if wanted(block)],
    )
    response = web.Response(body=msgspec.json.encode(content), content_type="application/json")
    await response.prepare(request)
    await response.write_eof()
    _positions[name] = delta.position  # not before it has gone out: what was not heard is said again
    return response


@routes.get("/v1/decisions")
async def decisions(request: web.Request) -> web.StreamResponse:
    """The decisions that are as asked for; ``null`` where there are none, which is what bouncers look for."""
    wanted, now = Wanted(request.query, None), app.clock.now()
    listing = _at_work().history.listing
    blocks = [] if listing is None else listing.blocks
    found = [decision_of(block, now) for block in blocks if wanted(block) and block.until > now]
    return web.Response(body=msgspec.json.encode(found or None), content_type="application/json")


app.web.web_app.middlewares.append(_check)
app.web.web_app.add_routes(routes)
