"""An anomaly, as it is written to the anomalies topic."""

from hashlib import blake2b
from typing import Literal, get_args

import msgspec

VERSION = 1

#: What an anomaly has as its category that is of a pipeline's day and of nobody.
DRIFT = "drift"

Status = Literal["ongoing", "closed", "corrected"]
#: In the order in which they can be said of one user in one window.
STATUSES: tuple[Status, ...] = get_args(Status)


class Cause(msgspec.Struct, frozen=True):
    """A feature, and what it has done.

    Attributes:
        feature: its column.
        value: of the record; None where missing.
        usual: where the middle 90 % of the values are, and their median between: low, median, high.
        effect: how much lower the score would be with the median in its place.
        key_mean: of the field that it is of, among earlier records of the same key, in the field's own unit;
            None where no feature has it, or there was none.
        key_std: their standard deviation; None where no feature has it, or there was none.
        key_count: how many they were; None where no feature has it.
        key_window: how far back they go; empty where no feature has their mean.
    """

    feature: str
    value: float | None
    usual: tuple[float, float, float]
    effect: float
    key_mean: float | None = None
    key_std: float | None = None
    key_count: float | None = None
    key_window: str = ""


class ScoredRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a pipeline that an anomaly is of, and what its model says of it.

    Attributes:
        pipeline: its name.
        topic: that the record is in.
        offset: of the record, in the anomaly's partition.
        record_id: the record's own; null where it has none.
        score: higher is more abnormal.
        p_value: the share of usual records that score as high.
        threshold: an anomaly has at least this score.
        causes: the features that did it, the strongest first.
        detector: by name.
        version: of the model.
        severity: of the pipeline's anomalies.
    """

    pipeline: str
    topic: str
    offset: int
    record_id: str | None
    score: float
    p_value: float
    threshold: float
    causes: tuple[Cause, ...]
    detector: str
    version: str
    severity: Literal["low", "medium", "high"]


class Shift(msgspec.Struct, frozen=True):
    """How far a feature of some records is from what a model has learnt.

    Attributes:
        feature: its column.
        shift: population stability index of its values.
        missing: that of whether there is one.
    """

    feature: str
    shift: float
    missing: float

    @property
    def farthest(self) -> float:
        """The greater of the two."""
        return max(self.shift, self.missing)


class DriftedDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day of a partition on which a pipeline's model saw something else than it has learnt from.

    Attributes:
        pipeline: its name.
        topic: that the records are in.
        day: its date in UTC, by event time.
        records: that were scored.
        alarms: among them.
        budget: so many were to be expected; null where the threshold is from labels.
        worth: how many independent records they are worth: fewer, where some keys have many of them.
        limit: a feature has drifted that is further than that.
        unseen: the largest share of words that are in no vocabulary.
        features: those that have drifted, the farthest first, at most ten.
        detector: by name.
        version: of the model.
        severity: of the pipeline's anomalies.
    """

    pipeline: str
    topic: str
    day: str
    records: int
    alarms: int
    budget: float | None
    worth: float
    limit: float
    unseen: float
    features: tuple[Shift, ...]
    detector: str
    version: str
    severity: Literal["low", "medium", "high"]


