"""What ``scan`` knows of the lines it has read, and what detection makes of them."""

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec
import numpy as np

from clickwarden.alerts.sight import Sight
from clickwarden.alerts.words import plural, visible
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.commonest import Ranking
from clickwarden.detection.detection import Detection, Findings
from clickwarden.detection.intake import NEARLY_ALL, Counts, Intake
from clickwarden.detection.rules import Rule, fields_of
from clickwarden.detection.whole import WholeDetection
from clickwarden.errors import SettingsError
from clickwarden.formats.clients import address
from clickwarden.formats.lines import Block
from clickwarden.settings import Settings
from commands.clientele import FEW, Clientele

#: Clicks that are counted together; how many does not change what is found.
BATCH_CLICKS = 16_384
#: A silence that is over every window, seconds: no more lines come.
FOREVER = 1e12


class Scanned(ABC):
    """Files as far as they were scanned.

    Attributes:
        began: when, seconds of a steady clock.
        lines: how many.
        is_log: whether some are of a web server's log.
    """

    def __init__(self, rules: Sequence[Rule], topic: Settings) -> None:
        self.began = time.monotonic()
        self.lines = 0
        self._topic = topic
        self._fields = fields_of(rules)
        self._intake = Intake(rules)
        self._ranking = Ranking()
        self._rejected: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self.is_log = False
        self._has_address = False
        self._clientele = Clientele()

    def take(self, block: Block) -> list[Anomaly]:
        """Count some lines; the anomalies that are found at once."""
        anomalies: list[Anomaly] = []
        self.lines += block.lines
        self._left_out.update(block.left_out)
        if block.clicks.requests is not None:
            self._clientele.take(block)
        self._intake.reject(block.clicks.rejected)
        self._rejected.update(record.reason for record in block.clicks.rejected)
        self.is_log |= block.clicks.requests is not None
        for clicks in block.clicks.cut(BATCH_CLICKS):
            batch = Batch(clicks, self._fields)
            anomalies += self._count(batch)
            self._intake.hear(len(batch), batch.events)
            self._ranking.take(batch)
            self._has_address = self._has_address or any(
                address(user.partition("/")[0]) for user in batch.users
            )
        return anomalies

    @abstractmethod
    def _count(self, batch: Batch) -> list[Anomaly]:
        """Count a batch; the anomalies that are found at once."""

    @abstractmethod
    def end(self) -> Iterator[Anomaly]:
        """The anomalies that are found when no more lines come."""

    @property
    @abstractmethod
    def _counts(self) -> Counts:
        """What became of the lines."""

    @property
    @abstractmethod
    def _found(self) -> str:
        """How many incidents, in words."""

    def summary(self) -> str:
        """What became of the lines."""
        left_out = "".join(f", {count:,} left out ({what})" for what, count in self._left_out.items())
        skipped = f"{self._rejected.total():,} skipped"
        return f"{plural(self.lines, 'line')}, {skipped}{left_out}; {self._found}"

    def warnings(self) -> Iterator[str]:
        """Why the users may be none."""
        for reason, count in self._rejected.most_common(1):
            line = visible(self._intake.examples[reason].value[:200].decode(errors="replace"))
            were = "line was" if count == 1 else "lines were"
            yield f"{count:,} {were} skipped, most often because: {reason}. For example: {line}"
        first = self._ranking.first
        yield from filter(None, (self._clientele.hidden, self._clientele.inside(first.of)))
        if not self.is_log or not first.of:
            return
        if not self._has_address:
            yield (
                f"no client is an address: they are host names, such as {visible(first.user_id)}; if those "
                "are your own, --format says where in a line the client stands"
            )
        if first.clicks >= max(FEW, NEARLY_ALL * first.of):
            user = visible(first.user_id)
            yield (
                f"{100 * first.clicks // first.of} % of {first.of:,} requests are of one client, {user}: if "
                f"that is a proxy of yours, --trusted-proxies {user} has the client read from "
                "X-Forwarded-For, where the log has it"
            )

    def sight(self) -> Sight:
        """What can be seen of the lines."""
        sight = Sight.of(self._intake, self._counts, self._topic.field_names)
        return msgspec.structs.replace(sight, commonest={}) if self.is_log else sight


class Whole(Scanned):
    """Files that are all there: none of their lines is late.

    Args:
        rules: that are in effect.
        topic: the settings.
        store: an empty file to write to and to read.
    """

    def __init__(self, rules: Sequence[Rule], topic: Settings, store: IO[bytes]) -> None:
        super().__init__(rules, topic)
        self._detection = WholeDetection(rules, topic, store)
        self._anomalies = self._incidents = 0

    def take(self, block: Block) -> list[Anomaly]:
        """Count some lines; the anomalies come at the end.

        Raises:
            SettingsError: nothing in the lines says when.
        """
        if self._topic.field_timestamp == "@timestamp" and block.clicks.requests is None:
            raise SettingsError(
                "CLICKWARDEN_FIELD_TIMESTAMP=@timestamp is when Kafka has received a record, which no file "
                "says: --time names the field that says when"
            )
        return super().take(block)

    def _count(self, batch: Batch) -> list[Anomaly]:
        self._detection.count(batch)
        return []

    def end(self) -> Iterator[Anomaly]:
        """The anomalies: no more lines come."""
        for window, anomalies in self._detection.close():
            self._intake.close(window)
            self._anomalies += len(anomalies)
            self._incidents += sum(anomaly.alert_id == anomaly.incident_id for anomaly in anomalies)
            yield from anomalies

    @property
    def _counts(self) -> Counts:
        return Counts(self._detection.clicks, rejected=dict(self._rejected))

    @property
    def _found(self) -> str:
        return _extent(self._incidents, self._anomalies)


class Growing(Scanned):
    """A file that grows, counted as a worker counts a partition whose records it receives now."""

    def __init__(self, rules: Sequence[Rule], topic: Settings) -> None:
        super().__init__(rules, topic)
        self._detection = Detection(0, rules, topic)
        self._anomalies: set[str] = set()
        self._incidents: set[str] = set()
        self._last = time.monotonic()

    def _count(self, batch: Batch) -> list[Anomaly]:
        self._last = time.monotonic()
        batch.received = np.full(len(batch), time.time())
        return self._told(self._detection.count(batch))

    def idle(self) -> list[Anomaly]:
        """What wall clock lets be over, where nothing has come for long enough."""
        silence = time.monotonic() - self._last
        return self._close(silence) if silence >= self._topic.idle_timeout else []

    def end(self) -> Iterator[Anomaly]:
        """The anomalies of the windows that were open: no more lines come."""
        yield from self._close(FOREVER)

    def _close(self, silence: float) -> list[Anomaly]:
        return self._told(self._detection.close()) if self._detection.decide(silence) else []

    def _told(self, findings: Findings) -> list[Anomaly]:
        for window in findings.closed:
            self._intake.close(window)
        self._anomalies.update(anomaly.alert_id for anomaly in findings.anomalies)
        self._incidents.update(anomaly.incident_id for anomaly in findings.anomalies)
        return findings.anomalies

    @property
    def _counts(self) -> Counts:
        detection = self._detection
        return Counts(detection.accepted, detection.late, detection.uncounted, dict(self._rejected))

    @property
    def _found(self) -> str:
        late = f"; {self._detection.late:,} late" if self._detection.late else ""
        return _extent(len(self._incidents), len(self._anomalies)) + late


def _extent(incidents: int, windows: int) -> str:
    """How many incidents there are, and in how many windows."""
    words = plural(incidents, "incident")
    return f"{words} in {plural(windows, 'window')}" if incidents else words
