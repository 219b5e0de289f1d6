"""The models of a pipeline that this worker has verified."""

import asyncio
import logging

from clickwarden.detection.lineup import Lineup
from clickwarden.errors import ModelError
from clickwarden.kafka.modelstopic import ModelsTopic
from clickwarden.models import artefact
from clickwarden.models.artefact import Model
from clickwarden.models.pipeline import Pipeline

log = logging.getLogger(__name__)


class Shelf:
    """Takes models from the topic, each once, when they have shown that they are what they say.

    Attributes:
        trouble: what is wrong with the model that was asked for last, in one sentence; empty if nothing is.
    """

    def __init__(self, pipeline: Pipeline, topic: ModelsTopic) -> None:
        self.trouble = ""
        self._pipeline = pipeline
        self._topic = topic
        self._models: dict[str, Model] = {}
        self._refused: dict[str, str] = {}
        self._loading = asyncio.Lock()

    async def ready(self, lineup: Lineup) -> list[Model] | None:
        """Those of a lineup that were trained, in its order; None where one cannot serve, or none is to."""
        if not lineup.champion:
            self.trouble = (
                f"pipeline {self._pipeline.name} has no model, and its records wait for one: 'faust -A app "
                f"train {self._pipeline.folder} --data FILE', then 'faust -A app trained put "
                f"{self._pipeline.folder}'"
            )
            return None
        async with self._loading:
            for version in lineup.trained:
                if version not in self._models and not await self._load(version):
                    return None
        self.trouble = ""
        return [self._models[version] for version in lineup.trained]

    async def _load(self, version: str) -> bool:
        if version not in self._refused:
            content = self._topic.artefact(self._pipeline.name, version)
            if content is None:
                self._say(version, "is not in the models topic, or not whole")
                return False
            try:
                model = await asyncio.to_thread(artefact.unpacked, self._pipeline, content)
                if model.manifest.version != version:
                    raise ModelError(f"is version {model.manifest.version}")
            except ModelError as error:
                self._refused[version] = str(error)
            else:
                self._models[version] = model
                return True
        self._say(version, self._refused[version])
        return False

    def _say(self, version: str, why: str) -> None:
        trouble = f"model {version} of pipeline {self._pipeline.name} is refused: {why}"
        if trouble != self.trouble:
            log.error("%s; what scored before goes on", trouble[0].upper() + trouble[1:])
        self.trouble = trouble
