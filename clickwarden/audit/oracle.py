"""The oracle: holds what was reported against the exact recount."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from clickwarden.audit.accounts import Figure
from clickwarden.audit.excuses import Missed, Place
from clickwarden.audit.reading import AuditRecord
from clickwarden.audit.recount import Recount
from clickwarden.audit.splits import Split, splits
from clickwarden.audit.statement import STEPS, Statement
from clickwarden.audit.tally import Case, Count, slide_of
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings

#: What can be wrong with an anomaly.
FAULTS = ("missing", "invented", "conflicting", "interval_misses")
#: Examples kept of each fault.
EXAMPLES = 5


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
        invented: cases reported that were not over the threshold, nor doubtful, and
            records that are no anomaly.
        conflicting: alerts whose fields contradict each other, or that were
            emitted again with another content.
        interval_misses: cases whose count, or share, lies outside the interval reported.
        expected: users over a threshold, once a rule and window.
        doubtful: cases reported that were not, and of which the rule has too little kept to know; see
            :class:`clickwarden.audit.accounts.Figure`.
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
    doubtful: int
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


class _Hearing:
    """Holds statements against the truth, one after the other."""

    def __init__(self, truth: Recount) -> None:
        self.truth = truth
        self.over = truth.over()
        self.splits = list(splits(truth))
        self._grown = {(each.rule, each.user_id, each.window) for each in self.grown()}
        self.faults: dict[str, dict[object, str]] = {fault: {} for fault in FAULTS}
        self.statuses: dict[Case, set[str]] = {}
        self._rising: dict[Case, dict[int, Statement]] = {}
        self.unjudged: set[Case] = set()
        self.repeats = 0
        self._contents: dict[tuple[str, str, int, int | None], dict[str, Any]] = {}
        self._final: dict[Case, Statement] = {}
        self._said: dict[tuple[Case, str, int, str], None] = {}
        self._incidents: dict[Case, str] = {}

    def hear(self, record: AuditRecord) -> None:
        """Judge one record of the anomalies topic."""
        try:
            said = Statement.of(record)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            self._find("invented", record.offset, f"offset {record.offset} holds no anomaly: {error!r}")
            return
        if said.pipeline:  # which has an oracle of its own
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
        self._said[said.case, said.status, said.revision, said.allowed] = None
        known = self._final.get(said.case)
        if known is None or (said.status != "ongoing" and said.rank >= known.rank):
            self._final[said.case] = said
        if said.status == "ongoing":
            self._rising.setdefault(said.case, {}).setdefault(said.revision, said)
        self._weigh(said)

    def grown(self) -> list[Split]:
        """Users over a threshold that more partitions have split."""
        return [split for split in self.splits if split.grown and split.over]

    def _find(self, fault: str, key: object, words: str) -> None:
        self.faults[fault].setdefault(key, words)

    def _compare(self, said: Statement) -> None:
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

    def _identify(self, said: Statement, key: bytes | None) -> None:
        """Whether it has the name, and the window, that it must have."""
        identity = _alert_id(said.case)
        rule = self.truth.rule(said.case)
        if said.name != identity or key != identity.encode():
            words = f"{said.case}: expected alert_id and key {identity}, found {said.name!r} under {key!r}"
            self._find("conflicting", said.name, words)
        elif rule and said.size != rule.window:
            words = f"{said.case}: expected a window of {rule.window} s, found {said.size} s"
            self._find("conflicting", said.name, words)
        elif rule and (said.distinct, said.share is not None) != (wanted := _measured(rule)):
            found = said.distinct, said.share is not None
            words = (
                f"{said.case}: expected distinct field and whether there is a share {wanted}, found {found}"
            )
            self._find("conflicting", said.name, words)
        elif rule and said.shadow != rule.shadow:
            words = f"{said.case}: expected shadow {rule.shadow}, found {said.shadow}"
            self._find("conflicting", said.name, words)
        elif not said.is_consistent:
            words = f"{said.case}: at least {said.low} are not {said.times} times {said.threshold}"
            self._find("conflicting", said.name, f"{words} ({said.status}, revision {said.revision})")

    def _weigh(self, said: Statement) -> None:
        """Whether the user was over the threshold, with a count in the interval."""
        rule, count = self.truth.rule(said.case), self.over.get(said.case)
        limit = self.truth.threshold(said.case) if rule else 0
        figure = count and (count.in_time if said.status == "closed" else count.total)
        if count is None or figure is None or rule is None or not (figure.over or figure.doubtful):
            unit, small = self._unit(said.case), ", or too small a share" if rule and rule.share else ""
            why = f"at most {limit} {unit}{small}" if rule else "no such rule"
            words = f"{said.case}: expected no anomaly ({why}), found {said.count} {unit} ({said.status})"
            self._find("invented", said.case, words)
        elif said.status == "closed":
            self._measure(said, count.in_time)
        elif said.low > count.total.count:
            self._miss(said, count.total.count, f"at least {said.low}")

    def _measure(self, said: Statement, figure: Figure) -> None:
        """Whether final figures lie in their intervals."""
        if not said.low <= figure.count <= said.high:
            self._miss(said, figure.count, f"{said.low} to {said.high}")
        elif said.share and figure.part is not None:
            low, high = said.share
            # To the nearest number there is, as they are reported.
            if not low <= figure.part / figure.count <= high:
                words = (
                    f"{said.case}: expected a share of {figure.part} in {figure.count}, found {said.share}"
                )
                self._find("interval_misses", said.case, words)

    def _miss(self, said: Statement, count: int, found: str) -> None:
        unit = self._unit(said.case)
        words = f"{said.case}: expected {count} {unit}, found {found} ({said.status})"
        self._find("interval_misses", said.case, words)

    def _unit(self, case: Case) -> str:
        rule = self.truth.rule(case)
        return rule.unit if rule else "clicks"

    def end(self) -> None:
        """When all is heard: what is missing, and whether the last corrections hold the truth."""
        for case, count in self.over.items():
            for wanted in self._wanted(case, count):
                said = sorted(self.statuses.get(case, ())) or "none"
                unit = self._unit(case)
                words = f"{case}: expected {wanted} anomaly of {count.total.count} {unit}, found {said}"
                self._find("missing", case, words)
            final = self._final.get(case)
            if final is None or final.status != "corrected":
                continue
            if count.late == count.settled:
                self._measure(final, count.total)
            elif final.high < count.told.count:
                self._miss(final, count.told.count, f"at most {final.high}")
        self._allow()
        for run in self._runs():
            for case, incident in self._incidents_of(run).items():
                if self._incidents[case] != incident:
                    words = f"{case}: expected incident {incident}, found {self._incidents[case]}"
                    self._find("conflicting", _alert_id(case), words)

    def _allow(self) -> None:
        """Whether each user was allowed to, where that was said, and nobody else."""
        for case, status, revision, allowed in self._said:
            if case not in self.over:
                continue  # invented
            if status == "ongoing" and revision:
                may = self.truth.allowed_since(case)
            else:
                may = self.truth.allowed(case, status, exact=self._plain(case))
            if allowed not in may:
                words = f"{case}: expected allowed {' or '.join(map(repr, sorted(may)))}, found {allowed!r}"
                self._find("conflicting", _alert_id(case), f"{words} ({status})")

    def _runs(self) -> Iterator[list[Case]]:
        """Cases of one user under one rule whose windows overlap or adjoin one another.

        A rule that is given windows of another length or distance, or goes into or out of shadow, is another
        one here.
        """
        by_rule: dict[tuple[int, str, str, bool, int, int], list[Case]] = {}
        for case in sorted(self._incidents):
            if rule := self.truth.rule(case):
                key = case.partition, case.rule, case.user_id, rule.shadow, rule.window, slide_of(rule)
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
        """Whether all of a case came in time and is known exactly, by a release that names incidents."""
        count, final = self.over.get(case), self._final.get(case)
        if count is None or final is None or not final.incident or final.status != "closed":
            return False
        return final.count == count.total.count and (final.share is None or final.share[0] == final.share[1])

    def _wanted(self, case: Case, count: Count) -> Iterator[str]:
        """What should have been said of somebody over the threshold, and was not."""
        said = self.statuses.get(case, set())
        if count.in_time.over and "closed" not in said and (not said or self.truth.closed(case)):
            yield "a closed" if self.truth.closed(case) else "an"
        if count.settled and count.told.over and "corrected" not in said:
            yield "a corrected"
        for times in self._untold(case, count.in_time):
            yield f"an ongoing {times} times the threshold"

    def _untold(self, case: Case, figure: Figure) -> Iterator[int]:
        """The steps that a user certainly came to while the window was open, and that were not told.

        What was said when it was closed shows how much was certain, and the truth how much must have been.
        Whom a release that knows steps saw go over is told of all that come after.
        """
        ongoing = self._rising.get(case, {})
        if 0 not in ongoing or not ongoing[0].times:
            return
        final, threshold = self._final.get(case), self.truth.threshold(case)
        sure = max(figure.sure, final.low if final and final.status == "closed" else 0)
        for number, times in enumerate(STEPS, 1):
            if ongoing[0].times < times and times * threshold <= sure and number not in ongoing:
                yield times

    def doubtful(self) -> int:
        """Cases reported of whom nobody can know that they were not over the threshold."""
        counts = (self.over.get(case) for case in self.statuses)
        return sum(count is not None and not count.total.over for count in counts)

    def exact(self) -> int:
        """Cases whose final count is the truth."""
        return sum(
            said.count == (count.total if said.status == "corrected" else count.in_time).count
            for case, said in self._final.items()
            if said.status != "ongoing" and (count := self.over.get(case))
        )


def _measured(rule: Rule) -> tuple[str, bool]:
    """Of which field the rule counts different values, and whether it wants a share."""
    return (rule.count or "").removeprefix("distinct").strip(), bool(rule.share)


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
        expected=sum(count.total.over for count in hearing.over.values()),
        doubtful=hearing.doubtful(),
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


def _alert_id(case: Case) -> str:
    name = f"{case.rule}\0{case.window}\0{case.user_id}"
    return blake2b(name.encode(), digest_size=16).hexdigest()
