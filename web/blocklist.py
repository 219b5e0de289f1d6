"""Who is blocked until when, as the API tells of it."""

from typing import Literal

import msgspec
from aiohttp import web

from app.main import app
from clickwarden.alerts.incidents import Severity
from clickwarden.blocking.address import Scope
from clickwarden.blocking.block import Block
from clickwarden.blocking.written import FORMATS, left_out, written
from clickwarden.times import isotime
from web.api import Problem, answer
from web.blocking import blocking
from web.bouncers import Bouncer, known_bouncers
from web.query import QueryError

OFF = (
    "Acting is off, and nobody is blocked. 'faust -A app blocklist' says whom it would block; "
    "CLICKWARDEN_BLOCK_SEVERITY=high turns it on (docs/blocking.md)"
)

routes = web.RouteTableDef()


class BlockStatus(msgspec.Struct):
    """One who is blocked.

    Attributes:
        user_id: as it stood in the click: an attacker's text.
        scope: ``Ip`` or ``Range`` where that is an address or a network; else ``Username``.
        value: the address or the network in its one way of writing; else the id.
        since: ISO-8601 UTC.
        until: ISO-8601 UTC.
        times: how often in a row: 1 for the first time.
        incident_id: of the last incident that it is for.
        rule: that was broken.
        severity: of that incident.
    """

    user_id: str
    scope: Scope
    value: str
    since: str
    until: str
    times: int
    incident_id: str
    rule: str
    severity: Severity


class BlocklistStatus(msgspec.Struct):
    """Who is blocked until when.

    Attributes:
        state: ``live``; or ``off``, where nobody is to be blocked. While who is blocked cannot be known, the
            answer is a 503: an empty list would let everybody in.
        detail: of ``off``, how it is turned on.
        severity: from which on users are blocked; None where off.
        blocks: who, those that last longest first.
        left_out: who is not on it, in words.
        bouncers: who has asked for decisions at this worker.
    """

    state: Literal["live", "off"]
    detail: str
    severity: Severity | None
    blocks: list[BlockStatus]
    left_out: list[str]
    bouncers: list[Bouncer]


def _status(block: Block) -> BlockStatus:
    return BlockStatus(
        user_id=block.user_id,
        scope=block.target.scope,
        value=block.target.value,
        since=isotime(block.since),
        until=isotime(block.until),
        times=block.times,
        incident_id=block.offence.incident_id,
        rule=block.offence.rule,
        severity=block.offence.severity,
    )


@routes.get("/api/v1/blocklist")
async def blocklist(request: web.Request) -> web.Response:
    """Who is blocked until when, in the format that is asked for."""
    form = request.query.get("format", "json")
    if form not in ("json", *FORMATS):
        raise QueryError(f"format: {form!r} must be one of json, {', '.join(FORMATS)}")
    if blocking is None:
        if form != "json":
            return answer(Problem(OFF), 404)
        return answer(BlocklistStatus("off", OFF, None, [], [], []))
    listing = blocking.listing
    if listing is None:
        why = blocking.trouble or "what was found so far is being read"
        return answer(Problem(f"who is blocked cannot be known now: {why}"), 503)
    for each in FORMATS:
        if form == each:
            return web.Response(text=written(listing, each), content_type="text/plain", charset="utf-8")
    return answer(
        BlocklistStatus(
            state="live",
            detail="",
            severity=blocking.terms.severity,
            blocks=[_status(block) for block in listing.blocks],
            left_out=list(left_out(listing.left_out)),
            bouncers=known_bouncers(),
        )
    )


app.web.web_app.add_routes(routes)
