"""Anomalies as text in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from clickwarden.alerts.sight import Blindness, Sight
from clickwarden.alerts.words import visible
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.rules import Rule

STYLES = {"ongoing": "bold red", "closed": "yellow", "corrected": "magenta"}
#: Of the column of the status.
WIDTH = 1 + max(map(len, STYLES))


def describe(anomaly: Anomaly) -> Text:
    """Who, when and how much in one line, and why in the next."""
    count = f"{anomaly.count:,}"
    if anomaly.count_low != anomaly.count_high:
        count += f" ({anomaly.count_low:,}–{anomaly.count_high:,})"
    day, _, start = anomaly.window_start.partition("T")
    end = anomaly.window_end.partition("T")[2]
    text = Text(f"{anomaly.status:{WIDTH}}", STYLES[anomaly.status])
    text.append(f"{day} {start}–{end}  {anomaly.rule}  ", "not bold default")
    text.append(visible(anomaly.user_id), "bold default")
    text.append(f"  {count} clicks, threshold {anomaly.threshold:,}", "not bold default")
    text.append(f"\n{'':{WIDTH}}{'; '.join(map(visible, anomaly.reasons))}", "not bold dim default")
    return text


def show_sight(sight: Sight, rules: Sequence[Rule], blindness: Blindness | None, console: Console) -> None:
    """Print what makes the rules count something else than is meant, and what cannot be counted."""
    for text in sight.warnings(rules).values():
        console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)
    if blindness is not None:
        console.print(f"BLIND: {blindness.text}", style="bold red", markup=False, soft_wrap=True)
