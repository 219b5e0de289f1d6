"""What a pipeline without models in the topic begins with: the model of its folder."""

import logging
from collections.abc import Iterable
from time import time

from clickwarden.detection.lineup import ONLINE, Appointment, Lineup
from clickwarden.errors import ModelError, RulesChanged
from clickwarden.kafka.modelstopic import ModelsTopic
from clickwarden.models import artefact
from clickwarden.models.pipeline import Pipeline
from clickwarden.settings import Settings
from clickwarden.times import isotime

log = logging.getLogger(__name__)


class Appointing:
    """Has a worker begin with the models of the topic, and a pipeline that has none there with its folder's.

    Args:
        settings: name this worker.
        topic: of the models.
        pipelines: that are scored.

    Attributes:
        warnings: that a folder's model is not the one in charge, or that there is none, in words.
    """

    def __init__(self, settings: Settings, topic: ModelsTopic, pipelines: Iterable[Pipeline]) -> None:
        self.warnings: list[str] = []
        self._settings = settings
        self._topic = topic
        self._pipelines = list(pipelines)

    async def begin(self) -> None:
        """Read the topic to its end, before anything is scored.

        Raises:
            BrokerError, AccessError: it cannot be read, or not be written.
            SettingsError: onnxruntime is not installed.
        """
        await self._topic.read()
        for pipeline in self._pipelines:
            await self._begin(pipeline)

    async def _begin(self, pipeline: Pipeline) -> None:
        champion = self._topic.lineup(pipeline.name).champion
        try:
            content = artefact.packed(pipeline)
            version = artefact.unpacked(pipeline, content).manifest.version
        except ModelError as error:
            if not champion and pipeline.detector != ONLINE:
                self.warnings.append(
                    f"Pipeline {pipeline.name} has no model, and its records wait for one: {error}"
                )
            return
        if champion and champion != version:
            self.warnings.append(
                f"{pipeline.folder} has model {version}, and {champion} is in charge: 'faust -A app "
                f"trained put {pipeline.folder}' and 'trained promote' put it in charge"
            )
        elif not champion:
            await self._topic.put(pipeline.name, version, content)
            if not self._topic.lineup(pipeline.name).champion:  # as another worker may have meanwhile
                await self._appoint(pipeline, version)

    async def _appoint(self, pipeline: Pipeline, version: str) -> None:
        first = Appointment(
            number=len(self._topic.appointments(pipeline.name)) + 1,
            lineup=Lineup(version),
            what=f"begin with {pipeline.folder}",
            who=f"worker {self._settings.member}",
            when=isotime(time()),
            why="there was none",
        )
        try:
            await self._topic.appoint(pipeline.name, first)
        except RulesChanged:
            log.info("another worker was first to begin with its model of %s", pipeline.name)
