"""What is known of a pipeline's records afterwards: by labels, and by what people said of incidents."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.anomaly import Anomaly
from clickwarden.models.labelled import Label
from clickwarden.times import epoch


class Hindsight:
    """Which records were abnormal. A label holds, whatever was said of the incident that its record is in.

    What is said of an incident is said of all records of its key from its first alarm to its last: a bot's
    are abnormal, a human's are usual. A record of which nothing is known is usual.
    """

    def __init__(self) -> None:
        self._labels: dict[str, bool] = {}
        self._spans: dict[str, tuple[str, int, int]] = {}
        self._verdicts: dict[str, bool] = {}

    @property
    def labels(self) -> int:
        """How many records have one."""
        return len(self._labels)

    @property
    def incidents(self) -> int:
        """Of how many it is known what they were."""
        return sum(incident in self._spans for incident in self._verdicts)

    def label(self, label: Label) -> None:
        """Learn what a record was; the last word holds."""
        self._labels.pop(label.id, None)
        if label.abnormal is not None:
            self._labels[label.id] = label.abnormal

    def alarm(self, anomaly: Anomaly) -> None:
        """Learn of an alarm of a champion."""
        moment = round(epoch(anomaly.first_seen) * 1000)
        key, first, last = self._spans.get(anomaly.incident_id, (anomaly.user_id, moment, moment))
        self._spans[anomaly.incident_id] = key, min(first, moment), max(last, moment)

    def say(self, incident_id: str, verdict: Literal["human", "bot"] | None) -> None:
        """Learn what people said of an incident, of whatever rule; the last word holds."""
        self._verdicts.pop(incident_id, None)
        if verdict is not None:
            self._verdicts[incident_id] = verdict == "bot"

    def of(
        self, ids: Sequence[str | None], keys: Sequence[str | None], moments: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """bool[n], which of some records were abnormal.

        Args:
            ids: of the records.
            keys: of the records.
            moments: int64[n], when each happened, epoch milliseconds.
        """
        by_key: dict[str, list[tuple[int, int, bool]]] = {}
        for incident, abnormal in self._verdicts.items():
            if incident in self._spans:
                whose, first, last = self._spans[incident]
                by_key.setdefault(whose, []).append((first, last, abnormal))
        found = np.zeros(len(ids), bool)
        for place, (id, key, moment) in enumerate(zip(ids, keys, moments.tolist(), strict=True)):
            if id is not None and id in self._labels:
                found[place] = self._labels[id]
            elif key is not None and key in by_key:
                found[place] = any(
                    abnormal for first, last, abnormal in by_key[key] if first <= moment <= last
                )
        return found
