"""Who of a pipeline's models is in charge, and how a command changes that."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic, time

from app import succession
from app.main import settings
from clickwarden.detection.lineup import Lineup, shadowed
from clickwarden.errors import ModelError
from clickwarden.kafka.modelstopic import ModelsTopic
from clickwarden.models.artefact import Model
from clickwarden.models.pipeline import Pipeline
from commands.changing import console, holds, who


async def models_of(folder: Path) -> tuple[Pipeline, ModelsTopic]:
    """The pipeline of a folder, and the topic of the models.

    Raises:
        SettingsError: there is no such pipeline.
        BrokerError, AccessError: the topic cannot be read.
    """
    defined, topic = Pipeline.load(folder), ModelsTopic(settings)
    await topic.read()
    return defined, topic


def model_of(topic: ModelsTopic, pipeline: Pipeline, version: str) -> Model:
    """A model, once it has shown that it is what it says.

    Raises:
        ModelError: it is not there, or not what it says.
        SettingsError: onnxruntime is not installed.
    """
    return succession.verified(pipeline, version, succession.content(topic, pipeline, version))


async def incharge(folder: Path) -> str:
    """The version of a pipeline's champion.

    Raises:
        ModelError: there is none, beside which another could be in shadow.
        BrokerError, AccessError: the topic cannot be read.
    """
    return _champion(folder, *await models_of(folder))


def _champion(folder: Path, pipeline: Pipeline, topic: ModelsTopic) -> str:
    if not (version := topic.lineup(pipeline.name).champion):
        raise ModelError(
            f"pipeline {pipeline.name} has no model in charge, beside which another could be in shadow: "
            f"'faust -A app train {folder} --data FILE', then 'trained put' and 'trained promote'"
        )
    return version


async def in_shadow(folder: Path, version: str, content: bytes) -> None:
    """Put a model into the topic, to score beside the one in charge.

    Args:
        folder: of the pipeline.
        version: of the model.
        content: as one piece.

    Raises:
        ModelError: it is not what it says, too large, another one has its version, or none is in charge.
        BrokerError, AccessError: Kafka cannot be reached, or denies it.
    """
    pipeline, topic = await models_of(folder)
    if _champion(folder, pipeline, topic) == version:
        console.print(f"model {version} is in charge already: what was learnt from is the same")
        return
    succession.verified(pipeline, version, content)
    await topic.put(pipeline.name, version, content)
    console.print(f"model {version} of {pipeline.name} is in {settings.models_topic}")
    await appoint(folder, version, lambda lineup: shadowed(lineup, version), f"shadow {version}", "retrained")


async def appoint(
    folder: Path, version: str, change: Callable[[Lineup], Lineup], what: str, why: str
) -> None:
    """Change who is in charge, once the model has shown that it is what it says, and tell of it.

    Raises:
        ModelError: it is not there, not what it says, or the champion already.
        RulesChanged: somebody else made another change meanwhile.
        BrokerError, AccessError: Kafka cannot be reached, or denies it.
    """
    pipeline, topic = await models_of(folder)
    model_of(topic, pipeline, version)
    about = {"what": what, "who": who(), "why": why}
    appointment = succession.appointment(topic, pipeline, version, change, now=time(), **about)
    if appointment is None:
        console.print(f"nothing is to be changed: {_shown(topic.lineup(pipeline.name))}")
        return
    lineup = appointment.lineup
    await topic.appoint(pipeline.name, appointment)
    began = monotonic()
    console.print(f"change {appointment.number}: {what}; {_shown(lineup)}")
    if await holds(topic.read, lambda: _taken_up(topic, pipeline.name, lineup)):
        console.print(f"taken up in all partitions after {monotonic() - began:.1f} s")
    else:
        console.print("not taken up everywhere yet: see 'faust -A app trained list' when workers run")


def _taken_up(topic: ModelsTopic, name: str, lineup: Lineup) -> bool:
    adopted = topic.adopted(name).values()
    return bool(adopted) and all(told[-1].lineup.meets(lineup) for told in adopted)


def _shown(lineup: Lineup) -> str:
    beside = f", beside it {', '.join(lineup.challengers)}" if lineup.challengers else ""
    return f"{lineup.champion} is in charge{beside}"
