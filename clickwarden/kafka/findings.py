"""What is wrong with a topic, or with its capture: what follows from it, and what to do about it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias

import msgspec

About: TypeAlias = Literal["config", "key", "partitions", "compaction", "retention", "timestamps", "capture"]
#: How a topic is set up, as far as it matters here.
CONFIGS = ("cleanup.policy", "message.timestamp.type", "retention.ms")
#: What a topic that Clickwarden creates has.
WEEK_MS = 7 * 24 * 60 * 60 * 1000
#: Characters that are shown of a user's id.
SHOWN = 60


class Sampled(NamedTuple):
    """One of the newest clicks of a partition.

    Attributes:
        partition: where it lies.
        user_id: whose it is, an attacker's text.
        time: when it happened, epoch seconds by its sender's clock.
        stamp: its record's time stamp, epoch seconds.
    """

    partition: int
    user_id: str
    time: float
    stamp: float


@dataclass(frozen=True, slots=True)
class WatchedTopic:
    """The clicks topic as it was found.

    Attributes:
        name: of the topic.
        bootstrap: where its Kafka is, ``host:port,…``.
        partitions: how many it has.
        config: those of :data:`CONFIGS` that Kafka knows; None where it may not tell.
        sample: some of its newest clicks.
    """

    name: str
    bootstrap: str
    partitions: int
    config: Mapping[str, str] | None
    sample: Sequence[Sampled] = ()

    @property
    def retention(self) -> float | None:
        """For how long it keeps clicks, seconds; None where for ever, or nobody knows."""
        config = self.config or {}
        kept = int(config.get("retention.ms", "-1"))
        return kept / 1000 if "delete" in config.get("cleanup.policy", "") and kept >= 0 else None

    def set(self, config: str) -> str:
        """The command that changes a setting of it."""
        return (
            f"kafka-configs.sh --bootstrap-server {self.bootstrap} --alter --entity-type topics "
            f"--entity-name {self.name} --add-config {config}"
        )


def is_compacted(config: Mapping[str, str] | None) -> bool:
    """Whether it is known that a topic so set up keeps only the newest of the records with one key."""
    return "compact" in (config or {}).get("cleanup.policy", "")


class Finding(msgspec.Struct, frozen=True):
    """Something about the topic, or what fills it, that makes Clickwarden say less than is expected.

    Attributes:
        about: what it concerns.
        summary: what is so, in a few words, without a stranger's.
        consequence: what follows from it, in sentences; what strangers wrote is inert in it.
        cure: what to do about it.
        hides: somebody over a threshold may go unseen because of it.
        command: that does it; empty where there is none.
        blinds: what happens does not come while it is so, and nobody can be said to be quiet.
    """

    about: About
    summary: str
    consequence: str
    cure: str
    hides: bool
    command: str = ""
    blinds: bool = False

    @property
    def text(self) -> str:
        """All of it, in one line."""
        return f"{self.consequence} {self.cure}{f': {self.command}' if self.command else '.'}"


def findings(topic: WatchedTopic, longest: float, counted: int) -> list[Finding]:
    """What is wrong with a topic, the gravest first.

    Args:
        topic: as it was found.
        longest: the longest window of a rule, seconds.
        counted: partitions that the workers count.
    """
    found = [
        _key(topic),
        _partitions(topic, counted),
        _compaction(topic),
        _retention(topic, longest),
        _timestamps(topic),
        _unknown(topic),
    ]
    return [finding for finding in found if finding is not None]


def strays(sample: Iterable[Sampled]) -> dict[str, list[int]]:
    """The users whose clicks go to and fro between partitions, with these partitions.

    Whoever clicks in one partition and from some moment on in another has been
    moved, as all are when partitions are added. Who comes back was not.
    """
    users: dict[str, list[Sampled]] = {}
    for click in sample:
        users.setdefault(click.user_id, []).append(click)
    return {
        user_id: sorted({click.partition for click in clicks})
        for user_id, clicks in users.items()
        if _comes_back(clicks)
    }


def _comes_back(clicks: list[Sampled]) -> bool:
    clicks.sort(key=lambda click: (click.time, click.stamp, click.partition))
    stays = [partition for partition, _ in groupby(click.partition for click in clicks)]
    return len(stays) > len(set(stays))


def _key(topic: WatchedTopic) -> Finding | None:
    found = strays(topic.sample)
    if not found:
        return None
    user_id, partitions = max(found.items(), key=lambda stray: len(stray[1]))
    places = ", ".join(map(str, partitions[:-1])) + f" and {partitions[-1]}"
    more = f", and so have {len(found) - 1:,} more" if len(found) > 1 else ""
    return Finding(
        about="key",
        summary="one user's clicks are in several partitions",
        consequence=(
            f"Topic {topic.name} does not keep a user's clicks in one partition: of the last "
            f"{len(topic.sample):,} clicks, user {_shown(user_id)} has some in partitions {places}{more}. "
            "Each partition is counted by itself, so that somebody over a threshold can be under it in each "
            "of them, and nobody is told."
        ),
        cure=(
            "Send every click with its user as the key, by clients that choose the partition in the same "
            "way (librdkafka's do as Java's with partitioner=murmur2_random)"
        ),
        hides=True,
    )


def _partitions(topic: WatchedTopic, counted: int) -> Finding | None:
    if topic.partitions == counted:
        return None
    return Finding(
        about="partitions",
        summary=f"{counted} of {topic.partitions} partitions are counted",
        consequence=(
            f"Topic {topic.name} has {topic.partitions} partitions, and {counted} are counted: whoever "
            "clicks in the others is not seen."
        ),
        cure=(
            "Allow the workers to alter the topics of their state, which have to grow first; their log says "
            "what Kafka refuses"
        ),
        hides=True,
    )


def _compaction(topic: WatchedTopic) -> Finding | None:
    if not is_compacted(topic.config):
        return None
    return Finding(
        about="compaction",
        summary=f"topic {topic.name} is compacted",
        consequence=(
            f"Topic {topic.name} is compacted (cleanup.policy={(topic.config or {})['cleanup.policy']}): of "
            "the clicks with one key Kafka keeps the newest alone. Those that it removes before they are "
            "counted are lost, so that somebody over a threshold can go unseen; and verify cannot judge."
        ),
        cure="Keep every click",
        hides=True,
        command=topic.set("cleanup.policy=delete"),
    )


def _retention(topic: WatchedTopic, longest: float) -> Finding | None:
    if topic.retention is None or topic.retention >= longest:
        return None
    return Finding(
        about="retention",
        summary=f"topic {topic.name} keeps clicks for {topic.retention:g} s",
        consequence=(
            f"Topic {topic.name} keeps clicks for {topic.retention:g} s (retention.ms), and the longest "
            f"window of a rule takes {longest:g} s: a worker that is away or behind for longer than that "
            "loses clicks of windows that are still open, and verify can judge no such window."
        ),
        cure="Keep them for a week",
        hides=False,
        command=topic.set(f"retention.ms={WEEK_MS}"),
    )


def _timestamps(topic: WatchedTopic) -> Finding | None:
    if (topic.config or {}).get("message.timestamp.type") != "CreateTime":
        return None
    return Finding(
        about="timestamps",
        summary="time stamps are the senders' own",
        consequence=(
            f"Topic {topic.name} has message.timestamp.type=CreateTime: a time stamp is its sender's word "
            "and not Kafka's. A click from the future is rejected only where it contradicts its own sender's "
            "stamp; no click is taken for live, so that time goes on only where several agree; and retention "
            "deletes a replay of old clicks at once."
        ),
        cure="Let Kafka stamp what it receives",
        hides=False,
        command=topic.set("message.timestamp.type=LogAppendTime"),
    )


def _unknown(topic: WatchedTopic) -> Finding | None:
    if topic.config is not None:
        return None
    return Finding(
        about="config",
        summary=f"the settings of topic {topic.name} cannot be known",
        consequence=(
            f"Kafka does not tell how topic {topic.name} is set up. Whether it is compacted, how long it "
            "keeps clicks, and whose clock stamps them cannot be known."
        ),
        cure="Allow it",
        hides=False,
        command=(
            f"kafka-acls.sh --bootstrap-server {topic.bootstrap} --add --allow-principal User:… "
            f"--operation DescribeConfigs --topic {topic.name}"
        ),
    )


def _shown(user_id: str) -> str:
    """A user's id, in quotes; what a terminal would obey or hide is escaped."""
    return repr(user_id if len(user_id) <= SHOWN else f"{user_id[: SHOWN - 1]}…")
