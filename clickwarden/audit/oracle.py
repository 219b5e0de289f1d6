"""The oracle: holds what was reported against the exact recount."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from clickwarden.audit.reading import AuditRecord
from clickwarden.audit.recount import Case, Count, Missed, Place, Recount
from clickwarden.audit.splits import Split, splits
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings

#: What can be wrong with an anomaly.
FAULTS = ("missing", "invented", "conflicting", "interval_misses")
#: What can be said of a case.
STATUSES = ("ongoing", "closed", "corrected")
#: Examples kept of each fault.
EXAMPLES = 5
#: Fields that may differ when an anomaly is emitted again.
CIRCUMSTANCES = ("emitted_at", "worker", "caught_up")


def recount(
    records: Mapping[int, Iterable[AuditRecord]],
    settings: Settings,
    rules: Iterable[Rule],
    excused: Mapping[Place, Missed] | None = None,
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
        closed: cases reported when their window closed.
        corrected: cases reported anew, or only then, because clicks came late.
        final: cases reported in either way.
        exact: cases whose final count is the truth.
        repeats: records that say again what an earlier one said.
        split: users over a threshold, once a rule and window, whose clicks were counted in several
            partitions, each part for itself, because the topic was given more; what is said of the parts
            under one name is no conflict.
        produced, accepted, rejected, late, excused, uncounted, ignored, further: see :class:`Recount`.
        unjudged: cases reported of windows the topic no longer holds whole.
        begins: first offset of each partition that has lost its beginning.
        gone: offsets that compaction may have emptied, by partition; nothing of these partitions is judged.
        apart: users whose clicks of one window lie in several partitions, and more partitions are not why.
        hidden: cases of them that are over the threshold, and in no partition alone.
        examples: in words, the first few of each fault, and of those hidden, by its name.
    """

    missing: int
    invented: int
    conflicting: int
    interval_misses: int
    expected: int
    reported: int
    closed: int
    corrected: int
    final: int
    exact: int
    repeats: int
    split: int
    produced: int
    accepted: int
    rejected: int
    late: int
    excused: int
    uncounted: int
    ignored: int
    further: int
    unjudged: int
    begins: dict[int, int]
    gone: dict[int, int]
    apart: int
    hidden: int
    examples: dict[str, list[str]]

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return not any(getattr(self, fault) for fault in FAULTS)

    @property
    def conclusive(self) -> bool:
        """Whether it says much that none was found: all could be judged, and nobody is hidden."""
        return not self.gone and not self.hidden

    @property
    def accounted(self) -> bool:
        """Whether every offset read, and all it held, was accepted, rejected, late or ignored."""
        return self.accepted + self.rejected + self.late + self.ignored == self.produced + self.further


@dataclass(frozen=True, slots=True)
class _Statement:
    """What a record of the anomalies topic says."""

    case: Case
    name: str
    status: str
    revision: int
    size: int
    count: int
    low: int
    high: int
    incident: str
    shadow: bool
    allowed: str
    content: dict[str, Any]

    @classmethod
    def of(cls, record: AuditRecord) -> "_Statement":
        """What this one says.

        Raises:
            ValueError, TypeError, KeyError, OverflowError: it is no anomaly.
        """
        anomaly = json.loads(record.value or b"")
        start = _epoch(anomaly["window_start"])
        case = Case(int(anomaly["partition"]), str(anomaly["rule"]), str(anomaly["user_id"]), start)
        status = str(anomaly["status"])
        if status not in STATUSES:
            raise ValueError(f"status {status!r}")
        return cls(
            case=case,
            name=str(anomaly["alert_id"]),
            status=status,
            revision=int(anomaly.get("revision", 0)),
            size=_epoch(anomaly["window_end"]) - start,
            count=int(anomaly["count"]),
            low=int(anomaly["count_low"]),
            high=int(anomaly["count_high"]),
            incident=str(anomaly.get("incident_id", "")),
            shadow=anomaly.get("shadow", False) is True,
            allowed=str(anomaly.get("allowed", "")),
            content={field: value for field, value in anomaly.items() if field not in CIRCUMSTANCES},
        )


