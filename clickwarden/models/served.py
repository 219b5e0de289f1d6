"""The pipelines whose topics a worker scores."""

from collections.abc import Collection, Iterable
from pathlib import Path

from clickwarden.errors import SettingsError
from clickwarden.models.pipeline import Pipeline

#: What an anomaly of a pipeline has as its rule: no rule of clicks can be named so.
PREFIX = "pipeline/"
#: What is behind the name where the anomaly is of the pipeline's drift.
DRIFTING = "/drift"


def served(folders: Iterable[Path], ours: Collection[str]) -> dict[str, Pipeline]:
    """Pipelines by their topic.

    Args:
        folders: of the pipelines.
        ours: topics that are taken otherwise.

    Raises:
        SettingsError: one cannot be read, or two of them cannot be scored side by side.
    """
    found: dict[str, Pipeline] = {}
    names: set[str] = set()
    for folder in folders:
        pipeline = Pipeline.load(folder)
        if not pipeline.topic:
            raise SettingsError(
                f'CLICKWARDEN_PIPELINES: {folder} has no topic to be scored; add topic = "…" to its file'
            )
        if pipeline.topic in ours:
            raise SettingsError(
                f"CLICKWARDEN_PIPELINES: {folder} is of topic {pipeline.topic!r}, which is ours; name another"
            )
        if pipeline.topic in found or pipeline.name in names:
            raise SettingsError(
                f"CLICKWARDEN_PIPELINES: {folder} has the name or the topic of another one; leave one of "
                "them out, or have its models beside those of the other ('faust -A app trained shadow')"
            )
        found[pipeline.topic] = pipeline
        names.add(pipeline.name)
    for pipeline in found.values():
        if pipeline.labels in {*ours, *found}:
            raise SettingsError(
                f"CLICKWARDEN_PIPELINES: {pipeline.folder} has its labels in {pipeline.labels!r}, a topic "
                "that is taken otherwise; name another"
            )
    return found


def labels_topics(pipelines: Iterable[Pipeline]) -> list[str]:
    """The topics of labels of pipelines, each once. Without ids they were of no record."""
    return list(dict.fromkeys(each.labels for each in pipelines if each.labels and each.id))
