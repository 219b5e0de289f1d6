"""Anomalies as text in the terminal."""

from rich.text import Text

from clickwarden.detection.anomaly import Anomaly

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


def visible(text: str) -> str:
    r"""An attacker's text as a terminal may show it: what it would obey or hide is escaped.

    >>> print(visible("\x1b[2Jeve\u202e"))
    \x1b[2Jeve\u202e
    """
    return repr(text)[1:-1]
