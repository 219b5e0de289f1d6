"""The models of pipelines, as far as this worker knows them, and who was put in charge of them."""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec

from app import succession
from app.main import app
from clickwarden.detection.lineup import Appointment, Lineup
from clickwarden.errors import ClickwardenError, ModelError
from clickwarden.models.manifest import Manifest
from clickwarden.models.pipeline import Pipeline

#: Changes of a pipeline that are shown.
SHOWN = 20

Role = Literal["champion", "challenger", ""]


class ModelStatus(msgspec.Struct):
    """A model of a pipeline.

    Attributes:
        version: of it.
        role: ``champion``, whose alarms are told; ``challenger``, which scores beside it and tells nobody;
            empty where it scores nothing.
        detector: by name; empty where the model is refused.
        trained: when, ISO-8601.
        threshold: a record with at least this score is an anomaly; None where the model is refused.
        fault: why it is refused, in words; empty where it is not.
        partitions: of the pipeline's topic that are scored by it now, or will be from their next record on.
    """

    version: str
    role: Role
    detector: str
    trained: str
    threshold: float | None
    fault: str
    partitions: list[int]


class AppointmentStatus(msgspec.Struct):
    """A change of a pipeline's models.

    Attributes:
        number: from 1.
        when: ISO-8601 UTC.
        who: made it.
        what: was done, in words.
        why: in the words of who made it; empty where nothing was said.
        champion: from then on; empty where there was none.
        challengers: from then on.
    """

    number: int
    when: str
    who: str
    what: str
    why: str
    champion: str
    challengers: Sequence[str]


class Manifests:
    """What models say of themselves, each verified once: a version is one model for ever."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Manifest | str] = {}
        self._verifying = asyncio.Lock()

    async def learn(self) -> None:
        """Verify the models that are new in the topic."""
        for pipeline in app.pipelines.values():
            for version in app.modelstopic.versions(pipeline.name):
                try:
                    await self.verified(pipeline, version)
                except ClickwardenError:
                    continue  # why stands at the model

    async def verified(self, pipeline: Pipeline, version: str) -> Manifest:
        """What a model says of itself.

        Raises:
            NoSuchModel: it is not in the topic, or not whole.
            ModelError: it is not what it says, or not of this pipeline; in one sentence.
            SettingsError: onnxruntime is not installed.
        """
        async with self._verifying:
            known = self._known.get((pipeline.name, version))
            if known is None:
                content = succession.content(app.modelstopic, pipeline, version)
                try:
                    model = await asyncio.to_thread(succession.verified, pipeline, version, content)
                    known = model.manifest
                except ModelError as error:
                    known = str(error)
                self._known[pipeline.name, version] = known
        if isinstance(known, str):
            raise ModelError(known)
        return known

    def models(self, pipeline: Pipeline) -> list[ModelStatus]:
        """The models of a pipeline that are verified or refused, those in charge first, then the newest."""
        topic, name = app.modelstopic, pipeline.name
        lineup, adopted = topic.lineup(name), topic.adopted(name)
        found = []
        for version in reversed(topic.versions(name)):
            known = self._known.get((name, version))
            if known is not None:
                scored = [number for number, told in adopted.items() if version in told[-1].lineup.versions]
                found.append(_status(version, _role(lineup, version), known, scored))
        return sorted(found, key=lambda model: ("champion", "challenger", "").index(model.role))


def _status(version: str, role: Role, known: Manifest | str, partitions: list[int]) -> ModelStatus:
    if isinstance(known, str):
        return ModelStatus(version, role, "", "", None, known, partitions)
    return ModelStatus(version, role, known.detector, known.trained, known.threshold, "", partitions)


def _role(lineup: Lineup, version: str) -> Role:
    if version == lineup.champion:
        return "champion"
    return "challenger" if version in lineup.challengers else ""


def changes(pipeline: str) -> list[AppointmentStatus]:
    """Who has changed the models of a pipeline, the last first; at most 20."""
    return [status_of(each) for each in app.modelstopic.appointments(pipeline)[: -SHOWN - 1 : -1]]


def status_of(appointment: Appointment) -> AppointmentStatus:
    """A change as it is told."""
    return AppointmentStatus(
        number=appointment.number,
        when=appointment.when,
        who=appointment.who,
        what=appointment.what,
        why=appointment.why,
        champion=appointment.lineup.champion,
        challengers=appointment.lineup.challengers,
    )


def waiting(pipeline: str) -> list[int]:
    """Partitions that have not taken up the newest change of a pipeline's models yet."""
    topic = app.modelstopic
    lineup, adopted = topic.lineup(pipeline), topic.adopted(pipeline)
    return [
        number
        for number in range(app.growth.partitions)
        if number not in adopted or not adopted[number][-1].lineup.meets(lineup)
    ]


manifests = Manifests()
