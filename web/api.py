"""The JSON API, version 1. A change to an answer is additive.

| request | answer |
|---|---|
| ``GET /api/v1/now`` | :class:`web.now.Now` |
| ``GET /api/v1/users/USER``, ``/api/v1/users?id=USER`` | :class:`web.users.User` |
| ``GET /api/v1/anomalies`` | :class:`Anomalies`; also ``.csv`` and ``.ndjson`` |
| ``GET /api/v1/incidents`` | :class:`web.incidents.IncidentList` |
| ``GET /api/v1/incidents/ID`` | :class:`clickwarden.alerts.incidents.Incident` |
| ``GET /api/v1/feedback`` | :class:`web.feedback.FeedbackList` |
| ``POST /api/v1/feedback/ID``: :class:`web.feedback.FeedbackRequest` | :class:`web.feedback.FeedbackAnswer` |
| ``GET /api/v1/rules`` | a list of :class:`web.rules.RuleStatus` |
| ``GET /api/v1/rules/history`` | :class:`web.changes.RulesHistory` |
| ``PATCH /api/v1/rules/NAME``: :class:`web.revisions.RevisionRequest` | :class:`web.changes.ChangeStatus` |
| ``POST /api/v1/rules/NAME/preview`` with the same | :class:`clickwarden.audit.comparison.Comparison` |
| ``GET /api/v1/allow`` | :class:`web.allowed.AllowListed` |
| ``POST /api/v1/allow``: :class:`web.allowed.AllowRequest` | :class:`web.changes.ChangeStatus` |
| ``DELETE /api/v1/allow`` | the same |
| ``GET /api/v1/inspect`` | :class:`clickwarden.alerts.survey.Survey` |
| ``GET /api/v1/blocklist`` | :class:`web.blocklist.BlocklistStatus`; also ``?format=nginx`` and others |
| ``GET /api/v1/pipelines`` | a list of :class:`web.pipelines.PipelineView` |
| ``GET /api/v1/status`` | :class:`agents.status.Status`, of this worker |
| ``GET /api/v1/stream`` | server-sent events, :mod:`web.listeners` |
| ``GET /ready`` | 200 when clicks are counted, else 503: ``{"state": …, "detail": …}`` |
| ``GET /health`` | 200 while the process is alive: ``{"state": "alive"}`` |

Faust's own stay at their places: ``/table/activity/USER/`` has the recent
windows of a suspect, ``/router/`` the partitions of each worker.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from aiohttp import web

from agents.worker import condition, status
from app.main import app
from clickwarden.alerts.feed import Entry
from web import changes, now, query, revisions, rules, users
from web.export import csv_head, csv_rows, ndjson
from web.labels import labelled
from web.listeners import Listener, listeners
from web.live import feed, following, state, stream, workers
from web.paging import paged
from web.pipelines import pipelines_of
from web.preview import previews
from web.query import QueryError
from web.refusal import Refusal, asked
from web.revisions import EDITION, RevisionRequest
from web.survey import SurveyError, surveyed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

routes = web.RouteTableDef()


class Anomalies(msgspec.Struct):
    """Anomalies of all partitions, the newest window first.

    Attributes:
        state: ``loading`` until the topic was read to its end once, then
            ``live``; ``away`` while Kafka cannot be read.
        detail: why not ``live``, in words.
        total: anomalies known that are as asked for, on all pages.
        ongoing: of these, windows still open.
        anomalies: records as they are in the topic; at most ``limit``.
        next: the ``cursor`` of the next page; None on the last.
        position: of the stream, to go on from with ``/api/v1/stream?last_event_id=``.
    """

    state: Literal["loading", "live", "away"]
    detail: str
    total: int
    ongoing: int
    anomalies: list[msgspec.Raw]
    next: str | None
    position: str


class Problem(msgspec.Struct):
    """Why there is no answer, in words."""

    error: str


def answer(content: Any, status: int = 200) -> web.Response:
    """A JSON response; bytes are JSON already."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")


@routes.get("/api/v1/now")
async def look(_: web.Request) -> web.Response:
    """Is anyone attacking now, who, how sure, since when; and is the watcher itself healthy."""
    return answer(now.encoded())


@routes.get(r"/api/v1/users/{user_id:[\s\S]+}")
async def user(request: web.Request) -> web.Response:
    """All that is known of a user, who need not be known."""
    return answer(users.user(request.match_info["user_id"]))


@routes.get("/api/v1/users")
async def user_of_query(request: web.Request) -> web.Response:
    """The same of a user named by ``?id=``, since a client takes ``.`` and ``..`` out of a path."""
    if "id" not in request.query:
        raise QueryError("id: name the user: /api/v1/users?id=USER")
    return answer(users.user(request.query["id"]))


