"""Whether what is captured from tables still comes: each worker asks for itself."""

from agents.scoring import scored
from app.main import app, settings
from clickwarden.sources.watch import Watch

_pipelines = [topic for topic, partitions in scored.items() if partitions.pipeline.format == "debezium"]
#: Clicks may be captured, too; that they are meant to be nobody says, unless nothing else is.
watch = Watch(
    settings,
    wanted=_pipelines or [settings.clicks_topic],
    others=[settings.clicks_topic] if _pipelines else [],
    now=app.clock.now,
)


def asked() -> bool:
    """Whether there is an answer by now, or no question."""
    return watch.looked or not settings.connect_url


if settings.connect_url:
    app.companion(watch.watch)
