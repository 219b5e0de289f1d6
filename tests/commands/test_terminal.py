"""Anomalies as text."""

import io
import re

import pytest
from rich.console import Console

from clickwarden.detection.anomaly import STATUSES, Anomaly, Status
from commands.terminal import STYLES, describe, whole_table


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_a_word_in_a_column_of_its_own(status: Status) -> None:
    anomaly = Anomaly(
        alert_id="a", rule="bot", status=status, user_id="eve", window_start="2026-01-01T00:00:00Z",
        window_end="2026-01-01T00:01:00Z", count=61, count_low=55, count_high=61, threshold=50,
        first_seen="2026-01-01T00:00:01Z", last_seen="2026-01-01T00:00:02Z", events={"view": 55},
        distinct_products=3, category="bot", owasp="OAT-003", reasons=["why", "how"], partition=0,
    )  # fmt: skip
    text = describe(anomaly)
    first, second = text.plain.splitlines()
    assert first == f"{status:10}2026-01-01 00:00:00Z–00:01:00Z  bot  eve  61 (55–61) clicks, threshold 50"
    assert second == " " * 10 + "why; how"
    assert text.style == STYLES[status]
    anomaly.shadow, anomaly.allowed = True, "ours\x1b[2J"
    aside = describe(anomaly)
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
