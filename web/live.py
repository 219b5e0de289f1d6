"""What is known of all partitions, kept up to date from Kafka while the page is served."""

from collections.abc import AsyncIterator, Sequence
from time import monotonic
from typing import Literal

from aiohttp.web import Application
from aiokafka import ConsumerRecord

from agents.heard import heard
from agents.status import discord_of
from agents.telling import Warnings
from app.main import app, settings
from clickwarden.alerts.feed import Feed
from clickwarden.alerts.feedback import KnownFeedback
from clickwarden.alerts.incidents import Incident, joined
from clickwarden.alerts.known import KnownIncidents
from clickwarden.detection.activity import UserWindow
from clickwarden.detection.anomaly import Anomaly
from clickwarden.kafka.following import ALL, Followed
from tables.activity import activity
from web import labels
from web import suspects as _suspects
from web.stream import Stream
from web.suspects import KnownSuspects
from web.timeline import SPAN, LastHour
from web.told import ToldIncidents
from web.untold import Untold
from web.workers import Workers

feed = Feed()
#: What the anomalies that are kept say: at once, also where nobody writes the incidents topic.
stories = heard.stories
incidents = KnownIncidents()
workers = Workers()
timeline = LastHour()
stream = Stream()
untold = Untold()
told = ToldIncidents()
feedback = KnownFeedback()
warnings = Warnings()


def incident(incident_id: str) -> Incident | None:
    """All that is known of an incident now."""
    seen, told = stories.seen(incident_id, app.clock.now()), incidents.get(incident_id)
    return joined(told, seen) if seen and told else seen or told


def state() -> Literal["loading", "live", "away"]:
    """Whether what is there was read to its end once, and Kafka can be read now."""
    if following.trouble:
        return "away"
    return "live" if following.loaded.is_set() else "loading"


def _progress(user_id: str, rule: str, window: UserWindow) -> None:
    low, high = window.count_low, window.count_high
    feed.progress(user_id, rule, window.window_start, low, high)
    stories.progress(user_id, rule, window.window_start, low, high, window.last_seen)


suspects = KnownSuspects(_progress)


def _anomaly(record: ConsumerRecord, anomaly: Anomaly | None, changed: Sequence[str]) -> None:
    news = None if anomaly is None else feed.add(anomaly, record.value)
    if anomaly is not None:
        labels.hear(anomaly)
    stream.take(record.partition, record.offset, news and news.entry.record)
    if news and news.first:
        timeline.found(record.timestamp / 1000, aside=news.entry.kind != "attack")


def _incident(record: ConsumerRecord) -> None:
    incidents.take(record.value)


def _told(record: ConsumerRecord) -> None:
    entry = untold.take(record.value)
    if entry is not None:
        told.note(entry)


def _feedback(record: ConsumerRecord) -> None:
    feedback.take(record.value)


def _activity(record: ConsumerRecord) -> None:
    suspects.take(record.key, record.value)


def _status(record: ConsumerRecord) -> None:
    status = workers.take(record)
    if status is not None:
        timeline.counted(
            record.timestamp / 1000,
            {partition.partition: partition.counted for partition in status.partitions},
        )


following = heard.following


def listen() -> None:
    """Have all that is read from now on known here; a worker without a page has no use for it."""
    heard.anomaly.append(_anomaly)
    heard.incident.append(_incident)
    heard.begun.append(stream.begin)
    following.add(
        Followed(settings.told_topic, _told, newest=ALL),
        Followed(settings.feedback_topic, _feedback, newest=ALL),
        Followed(activity.changelog_topic_name, _activity, newest=_suspects.KEEP),
        Followed(settings.status_topic, _status, seconds=SPAN),
        *labels.followed(),
    )


@app.timer(1.0)
async def tell() -> None:
    """Log what workers have not alike."""
    warnings.tell(discord_of(workers.heard()), monotonic())


async def _live(_: Application) -> AsyncIterator[None]:
    listen()
    async with heard.wanted():
        yield


# With the web server, which starts before the tables are recovered, and before a partition is assigned that
# would make this worker the keeper, who has the topics read, too.
app.web.web_app.cleanup_ctx.append(_live)
