"""What people see of suspects: as it is, written when it changed, gone when it is old."""

from collections.abc import Sequence

import msgspec

from clickwarden.detection.activity import KEEP_SECONDS, ROWS_AT_ONCE, Activity, Row
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings
from tests.clickwarden.detection.reference import batch_of

T = 1_600_000_020  # start of a window of 60 s
RULES = (Rule(name="bot", window=60, threshold=4, promote=2),)


class Shop:
    """One partition: detection, and the rows as they were written."""

    def __init__(self, activity: Activity | None = None, rules: Sequence[Rule] = RULES) -> None:
        self.detection = Detection(2, rules, Settings(_env_file=None, lateness=5))
        self.activity = activity or Activity(2)
        self.written: dict[bytes, bytes | None] = {}

    def see(self, *visits: tuple[str, float]) -> None:
        """Count a view a visit: a user at a second after ``T``."""
        found = self.detection.count(batch_of((user, "view", "p", T + second) for user, second in visits))
        for window in found.closed:
            self.activity.close(window)
        self.written = self.activity.rows(self.detection)

    def row(self, user: str) -> Row:
        return msgspec.json.decode(self.written[user.encode()] or b"", type=Row)


def test_a_suspect_is_shown_with_what_it_did() -> None:
    shop = Shop()
    shop.see(("eve", 1), ("ann", 1), ("eve", 2), ("eve", 3.5))
    row = shop.row("eve")
    assert (set(shop.written), row.user_id, row.partition) == ({b"eve"}, "eve", 2)
    (entry,) = row.windows
    assert (entry.rule, entry.threshold, entry.open) == ("bot", 4, True)
    assert (entry.window_start, entry.window_end) == ("2020-09-13T12:27:00Z", "2020-09-13T12:28:00Z")
    assert (entry.first_seen, entry.last_seen) == ("2020-09-13T12:27:02Z", "2020-09-13T12:27:03.500Z")
    assert (entry.count_low, entry.count_high) == (2, 3)
    assert (entry.events, entry.distinct_products) == ({"view": 2}, 1)


def test_only_what_changed_is_written() -> None:
    shop = Shop()
    shop.see(*[("eve", 1), ("bob", 1)] * 3)
    assert shop.written.keys() == {b"eve", b"bob"}
    shop.see(("bob", 2), ("ann", 2))
    assert shop.written.keys() == {b"bob"}
    shop.see(("ann", 64))
    assert shop.written == {}


def test_a_window_that_closed_is_shown_with_its_last_count() -> None:
    shop = Shop()
    shop.see(*[("eve", 1)] * 3)
    shop.see(("eve", 2), ("eve", 66))
    (entry,) = shop.row("eve").windows
    assert (entry.open, entry.count_high) == (False, 4)


def test_windows_of_a_user_are_shown_oldest_first() -> None:
    shop = Shop()
    shop.see(*[("eve", 61)] * 3, *[("eve", 58)] * 2)
    assert [entry.window_start[14:16] for entry in shop.row("eve").windows] == ["27", "28"]


def test_what_is_old_goes_and_the_last_window_takes_the_row_with_it() -> None:
    shop = Shop()
    shop.see(*[("eve", 1)] * 3)
    shop.see(*[("eve", 70)] * 3)
    assert len(shop.row("eve").windows) == 2
    shop.see(*[("eve", 70 + KEEP_SECONDS)] * 3)
    assert [entry.window_start[14:16] for entry in shop.row("eve").windows] == ["28", "38"]
    shop.see(("ann", 200 + KEEP_SECONDS * 3))
    assert shop.written == {b"eve": None}
    shop.see(("ann", 300 + KEEP_SECONDS * 3))
    assert shop.written == {}


def test_the_most_active_are_written_first_and_nobody_is_forgotten() -> None:
    shop, users = Shop(), range(ROWS_AT_ONCE + 50)
    shop.see(*[(f"u{user}", 1) for user in users] * 2, *[("busy", 1)] * 9)
    first = shop.written.keys()
    assert len(first) == ROWS_AT_ONCE
    assert b"busy" in first
    rest = shop.activity.rows(shop.detection).keys()
    assert first | rest == {b"u%d" % user for user in users} | {b"busy"}
    assert not first & rest


def test_of_windows_that_overlap_the_one_with_most_clicks_is_shown() -> None:
    sliding = Shop(rules=[Rule(name="bot", window=60, slide=10, threshold=4, promote=2)])
    sliding.see(*[("eve", 5)] * 3, *[("eve", 35)] * 3, *[("eve", 125)] * 2)
    shown = [(entry.window_start[14:], entry.count_high) for entry in sliding.row("eve").windows]
    assert shown == [("26:40Z", 6), ("28:10Z", 2)]


def test_rows_of_an_earlier_owner_are_removed_unless_their_user_is_still_a_suspect() -> None:
    shop = Shop(Activity(2, [b"eve", b"gone"]))
    shop.see(*[("eve", 1)] * 3)
    assert shop.written.keys() == {b"eve", b"gone"}
    assert shop.written[b"gone"] is None
    assert shop.row("eve").windows
