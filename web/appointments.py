"""Models that are put in charge through the page: with the checks of ``trained``, in the same topic."""

import logging
from collections.abc import Callable

import msgspec
from aiohttp import web

from app import succession
from app.main import app
from app.succession import NoSuchModel
from clickwarden.alerts.words import visible
from clickwarden.detection.lineup import Appointment, promoted
from clickwarden.errors import ModelError
from clickwarden.kafka.modelstopic import outrun
from clickwarden.models.pipeline import Pipeline
from web import pipelines
from web.api import answer
from web.author import author, catch_up, reason
from web.models import manifests, status_of
from web.refusal import Refusal, asked

log = logging.getLogger(__name__)

routes = web.RouteTableDef()

#: Where its field that must be there is taken from.
EDITION = "it is the edition of the pipeline in /api/v1/pipelines"


class RollbackRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put the champion before in charge again.

    Attributes:
        edition: ``number`` of the newest change of the pipeline that was known when this one was made; 0
            before the first.
        why: for the history, 1 to 500 characters.
    """

    edition: int
    why: str = ""


class PromoteRequest(RollbackRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put a model in charge; the one before leaves.

    Attributes:
        version: of the model.
        edition, why: as of :class:`RollbackRequest`.
    """

    version: str


@routes.post("/api/v1/pipelines/{name}/promote")
async def promote(request: web.Request) -> web.Response:
    """Put a model in charge, at every worker within two seconds."""
    wanted = await asked(request, PromoteRequest, EDITION)
    return await _appointed(request, wanted, lambda _: wanted.version, "promote {}")


@routes.post("/api/v1/pipelines/{name}/rollback")
async def rollback(request: web.Request) -> web.Response:
    """Put the champion before in charge again, at every worker within two seconds."""
    wanted = await asked(request, RollbackRequest, EDITION)
    return await _appointed(request, wanted, _former, "roll back to {}")


def _former(pipeline: Pipeline) -> str:
    try:
        return succession.predecessor(app.modelstopic, pipeline)
    except ModelError as error:
        raise Refusal(400, str(error)) from None


async def _appointed(
    request: web.Request, wanted: RollbackRequest, version: Callable[[Pipeline], str], what: str
) -> web.Response:
    """Change who is in charge, once the model has shown that it is what it says."""
    name = request.match_info["name"]
    pipeline = next((each for each in app.pipelines.values() if each.name == name), None)
    if pipeline is None:
        there = ", ".join(each.name for each in app.pipelines.values()) or "none"
        raise Refusal(404, f"{name}: this worker scores no pipeline of that name; there are: {there}")
    why = reason(wanted.why)

    async def write() -> Appointment:
        await catch_up(app.modelstopic, "who is in charge is not known to this worker")
        _check_edition(pipeline, wanted.edition)
        chosen = version(pipeline)
        await _verify(pipeline, chosen)
        _check_edition(pipeline, wanted.edition)  # to verify a model takes its time
        about = {"what": what.format(chosen), "who": author.named(request.remote), "why": why}
        change = _drafted(pipeline, chosen, about)
        await app.modelstopic.appoint(pipeline.name, change)
        log.info("Change %s of %s by %s: %s (%s)", change.number, name, change.who, change.what, visible(why))
        return change

    try:
        change = await author.make(write, "edition")
    finally:  # also who was second looks at once at what the first has done
        pipelines.encoded.forget()
    return answer(status_of(change))


def _check_edition(pipeline: Pipeline, edition: int) -> None:
    """Refuse who has not seen the newest change."""
    changes = app.modelstopic.appointments(pipeline.name)
    if not 0 <= edition <= len(changes):
        raise Refusal(400, f"edition: {edition} is no change; the newest is {len(changes)}", "edition")
    if edition < len(changes):
        raise Refusal(409, str(outrun(pipeline.name, changes[edition])), "edition")


async def _verify(pipeline: Pipeline, version: str) -> None:
    try:
        await manifests.verified(pipeline, version)
    except ModelError as error:
        raise Refusal(
            404 if isinstance(error, NoSuchModel) else 400, f"version: {error}", "version"
        ) from None


def _drafted(pipeline: Pipeline, version: str, about: dict[str, str]) -> Appointment:
    change = succession.appointment(
        app.modelstopic,
        pipeline,
        version,
        lambda lineup: promoted(lineup, version),
        now=app.clock.now(),
        **about,
    )
    if change is None:
        raise Refusal(400, f"version: {version} is in charge of {pipeline.name} already", "version")
    return change


app.web.web_app.add_routes(routes)
