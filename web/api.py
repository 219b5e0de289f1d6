"""The JSON API, version 1. A change to an answer is additive.

| request | answer |
|---|---|
| ``GET /api/v1/anomalies?limit=N`` | :class:`Anomalies`, of all partitions |
| ``GET /api/v1/status`` | :class:`web.status.Status`, of this worker |
| ``GET /ready`` | 200 when clicks are counted, else 503: ``{"state": …, "detail": …}`` |
| ``GET /health`` | 200 while the process is alive: ``{"state": "alive"}`` |

Faust's own stay at their places: ``/table/activity/USER/`` has the recent
windows of a suspect, ``/router/`` the partitions of each worker.
"""

from typing import Any, Literal

import msgspec
from aiohttp import web

from app.application import app
from web.feed import KEEP, feed
from web.status import state, status

DEFAULT_LIMIT = 100

routes = web.RouteTableDef()


class Anomalies(msgspec.Struct):
    """The newest anomalies of all partitions.

    Attributes:
        state: ``loading`` until the topic was read to its end once, then
            ``live``; ``away`` while Kafka cannot be read.
        detail: why not ``live``, in words.
        total: anomalies known.
        ongoing: of these, windows still open.
        anomalies: records as they are in the topic, ongoing ones first, then
            the newest windows; at most ``limit``.
    """

    state: Literal["loading", "live", "away"]
    detail: str
    total: int
    ongoing: int
    anomalies: list[msgspec.Raw]


def answer(content: Any, status: int = 200) -> web.Response:
    """A JSON response."""
    return web.Response(
        body=msgspec.json.encode(content), status=status, content_type="application/json", charset="utf-8"
    )


@routes.get("/api/v1/anomalies")
async def anomalies(request: web.Request) -> web.Response:
    """The newest anomalies; ``limit`` is 1 to 10,000, 100 if left out; else 400."""
    limit = request.query.get("limit", str(DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 5 and 1 <= int(limit) <= KEEP):
        return answer({"error": f"limit: {limit!r} must be a number from 1 to {KEEP}"}, 400)
    reading: Literal["loading", "live"] = "live" if feed.loaded else "loading"
    return answer(
        Anomalies(
            state="away" if feed.trouble else reading,
            detail=feed.trouble,
            total=len(feed),
            ongoing=feed.ongoing,
            anomalies=feed.newest(int(limit)),
        )
    )


@routes.get("/api/v1/status")
async def worker(_: web.Request) -> web.Response:
    """This worker and its partitions."""
    return answer(status())


@routes.get("/ready")
async def ready(_: web.Request) -> web.Response:
    """For who sends traffic or restarts one worker after the other; open without the token."""
    now = state()
    return answer({"state": now, "detail": app.presence.trouble}, 200 if now == "ready" else 503)


@routes.get("/health")
async def health(_: web.Request) -> web.Response:
    """For who restarts what is dead; open without the token."""
    return answer({"state": "alive"})


app.web.web_app.add_routes(routes)
