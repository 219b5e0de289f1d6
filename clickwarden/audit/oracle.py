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
    hearing = _Hearing(truth)
    for record in records:
        hearing.hear(record)
    return hearing.judgement()


@dataclass(frozen=True, slots=True)
class _Report:
    """What one record says.

    Attributes:
        case: whom and what it is about.
        alert_id: the one that belongs to the case.
        name: the one that the record gives.
        key: of the record.
        size: of the window, seconds.
        status: ``ongoing`` or ``closed``.
        final: whether these are the figures of a closed window.
        count, low, high: clicks, and the interval they are said to be in.
        content: all that must be the same when it is said again.
    """

    case: Case
    alert_id: str
    name: str
    key: bytes | None
    size: int
    status: str
    final: bool
    count: int
    low: int
    high: int
    content: dict[str, Any]


def _report(record: AuditRecord) -> _Report:
    """Read a record.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: it is no anomaly.
    """
    anomaly = json.loads(record.value or b"")
    case = Case(
        int(anomaly["partition"]),
        str(anomaly["rule"]),
        str(anomaly["user_id"]),
        _epoch(anomaly["window_start"]),
    )
    status = str(anomaly["status"])
    return _Report(
        case=case,
        alert_id=_alert_id(case),
        name=str(anomaly["alert_id"]),
        key=record.key,
        size=_epoch(anomaly["window_end"]) - case.window,
        status=status,
        final={"ongoing": False, "closed": True}[status],
        count=int(anomaly["count"]),
        low=int(anomaly["count_low"]),
        high=int(anomaly["count_high"]),
        content={field: value for field, value in anomaly.items() if field not in CIRCUMSTANCES},
    )


class _Hearing:
    """Holds one record after the other against the recount, and keeps what is wrong with them.

    A case, or an alert, with several faults of a kind counts once.
    """

    def __init__(self, truth: Recount) -> None:
        self._truth = truth
        self._over = truth.over()
        self._faults: dict[str, dict[object, str]] = {fault: {} for fault in FAULTS}
        self._contents: dict[tuple[str, str], dict[str, Any]] = {}
        self._statuses: dict[Case, set[str]] = {}
        self._exact: set[Case] = set()
        self._unjudged: set[Case] = set()
        self._repeats = 0

    def hear(self, record: AuditRecord) -> None:
        """Judge what one record says."""
        try:
            report = _report(record)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            self._find("invented", record.offset, f"offset {record.offset} holds no anomaly: {error!r}")
            return
        self._compare(report)
        self._identify(report)
        if self._truth.whole(report.case):
            self._check(report)
        else:
            self._unjudged.add(report.case)

    def _find(self, fault: str, about: object, words: str) -> None:
        self._faults[fault].setdefault(about, words)

    def _compare(self, report: _Report) -> None:
        """Compare it with what was said first under its name."""
        first = self._contents.setdefault((report.name, report.status), report.content)
        if first is report.content:
            return
        changed = sorted(
            field for field in first | report.content if first.get(field) != report.content.get(field)
        )
        if changed:
            was, now = (
                {field: content.get(field) for field in changed} for content in (first, report.content)
            )
            self._find("conflicting", report.name, f"{report.case}: {report.status} was {was}, then {now}")
        self._repeats += first == report.content

    def _identify(self, report: _Report) -> None:
        """Check that name, key and window are those of the case."""
        rule = self._truth.rules.get(report.case.rule)
        if report.name != report.alert_id or report.key != report.alert_id.encode():
            self._find(
                "conflicting",
                report.name,
                f"{report.case}: expected alert_id and key {report.alert_id}, "
                f"found {report.name!r} under {report.key!r}",
            )
        elif rule and report.size != rule.window:
            self._find(
                "conflicting",
                report.name,
                f"{report.case}: expected a window of {rule.window} s, found {report.size} s",
            )

    def _check(self, report: _Report) -> None:
        """Check the figures, in a window that the recount knows whole."""
        case = report.case
        self._statuses.setdefault(case, set()).add(report.status)
        clicks = self._over.get(case)
        if clicks is None:
            rule = self._truth.rules.get(case.rule)
            why = f"at most {rule.threshold} clicks" if rule else "no such rule"
            self._find(
                "invented",
                case,
                f"{case}: expected no anomaly ({why}), found {report.count} clicks ({report.status})",
            )
        elif clicks < report.low or (report.final and clicks > report.high):
            interval = f"{report.low} to {report.high}" if report.final else f"at least {report.low}"
            self._find(
                "interval_misses",
                case,
                f"{case}: expected {clicks} clicks, found {interval} ({report.status})",
            )
        if report.final and report.count == clicks:
            self._exact.add(case)

    def _miss(self) -> None:
        """Find the cases that were not reported, and those whose window is closed and was not said to be."""
        for case, clicks in self._over.items():
            seen = self._statuses.get(case, set())
            closed = self._truth.closed(case)
            if "closed" not in seen and (not seen or closed):
                wanted = "a closed anomaly" if closed else "an anomaly"
                found = sorted(seen) or "none"
                self._find("missing", case, f"{case}: expected {wanted} of {clicks} clicks, found {found}")

    def judgement(self) -> Judgement:
        """What was found, once every record was heard."""
        self._miss()
        truth = self._truth
        return Judgement(
            **{fault: len(found) for fault, found in self._faults.items()},
            expected=len(self._over),
            reported=len(self._statuses),
            closed=sum("closed" in seen for seen in self._statuses.values()),
            exact=len(self._exact),
            repeats=self._repeats,
            produced=truth.produced,
            accepted=truth.accepted,
            rejected=truth.rejected,
            late=truth.late,
            excused=truth.excused,
            ignored=truth.ignored,
            unjudged=len(self._unjudged),
            begins={partition: offset for partition, offset in truth.begins.items() if offset},
            examples={
                fault: list(found.values())[:EXAMPLES] for fault, found in self._faults.items() if found
            },
        )


def _epoch(isotime: str) -> int:
    return int(datetime.fromisoformat(isotime).timestamp())


def _alert_id(case: Case) -> str:
    name = f"{case.rule}\0{case.window}\0{case.user_id}"
    return blake2b(name.encode(), digest_size=16).hexdigest()
