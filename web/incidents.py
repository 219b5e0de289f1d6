"""The incidents, as the API tells of them."""

from typing import Literal

import msgspec
from aiohttp import web

from app.main import app
from clickwarden.alerts.incidents import Incident
from clickwarden.alerts.known import place
from web import live, query
from web.api import answer
from web.paging import paged

routes = web.RouteTableDef()


class IncidentList(msgspec.Struct):
    """Incidents of all partitions, those that began last first.

    Attributes:
        state: ``loading`` until the topic was read to its end once, then
            ``live``; ``away`` while Kafka cannot be read.
        detail: why not ``live``, in words.
        total: incidents known that are as asked for, on all pages.
        ongoing: of these, with an open window.
        incidents: at most ``limit``.
        next: the ``cursor`` of the next page; None on the last.
    """

    state: Literal["loading", "live", "away"]
    detail: str
    total: int
    ongoing: int
    incidents: list[Incident]
    next: str | None


@routes.get("/api/v1/incidents")
async def incidents(request: web.Request) -> web.Response:
    """The incidents that are as asked for, a page at a time."""
    page = await paged(
        request.query,
        live.incidents.select(query.wanted(request.query)),
        place,
        lambda incident: incident.status == "ongoing",
    )
    return answer(
        IncidentList(
            state=live.state(),
            detail=live.following.trouble,
            total=page.total,
            ongoing=page.ongoing,
            incidents=[live.incident(incident.incident_id) or incident for incident in page.shown],
            next=page.next,
        )
    )


@routes.get(r"/api/v1/incidents/{incident_id:[\s\S]+}")
async def incident(request: web.Request) -> web.Response:
    """One incident."""
    found = live.incident(request.match_info["incident_id"])
    if found is None:
        raise web.HTTPNotFound(reason="no incident of this id is known")
    return answer(found)


app.web.web_app.add_routes(routes)
