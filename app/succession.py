"""Who is put in charge of a pipeline: what command and page may have done, and what both refuse."""

from collections.abc import Callable

from clickwarden.detection.lineup import Appointment, Lineup, former
from clickwarden.errors import ModelError
from clickwarden.kafka.modelstopic import ModelsTopic
from clickwarden.models import artefact
from clickwarden.models.artefact import Model
from clickwarden.models.pipeline import Pipeline
from clickwarden.times import isotime


class NoSuchModel(ModelError):
    """A pipeline has no model of that version."""


def content(topic: ModelsTopic, pipeline: Pipeline, version: str) -> bytes:
    """The artefact of a model, as it is in the topic.

    Raises:
        NoSuchModel: it is not there, or not whole.
    """
    found = topic.artefact(pipeline.name, version)
    if found is None:
        there = ", ".join(topic.versions(pipeline.name)) or "none"
        raise NoSuchModel(f"there is no model {version!r} of pipeline {pipeline.name}; there are: {there}")
    return found


def verified(pipeline: Pipeline, version: str, content: bytes) -> Model:
    """The model that an artefact is.

    Raises:
        ModelError: it is not what it says, or not of this pipeline; in one sentence.
        SettingsError: onnxruntime is not installed.
    """
    try:
        model = artefact.unpacked(pipeline, content)
        if model.manifest.version != version:
            raise ModelError(f"is version {model.manifest.version}")
    except ModelError as error:
        raise ModelError(f"model {version} of pipeline {pipeline.name} is refused: {error}") from None
    return model


def predecessor(topic: ModelsTopic, pipeline: Pipeline) -> str:
    """The champion before the one that is in charge.

    Raises:
        ModelError: there was none.
    """
    version = former(topic.appointments(pipeline.name))
    if not version:
        raise ModelError(
            f"pipeline {pipeline.name} had no other champion; 'trained list' shows what there is"
        )
    return version


def appointment(
    topic: ModelsTopic,
    pipeline: Pipeline,
    version: str,
    change: Callable[[Lineup], Lineup],
    *,
    what: str,
    who: str,
    why: str,
    now: float,
) -> Appointment | None:
    """A change of a pipeline's models, as the topic takes it; None where all is so already.

    Args:
        topic: read to its end.
        pipeline: whose models.
        version: of the model that it is about, which is verified.
        change: makes the models that are wanted of those that are in force.
        what: is done, in words.
        who: does it.
        why: in the words of who does it.
        now: epoch seconds.

    Raises:
        ModelError: the champion would leave, and nobody follow.
    """
    known = topic.lineup(pipeline.name)
    lineup = change(known)
    if lineup == known:
        return None
    if version == known.champion:
        raise ModelError(f"{version} is the champion of {pipeline.name}; promote another one first")
    return Appointment(
        number=len(topic.appointments(pipeline.name)) + 1,
        lineup=lineup,
        what=what,
        who=who,
        when=isotime(now),
        why=why,
    )
