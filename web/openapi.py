"""The API's description, made from the same types as its answers (OpenAPI 3.1)."""

from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from agents.status import State, Status
from app.main import app
from clickwarden.alerts.incidents import KINDS, Incident
from clickwarden.alerts.survey import Survey
from clickwarden.audit.comparison import Comparison
from clickwarden.blocking.written import FORMATS
from clickwarden.detection.anomaly import STATUSES, Anomaly
from clickwarden.detection.rules import OWASP
from clickwarden.release import RELEASE
from web.allowed import AllowListed, AllowRequest
from web.api import Anomalies, Problem, answer
from web.appointments import PromoteRequest, RollbackRequest
from web.blocklist import BlocklistStatus
from web.changes import ChangeStatus, RulesHistory
from web.feedback import FeedbackAnswer, FeedbackList, FeedbackRequest
from web.incidents import IncidentList
from web.models import AppointmentStatus
from web.now import Now
from web.pipelines import PipelineView
from web.query import DEFAULT_LIMIT, MAX_LIMIT
from web.refusal import Refused
from web.revisions import RevisionRequest
from web.rules import RuleStatus
from web.users import User


class Alive(msgspec.Struct):
    """The process answers."""

    state: str


class Ready(msgspec.Struct):
    """Whether clicks are counted, and why not."""

    state: State
    detail: str


class Operation(NamedTuple):
    """A request.

    Attributes:
        summary: what it answers.
        contents: types of the answer by status; a MIME type where it is no JSON; a tuple of several.
        query: names of what the query string may hold.
        body: type of what it sends, as JSON.
    """

    summary: str
    contents: Mapping[int, Any]
    query: tuple[str, ...] = ()
    body: Any = None


TIME = {"type": "string", "format": "date-time"}
#: What a query string may hold: its schema, and what it means.
QUERY: dict[str, tuple[dict[str, Any], str]] = {
    "rule": ({"type": "string"}, "Only of this rule"),
    "user": ({"type": "string"}, "Only of this user"),
    "category": ({"enum": list(OWASP)}, "Only of this category"),
    "status": ({"enum": list(STATUSES)}, "Only those of which this was said last"),
    "kind": (
        {"enum": list(KINDS)},
        "Only attacks; or only drift of pipelines; or only of rules in shadow; or only of users who are "
        "allowed, but for those",
    ),
    "pipeline": ({"type": "string"}, "Only of this pipeline, of its champion and of its challengers"),
    "since": (TIME, "Only windows that end after it; UTC where it names no zone"),
    "until": (TIME, "Only windows that begin before it"),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "How many at most",
    ),
    "cursor": ({"type": "string"}, "'next' of the page before"),
    "prefix": ({"type": "string"}, "Those whose ids begin so"),
    "network": ({"type": "string"}, "Those whose ids are addresses in it: ADDRESS/BITS"),
    "reason": ({"type": "string"}, "All who are allowed for it"),
    "format": ({"enum": ["json", *FORMATS], "default": "json"}, "How it is written"),
    "last_event_id": ({"type": "string"}, "Position to go on from; the header Last-Event-ID goes first"),
}
ENTRIES = ("user", "prefix", "network", "reason")
FILTERS = ("rule", "pipeline", "user", "category", "status", "kind", "since", "until")
ID = {"type": "string", "minLength": 1}
RULE_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
#: Requests that name one user, incident or rule: by what, where it stands, and what it may be.
NAMED = {
    "/api/v1/users": ("id", "query", ID),
    "/api/v1/users/{user_id}": ("user_id", "path", ID),
    "/api/v1/anomalies/{alert_id}": ("alert_id", "path", ID),
    "/api/v1/incidents/{incident_id}": ("incident_id", "path", ID),
    "/api/v1/feedback/{incident_id}": ("incident_id", "path", ID),
    "/api/v1/rules/{name}": ("name", "path", RULE_NAME),
    "/api/v1/rules/{name}/preview": ("name", "path", RULE_NAME),
    "/api/v1/pipelines/{name}/promote": ("name", "path", RULE_NAME),
    "/api/v1/pipelines/{name}/rollback": ("name", "path", RULE_NAME),
}
#: Of who wants something changed.
REFUSALS = dict.fromkeys((400, 403, 404, 409, 413, 415), Refused)

