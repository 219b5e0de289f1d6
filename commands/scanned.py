"""What comes out of scanning files: the anomalies, and why they may say little."""

from collections import Counter
from collections.abc import Iterator
from typing import IO

import msgspec
import numpy as np

from app.main import app, settings
from clickwarden.alerts.sight import Sight
from clickwarden.alerts.words import visible
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.commonest import Ranking
from clickwarden.detection.intake import NEARLY_ALL, Counts, Intake
from clickwarden.detection.whole import WholeDetection
from clickwarden.formats.clients import address, is_inside
from clickwarden.formats.lines import Block

#: Clicks that are counted together; how many does not change what is found.
BATCH_CLICKS = 16_384
#: Of fewer clicks all may be one client's.
COMMON_CLICKS = 20


class Scanned:
    """The files as far as they were scanned.

    Attributes:
        lines: how many.
    """

    def __init__(self, store: IO[bytes]) -> None:
        self.lines = 0
        self._detection = WholeDetection(app.rules, settings, store)
        self._intake = Intake(app.rules)
        self._ranking = Ranking()
        self._rejected: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._anomalies = 0
        self._is_log = False
        self._has_address = False
        self._inside: Counter[str] = Counter()

    def take(self, block: Block) -> None:
        """Count some lines."""
        self.lines += block.lines
        self._left_out.update(block.left_out)
        self._intake.reject(block.clicks.rejected)
        self._rejected.update(record.reason for record in block.clicks.rejected)
        self._is_log |= block.clicks.requests is not None
        for clicks in block.clicks.cut(BATCH_CLICKS):
            batch = Batch(clicks)
            self._detection.count(batch)
            self._intake.hear(len(batch), batch.events)
            self._ranking.take(batch)
            if self._is_log:
                counts = np.bincount(batch.user, minlength=len(batch.users)).tolist()
                self._inside.update(
                    {user: count for user, count in zip(batch.users, counts, strict=True) if is_inside(user)}
                )
            self._has_address = self._has_address or any(
                address(user.partition("/")[0]) for user in batch.users
            )

    def end(self) -> Iterator[Anomaly]:
        """The anomalies: no more lines come."""
        for window, anomalies in self._detection.close():
            self._intake.close(window)
            self._anomalies += len(anomalies)
            yield from anomalies

    def summary(self) -> str:
        """What became of the lines."""
        left_out = "".join(f", {count:,} left out ({what})" for what, count in self._left_out.items())
        skipped = f"{self._rejected.total():,} skipped"
        return f"{self.lines:,} lines, {skipped}{left_out}; {self._anomalies:,} anomalies"

    def warnings(self) -> Iterator[str]:
        """Why the users may be none."""
        for reason, count in self._rejected.most_common(1):
            line = visible(self._intake.examples[reason].value[:200].decode(errors="replace"))
            yield f"{count:,} lines were skipped, most often because: {reason}. For example: {line}"
        first = self._ranking.first
        if self._inside.total() >= max(COMMON_CLICKS, NEARLY_ALL * first.of) and len(self._inside) > 1:
            share = 100 * self._inside.total() // first.of
            yield (
                f"{share} % of {first.of:,} requests are of {len(self._inside):,} private addresses, such as "
                f"{next(iter(self._inside))}: if they are proxies of yours, --trusted-proxies names them"
            )
        if not self._is_log or not first.of:
            return
        if not self._has_address:
            yield (
                f"no client is an address: they are host names, such as {visible(first.user_id)}; if those "
                "are your own, --format says where in a line the client stands"
            )
        if first.clicks >= max(COMMON_CLICKS, NEARLY_ALL * first.of):
            user = visible(first.user_id)
            yield (
                f"{100 * first.clicks // first.of} % of {first.of:,} requests are of one client, {user}: if "
                f"that is a proxy of yours, --trusted-proxies {user} has the client read from "
                "X-Forwarded-For, where the log has it"
            )

    def sight(self) -> Sight:
        """What can be seen of the lines."""
        total = Counts(self._detection.clicks, rejected=dict(self._rejected))
        sight = Sight.of(self._intake, total, settings.field_names)
        return msgspec.structs.replace(sight, commonest={}) if self._is_log else sight
