"""What a message's link leads to: one incident, what stands of it, and buttons that say what it was.

It asks for no token, runs no script, and shows nothing else. Who only looks at
it, as a program that shows previews does, changes nothing: a form does.
"""

import asyncio
from collections.abc import Iterator
from html import escape
from string import Template
from typing import get_args
from urllib.parse import parse_qs, urlencode

from aiohttp import web

from app.main import app, settings
from clickwarden.alerts.feedback import WHY_MOST, Statement
from clickwarden.alerts.incidents import Incident
from clickwarden.alerts.words import duration, plural
from clickwarden.channels.links import LinkError, LinkExpired
from clickwarden.channels.message import case_of, message_of
from clickwarden.detection.rules import by_name
from clickwarden.times import epoch, isotime
from web import files, live
from web.refusal import BODY_BYTES, BODY_SECONDS, BROKEN, Refusal
from web.statements import FeedbackStatus, registrar, status_of
from web.users import incidents_of

routes = web.RouteTableDef()

#: What can be chosen for a snooze, seconds.
SNOOZES = (3_600, 8 * 3_600, 86_400, 7 * 86_400)
MINUTE = 60

WORDS = {"human": "It was a human", "bot": "It was a bot"}
FOLLOWS = {
    "human": "nothing more is told of this incident",
    "snoozed": "nothing is told of this user under this rule until then",
}

_page = Template(files.FILES["feedback.html"].body.decode())


class NoSuchPage(Exception):
    """A link leads nowhere; why, in words, with the answer's status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@routes.get(r"/feedback/{token:[\s\S]+}")
async def look(request: web.Request) -> web.Response:
    """The incident, and the buttons."""
    try:
        return _shown(_incident(request))
    except NoSuchPage as error:
        return _answer([f"<h1>{escape(str(error))}.</h1>"], error.status)


@routes.post(r"/feedback/{token:[\s\S]+}")
async def say(request: web.Request) -> web.Response:
    """Note what was said, and show what stands now."""
    try:
        incident = _incident(request)
        statement, until, why = await _said(request)
        if until is not None and until <= app.clock.now():
            return _shown(incident, "Not noted: that time is over by now. Choose again.", 400)
    except NoSuchPage as error:
        return _answer([f"<h1>{escape(str(error))}.</h1>"], error.status)
    who = f"a link of a message, opened at {settings.member} from {request.remote}"
    try:
        noted = await registrar.note(incident, statement, until=until, who=who, why=why)
    except Refusal as refusal:
        return _shown(incident, f"Not noted: {refusal}", refusal.status)
    return _shown(incident, "This stood already:" if noted.already else "Noted. Thank you.")


def _incident(request: web.Request) -> Incident:
    """The incident that a link is of.

    Raises:
        NoSuchPage: it is of none.
    """
    links = app.channels.links if app.channels else None
    if links is None:
        raise NoSuchPage(404, "Links do not work here: channels.toml has no page, or no link_secret")
    try:
        incident_id = links.incident_id(request.match_info["token"], app.clock.now())
    except LinkExpired as error:
        raise NoSuchPage(410, str(error)) from None
    except LinkError as error:
        raise NoSuchPage(403, str(error)) from None
    incident = live.incident(incident_id)
    if incident is not None:
        return incident
    if live.state() != "live":
        raise NoSuchPage(503, "What was found is still being read. Try again in a moment")
    raise NoSuchPage(404, "Nothing is known of this incident any more")


async def _said(request: web.Request) -> tuple[Statement, float | None, str]:
    """What was said, until when, and the comment.

    Raises:
        NoSuchPage: it is nothing that can be said.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
        if len(body) > BODY_BYTES:
            raise ValueError
        form = parse_qs(body.decode())
        word, _, until = form["say"][0].partition(" ")
        (statement,) = (each for each in get_args(Statement) if each == word)
        return statement, epoch(until) if until else None, form.get("why", [""])[0]
    except (*BROKEN, KeyError, ValueError, OverflowError):
        raise NoSuchPage(400, "This is no answer of this page. Open the link again") from None


def _shown(incident: Incident, said: str = "", status: int = 200) -> web.Response:
    now = app.clock.now()
    case = case_of(incident, by_name(app.rules).get(incident.rule))
    message = message_of(case, "opening" if case.ongoing else "end", "")
    stands = "\n".join(_stands(status_of(incident, incidents_of(incident.user_id))))
    facts = (
        f"<div><dt>{escape(fact.about)}</dt><dd>{escape(fact.text)}</dd></div>" for fact in message.facts
    )
    return _answer(
        [
            f"<h1>{escape(message.title)}</h1>",
            f'<div role="status" class="stands">{f"<p>{escape(said)}</p> " if said else ""}{stands}</div>',
            f"<dl>{''.join(facts)}</dl>",
            '<form method="post">',
            "<h2>What was it?</h2>",
            '<p><label for="why">Comment, if you like</label>',
            f'<textarea id="why" name="why" rows="2" maxlength="{WHY_MOST}"></textarea></p>',
            '<p class="actions"><button name="say" value="human">Human</button>',
            '<button name="say" value="bot">Bot</button></p>',
            '<p class="note">Of a human nothing more is told. A bot is told of as before.</p>',
            "<h2>Or not now</h2>",
            f'<p class="actions">{"".join(_snoozes(now))}</p>',
            '<p class="note">Until then nothing is told of this user under this rule, but it is counted.</p>',
            "</form>",
        ],
        status,
    )


def _stands(stands: FeedbackStatus) -> Iterator[str]:
    """What stands of an incident, a paragraph each."""
    said = stands.feedback
    if said is not None and said.verdict is not None:
        follows = f": {FOLLOWS['human']}" if said.verdict == "human" else ""
        yield f"<p><strong>{WORDS[said.verdict]}</strong>{follows}.</p>"
    if stands.until is not None:
        counted = f" {plural(stands.meanwhile, 'incident')} so far." if stands.meanwhile else ""
        until = escape(_moment(stands.until))
        yield f"<p><strong>Snoozed until {until}</strong>: {FOLLOWS['snoozed']}.{counted}</p>"
    if said is not None and said.verdict == "human":
        user = escape(f"/user?{urlencode({'id': said.user_id}, errors='replace')}")
        yield (
            f'<p>If they may do so again, allow them on <a href="{user}">their page</a>, which asks for the '
            "token.</p>"
        )


def _snoozes(now: float) -> Iterator[str]:
    """A button a snooze; each says until when, so that to press it twice is to press it once."""
    for seconds in SNOOZES:
        until = isotime((int(now) // MINUTE + 1) * MINUTE + seconds)
        yield (
            f'<button name="say" value="snooze {until}" class="second">{duration(seconds)}'
            f"<small>until {_moment(until)}</small></button> "
        )


def _moment(iso: str) -> str:
    return f"{iso[:10]} {iso[11:16]} UTC"


def _answer(content: list[str], status: int) -> web.Response:
    body = _page.substitute(content="\n".join(content))
    return web.Response(text=body, status=status, content_type="text/html")


app.web.web_app.add_routes(routes)
