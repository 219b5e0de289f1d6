"""A connector that captures what is read here, as far as its settings say so."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from clickwarden.sources.connectors import brief

#: A table of ``table.include.list`` that is named, as ``register`` writes it, its dot escaped or not.
#: Anything else there is a regular expression.
NAMED = re.compile(r"[\w-]+\\?\.[\w-]+", re.ASCII)
#: A list that is longer, characters, is taken for one, too.
LISTED = 10_000
#: Kafka has no topics of longer names.
TOPIC = 249
#: Milliseconds of an interval, in figures.
FIGURES = 9


class Captor(NamedTuple):
    """What is asked of others about it.

    Attributes:
        topics: of those that are read here, the ones that it captures.
        slot: name of its slot.
        role: who reads that; None where it does not say.
        interval: seconds between its heartbeats; 0 where it sends none, or does not say it as a number.
        heartbeats: topic of these.
    """

    topics: list[str]
    slot: str
    role: str | None
    interval: float
    heartbeats: str

    @classmethod
    def of(cls, config: Mapping[str, str], topics: Sequence[str]) -> Self | None:
        """The connector of these settings; None where it captures none of these topics."""
        ours = captured(config, topics)
        if not ours:
            return None
        role, every = config.get("database.user"), config.get("heartbeat.interval.ms", "0").strip()
        hearts = f"{config.get('topic.heartbeat.prefix', '__debezium-heartbeat')}.{config['topic.prefix']}"
        is_timed = every.isdecimal() and len(every) <= FIGURES and len(hearts) <= TOPIC
        return cls(
            ours,
            brief(config.get("slot.name", "debezium")),
            None if role is None else brief(role),
            int(every) / 1000 if is_timed else 0.0,
            hearts,
        )


def captured(config: Mapping[str, str], topics: Sequence[str]) -> list[str]:
    """Those of the topics into which a connector of these settings captures a table, or may.

    Regular expressions are strangers' and one may take for ever, so that none is evaluated: behind the
    connector's prefix, which is of no other connector, each table may be meant.
    """
    prefix = config.get("topic.prefix", "")
    if not prefix or not config.get("connector.class", "").startswith("io.debezium."):
        return []
    behind = {topic: topic.removeprefix(f"{prefix}.") for topic in topics if topic.startswith(f"{prefix}.")}
    listed = config.get("table.include.list", "")
    if not listed.strip(" ,") or len(listed) > LISTED:  # without a list Debezium captures all
        return list(behind)
    tables = [table.strip() for table in listed.split(",") if table.strip()]
    if not all(map(NAMED.fullmatch, tables)):
        return list(behind)
    named = {table.replace("\\", "").lower() for table in tables}  # which Debezium compares so
    return [topic for topic, table in behind.items() if table.lower() in named]
