"""``faust -A app train PIPELINE``: a model for a pipeline, of a file, or of its topic."""

import time
from pathlib import Path

import click
import numpy as np
from faust.cli import argument, option
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from clickwarden.alerts.words import plural
from clickwarden.detection.lineup import ONLINE
from clickwarden.errors import SettingsError
from clickwarden.models.dataset import Dataset
from clickwarden.models.drift import Day, Drift
from clickwarden.models.manifest import Manifest
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.training import Split, Trained
from commands.appointed import in_shadow, incharge
from commands.changing import console
from commands.command import AsyncCommand
from commands.material import beside, relearnt, source_of
from commands.terminal import whole_table

#: Columns of the terminal that a heading takes, and a detector.
HEADING_WIDTH, DETECTOR_WIDTH = 13, 22


class Train(AsyncCommand):
    """Train a model for PIPELINE, a folder with pipeline.toml. Nothing need be running.

    FILE is NDJSON, CSV with a header, or Parquet (extra "files"); its order, or that of its times, is the
    order in which things happened. A detector learns from the first 60 % of the records; the next 20 % give
    the threshold, by the alarm budget of pipeline.toml (without one: one record in a hundred) or by labels;
    on the last 20 % it is judged. The model and its report are put into PIPELINE/model, in place of those
    that are there.

    --data and --labels may be topics in place of files: the records as far as Kafka has them, each
    partition in its order, and labels keyed by the record's id. Without --labels those are looked for in the
    labels topic of pipeline.toml, or in the records.

    With --since in place of --data the records are the newest of the pipeline's topic. The model goes into
    the models topic, in shadow: beside the one in charge, telling nobody. By --with-feedback counts what
    people said of incidents, too: a human's records are usual, a bot's are abnormal. No detector learns what
    is usual from records known to be abnormal.

    With --spark the features are made by Spark, on the cluster that its configuration names, or on this
    machine: the same features, for records that are too many for one machine. Needs the extra "spark".

    Needs the extra "learn".
    """

    options = [  # noqa: RUF012
        argument("pipeline", type=click.Path(path_type=Path)),
        option(
            "--data",
            metavar="FILE|TOPIC",
            help="Records to learn from.",
        ),
        option(
            "--since",
            metavar="SPAN",
            help="Learn from the topic: what is not further behind its newest record than 12h, 7d, 30d, "
            "by the records' own time. In shadow from then on.",
        ),
        option(
            "--with-feedback",
            is_flag=True,
            help="With --since: by what people said of incidents, too.",
        ),
        option(
            "--labels",
            metavar="FILE|TOPIC",
            help="Which of them are abnormal: CSV or NDJSON, by the pipeline's id or a row each, or a topic "
            "keyed by the id. They may also stand in the records (label in pipeline.toml).",
        ),
        option(
            "--spark",
            is_flag=True,
            help="With --data: make the features by Spark, all of whose workers see FILE under that name.",
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
        self,
        pipeline: Path,
        data: str | None,
        since: str | None,
        with_feedback: bool,
        labels: str | None,
        spark: bool,
        detector: str | None,
        compare: bool,
        seed: int,
    ) -> None:
        """Train, print how it did, and where it is."""
        defined = Pipeline.load(pipeline)
        source = source_of(defined, data, since, labels, feedback=with_feedback, spark=spark)
        # What is heavy is imported when it is known that there is something to do.
        from clickwarden.models import dataset as single
        from clickwarden.models import spark as cluster
        from clickwarden.models import training
        from clickwarden.models.artefact import piece, save
        from clickwarden.models.detectors import choice

        name = detector or defined.detector
        if name == ONLINE:
            raise SettingsError(
                f"{pipeline}: detector {ONLINE!r} learns while it scores; name what is to replace it, "
                "as --detector iforest"
            )
        supervised = choice.detector_of(name, seed, defined.feature_names).supervised
        if data is None:
            await incharge(pipeline)
        told = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=told, transient=True, disable=not told.is_terminal) as progress:
            task = progress.add_task("reading", total=None)
            labelled_by = await beside(defined, source, progress)
            if source.file is None:
                dataset, known = await relearnt(defined, source, labelled_by, with_feedback, progress)
                if not supervised:
                    dataset = dataset._replace(apart=dataset.abnormal)
            else:
                dataset = (cluster if spark else single).read(
                    source.file,
                    defined,
                    labelled_by,
                    lambda count: progress.update(task, description=f"read {count:,}"),
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
            checks = _checks(name, defined, parts)
            if checks and compare:
                found.append(training.tested(parts, defined.feature_names, seed))
            progress.update(task, description="report")
            manifest = training.manifest_of(found[0], defined, dataset, limit, seed, time.time())
            if data is not None:
                days = _days(manifest, defined, parts)
                folder = save(
                    defined,
                    found[0].model,
                    manifest,
                    _reports(manifest, found, parts.judged, days, seed, checks),
                )
        _show(manifest, found, checks)
        if data is None:
            console.print(
                f"{plural(known.labels, 'label')}, and {plural(known.incidents, 'incident')} of which people "
                "said what they were"
            )
            await in_shadow(pipeline, manifest.version, piece(manifest, found[0].model))
        else:
            report = folder / "report.html"
            console.print(f"{manifest.detector} {manifest.version} is in {folder}; {report} has the report")


def _names(name: str, compare: bool, *, labelled: bool) -> list[str]:
    """The detectors to be trained: the one to be kept, and those to hold it against."""
    from clickwarden.models.detectors.choice import NAMES, detector_of

    others = (
        [each for each in NAMES if labelled or not detector_of(each, 0, ()).supervised]
        if compare
        else ["zscore"]
    )
    return list(dict.fromkeys([name, *others]))


def _checks(name: str, pipeline: Pipeline, parts: Split) -> list[str]:
    """Of a detector of time series: what of that which it took for usual is not, by Grubbs' test."""
    from clickwarden.models import grubbs, training
    from clickwarden.models.detectors.choice import SERIES

    if name not in SERIES or not pipeline.key:
        return []
    learnt = training.full(parts.learnt, pipeline)
    return [grubbs.check(learnt, learnt, pipeline.feature_names).line]


def _days(manifest: Manifest, pipeline: Pipeline, parts: Split) -> list[Day]:
    """The days behind those that were learnt from, held against them."""
    drift = Drift(manifest.features, manifest.expected, pipeline.longest)
    for part in (parts.calibrated, parts.judged):
        if part.times is not None:
            drift.add(part.values, part.times, np.zeros(len(part.times), bool))
    return drift.days


def _reports(
    manifest: Manifest, found: list[Trained], judged: Dataset, days: list[Day], seed: int, checks: list[str]
) -> dict[str, bytes]:
    """The reports and their plots, by the file's name."""
    from clickwarden.models.plots import plots_of
    from clickwarden.models.report import reports_of

    try:
        return reports_of(manifest, found, plots_of(found[0], found, judged, days, seed), days, checks)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{error.name} is missing, which the report needs: pip install 'clickwarden[learn]'"
        ) from None


def _show(manifest: Manifest, found: list[Trained], checks: list[str]) -> None:
    from clickwarden.models.report import HEADINGS, lines_of, row_of

    for line in (*lines_of(manifest), *checks):
        console.print(line)
    rows = [row_of(each) for each in found]
    beside = max(1, (console.width - HEADING_WIDTH) // DETECTOR_WIDTH)
    for first in range(0, len(rows), beside):
        table = whole_table(*HEADINGS[:1], *(row[0] for row in rows[first : first + beside]))
        for column in table.columns[1:]:
            column.justify = "right"
        for heading, *cells in list(zip(HEADINGS, *rows[first : first + beside], strict=True))[1:]:
            table.add_row(heading, *cells)
        console.print(table)