OPERATIONS = {
    "GET /api/v1/now": Operation("Is anyone attacking now, and is the watcher itself healthy", {200: Now}),
    "GET /api/v1/users": Operation(
        "All that is known of a user, who need not be known", {200: User, 400: Problem}
    ),
    "GET /api/v1/users/{user_id}": Operation("The same; not for the users . and ..", {200: User}),
    "GET /api/v1/anomalies": Operation(
        "Anomalies, the newest window first, a page at a time",
        {200: Anomalies, 400: Problem},
        (*FILTERS, "limit", "cursor"),
    ),
    "GET /api/v1/anomalies/{alert_id}": Operation("One anomaly", {200: Anomaly, 404: Problem}),
    "GET /api/v1/anomalies.csv": Operation("All of them as CSV", {200: "text/csv", 400: Problem}, FILTERS),
    "GET /api/v1/anomalies.ndjson": Operation(
        "All of them, one JSON object a line", {200: "application/x-ndjson", 400: Problem}, FILTERS
    ),
    "GET /api/v1/incidents": Operation(
        "Incidents, those that began last first, a page at a time",
        {200: IncidentList, 400: Problem},
        (*FILTERS, "limit", "cursor"),
    ),
    "GET /api/v1/incidents/{incident_id}": Operation("One incident", {200: Incident, 404: Problem}),
    "GET /api/v1/feedback": Operation(
        "What people said of incidents, the last first", {200: FeedbackList, 400: Problem}, ("limit",)
    ),
    "POST /api/v1/feedback/{incident_id}": Operation(
        "Say what an incident was, or that nobody is to be told for a time",
        {200: FeedbackAnswer, **REFUSALS, 503: Refused},
        body=FeedbackRequest,
    ),
    "GET /api/v1/rules": Operation("What is being watched, and what came of it", {200: list[RuleStatus]}),
    "GET /api/v1/rules/history": Operation("How the rules in force came to be", {200: RulesHistory}),
    "PATCH /api/v1/rules/{name}": Operation(
        "Change a rule: its threshold, whether it is in shadow, whether it is in force",
        {200: ChangeStatus, **REFUSALS, 429: Refused, 503: Refused},
        body=RevisionRequest,
    ),
    "POST /api/v1/rules/{name}/preview": Operation(
        "What a change of a rule would have done in the last hour; nothing is changed",
        {200: Comparison, **REFUSALS, 429: Refused, 503: Refused},
        body=RevisionRequest,
    ),
    "GET /api/v1/pipelines": Operation(
        "What models score beside the clicks, and what came of it", {200: list[PipelineView]}
    ),
    "POST /api/v1/pipelines/{name}/promote": Operation(
        "Put a model in charge of a pipeline; the one before leaves",
        {200: AppointmentStatus, **REFUSALS, 429: Refused, 503: Refused},
        body=PromoteRequest,
    ),
    "POST /api/v1/pipelines/{name}/rollback": Operation(
        "Put the champion before in charge again",
        {200: AppointmentStatus, **REFUSALS, 429: Refused, 503: Refused},
        body=RollbackRequest,
    ),
    "GET /api/v1/allow": Operation(
        "Who may go over thresholds, and what they did, those allowed last first, a page at a time",
        {200: AllowListed, 400: Problem},
        ("limit", "cursor"),
    ),
    "POST /api/v1/allow": Operation(
        "Allow a user, or those of a prefix or a network",
        {200: ChangeStatus, **REFUSALS, 429: Refused, 503: Refused},
        body=AllowRequest,
    ),
    "DELETE /api/v1/allow": Operation(
        "Allow them no more: name one, or all with a reason",
        {200: ChangeStatus, **REFUSALS, 429: Refused, 503: Refused},
        ENTRIES,
    ),
    "GET /api/v1/blocklist": Operation(
        "Who is blocked until when; 503 while that cannot be known, and a 404 for other formats than JSON "
        "where acting is off",
        {200: (BlocklistStatus, "text/plain"), 400: Problem, 404: Problem, 503: Problem},
        ("format",),
    ),
    "GET /api/v1/inspect": Operation(
        "What the newest records of the topic are, and the settings that read them, whatever is set; made "
        "when it is asked for, at most once a minute",
        {200: Survey, 503: Problem},
    ),
    "GET /api/v1/status": Operation("This worker and its partitions", {200: Status}),
    "GET /api/v1/stream": Operation(
        "Server-sent events: 'anomaly' with a record, 'now' once a second, 'reset' where what was missed is "
        "forgotten: ask for everything again",
        {200: "text/event-stream"},
        ("last_event_id",),
    ),
    "GET /ready": Operation("Whether clicks are counted; open without the token", {200: Ready, 503: Ready}),
    "GET /health": Operation("Whether the process is alive; open without the token", {200: Alive}),
    "GET /metrics": Operation("Figures of this worker for Prometheus", {200: "text/plain"}),
}


def describe() -> dict[str, Any]:
    """The OpenAPI document."""
    types = [Anomaly, *chain.from_iterable(map(_types, OPERATIONS.values()))]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(map(repr, types), schemas, strict=True))
    # Records are handed on as they are in the topic.
    components["Anomalies"]["properties"]["anomalies"]["items"] = by_type[repr(Anomaly)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clickwarden",
            "version": RELEASE,
            "description": "Version 1 changes by addition only: ignore fields that you do not know. "
            "User ids are attackers' text: escape them.",
        },
        "paths": _paths(by_type),
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths(by_type: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for request, operation in OPERATIONS.items():
        method, _, path = request.partition(" ")
        paths.setdefault(path, {})[method.lower()] = _request(path, operation, by_type)
    return paths


def _types(operation: Operation) -> list[Any]:
    contents = chain.from_iterable(map(_each, operation.contents.values()))
    answers = [content for content in contents if not isinstance(content, str)]
    return [*answers, operation.body] if operation.body else answers


def _each(content: Any) -> tuple[Any, ...]:
    """What an answer may be of."""
    return content if isinstance(content, tuple) else (content,)


def _request(path: str, operation: Operation, by_type: Mapping[str, Any]) -> dict[str, Any]:
    responses = {}
    for status, contents in operation.contents.items():
        content = {}
        for each in _each(contents):
            if isinstance(each, str):
                content[each] = {"schema": {"type": "string"}}
            else:
                content["application/json"] = {"schema": by_type.get(repr(each), {})}
        responses[str(status)] = {"description": operation.summary, "content": content}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "schema": QUERY[name][0], "description": QUERY[name][1]}
        for name in operation.query
    ]
    if named := NAMED.get(path):
        name, place, schema = named
        parameters.append({"name": name, "in": place, "required": True, "schema": schema})
    body = {"content": {"application/json": {"schema": by_type.get(repr(operation.body))}}, "required": True}
    # An empty requirement: where no token is set, none is needed.
    return {
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
        "security": [{"token": []}, {}],
    } | ({"requestBody": body} if operation.body else {})


routes = web.RouteTableDef()


@routes.get("/api/v1/openapi.json")
async def openapi(_: web.Request) -> web.Response:
    """The description itself."""
    return answer(describe())


app.web.web_app.add_routes(routes)