@routes.get("/api/v1/anomalies")
async def anomalies(request: web.Request) -> web.Response:
    """The anomalies that are as asked for, a page at a time."""
    wanted = query.wanted(request.query)
    position = stream.position
    page = await paged(
        request.query, feed.select(wanted), lambda entry: entry.place, lambda entry: entry.ongoing
    )
    return answer(
        Anomalies(
            state=state(),
            detail=following.trouble,
            total=page.total,
            ongoing=page.ongoing,
            anomalies=[entry.record for entry in page.shown],
            next=page.next,
            position=position,
        )
    )


@routes.get("/api/v1/anomalies.csv", allow_head=False)
async def anomalies_csv(request: web.Request) -> web.StreamResponse:
    """All anomalies that are as asked for, as CSV."""
    return await _export(request, "text/csv", "csv", csv_rows, csv_head())


@routes.get("/api/v1/anomalies.ndjson", allow_head=False)
async def anomalies_ndjson(request: web.Request) -> web.StreamResponse:
    """All anomalies that are as asked for, one JSON object a line."""
    return await _export(request, "application/x-ndjson", "ndjson", ndjson)


async def _export(
    request: web.Request,
    content_type: str,
    suffix: str,
    write: Callable[[list[Entry]], bytes],
    head: bytes = b"",
) -> web.StreamResponse:
    wanted = query.wanted(request.query)
    response = web.StreamResponse(
        headers={"Content-Disposition": f'attachment; filename="anomalies.{suffix}"'}
    )
    response.content_type = content_type
    response.charset = "utf-8"
    response.enable_compression()
    await response.prepare(request)
    await response.write(head)
    async for entries in feed.select(wanted):
        await response.write(write(entries))
    await response.write_eof()
    return response


@routes.get("/api/v1/rules")
async def watched(_: web.Request) -> web.Response:
    """What is being watched, and what came of it."""
    return answer(rules.encoded())


@routes.get("/api/v1/rules/history")
async def rules_history(_: web.Request) -> web.Response:
    """How the rules in force came to be."""
    return answer(changes.encoded())


@routes.patch("/api/v1/rules/{name}")
async def revise(request: web.Request) -> web.Response:
    """Change a rule, in force at every worker within two seconds."""
    wanted = await asked(request, RevisionRequest, EDITION)
    try:
        edition = await revisions.revise(request.match_info["name"], wanted, request.remote)
    finally:  # also who was second looks at once at what the first has done
        changes.encoded.forget()
        rules.encoded.forget()
    return answer(changes.status_of(edition, []))


@routes.post("/api/v1/rules/{name}/preview")
async def preview(request: web.Request) -> web.Response:
    """Say what a change of a rule would have done in the last hour; nothing is changed."""
    wanted = await asked(request, RevisionRequest, EDITION)
    name = request.match_info["name"]
    return answer(await previews.preview(name, wanted, lambda: request.transport is not None))


@routes.get("/api/v1/inspect")
async def inspect(_: web.Request) -> web.Response:
    """What the records of the topic are, and the settings that read them, whatever is set."""
    try:
        return answer(await surveyed())
    except SurveyError as error:
        return answer(Problem(str(error)), 503)


@routes.get("/api/v1/pipelines")
async def pipelines(_: web.Request) -> web.Response:
    """What models score beside the clicks, and what came of it, of all workers."""
    return answer(pipelines_of(workers.heard(), labelled()))


@routes.get("/api/v1/status")
async def worker(_: web.Request) -> web.Response:
    """This worker and its partitions."""
    return answer(status())


@routes.get("/api/v1/stream", allow_head=False)
async def events(request: web.Request) -> web.StreamResponse:
    """Anomalies as they are found, and once a second what is going on now."""
    position = request.headers.get("Last-Event-ID", request.query.get("last_event_id"))
    listener = Listener(request)
    await listeners.listen(listener, position)
    return listener.response


@routes.get("/ready")
async def ready(_: web.Request) -> web.Response:
    """Say whether clicks are counted, to who restarts one worker after the other; open without the token."""
    now = condition()
    return answer(now._asdict(), 200 if now.state == "ready" else 503)


@routes.get("/health")
async def health(_: web.Request) -> web.Response:
    """Say that the process is alive, to who restarts what is dead; open without the token."""
    return answer({"state": "alive"})


@web.middleware
async def say_why(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse in JSON, also what aiohttp refuses by itself."""
    try:
        return await handler(request)
    except QueryError as error:
        return answer(Problem(str(error)), 400)
    except Refusal as refusal:
        return answer(refusal.answer, refusal.status)
    except web.HTTPClientError as error:
        if not request.path.startswith("/api/"):
            raise
        response = answer(Problem(f"{request.method} {request.path}: {error.reason}"), error.status)
        if allowed := error.headers.get("Allow"):
            response.headers["Allow"] = allowed
        return response


app.web.web_app.middlewares.append(say_why)
app.web.web_app.add_routes(routes)