class _Hearing:
    """Holds statements against the truth, one after the other."""

    def __init__(self, truth: Recount) -> None:
        self.truth = truth
        self.over = truth.over()
        self.splits = list(splits(truth))
        self._grown = {(each.rule, each.user_id, each.window) for each in self.grown()}
        self.faults: dict[str, dict[object, str]] = {fault: {} for fault in FAULTS}
        self.statuses: dict[Case, set[str]] = {}
        self.unjudged: set[Case] = set()
        self.repeats = 0
        self._contents: dict[tuple[str, str, int, int | None], dict[str, Any]] = {}
        self._final: dict[Case, _Statement] = {}
        self._said: dict[tuple[Case, str, str], None] = {}
        self._incidents: dict[Case, str] = {}

    def hear(self, record: AuditRecord) -> None:
        """Judge one record of the anomalies topic."""
        try:
            said = _Statement.of(record)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            self._find("invented", record.offset, f"offset {record.offset} holds no anomaly: {error!r}")
            return
        self._compare(said)
        self._identify(said, record.key)
        incident = self._incidents.get(said.case) or said.incident
        self._incidents[said.case] = incident
        if said.incident and said.incident != incident:
            words = f"{said.case}: expected incident {incident}, found {said.incident}"
            self._find("conflicting", said.name, words)
        if not self.truth.whole(said.case):
            self.unjudged.add(said.case)
            return
        self.statuses.setdefault(said.case, set()).add(said.status)
        self._said[said.case, said.status, said.allowed] = None
        known = self._final.get(said.case)
        if known is None or (said.status != "ongoing" and said.revision >= known.revision):
            self._final[said.case] = said
        self._weigh(said)

    def grown(self) -> list[Split]:
        """Users over a threshold that more partitions have split."""
        return [split for split in self.splits if split.grown and split.over]

    def _find(self, fault: str, key: object, words: str) -> None:
        self.faults[fault].setdefault(key, words)

    def _compare(self, said: _Statement) -> None:
        """With what was said before under the same name."""
        case = said.case
        part = case.partition if (case.rule, case.user_id, case.window) in self._grown else None
        first = self._contents.setdefault((said.name, said.status, said.revision, part), said.content)
        if first is said.content:
            return
        changed = sorted(key for key in first | said.content if first.get(key) != said.content.get(key))
        if not changed:
            self.repeats += 1
            return
        was, now = ({key: one.get(key) for key in changed} for one in (first, said.content))
        self._find("conflicting", said.name, f"{said.case}: {said.status} was {was}, then {now}")

    def _identify(self, said: _Statement, key: bytes | None) -> None:
        """Whether it has the name, and the window, that it must have."""
        identity = _alert_id(said.case)
        rule = self.truth.rule(said.case)
        if said.name != identity or key != identity.encode():
            words = f"{said.case}: expected alert_id and key {identity}, found {said.name!r} under {key!r}"
            self._find("conflicting", said.name, words)
        elif rule and said.size != rule.window:
            words = f"{said.case}: expected a window of {rule.window} s, found {said.size} s"
            self._find("conflicting", said.name, words)
        elif rule and said.shadow != rule.shadow:
            words = f"{said.case}: expected shadow {rule.shadow}, found {said.shadow}"
            self._find("conflicting", said.name, words)

    def _weigh(self, said: _Statement) -> None:
        """Whether the user was over the threshold, with a count in the interval."""
        rule, count = self.truth.rule(said.case), self.over.get(said.case)
        limit = self.truth.threshold(said.case) if rule else 0
        if count is None or rule is None or (said.status == "closed" and count.in_time <= limit):
            why = f"at most {limit} clicks" if rule else "no such rule"
            words = f"{said.case}: expected no anomaly ({why}), found {said.count} clicks ({said.status})"
            self._find("invented", said.case, words)
        elif said.status == "closed" and not said.low <= count.in_time <= said.high:
            self._miss(said, count.in_time, f"{said.low} to {said.high}")
        elif said.low > count.total:
            self._miss(said, count.total, f"at least {said.low}")

    def _miss(self, said: _Statement, clicks: int, found: str) -> None:
        words = f"{said.case}: expected {clicks} clicks, found {found} ({said.status})"
        self._find("interval_misses", said.case, words)

    def end(self) -> None:
        """When all is heard: what is missing, and whether the last corrections hold the truth."""
        for case, count in self.over.items():
            for wanted in self._wanted(case, count):
                said = sorted(self.statuses.get(case, ())) or "none"
                words = f"{case}: expected {wanted} anomaly of {count.total} clicks, found {said}"
                self._find("missing", case, words)
            final = self._final.get(case)
            told = count.in_time + count.settled
            if final is not None and final.status == "corrected" and final.high < told:
                self._miss(final, told, f"at most {final.high}")
        for case, status, allowed in self._said:
            if case not in self.over:
                continue  # invented
            may = self.truth.allowed(case, status, exact=self._plain(case))
            if allowed not in may:
                words = f"{case}: expected allowed {' or '.join(map(repr, sorted(may)))}, found {allowed!r}"
                self._find("conflicting", _alert_id(case), f"{words} ({status})")
        for run in self._runs():
            for case, incident in self._incidents_of(run).items():
                if self._incidents[case] != incident:
                    words = f"{case}: expected incident {incident}, found {self._incidents[case]}"
                    self._find("conflicting", _alert_id(case), words)

    def _runs(self) -> Iterator[list[Case]]:
        """Cases of one user under one rule whose windows overlap or adjoin one another.

        A rule that is given windows of another length or slide, or goes into or out of shadow, is another
        one here.
        """
        by_rule: dict[tuple[int, str, str, bool, int, int], list[Case]] = {}
        for case in sorted(self._incidents):
            if rule := self.truth.rule(case):
                key = case.partition, case.rule, case.user_id, rule.shadow, rule.window, rule.slide
                by_rule.setdefault(key, []).append(case)
        for (*_, size, _), (first, *cases) in by_rule.items():
            run = [first]
            for case in cases:
                if case.window > run[-1].window + size:
                    yield run
                    run = []
                run.append(case)
            yield run

    def _incidents_of(self, run: list[Case]) -> dict[Case, str]:
        """The incident of each case of a run; none where the clicks alone do not tell.

        They do where every count reported is the truth, so that each case went
        over the threshold at the very click at which it did here, and none of
        them came late; and under one rule, not one and what it was changed to.
        """
        rule, *others = {self.truth.rule(case) for case in run}
        if rule is None or others:
            return {}
        crossings = [(crossed, case) for case in run if (crossed := self.truth.crossed(case)) is not None]
        if len(crossings) < len(run) or not all(map(self._plain, run)):
            return {}
        size = rule.window
        began: dict[Case, Case] = {}
        for _, case in sorted(crossings):
            known = [began[each] for each in sorted(began) if abs(each.window - case.window) <= size]
            began[case] = known[0] if known else case
        return {case: _alert_id(first) for case, first in began.items()}

    def _plain(self, case: Case) -> bool:
        """Whether all of a case came in time and is counted exactly, by a release that names incidents."""
        count, final = self.over.get(case), self._final.get(case)
        return bool(
            count and final and final.incident and final.status == "closed" and final.count == count.total
        )

    def _wanted(self, case: Case, count: Count) -> Iterator[str]:
        """What should have been said of somebody over the threshold, and was not."""
        said, limit = self.statuses.get(case, set()), self.truth.threshold(case)
        if count.in_time > limit and "closed" not in said and (not said or self.truth.closed(case)):
            yield "a closed" if self.truth.closed(case) else "an"
        told = count.in_time + count.settled
        if count.settled and told > limit and "corrected" not in said:
            yield "a corrected"

    def exact(self) -> int:
        """Cases whose final count is the truth."""
        return sum(
            said.count == (count.total if said.status == "corrected" else count.in_time)
            for case, said in self._final.items()
            if said.status != "ongoing" and (count := self.over.get(case))
        )


