"""A verdict while more comes: what is told since is neither missing nor invented."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from clickwarden.audit.scored import ScoredJudgement
from commands.judged import judged

EXPECTED = {"a", "b", "c"}


def judge(records: Sequence[Any]) -> ScoredJudgement:
    told = {record.value for record in records}
    missing, invented = sorted(EXPECTED - told), sorted(told - EXPECTED)
    found = {fault: words for fault, words in {"missing": missing, "invented": invented}.items() if words}
    return ScoredJudgement(
        len(missing),
        len(invented),
        0,
        3,
        len(told),
        drift=0,
        repeats=0,
        fates={},
        unjudged=[],
        examples=found,
    )


def verdict(*told: str, before: int) -> dict[str, Any]:
    records: Any = [
        SimpleNamespace(value=value, partition=0, offset=offset) for offset, value in enumerate(told)
    ]
    found = judged(judge, records, {TopicPartition("anomalies", 0): before})
    return {"missing": found.missing, "invented": found.invented, "examples": found.examples}


def test_what_is_told_since_is_neither_missing_nor_invented() -> None:
    assert verdict("a", "b", "c", before=3) == {"missing": 0, "invented": 0, "examples": {}}
    assert verdict("a", "b", "c", "later", before=2) == {"missing": 0, "invented": 0, "examples": {}}


def test_what_was_told_before_and_never_is_wrong_all_the_same() -> None:
    assert verdict("a", "x", "b", "y", before=2) == {
        "missing": 1,
        "invented": 1,
        "examples": {"missing": ["c"], "invented": ["x"]},
    }
