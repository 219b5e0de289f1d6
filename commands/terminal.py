"""Anomalies as text in the terminal."""

import shlex
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from clickwarden.alerts.sight import Blindness, Sight
from clickwarden.alerts.survey import Survey
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
    style = "cyan" if any(marks(anomaly)) else STYLES[anomaly.status]
    text = Text(f"{anomaly.status:{WIDTH}}", style)
    text.append(f"{day} {start}–{end}  {anomaly.rule}  ", "not bold default")
    text.append(visible(anomaly.user_id), "bold default")
    unit = f"different {anomaly.distinct}" if anomaly.distinct else "clicks"
    text.append(f"  {count} {visible(unit)}, threshold {anomaly.threshold:,}", "not bold default")
    for mark in marks(anomaly):
        text.append(f"\n{'':{WIDTH}}◇ {mark}: nobody is told", "not bold cyan")
    text.append(f"\n{'':{WIDTH}}{'; '.join(map(visible, anomaly.reasons))}", "not bold dim default")
    return text


def marks(anomaly: Anomaly) -> Iterator[str]:
    """Why nobody is told of an anomaly, in words."""
    if anomaly.shadow:
        yield "shadow"
    if anomaly.allowed:
        yield f"allowed ({visible(anomaly.allowed)})"


def show_sight(sight: Sight, rules: Sequence[Rule], blindness: Blindness | None, console: Console) -> None:
    """Print what makes the rules count something else than is meant, and what cannot be counted."""
    for text in sight.warnings(rules).values():
        console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)
    if blindness is not None:
        console.print(f"BLIND: {blindness.text}", style="bold red", markup=False, soft_wrap=True)


def show_survey(survey: Survey, console: Console) -> None:
    """Print what somebody's records are, and the settings that read them."""
    console.print(survey.source, style="bold", markup=False, soft_wrap=True)
    for about, text in _told(survey):
        console.print(f"  {about:13} {text}", markup=False, soft_wrap=True)
    for warning in survey.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    for finding in survey.findings:
        console.print(f"warning: {finding.text}", style="yellow", markup=False, soft_wrap=True)
    if survey.settings:
        console.print("Settings, for .env:", style="bold")
        for line in settings_lines(survey):
            console.print(line, markup=False, soft_wrap=True)


def settings_lines(survey: Survey) -> Iterator[str]:
    """The settings, as a shell and a ``.env`` file take them."""
    for name, value in survey.settings.items():
        yield f"{name}={shlex.quote(value)}"


def _told(survey: Survey) -> Iterator[tuple[str, str]]:
    for form, count in survey.forms.items():
        yield "format", f"{form} ({count:,} of {survey.records:,})"
    yield from survey.facts.items()
    for field in survey.fields:
        examples = f"; as {', '.join(field.examples)}" if field.examples else ""
        yield field.name, f"{field.setting}  ({field.confidence}: {field.reason}{examples})"
    yield (
        "clicks",
        f"{survey.clicks:,} can be counted" + (f", {survey.ignored:,} ignored" if survey.ignored else ""),
    )
    for click in survey.examples:
        yield "", f"{click.time}  {click.user_id}  {click.event}  {click.product_id or ''}".rstrip()
    for rejection in survey.rejected:
        example = f" For example: {rejection.example}" if rejection.example else ""
        yield (
            "rejected",
            f"{rejection.count:,} {rejection.reason} ({rejection.meaning}). {rejection.cure}{example}",
        )
    for rule, count in survey.rules.items():
        yield "rule", f"{rule} would see {count:,}"
