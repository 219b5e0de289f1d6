"""The report of a training: what was done and how it did, as Markdown and as HTML."""

import html
from collections.abc import Sequence
from string import Template

from clickwarden.models import drift
from clickwarden.models.drift import Day
from clickwarden.models.judgement import Interval
from clickwarden.models.manifest import Manifest
from clickwarden.models.training import Trained

HEADINGS = (
    "detector",
    "ROC AUC",
    "PR AUC",
    "precision",
    "recall",
    "F1",
    "hits",
    "false",
    "missed",
    "quiet",
    "alarms",
)
PLOTS = {
    "scores.svg": "Scores of the last part",
    "roc.svg": "ROC curve",
    "precision-recall.svg": "Precision and recall",
    "drift.svg": "Drift",
}
#: The share from which a missing value is told, and of how many features.
_OFTEN, _TOLD = 0.2, 8
#: The share of the records that no alarm budget is meant to be.
_LAVISH = 0.5
_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; }
th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid #80889055; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
</style>
<h1>$title</h1>
$body
</html>
""")


def row_of(trained: Trained) -> tuple[str, ...]:
    """The cells of a detector, under :data:`HEADINGS`."""
    alarms, judgement = trained.alarms, trained.judgement
    told = f"{alarms.alarmed:,} of {alarms.records:,}"
    if alarms.a_day is not None:
        told = f"{alarms.a_day:,.1f} a day"
    if judgement is None:
        return (trained.detector, *["–"] * 9, told)
    return (
        trained.detector,
        _interval(judgement.roc),
        _interval(judgement.pr),
        *(f"{figure:.3f}" for figure in (judgement.precision, judgement.recall, judgement.f1)),
        *(f"{count:,}" for count in (judgement.hits, judgement.false, judgement.missed, judgement.quiet)),
        told,
    )


def reports_of(
    manifest: Manifest,
    found: Sequence[Trained],
    plots: dict[str, bytes],
    days: Sequence[Day] = (),
    checks: Sequence[str] = (),
) -> dict[str, bytes]:
    """Both reports and the plots, by the file's name.

    Args:
        manifest: of the model.
        found: all that were trained, the model's first.
        plots: by the file's name.
        days: those that drift was looked for in.
        checks: what else was found, a sentence each.
    """
    title = f"{manifest.pipeline}: {manifest.detector} {manifest.version}"
    lines = [*lines_of(manifest), *checks, *drift.lines_of(days, manifest.features, None)]
    rows = [row_of(each) for each in found]
    shown = {name: what for name, what in PLOTS.items() if name in plots}
    markdown = [
        f"# {title}",
        "",
        *(f"* {line}" for line in lines),
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---" + "|--:" * (len(HEADINGS) - 1) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *(f"![{what}]({name})\n" for name, what in shown.items()),
    ]
    body = [
        "<ul>",
        *(f"<li>{html.escape(line)}</li>" for line in lines),
        "</ul>",
        "<table>",
        "<tr>" + "".join(f"<th>{heading}</th>" for heading in HEADINGS) + "</tr>",
        *("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows),
        "</table>",
        *(f"<h2>{what}</h2>\n{_inline(plots[name])}" for name, what in shown.items()),
    ]
    page = _PAGE.substitute(title=html.escape(title), body="\n".join(body))
    return {"report.md": "\n".join(markdown).encode(), "report.html": page.encode(), **plots}


def lines_of(manifest: Manifest) -> list[str]:
    """What was done, a sentence each."""
    data = manifest.data
    share = "" if manifest.share is None else f", {manifest.share:.3%} of the records"
    lines = [
        f"{data.records:,} records"
        + (f" from {data.first} to {data.last}" if data.first else " in random order, as they have no time")
        + f"; the first {data.learnt:,} were learnt from, the fifth behind them gives the threshold, and the "
        "last fifth the figures below",
        *_sampled(manifest),
        *(f"{count:,} were set aside: {why}" for why, count in data.aside.items()),
        f"threshold {manifest.threshold:.6g}, from {'the alarm budget' if share else 'labels'}{share}",
        *_lavish(manifest),
        *_own(manifest),
        *_gaps(manifest),
        f"{len(manifest.features)} features; seed {manifest.seed}; trained {manifest.trained}",
    ]
    if "roc_auc" in manifest.metrics:
        lines.append("in brackets, where 95 % of bootstrap samples have a figure; a coin's are beside them")
    else:
        lines.append(
            "without labels of both kinds in the last part nobody can say how good it is, "
            "only how often it alarms"
        )
    return lines


def _lavish(manifest: Manifest) -> list[str]:
    """Whether the budget is hardly what was meant."""
    if manifest.share is None or manifest.share <= _LAVISH:
        return []
    return [
        "warning: the alarm budget is more than half of the records; in pipeline.toml, is budget the number "
        "of alarms a day, and time the field that says when a record happened?"
    ]


def _own(manifest: Manifest) -> list[str]:
    own = manifest.thresholds
    if not own:
        return []
    low, high = min(own.values()), max(own.values())
    return [
        f"{len(own):,} series have a threshold of their own, {low:.6g} to {high:.6g}; it is for all others"
    ]


def _sampled(manifest: Manifest) -> list[str]:
    share = manifest.metrics.get("sampled")
    return (
        []
        if share is None
        else [f"too many to hold: features are of all, and {share:.2%} were drawn of them"]
    )


def _gaps(manifest: Manifest) -> list[str]:
    """The features that are often missing, which may be a file's fault."""
    gaps = {
        name: usual.missing
        for name, usual in zip(manifest.features, manifest.usual, strict=True)
        if usual.missing >= _OFTEN
    }
    if not gaps:
        return []
    told = [f"{name} {share:.0%}" for name, share in sorted(gaps.items(), key=lambda gap: -gap[1])[:_TOLD]]
    more = f" and {len(gaps) - _TOLD} more" if len(gaps) > _TOLD else ""
    return [f"often missing, or not what the field is, and then taken for usual: {', '.join(told)}{more}"]


def _interval(interval: Interval) -> str:
    return f"{interval.figure:.3f} ({interval.low:.3f}–{interval.high:.3f})"


def _inline(plot: bytes) -> str:
    """An SVG without what stands before its first element."""
    text = plot.decode()
    return text[text.index("<svg") :]
