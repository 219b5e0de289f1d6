"""What is wrong with a topic: each thing is told of with what follows and what to do, and nothing else is."""

import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickwarden.kafka.findings import Finding, Sampled, WatchedTopic, findings, is_compacted, strays

CASES = Path(__file__).parents[2] / "cases"
T = 1_773_152_400.0
OURS = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": "604800000",
}
LONGEST = 600.0


def found(
    config: dict[str, str] | None = OURS,
    sample: Iterable[Sampled] = (),
    partitions: int = 4,
    counted: int = 4,
) -> list[Finding]:
    return findings(
        WatchedTopic("clicks", "127.0.0.1:9092", partitions, config, tuple(sample)), LONGEST, counted
    )


def clicks(user: str, *partitions: int, start: float = T, seconds: float = 1.0) -> list[Sampled]:
    """One click in each of these partitions, one after the other."""
    return [
        Sampled(partition, user, start + number * seconds, start + 100)
        for number, partition in enumerate(partitions)
    ]


def test_a_topic_as_we_make_it_has_nothing_wrong() -> None:
    assert found(sample=clicks("ann", 0, 0, 0) + clicks("bob", 1, 1, 1)) == []


@pytest.mark.parametrize(
    ("changed", "about", "said"),
    [
        ({"message.timestamp.type": "CreateTime"}, "timestamps", "message.timestamp.type=LogAppendTime"),
        ({"cleanup.policy": "compact"}, "compaction", "--add-config cleanup.policy=delete"),
        ({"cleanup.policy": "compact,delete"}, "compaction", "(cleanup.policy=compact,delete)"),
        ({"retention.ms": "599999"}, "retention", "--add-config retention.ms=604800000"),
        ({"cleanup.policy": "compact", "retention.ms": "1000"}, "compaction", "Kafka keeps the newest alone"),
    ],
)  # fmt: skip
def test_a_setting_is_told_of_with_what_follows_and_the_command(
    changed: dict[str, str], about: str, said: str
) -> None:
    (finding,) = found(OURS | changed)
    assert finding.about == about
    assert finding.hides is (about == "compaction")
    assert said in finding.text
    assert (
        "kafka-configs.sh --bootstrap-server 127.0.0.1:9092 --alter --entity-type topics" in finding.command
    )
    assert "\n" not in finding.text


@pytest.mark.parametrize("kept", ["600000", "-1"])
def test_retention_of_the_longest_window_or_for_ever_is_long_enough(kept: str) -> None:
    assert found(OURS | {"retention.ms": kept}) == []


def test_what_kafka_does_not_know_is_no_finding() -> None:
    assert found({}) == []


def test_what_may_not_be_known_is_said_to_be_unknown_and_nothing_more() -> None:
    (finding,) = found(None)
    assert (finding.about, finding.hides) == ("config", False)
    assert "--operation DescribeConfigs --topic clicks" in finding.command
    assert not is_compacted(None)


def test_partitions_that_nobody_counts_are_told_of() -> None:
    (finding,) = found(partitions=6)
    assert (finding.about, finding.summary, finding.hides) == (
        "partitions",
        "4 of 6 partitions are counted",
        True,
    )
    assert "alter the topics of their state" in finding.cure


def test_27_a_topic_that_is_not_keyed_by_user_is_told_of() -> None:
    lines = (CASES / "27-not-keyed-by-user" / "records.ndjson").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    sample = [Sampled(n % 4, row["user_id"], row["timestamp"], T) for n, row in enumerate(rows)]
    (finding,) = found(sample=sample)
    assert (finding.about, finding.hides) == ("key", True)
    assert "of the last 160 clicks, user 'bot-7' has some in partitions 0, 1, 2 and 3." in finding.text
    assert finding.cure.startswith("Send every click with its user as the key")


def test_what_a_stranger_wrote_is_inert_and_short() -> None:
    (finding,) = found(sample=clicks("\x1b[2J\u202e\n" + 200 * "x", 0, 1, 0))
    assert r"user '\x1b[2J\u202e\nxxx" in finding.text
    assert "xxx…' has some in partitions 0 and 1." in finding.text
    assert len(finding.text) < 600


def test_who_moves_once_has_been_moved() -> None:
    assert strays(clicks("ann", 0, 0, 5, 5)) == {}
    assert strays(clicks("ann", 0, 0, 5, 5, 0)) == {"ann": [0, 5]}
    # In one second the order is not known.
    assert strays(reversed(clicks("ann", 0, 0, 5, 5, seconds=0.0))) == {}


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 12), st.integers(0, 300))
def test_a_keyed_topic_has_no_strays_also_where_it_grows(seed: int, few: int, more: int, moment: int) -> None:
    draw = random.Random(seed)
    sample = []
    for number in range(300):
        user = draw.randrange(20)
        partition = user % (few if number < moment else few + more)
        sample.append(Sampled(partition, str(user), T + number, T + number))
    draw.shuffle(sample)
    assert strays(sample) == {}


@given(st.integers(0, 2**32), st.integers(2, 12))
def test_clicks_strewn_over_partitions_are_seen(seed: int, partitions: int) -> None:
    draw = random.Random(seed)
    sample = [Sampled(draw.randrange(partitions), "bot-7", T + n, T + n) for n in range(60)]
    assert set(strays(sample)) == {"bot-7"}
