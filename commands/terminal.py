"""Incidents, and what else is found, as text in the terminal."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.progress import ProgressColumn, Task
from rich.table import Column, Table
from rich.text import Text

from clickwarden.alerts.sight import Blindness, Sight
from clickwarden.alerts.survey import Survey
from clickwarden.alerts.words import amount, plural, visible
from clickwarden.audit.comparison import Amount, Case, Comparison, RuleChange
from clickwarden.audit.labels import Score
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.rules import Rule
from commands.entries import Entry

STYLES = {"ongoing": "bold red", "closed": "yellow", "corrected": "magenta"}
#: Of the column of the status.
WIDTH = 1 + max(map(len, STYLES))
#: Less history says nothing of a day, seconds.
HOUR, DAY = 3_600, 86_400


def describe(entry: Entry) -> Text:
    """Who, when and how much in one line, of the worst window; in the next, how many there are, and why."""
    anomaly, status = entry.worst, entry.status
    count = f"{anomaly.count:,}"
    if anomaly.count_low != anomaly.count_high:
        count += f" ({anomaly.count_low:,}–{anomaly.count_high:,})"
    start, end = _span(anomaly.window_start, anomaly.window_end)
    style = "cyan" if any(marks(anomaly)) else STYLES[status]
    text = Text(f"{status:{WIDTH}}", style)
    text.append(f"{start}–{end}  {anomaly.rule}  ", "not bold default")
    text.append(visible(anomaly.user_id), "bold default")
    unit = f"different values of {anomaly.distinct}" if anomaly.distinct else "clicks"
    much = f"{count} {visible(unit)}, threshold {anomaly.threshold:,}"
    if scored := anomaly.scored:
        much = f"score {scored.score:.3g}, threshold {scored.threshold:.3g}, p {scored.p_value:.2g}"
    if drift := anomaly.drift:
        far = drift.features[0].farthest
        much = f"{len(drift.features)} drifted, the farthest {far:.2f}, usual up to {drift.limit:.2f}"
    text.append(f"  {much}", "not bold default")
    if entry.windows > 1:
        begin, end = _span(entry.window_start, entry.window_end)
        text.append(
            f"\n{'':{WIDTH}}the worst of {entry.windows:,} windows from {begin} to {end}", "not bold default"
        )
    for mark in marks(anomaly):
        text.append(f"\n{'':{WIDTH}}◇ {mark}: nobody is told", "not bold cyan")
    text.append(f"\n{'':{WIDTH}}{'; '.join(map(visible, anomaly.reasons))}", "not bold dim default")
    return text


def _span(start: str, end: str) -> tuple[str, str]:
    """From when to when; of one day, it is said once."""
    day = start.partition("T")[0]
    return start.replace("T", " "), end.removeprefix(f"{day}T").replace("T", " ")


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


class RateColumn(ProgressColumn):
    """How many a second, of what the task's field ``unit`` says."""

    def render(self, task: Task) -> Text:
        """The rate of late; empty before there is one."""
        return Text(f"{task.speed:,.0f} {task.fields['unit']}/s" if task.speed else "")


def show_comparison(found: Comparison, draft: str, console: Console) -> None:
    """Print what a draft of rules, of this name, would have changed."""
    where = found.source if found.since is None else f"{found.source} since {found.since}"
    rate = found.clicks / found.took if found.took else 0
    console.print(f"{where}: {_extent(found)}; {found.took:.1f} s, {rate:,.0f} clicks/s", soft_wrap=True)
    for reason, count in found.rejected.items():
        console.print(f"  {count:,} cannot be counted: {reason}", style="yellow", soft_wrap=True)
    if not found.clicks:
        console.print("no clicks: there is nothing to try the draft on", style="yellow", soft_wrap=True)
        return
    if found.partial:
        console.print(
            "windows that began before what was read are not judged, and their reports are left out",
            style="dim",
            soft_wrap=True,
        )
    console.print(f"{draft} beside {found.against}", style="bold", soft_wrap=True)
    console.print(_comparison(found))
    for name, score in found.labels.items():
        console.print(
            f"labels, {'in force' if name == 'before' else 'draft'}: {_score(score)}", soft_wrap=True
        )
    if not found.changed:
        console.print("nothing would change", style="bold green")
    _show_cases("new", sum(rule.new for rule in found.rules), found.newest, console)
    _show_cases("gone", sum(rule.gone for rule in found.rules), found.lost, console)


def faults_table(found: object, meanings: Mapping[str, str]) -> Table:
    """Cases of each fault that a verdict has, by its name, and what it means."""
    table = Table("fault", "cases", "meaning")
    table.columns[1].justify = "right"
    for fault, meaning in meanings.items():
        cases = getattr(found, fault)
        name = fault.replace("_", " ")
        table.add_row(name, f"{cases:,}", meaning, style="bold red" if cases else None)
    return table


def whole_table(*columns: str) -> Table:
    """A table that breaks what is too long for a column, and cuts nothing off."""
    return Table(*(Column(name, overflow="fold") for name in columns))


def _extent(found: Comparison) -> str:
    clicks = f"{plural(found.clicks, 'click')}, {found.late:,} late"
    return clicks if found.begin is None else f"{clicks}, of {found.begin} to {found.end}"


def _comparison(found: Comparison) -> Table:
    table = Table(
        "rule", *(f"{what}" for what in ("reported", "would be", "new", "gone", "messages", "would be"))
    )
    for column in table.columns[1:]:
        column.justify = "right"
    every = RuleChange("all", not found.changed, found.before, found.draft, found.new, found.gone)
    for row in (*found.rules, every):
        table.add_row(
            row.rule,
            f"{row.before.users:,}",
            f"{row.draft.users:,}",
            f"{row.new:,}",
            f"{row.gone:,}",
            _messages(row.before, found.seconds),
            _messages(row.draft, found.seconds),
            style="dim" if row.kept and row is not every else None,
            end_section=row is found.rules[-1],
        )
    return table


def _messages(amount: Amount, seconds: float) -> str:
    text = f"{amount.messages:,}"
    if seconds >= HOUR:
        text += f" ({amount.messages * DAY / seconds:,.1f} a day)"
    return f"{text}, {amount.shadow:,} in shadow" if amount.shadow else text


def _score(score: Score) -> str:
    figures = [("precision", score.precision), ("recall", score.recall), ("F1", score.f1)]
    shares = ", ".join(f"{name} {'-' if share is None else f'{share:.3f}'}" for name, share in figures)
    unknown = f", {score.unknown:,} reported of whom nothing is known" if score.unknown else ""
    alarms = plural(score.false_alarms, "false alarm")
    return f"{shares} ({plural(score.found, 'bot')} found, {score.missed:,} missed, {alarms}{unknown})"


def _show_cases(what: str, users: int, cases: Sequence[Case], console: Console) -> None:
    if not cases:
        return
    console.print(f"{what}:", style="bold")
    for case in cases:
        worst = (
            f"{visible(amount(case.count, case.distinct))} in the window from {case.window_start}, limit "
            f"{case.threshold:,}"
        )
        more = f"{plural(case.windows, 'window')}, {plural(case.messages, 'message')}"
        console.print(f"  {case.rule}  {visible(case.user_id)}  {worst}; {more}", soft_wrap=True)
    if users > len(cases):
        console.print(f"  and {users - len(cases):,} more")
