"""The oracle: holds what was reported against the exact recount."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from clickwarden.audit.recount import AuditRecord, Case, Recount
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings

#: What can be wrong with an anomaly.
FAULTS = ("missing", "invented", "conflicting", "interval_misses")
#: Examples kept of each fault.
EXAMPLES = 5
#: Fields that may differ when an anomaly is emitted again.
CIRCUMSTANCES = ("emitted_at", "worker", "caught_up")


def recount(
    records: Mapping[int, Iterable[AuditRecord]],
    settings: Settings,
    rules: Iterable[Rule],
    excused: Mapping[tuple[int, int], Collection[str]] | None = None,
) -> Recount:
    """Recount a whole topic held in memory: its records by partition, in offset order."""
    truth = Recount(settings, rules, excused)
    for partition, run in records.items():
        truth.add(partition, run)
    return truth


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of the clicks, and how many cases are wrong.

    Attributes:
        missing: users over a threshold that were not reported, or whose
            window the clicks have closed and the anomalies have not.
        invented: cases reported that were not over the threshold, and
            records that are no anomaly.
        conflicting: alerts whose fields contradict each other, or that were
            emitted again with another content.
        interval_misses: cases whose count lies outside the interval reported.
        expected: users over a threshold, once a rule and window.
        reported: cases in the topic.
        closed: cases reported with final figures.
        exact: those of them whose count is the truth.
        repeats: records that say again what an earlier one said.
        produced, accepted, rejected, late, excused, ignored: see :class:`Recount`.
        unjudged: cases reported of windows the topic no longer holds whole.
        begins: first offset of each partition that has lost its beginning.
        examples: in words, the first few of each fault, by its name.
    """

    missing: int
    invented: int
    conflicting: int
    interval_misses: int
    expected: int
    reported: int
    closed: int
    exact: int
    repeats: int
    produced: int
    accepted: int
    rejected: int
    late: int
    excused: int
    ignored: int
    unjudged: int
    begins: dict[int, int]
    examples: dict[str, list[str]]

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return not any(getattr(self, fault) for fault in FAULTS)

    @property
    def accounted(self) -> bool:
        """Whether every offset read was accepted, rejected, late or ignored."""
        return self.accepted + self.rejected + self.late + self.ignored == self.produced


def judge(truth: Recount, records: Iterable[AuditRecord]) -> Judgement:
    """Hold the records of the anomalies topic, repeats included, against the recount."""
    over = truth.over()
    faults: dict[str, dict[object, str]] = {fault: {} for fault in FAULTS}
    contents: dict[tuple[str, str], dict[str, Any]] = {}
    statuses: dict[Case, set[str]] = {}
    exact: set[Case] = set()
    unjudged: set[Case] = set()
    repeats = 0
    for record in records:
        try:
            anomaly = json.loads(record.value or b"")
            case = Case(
                int(anomaly["partition"]),
                str(anomaly["rule"]),
                str(anomaly["user_id"]),
                _epoch(anomaly["window_start"]),
            )
            size = _epoch(anomaly["window_end"]) - case.window
            identity = _alert_id(case)
            name, status = str(anomaly["alert_id"]), str(anomaly["status"])
            count, low, high = (int(anomaly[field]) for field in ("count", "count_low", "count_high"))
            final = {"ongoing": False, "closed": True}[status]
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            faults["invented"][record.offset] = f"offset {record.offset} holds no anomaly: {error!r}"
            continue

        content = {field: value for field, value in anomaly.items() if field not in CIRCUMSTANCES}
        first = contents.setdefault((name, status), content)
        if first is not content:
            repeats += first == content
            changed = sorted(key for key in first | content if first.get(key) != content.get(key))
            if changed:
                was, now = ({key: one.get(key) for key in changed} for one in (first, content))
                faults["conflicting"].setdefault(name, f"{case}: {status} was {was}, then {now}")
        rule = truth.rules.get(case.rule)
        if name != identity or record.key != identity.encode():
            faults["conflicting"].setdefault(
                name, f"{case}: expected alert_id and key {identity}, found {name!r} under {record.key!r}"
            )
        elif rule and size != rule.window:
            faults["conflicting"].setdefault(
                name, f"{case}: expected a window of {rule.window} s, found {size} s"
            )

        if not truth.whole(case):
            unjudged.add(case)
            continue
        statuses.setdefault(case, set()).add(status)
        clicks = over.get(case)
        if clicks is None:
            why = f"at most {rule.threshold} clicks" if rule else "no such rule"
            faults["invented"].setdefault(
                case, f"{case}: expected no anomaly ({why}), found {count} clicks ({status})"
            )
        elif clicks < low or (final and clicks > high):
            interval = f"{low} to {high}" if final else f"at least {low}"
            faults["interval_misses"].setdefault(
                case, f"{case}: expected {clicks} clicks, found {interval} ({status})"
            )
        if final and count == clicks:
            exact.add(case)

    for case, clicks in over.items():
        seen = statuses.get(case, set())
        if "closed" not in seen and (not seen or truth.closed(case)):
            wanted = "a closed anomaly" if truth.closed(case) else "an anomaly"
            faults["missing"][case] = (
                f"{case}: expected {wanted} of {clicks} clicks, found {sorted(seen) or 'none'}"
            )

    return Judgement(
        **{fault: len(found) for fault, found in faults.items()},
        expected=len(over),
        reported=len(statuses),
        closed=sum("closed" in seen for seen in statuses.values()),
        exact=len(exact),
        repeats=repeats,
        produced=truth.produced,
        accepted=truth.accepted,
        rejected=truth.rejected,
        late=truth.late,
        excused=truth.excused,
        ignored=truth.ignored,
        unjudged=len(unjudged),
        begins={partition: offset for partition, offset in truth.begins.items() if offset},
        examples={fault: list(found.values())[:EXAMPLES] for fault, found in faults.items() if found},
    )


def _epoch(isotime: str) -> int:
    return int(datetime.fromisoformat(isotime).timestamp())


def _alert_id(case: Case) -> str:
    name = f"{case.rule}\0{case.window}\0{case.user_id}"
    return blake2b(name.encode(), digest_size=16).hexdigest()
