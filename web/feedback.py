"""What people say of incidents, by the API."""

from typing import Literal

import msgspec
from aiohttp import web

from app.main import app
from clickwarden.alerts.feedback import Feedback, Statement
from clickwarden.times import epoch
from web import live, query
from web.api import answer
from web.author import author
from web.refusal import Refusal, asked
from web.statements import FeedbackStatus, registrar, status_of
from web.users import incidents_of

routes = web.RouteTableDef()


class FeedbackList(msgspec.Struct):
    """What people said of incidents, the last first.

    Attributes:
        state: ``loading`` until the topic was read to its end once, then ``live``; ``away`` while Kafka
            cannot be read.
        detail: why not ``live``, in words.
        total: incidents of which something was said.
        feedback: at most ``limit``.
    """

    state: Literal["loading", "live", "away"]
    detail: str
    total: int
    feedback: list[Feedback]


class FeedbackRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody says of an incident.

    Attributes:
        verdict: it was a ``human``, or a ``bot``; or ``snooze``: nobody is to be told of its user under its
            rule until then.
        until: of a snooze, ISO-8601, at most 30 days from now; a time that is over ends one.
        why: a comment of at most 200 characters.
    """

    verdict: Statement
    until: str | None = None
    why: str = ""


class FeedbackAnswer(FeedbackStatus):
    """What stands of an incident now.

    Attributes:
        already: whether it stood before; then nothing was changed.
    """

    already: bool = False


@routes.get("/api/v1/feedback")
async def said(request: web.Request) -> web.Response:
    """What people said."""
    limit = query.limit(request.query)
    known = live.feedback.all()
    shown = known[::-1][:limit]
    return answer(FeedbackList(live.state(), live.following.trouble, len(known), shown))


@routes.post(r"/api/v1/feedback/{incident_id:[\s\S]+}")
async def say(request: web.Request) -> web.Response:
    """Say what an incident was, or that nobody is to be told for a time."""
    wanted = await asked(request, FeedbackRequest, "see docs/api.md")
    incident = live.incident(request.match_info["incident_id"])
    if incident is None:
        raise Refusal(404, "no incident of this id is known")
    try:
        until = None if wanted.until is None else epoch(wanted.until)
    except (ValueError, OverflowError):
        raise Refusal(400, "until: is no time; write it as 2026-12-31T15:00:00Z", "until") from None
    noted = await registrar.note(
        incident, wanted.verdict, until=until, who=author.named(request.remote), why=wanted.why
    )
    status = msgspec.structs.asdict(status_of(incident, incidents_of(incident.user_id)))
    return answer(FeedbackAnswer(**status, already=noted.already))


app.web.web_app.add_routes(routes)