def judge(truth: Recount, records: Iterable[AuditRecord]) -> Judgement:
    """Hold the records of the anomalies topic, repeats included, against the recount."""
    hearing = _Hearing(truth)
    for record in records:
        hearing.hear(record)
    hearing.end()
    apart = [split for split in hearing.splits if not split.grown]
    hidden = [str(split) for split in apart if split.hidden]
    found = {fault: list(words.values()) for fault, words in hearing.faults.items()} | {"hidden": hidden}
    said = hearing.statuses.values()
    return Judgement(
        **{fault: len(found) for fault, found in hearing.faults.items()},
        expected=len(hearing.over),
        reported=len(said),
        closed=sum("closed" in statuses for statuses in said),
        corrected=sum("corrected" in statuses for statuses in said),
        final=sum(statuses != {"ongoing"} for statuses in said),
        exact=hearing.exact(),
        repeats=hearing.repeats,
        split=len(hearing.grown()),
        produced=truth.produced,
        accepted=truth.accepted,
        rejected=truth.rejected,
        late=truth.late,
        excused=truth.excused,
        uncounted=truth.uncounted,
        ignored=truth.ignored,
        further=truth.further,
        unjudged=len(hearing.unjudged),
        begins={partition: offset for partition, offset in truth.begins.items() if offset},
        gone=truth.gone,
        apart=len({split.user_id for split in apart}),
        hidden=len(hidden),
        examples={name: words[:EXAMPLES] for name, words in found.items() if words},
    )


def _epoch(isotime: str) -> int:
    return int(datetime.fromisoformat(isotime).timestamp())


def _alert_id(case: Case) -> str:
    name = f"{case.rule}\0{case.window}\0{case.user_id}"
    return blake2b(name.encode(), digest_size=16).hexdigest()
