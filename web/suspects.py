"""The suspects of all partitions: the activity table's changelog, followed."""

from collections.abc import Callable
from heapq import nlargest
from typing import NamedTuple

import msgspec

from clickwarden.detection.activity import Row, UserWindow
from clickwarden.formats.json import UNREADABLE

#: Users that are kept, those written last.
KEEP = 10_000

Progress = Callable[[str, str, UserWindow], None]


class Close(msgspec.Struct):
    """How close a user comes to a rule's threshold.

    Attributes:
        user_id: as it stood in the click: an attacker's text.
        count_high: clicks in the open window, certainly at most as many.
        threshold: of the rule.
        share: count_high / threshold.
    """

    user_id: str
    count_high: int
    threshold: int
    share: float


class _Open(NamedTuple):
    share: float
    user_id: str
    partition: int
    window: UserWindow


class KnownSuspects:
    """The rows by user; the newest are kept.

    Args:
        progress: told of each open window, after user and rule.
    """

    def __init__(self, progress: Progress, keep: int = KEEP) -> None:
        self._progress = progress
        self._keep = keep
        self._rows: dict[str, bytes] = {}
        self._open: dict[str, dict[str, _Open]] = {}

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take over a record of the changelog; what is no row is passed over."""
        try:
            row = msgspec.json.decode(value, type=Row) if value else Row((key or b"").decode(), 0, [])
        except UNREADABLE:
            return
        self._forget(row.user_id)
        if not row.windows or value is None:
            return
        self._rows[row.user_id] = value
        for window in row.windows:
            if window.open:
                found = _Open(
                    window.count_high / max(1, window.threshold), row.user_id, row.partition, window
                )
                of_rule = self._open.setdefault(window.rule, {})
                of_rule[row.user_id] = max(found, of_rule.get(row.user_id, found), key=lambda one: one.share)
                self._progress(row.user_id, window.rule, window)
        if len(self._rows) > self._keep:
            self._forget(next(iter(self._rows)))

    def _forget(self, user_id: str) -> None:
        if self._rows.pop(user_id, None) is not None:
            for users in self._open.values():
                users.pop(user_id, None)

    def row(self, user_id: str) -> Row | None:
        """The recent windows of a user."""
        value = self._rows.get(user_id)
        return None if value is None else msgspec.json.decode(value, type=Row)

    def closest(self, rule: str, count: int, watermarks: dict[int, str]) -> list[Close]:
        """Those in open windows who come closest to the threshold.

        Args:
            rule: its name.
            count: at most so many.
            watermarks: by partition; a window that ended before is not open, though its row may still say so.
        """
        users = self._open.get(rule, {}).values()
        still = (user for user in users if user.window.window_end > watermarks.get(user.partition, ""))
        return [
            Close(user.user_id, user.window.count_high, user.window.threshold, round(user.share, 4))
            for user in nlargest(count, still, key=lambda user: user.share)
        ]
