"""What a pipeline's models find abnormal becomes anomalies, and days on which they see what is new."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.anomaly import DRIFT, Anomaly, Cause, DriftedDay, ScoredRecord
from clickwarden.models.artefact import Model
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records
from clickwarden.models.served import DRIFTING, PREFIX
from clickwarden.models.verdicts import Verdicts
from clickwarden.times import isotime

#: Alarms of one key that are no further apart are one incident, milliseconds.
APART_MS = 120_000
#: Keys whose last alarm is remembered, those alarmed last.
KEYS = 500
CATEGORY = "learned"

#: By key: incident and epoch milliseconds of what was alarmed last.
Incidents = dict[str, tuple[str, int]]


def alarms(
    pipeline: Pipeline,
    model: Model,
    verdicts: Verdicts,
    records: Records,
    moments: NDArray[np.int64],
    offsets: Sequence[int],
    partition: int,
    incidents: Incidents,
    *,
    shadow: bool = False,
) -> Iterator[Anomaly]:
    """The anomalies of some records, in their order; a function of the partition's records and models alone.

    Args:
        pipeline: of the records.
        model: of the pipeline.
        verdicts: of the model.
        records: in the order of their partition.
        moments: int64[n], when each happened.
        offsets: of each.
        partition: of the topic.
        incidents: of the model that are going on; changed.
        shadow: whether it is a challenger, which tells nobody.
    """
    manifest = model.manifest
    name_of = f"{pipeline.name}/{manifest.version}" if shadow else pipeline.name
    ids = records.ids if verdicts.causes else []
    for place, causes in zip(np.flatnonzero(verdicts.alarmed).tolist(), verdicts.causes, strict=True):
        key, moment, offset = records.keys[place] or "", int(moments[place]), offsets[place]
        name = alert_id(name_of, partition, offset, key, moment)
        second = moment // 1000
        when = isotime(moment / 1000)
        yield Anomaly(
            alert_id=name,
            rule=PREFIX + name_of,
            status="closed",
            user_id=key,
            window_start=isotime(second),
            window_end=isotime(second + 1),
            count=1,
            count_low=1,
            count_high=1,
            threshold=1,
            first_seen=when,
            last_seen=when,
            events={},
            distinct_products=0,
            category=CATEGORY,
            owasp="",
            reasons=[_words(cause) for cause in causes],
            partition=partition,
            incident_id=_incident(incidents, key, moment, name),
            shadow=shadow,
            scored=ScoredRecord(
                pipeline=pipeline.name,
                topic=pipeline.topic,
                offset=offset,
                record_id=ids[place],
                score=float(verdicts.scores[place]),
                p_value=float(verdicts.p_values[place]),
                threshold=float(verdicts.thresholds[place]),
                causes=causes,
                detector=manifest.detector,
                version=manifest.version,
                severity=pipeline.severity,
            ),
        )


def drift_of(day: DriftedDay, begin: int, partition: int, incident: str) -> Anomaly:
    """The anomaly of a day on which a partition has drifted.

    Args:
        day: what is known of it.
        begin: its first second, epoch seconds.
        partition: of the topic.
        incident: that it is part of, as :func:`drift_id` names it.
    """
    start, end = isotime(begin), isotime(begin + 86_400)
    budget = "" if day.budget is None else f", where {day.budget:,.0f} were to be expected"
    return Anomaly(
        alert_id=drift_id(day.pipeline, partition, day.day),
        rule=f"{PREFIX}{day.pipeline}{DRIFTING}",
        status="closed",
        user_id=PREFIX + day.pipeline,
        window_start=start,
        window_end=end,
        count=1,
        count_low=1,
        count_high=1,
        threshold=1,
        first_seen=start,
        last_seen=end,
        events={},
        distinct_products=0,
        category=DRIFT,
        owasp="",
        reasons=[
            *(
                f"{each.feature} is {'distributed' if each.shift >= each.missing else 'missing'} otherwise "
                f"than learnt: index {each.farthest:.2f}, usual up to {day.limit:.2f}"
                for each in day.features[:3]
            ),
            f"{day.alarms:,} alarms{budget}",
        ],
        partition=partition,
        incident_id=incident,
        drift=day,
    )


def drift_id(pipeline: str, where: int | str, day: str) -> str:
    """32 hex digits that name a day of a pipeline's partition, or of a model the first of some that follow.

    >>> drift_id("fraud", 3, "2026-01-26")
    '304259285f19b291a7325139b541027a'
    """
    name = f"{pipeline}{DRIFTING}\0{where}\0{day}".encode()
    return blake2b(name, digest_size=16).hexdigest()


def alert_id(pipeline: str, partition: int, offset: int, key: str, moment: int) -> str:
    """32 hex digits that name one record of a pipeline, or of a challenger as ``PIPELINE/VERSION``.

    >>> alert_id("fraud", 3, 17, "card-9", 1431936300000)
    'da97150aecac93dbe7b2d360a0458ee4'
    """
    name = f"{pipeline}\0{partition}\0{offset}\0{moment}\0{key}".encode("utf-8", "surrogatepass")
    return blake2b(name, digest_size=16).hexdigest()


def _incident(incidents: Incidents, key: str, moment: int, name: str) -> str:
    """The incident that an alarm is part of: that of the key's last one, where they are near."""
    incident, last = incidents.pop(key, (name, moment))
    if abs(moment - last) > APART_MS:
        incident, last = name, moment
    incidents[key] = incident, max(moment, last)
    if len(incidents) > KEYS:
        del incidents[next(iter(incidents))]
    return incident


def _words(cause: Cause) -> str:
    low, median, high = cause.usual
    value = "missing" if cause.value is None else f"{cause.value:.6g}"
    return f"{cause.feature} is {value}; usual are {low:.6g} to {high:.6g}, mostly {median:.6g}"
