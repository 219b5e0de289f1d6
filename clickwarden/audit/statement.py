"""What a record of the anomalies topic says."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clickwarden.audit.reading import AuditRecord
from clickwarden.audit.tally import Case

#: What can be said of a case.
STATUSES = ("ongoing", "closed", "corrected")
#: Times the threshold at which somebody is told of again while the window is open.
STEPS = (2, 5, 20)
#: Fields that may differ when an anomaly is emitted again.
CIRCUMSTANCES = ("emitted_at", "worker", "caught_up")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a record of the anomalies topic says."""

    case: Case
    name: str
    status: str
    revision: int
    size: int
    count: int
    low: int
    high: int
    distinct: str
    share: tuple[float, float] | None
    incident: str
    shadow: bool
    allowed: str
    threshold: int
    times: int
    pipeline: bool
    content: dict[str, Any]

    @classmethod
    def of(cls, record: AuditRecord) -> "Statement":
        """What this one says.

        Raises:
            ValueError, TypeError, KeyError, OverflowError: it is no anomaly.
        """
        anomaly = json.loads(record.value or b"")
        start = _epoch(anomaly["window_start"])
        case = Case(int(anomaly["partition"]), str(anomaly["rule"]), str(anomaly["user_id"]), start)
        status = str(anomaly["status"])
        shares = anomaly.get("share_low"), anomaly.get("share_high")
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
            distinct=str(anomaly.get("distinct") or ""),
            share=None if None in shares else (float(shares[0]), float(shares[1])),
            incident=str(anomaly.get("incident_id", "")),
            shadow=anomaly.get("shadow", False) is True,
            allowed=str(anomaly.get("allowed", "")),
            threshold=int(anomaly["threshold"]),
            times=int(anomaly.get("times", 0)),
            pipeline=any(anomaly.get(name) is not None for name in ("scored", "drift")),
            content={field: value for field, value in anomaly.items() if field not in CIRCUMSTANCES},
        )

    @property
    def rank(self) -> tuple[int, int]:
        """Of two the one that ranks higher holds."""
        return STATUSES.index(self.status), self.revision

    @property
    def is_consistent(self) -> bool:
        """Whether it names the step that its count is at; of an older release, which knew none: yes."""
        steps = [times for times in STEPS if self.low >= times * self.threshold]
        if self.times == 0:
            return self.status == "corrected" or self.revision == 0
        if self.times != max(steps, default=1):
            return False
        return self.status != "ongoing" or self.revision in (0, len(steps))


def _epoch(isotime: str) -> int:
    return int(datetime.fromisoformat(isotime).timestamp())
