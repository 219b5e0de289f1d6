"""A topic held against what was found in it, while more comes into both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from aiokafka import ConsumerRecord, TopicPartition

from clickwarden.audit.oracle import Judgement
from clickwarden.audit.scored import ScoredJudgement

J = TypeVar("J", Judgement, ScoredJudgement)


def judged(
    judge: Callable[[Sequence[ConsumerRecord]], J],
    records: Sequence[ConsumerRecord],
    ends: Mapping[TopicPartition, int],
) -> J:
    """The verdict on anomalies, of which more came while the topic was read.

    What was told before is of what is known. What was told since may be of what came since, too: it is not
    judged, and nothing that it tells of is missing.

    Args:
        judge: holds anomalies against the topic as far as it was read.
        records: of the anomalies.
        ends: of their topic, before the other was read.
    """
    before = {tp.partition: end for tp, end in ends.items()}
    known = [record for record in records if record.offset < before[record.partition]]
    verdict = judge(known)
    if not verdict.missing or len(known) == len(records):
        return verdict
    since = judge(records)
    examples = {fault: words for fault, words in verdict.examples.items() if fault != "missing"}
    if since.missing:
        examples["missing"] = since.examples["missing"]
    return replace(verdict, missing=since.missing, examples=examples)
