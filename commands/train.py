"""``faust -A app train PIPELINE --data FILE``: a model for a pipeline, of a file."""

import time
from pathlib import Path

import click
import numpy as np
from faust.cli import argument, option
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from clickwarden.errors import SettingsError
from clickwarden.models.dataset import Dataset
from clickwarden.models.drift import Day, Drift
from clickwarden.models.manifest import Manifest
from clickwarden.models.online import ONLINE
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.training import Split, Trained
from commands.command import AsyncCommand
from commands.terminal import whole_table


class Train(AsyncCommand):
    """Train a model for PIPELINE, a folder with pipeline.toml. Nothing need be running.

    FILE is NDJSON, CSV with a header, or Parquet (extra "files"); its order, or that of its times, is the
    order in which things happened. A detector learns from the first 60 % of the records; the next 20 % give
    the threshold, by the alarm budget of pipeline.toml (without one: one record in a hundred) or by labels;
    on the last 20 % it is judged. The model and its report are put into PIPELINE/model, in place of those
    that are there.

    Needs the extra "learn".
    """

    options = [  # noqa: RUF012
        argument("pipeline", type=click.Path(path_type=Path)),
        option(
            "--data",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            required=True,
            help="File of records to learn from.",
        ),
        option(
            "--labels",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="CSV or NDJSON that says which of them are abnormal, by the pipeline's id or a row each. "
            "They may also stand in the records (label in pipeline.toml).",
        ),
        option("--detector", help="Other than the one of pipeline.toml."),
        option(
            "--compare",
            is_flag=True,
            help="Train all others too, to see how they do; the one that is asked for is kept.",
        ),
        option(
            "--seed",
            type=click.IntRange(0, 2**31 - 1),
            default=0,
            help="Of all chance in it.",
            show_default=True,
        ),
    ]

    async def run(
        self, pipeline: Path, data: Path, labels: Path | None, detector: str | None, compare: bool, seed: int
    ) -> None:
        """Train, print how it did, and where it is."""
        defined = Pipeline.load(pipeline)
        # What is heavy is imported when it is known that there is something to do.
        from clickwarden.models import training
        from clickwarden.models.artefact import save
        from clickwarden.models.dataset import read
        from clickwarden.models.detectors import choice

        name = detector or defined.detector
        if name == ONLINE:
            raise SettingsError(
                f"{pipeline}: detector {ONLINE!r} learns while it scores; name what is to replace it, "
                "as --detector iforest"
            )
        choice.detector_of(name, seed, defined.feature_names)
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("reading", total=None)
            dataset = read(
                data, defined, labels, lambda count: progress.update(task, description=f"read {count:,}")
            )
            parts = training.split(dataset)
            limit = training.limit(defined, dataset)
            labelled = parts.learnt.abnormal is not None and bool(parts.learnt.abnormal.any())
            names = _names(name, compare, labelled=labelled)
            progress.update(task, total=len(names) + 2, completed=0)
            found = training.compared(
                names,
                defined.feature_names,
                parts,
                limit,
                budgeted=defined.budget is not None,
                seed=seed,
                told=lambda each: progress.update(task, description=each, advance=1),
            )
            progress.update(task, description="report")
            manifest = training.manifest_of(found[0], defined, dataset, limit, seed, time.time())
            days = _days(manifest, defined, parts)
            folder = save(
                defined, found[0].model, manifest, _reports(manifest, found, parts.judged, days, seed)
            )
        _show(manifest, found, folder)


def _names(name: str, compare: bool, *, labelled: bool) -> list[str]:
    """The detectors to be trained: the one to be kept, and those to hold it against."""
    from clickwarden.models.detectors.choice import NAMES, detector_of

    others = (
        [each for each in NAMES if labelled or not detector_of(each, 0, ()).supervised]
        if compare
        else ["zscore"]
    )
    return list(dict.fromkeys([name, *others]))


def _days(manifest: Manifest, pipeline: Pipeline, parts: Split) -> list[Day]:
    """The days behind those that were learnt from, held against them."""
    drift = Drift(manifest.features, manifest.expected, pipeline.longest)
    for part in (parts.calibrated, parts.judged):
        if part.times is not None:
            drift.add(part.values, part.times, np.zeros(len(part.times), bool))
    return drift.days


def _reports(
    manifest: Manifest, found: list[Trained], judged: Dataset, days: list[Day], seed: int
) -> dict[str, bytes]:
    """The reports and their plots, by the file's name."""
    from clickwarden.models.plots import plots_of
    from clickwarden.models.report import reports_of

    try:
        return reports_of(manifest, found, plots_of(found[0], found, judged, days, seed), days)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{error.name} is missing, which the report needs: pip install 'clickwarden[learn]'"
        ) from None


def _show(manifest: Manifest, found: list[Trained], folder: Path) -> None:
    from clickwarden.models.report import HEADINGS, lines_of, row_of

    console = Console(highlight=False, markup=False)
    for line in lines_of(manifest):
        console.print(line, soft_wrap=True)
    table = whole_table(*HEADINGS)
    for column in table.columns[1:]:
        column.justify = "right"
    for each in found:
        table.add_row(*row_of(each))
    console.print(table)
    console.print(
        f"{manifest.detector} {manifest.version} is in {folder}; {folder / 'report.html'} has the report",
        soft_wrap=True,
    )
