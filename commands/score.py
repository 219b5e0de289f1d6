"""``faust -A app score PIPELINE FILE``: a file's records with their scores."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from faust.cli import argument, option
from rich.console import Console
from rich.text import Text

from clickwarden.alerts.words import plural, visible
from clickwarden.detection.lineup import ONLINE
from clickwarden.models.drift import Drift, lines_of
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.scoring import Scored, score
from commands.command import AsyncCommand


class Score(AsyncCommand):
    """Score the records of FILE with the model of PIPELINE, a folder in which train has put one.

    FILE is NDJSON, CSV with a header, or Parquet (extra "files"). What is printed are the anomalies, with the
    features that did it, beside what they usually are; --json has every record. At the end stands on which
    days the features were no longer those that were learnt from. Nothing need be running.

    With detector = "online" in pipeline.toml and no model, half-space trees learn while they score: from the
    251st record on, each by those before it.

    Needs the extra "serve", but for that.
    """

    options = [  # noqa: RUF012
        argument("pipeline", type=click.Path(path_type=Path)),
        argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False)),
        option(
            "--json",
            "as_json",
            is_flag=True,
            help="One record a line, all of them, in the file's order: score (higher is more abnormal), "
            "anomaly, p_value, threshold, reasons, model, version; without features, why (aside).",
        ),
    ]

    async def run(self, pipeline: Path, file: Path, as_json: bool) -> None:
        """Print them, and a summary."""
        from clickwarden.models import artefact, untrained

        defined = Pipeline.load(pipeline)
        told = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        if defined.detector == ONLINE and not artefact.trained(defined):
            summary = await self._print(untrained.score(file, defined), as_json)
            told.print(
                f"{summary}; no model was trained: {ONLINE}, each record is judged by those before it; when "
                f"there is history: faust -A app train {pipeline} --data FILE --detector iforest"
            )
            return
        model = artefact.load(defined)
        manifest = model.manifest
        drift = Drift(manifest.features, manifest.expected, defined.longest)
        summary = await self._print(score(file, defined, model, drift), as_json)
        own = f", but for {len(manifest.thresholds):,} keys with their own" if manifest.thresholds else ""
        told.print(
            f"{summary}; abnormal is a score of {manifest.threshold:.4g} or more{own}; {manifest.detector} "
            f"{manifest.version}"
        )
        for line in lines_of(drift.days, manifest.features, manifest.share):
            told.print(line, style="yellow" if line.startswith("drift") else "")

    async def _print(self, parts: Iterator[list[Scored]], as_json: bool) -> str:
        """Print records; how many there were."""
        began = time.monotonic()
        records = anomalies = 0
        aside: Counter[str] = Counter()
        console = Console(highlight=False, markup=False)
        encoder = msgspec.json.Encoder()
        for part in parts:
            if as_json:
                sys.stdout.buffer.write(encoder.encode_lines(part))
            records += len(part)
            for each in part:
                aside[each.aside] += 1
                anomalies += each.anomaly
                if each.anomaly and not as_json:
                    console.print(_described(each), soft_wrap=True)
        sys.stdout.flush()
        took = time.monotonic() - began
        told = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        for why, count in aside.items():
            if why:
                told.print(f"warning: {count:,} without a score: {why}", style="yellow")
        return (
            f"{plural(records, 'record')}, {anomalies:,} of them abnormal; {took:.2f} s, "
            f"{records / took:,.0f} records/s"
        )


def _described(scored: Scored) -> Text:
    """Which record, and in the next line why."""
    text = Text(f"{scored.score:.4f}", "bold red")
    text.append(f"  record {scored.record:,}", "not bold default")
    for what, value in (("id", scored.id), ("key", scored.key), ("at", scored.time)):
        if value is not None:
            text.append(f"  {what} {visible(value)}", "not bold default")
    text.append(f"  p {scored.p_value:.2g}", "not bold default")
    if not scored.reasons:
        return text
    told = (
        f"{cause.feature} {'missing' if cause.value is None else f'{cause.value:.6g}'} "
        f"(usually {cause.usual[0]:.6g} to {cause.usual[2]:.6g})"
        for cause in scored.reasons
    )
    text.append(f"\n        {'; '.join(map(visible, told))}", "not bold dim default")
    return text
