"""Incidents as text."""

import io
import re

import pytest
from msgspec.structs import replace
from rich.console import Console

from clickwarden.detection.anomaly import STATUSES, Anomaly, Status
from commands.entries import Entry
from commands.terminal import STYLES, describe, whole_table


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_a_word_in_a_column_of_its_own(status: Status) -> None:
    anomaly = Anomaly(
        alert_id="a", rule="bot", status=status, user_id="eve", window_start="2026-01-01T00:00:00Z",
        window_end="2026-01-01T00:01:00Z", count=61, count_low=55, count_high=61, threshold=50,
        first_seen="2026-01-01T00:00:01Z", last_seen="2026-01-01T00:00:02Z", events={"view": 55},
        distinct_products=3, category="bot", owasp="OAT-003", reasons=["why", "how"], partition=0,
    )  # fmt: skip
    text = describe(Entry(anomaly))
    first, second = text.plain.splitlines()
    assert first == f"{status:10}2026-01-01 00:00:00Z–00:01:00Z  bot  eve  61 (55–61) clicks, threshold 50"
    assert second == " " * 10 + "why; how"
    assert text.style == STYLES[status]
    anomaly.distinct = "product_id"
    assert "61 (55–61) different values of product_id, threshold 50" in describe(Entry(anomaly)).plain
    anomaly.shadow, anomaly.allowed = True, "ours\x1b[2J"
    aside = describe(Entry(anomaly))
    assert aside.style != STYLES[status]
    assert [line.strip() for line in aside.plain.splitlines()[1:-1]] == [
        "◇ shadow: nobody is told",
        "◇ allowed (ours\\x1b[2J): nobody is told",
    ]


def test_a_table_is_broken_to_the_width_of_the_terminal_and_nothing_cut_off() -> None:
    table = whole_table("change", "when", "who", "what", "why", "in force")
    cells = ("1", "2026-11-26T23:42:28.905Z", "root@vm", "put /etc/clickwarden/rules.toml", "", "bot, reader")
    table.add_row(*cells)
    written = io.StringIO()
    Console(file=written, width=60).print(table)
    rows = [line.split("│")[1:-1] for line in written.getvalue().splitlines() if "│" in line]
    folded = ("".join(parts) for parts in zip(*rows, strict=True))
    assert [re.sub(r"\s", "", cell) for cell in folded] == [cell.replace(" ", "") for cell in cells]


def test_how_many_windows_there_are_is_said_of_more_than_one_and_the_day_where_it_changes() -> None:
    night = Anomaly(
        alert_id="a", rule="bot", status="closed", user_id="eve", window_start="2025-12-31T23:59:00Z",
        window_end="2026-01-01T00:00:00Z", count=61, count_low=61, count_high=61, threshold=50,
        first_seen="2025-12-31T23:59:01Z", last_seen="2025-12-31T23:59:02Z", events={"view": 61},
        distinct_products=3, category="bot", owasp="OAT-003", reasons=["why"], partition=0,
    )  # fmt: skip
    entry = Entry(night)
    entry.hear(
        replace(
            night,
            alert_id="b",
            window_start="2025-12-31T23:59:10Z",
            window_end="2026-01-01T00:00:10Z",
            count_high=52,
        )
    )
    assert [line[10:] for line in describe(entry).plain.splitlines()] == [
        "2025-12-31 23:59:00Z–2026-01-01 00:00:00Z  bot  eve  61 clicks, threshold 50",
        "the worst of 2 windows from 2025-12-31 23:59:00Z to 2026-01-01 00:00:10Z",
        "why",
    ]