class Anomaly(msgspec.Struct, kw_only=True):
    """One user over the threshold of one rule in one window.

    Everything but ``emitted_at``, ``worker`` and ``caught_up`` is a function of
    the records of the partition, so that an anomaly emitted again after a
    crash has the same content.

    Attributes:
        alert_id: hex, a function of rule, user and window and of nothing else.
        rule: the rule's name.
        status: ``ongoing`` when the threshold is crossed, and again when the count has certainly come
            to 2, 5 and 20 times the threshold while the window is open; ``closed`` with the final figures
            when the window closes, ``corrected`` when clicks that came late for it change them, or take a
            user over the threshold.
            What comes later replaces what came before (:attr:`rank`).
        user_id: as it stood in the click: an attacker's text.
        window_start: first second of the window, ISO-8601 UTC.
        window_end: first second behind the window, ISO-8601 UTC.
        count: clicks in the window, or different values (``distinct``), the best estimate: ``count_high``.
        count_low: certainly at least as many.
        count_high: certainly at most as many.
        threshold: the rule's threshold when the window opened.
        first_seen: first click counted exactly, ISO-8601 UTC.
        last_seen: last click counted exactly, ISO-8601 UTC.
        events: clicks counted exactly by event, most frequent first.
        distinct_products: among the clicks counted exactly; counted up to 256.
        category: bot, scraper or credential_stuffing.
        owasp: OWASP automated threat, OAT-….
        reasons: why, in words.
        partition: of the clicks topic.
        emitted_at: wall clock of the worker, ISO-8601 UTC.
        version: of this record's layout.
        worker: name of the worker that emitted it.
        caught_up: it was over for a minute when it was emitted, counted from a
            backlog or from clicks that came late: nothing to wake anybody for.
        incident_id: ``alert_id`` of the window that the incident was first seen in, of which this window is
            part: windows of one user and rule that overlap or adjoin one another. Empty in records of older
            releases.
        revision: counts what is ``corrected`` from 1; of what is ``ongoing`` 1 at 2 times the threshold, 2 at
            5 times, 3 at 20 times, 0 at the crossing; 0 for what is ``closed``.
        times: 2, 5 or 20: certainly so many times the threshold, by ``count_low``; 1 below 2; 0 in records of
            older releases.
        distinct: the field of which different values are counted; null where clicks are.
        share_low: of the clicks, certainly at least this share has the events that the rule wants a share of,
            0 to 1, as it was when ``count`` was; null where the rule wants none.
        share_high: certainly at most this share.
        shadow: the rule was in shadow when the window opened: recorded, and nobody is told.
        allowed: why the user may go over thresholds, in the words of who allowed it, by the allow-list in
            force at the offset where this is told: recorded, and nobody is told. Empty where the user is
            not on it, or the entry had expired before the window began.
        scored: the record that a pipeline's model finds abnormal; null where a rule counts clicks. Its
            ``rule`` is ``pipeline/NAME``, its user the record's key, its window the second of the record,
            ``count`` and ``threshold`` are 1, and ``category`` is ``learned``.
        drift: the day on which the records of a pipeline's partition were others than its model has learnt
            from; null elsewhere. Its ``rule`` is ``pipeline/NAME/drift``, its user ``pipeline/NAME``, its
            window the day, ``count`` and ``threshold`` are 1, and ``category`` is ``drift``.
    """

    alert_id: str
    rule: str
    status: Status
    user_id: str
    window_start: str
    window_end: str
    count: int
    count_low: int
    count_high: int
    threshold: int
    first_seen: str
    last_seen: str
    events: dict[str, int]
    distinct_products: int
    category: str
    owasp: str
    reasons: list[str]
    partition: int
    emitted_at: str = ""
    version: int = VERSION
    worker: str = ""
    caught_up: bool = False
    revision: int = 0
    incident_id: str = ""
    distinct: str | None = None
    share_low: float | None = None
    share_high: float | None = None
    shadow: bool = False
    allowed: str = ""
    times: int = 0
    scored: ScoredRecord | None = None
    drift: DriftedDay | None = None

    @property
    def rank(self) -> tuple[int, int]:
        """Of two statements on one user in one window the one that ranks higher holds; equals are repeats."""
        return STATUSES.index(self.status), self.revision


def alert_id(rule: str, user_id: str, window_start: int) -> str:
    """32 hex digits that name one user in one window of one rule.

    >>> alert_id("bot", "75.97.9.59", 1431936300)
    'e1fed9de55ec615495aece53a70f57fc'
    """
    name = f"{rule}\0{window_start}\0{user_id}".encode()
    return blake2b(name, digest_size=16).hexdigest()
