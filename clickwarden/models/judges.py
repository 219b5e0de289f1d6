"""The models that score one partition of a pipeline's topic."""

from collections.abc import Sequence

from clickwarden.detection.lineup import Lineup
from clickwarden.models.artefact import Model
from clickwarden.models.features import Rows
from clickwarden.models.online import HalfSpaceTrees, seed_of
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.verdicts import Verdicts


class Judges:
    """Those that were trained, and before them the one that learns while it scores, where it is in charge.

    Attributes:
        waiting: whether one of those that are to score cannot.
    """

    def __init__(self, pipeline: Pipeline, partition: int) -> None:
        """Begin with none."""
        self.waiting = True
        self._columns = len(pipeline.feature_names)
        self._seed = seed_of(pipeline.name, partition)
        self._models: Sequence[Model] = ()
        self._trees: HalfSpaceTrees | None = None
        self._version = ""

    def serve(self, lineup: Lineup, models: Sequence[Model] | None, learnt: bytes) -> None:
        """Have the next records scored by these.

        Args:
            lineup: that is in force.
            models: those of it that were trained, in its order; None where one of them cannot serve.
            learnt: what :meth:`learnt` gave of that champion; empty where it begins.

        Raises:
            SnapshotError: what was learnt is broken.
        """
        self.waiting = models is None or not lineup.champion
        self._models = models or ()
        if lineup.champion == self._version:
            return
        self._version, self._trees = lineup.champion, None
        if lineup.learns:
            self._trees = HalfSpaceTrees(self._columns, self._seed, lineup.budget)
            if learnt:
                self._trees.restore(learnt)

    def judge(self, rows: Rows) -> list[Verdicts]:
        """What each says of the next rows, the champion first."""
        learnt = [] if self._trees is None else [Verdicts.learnt(self._trees, self._version, rows)]
        return [*learnt, *(Verdicts.of(model, rows) for model in self._models)]

    @property
    def trained(self) -> Model | None:
        """The champion, where it was trained."""
        return self._models[0] if self._models and self._trees is None else None

    @property
    def learning(self) -> int:
        """Records that the champion has yet to learn from before it scores one."""
        return 0 if self._trees is None else self._trees.learning

    def learnt(self) -> bytes:
        """What the champion has learnt from the records so far; empty where it was trained."""
        return b"" if self._trees is None else self._trees.encode()
