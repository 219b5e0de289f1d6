"""Who needs which rights.

``python -m clickwarden.kafka.roles`` prints the README's table of them.
"""

from itertools import groupby

from clickwarden.kafka.rights import Operation, Right
from clickwarden.kafka.topics import changelogs
from clickwarden.settings import Settings


def worker(settings: Settings) -> list[Right]:
    """What ``faust -A app worker`` needs."""
    own = [topic.name for topic in changelogs(settings)]
    told = settings.anomalies_topic, settings.incidents_topic
    ours = settings.rules_topic, settings.status_topic, settings.told_topic, settings.feedback_topic
    models = [settings.models_topic] if settings.pipeline_folders else []
    both = *told, *ours, *models, *own
    return [
        *_on_topics("Read", settings.clicks_topic, *both),
        *_on_topics("Write", settings.rejected_topic, settings.late_topic, *both),
        Right("Read", "group", settings.app_id),
    ]


def producer(settings: Settings, outbox: str) -> list[Right]:
    """What ``simulate``, ``replay``, ``collect`` and a ClickProducer need.

    ``outbox`` is the transactional id.
    """
    prefix = f"{settings.app_id}-outbox-"
    others = (
        settings.rejected_topic,
        settings.late_topic,
        settings.anomalies_topic,
        settings.incidents_topic,
        settings.rules_topic,
        settings.status_topic,
        settings.told_topic,
        settings.feedback_topic,
    )
    return [
        *_on_topics("Read", settings.clicks_topic),
        *_on_topics("Write", settings.clicks_topic),
        *_on_topics("Describe", *others),
        Right("Read", "group", outbox, prefix),
        Right("Write", "transactional-id", outbox, prefix),
    ]


def feeder(topic: str) -> list[Right]:
    """What ``replay --pipeline`` needs."""
    return _on_topics("Write", topic)


def teller(settings: Settings) -> list[Right]:
    """What ``faust -A app worker`` needs besides, where people are told."""
    return [Right("Write", "transactional-id", settings.told_topic)]


def scorer(settings: Settings, *topics: str) -> list[Right]:
    """What ``faust -A app worker`` needs besides, where the topics of pipelines are scored."""
    changelog = f"{settings.app_id}-features-changelog"
    both = settings.models_topic, changelog
    return [*_on_topics("Read", *topics, *both), *_on_topics("Write", *both)]


def trainer(settings: Settings) -> list[Right]:
    """What ``trained put``, ``promote``, ``shadow`` and ``rollback`` need."""
    return [*_on_topics("Read", settings.models_topic), *_on_topics("Write", settings.models_topic)]


def asker(settings: Settings) -> list[Right]:
    """What ``notify replay`` needs."""
    return [*_on_topics("Read", settings.told_topic), *_on_topics("Write", settings.told_topic)]


def critic(settings: Settings) -> list[Right]:
    """What a worker needs to note what somebody says of an incident; part of what it needs anyway."""
    return _on_topics("Write", settings.feedback_topic)


def author(settings: Settings) -> list[Right]:
    """What ``rules put``, ``rules disable``, ``allow add`` and ``allow remove`` need."""
    return [*_on_topics("Read", settings.rules_topic), *_on_topics("Write", settings.rules_topic)]


def reader(*topics: str) -> list[Right]:
    """What who reads these topics needs, in no group."""
    return _on_topics("Read", *topics)


def _on_topics(operation: Operation, *topics: str) -> list[Right]:
    return [Right(operation, "topic", topic) for topic in topics]


def table() -> str:
    """The rights as the Markdown table of the README, for the settings as they are by default."""
    settings = Settings(_env_file=None)
    roles = {
        "`worker`": worker(settings),
        "`worker` with a `channels.toml`": teller(settings),
        "`worker` with `CLICKWARDEN_PIPELINES`, for each": scorer(settings, "TOPIC"),
        "`worker`, for each of these with `labels`": reader("LABELS"),
        "`notify status`": reader(settings.told_topic),
        "`notify status` of a channel with `rules`": reader(settings.rules_topic),
        "`notify replay`": asker(settings),
        "`simulate`, `replay`, `collect`, a `ClickProducer`": producer(settings, ""),
        "`replay --pipeline`": feeder("TOPIC"),
        "`verify`": reader(
            settings.clicks_topic, settings.rules_topic, settings.late_topic, settings.anomalies_topic
        ),
        "`inspect`": reader(settings.clicks_topic),
        "`alerts`": reader(settings.anomalies_topic, settings.status_topic),
        "`blocklist`": reader(settings.incidents_topic, settings.feedback_topic, settings.rules_topic),
        "`rules list`, `rules history`, `allow list`": reader(settings.rules_topic),
        "`rules list` with a rule in shadow": reader(settings.anomalies_topic),
        "`trained list`, `trained show`": reader(settings.models_topic),
        "`trained put`, `trained promote`, `trained shadow`, `trained rollback`": trainer(settings),
        "`train PIPELINE` of a topic, of labels": reader("TOPIC", "LABELS"),
        "`train PIPELINE --since … --with-feedback`": reader(
            settings.feedback_topic, settings.anomalies_topic
        ),
        "`verify PIPELINE`": reader("TOPIC", settings.models_topic, settings.anomalies_topic),
        "`rules try`": reader(settings.clicks_topic, settings.rules_topic, settings.late_topic),
        "`rules put`, `rules disable`, `allow add`, `allow remove`": author(settings),
    }
    rows = ["| who | right | on |", "|---|---|---|"]
    for role, rights in roles.items():
        for (operation, kind), given in groupby(rights, key=lambda right: right[:2]):
            names = ", ".join(f"`{right.prefix}*`" if right.prefix else f"`{right.name}`" for right in given)
            rows.append(f"| {role} | {operation} | {kind} {names} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
