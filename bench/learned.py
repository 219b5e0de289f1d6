"""``learned``: how well the detectors do on labelled sets, as they are shipped; no Kafka needed.

The sets are read from a folder, which is no part of the project: tables as ``NAME.csv.gz`` whose column
``anomaly`` (or ``attack``) is the label, and Numenta's time series in ``nab/``.
"""

import csv
import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from bench import docs
from bench.results import report
from bench.scores import table
from clickwarden.errors import SettingsError
from clickwarden.models import training
from clickwarden.models.dataset import read
from clickwarden.models.detectors.choice import NAMES
from clickwarden.models.judgement import coin
from clickwarden.models.pipeline import FILE, Pipeline
from clickwarden.models.report import row_of
from clickwarden.models.session import Session
from clickwarden.times import epoch

PAGE = Path(__file__).parent.parent / "docs" / "detectors.md"
LABELS = ("anomaly", "attack")
#: A column that says how hard a record is to judge, which no detector may see.
HIDDEN = ("difficulty",)
#: Values of a text that get a column of their own.
WORDS = 64
#: Numenta's part of a series that is learnt from, at most so many records.
PROBATION, PROBATION_MAX = 0.15, 750
SERIES = ("iforest", "residual", "zscore", training.COIN)
SERIES_HEADINGS = ("detector", "windows found", "series", "false alarms a day, median series", "worst series")
TABLE_HEADINGS = ("set", "records", "abnormal", "detector", "ROC AUC", "PR AUC", "precision", "recall")


class Table(NamedTuple):
    """A set whose rows are in no order of time.

    Attributes:
        name: of it.
        columns: of its features.
        rows: of these, and the label last.
    """

    name: str
    columns: Sequence[str]
    rows: list[list[str]]


def measure(data: Path, folder: Path, names: Sequence[str], seed: int, page: Path = PAGE) -> bool:
    """Train and judge detectors on every set of a folder, and put the tables into docs/detectors.md.

    Args:
        data: with the sets.
        folder: to work in.
        names: of the detectors; none: all.
        seed: of the order of the rows, and of the detectors.
        page: to be filled between its comments.
    """
    console = Console(stderr=True, highlight=False)
    rows = []
    for each in tables(data):
        pipeline, path = _prepared(each, folder / each.name, seed)
        dataset = read(path, pipeline, None, lambda count: None)
        parts, limit = training.split(dataset), training.limit(pipeline, dataset)
        for name in names or (*NAMES, training.COIN):
            console.print(f"{each.name}: {name}", style="dim")
            # The budget, not the labels: what somebody without labels gets.
            found = training.train(name, pipeline.feature_names, parts, limit, budgeted=True, seed=seed)
            cells = row_of(found)
            share = f"{dataset.abnormal.mean():.1%}" if dataset.abnormal is not None else ""
            rows.append((each.name, f"{dataset.records:,}", share, *cells[:5]))
    series = [_series_row(data / "nab", folder / "nab", name, seed) for name in SERIES]
    title = f"last fifth of the rows in random order, alarms for 1 % of the records, seed {seed}"
    report(
        "learned",
        title,
        [dict(zip(TABLE_HEADINGS, row, strict=True)) for row in rows] or [dict.fromkeys(TABLE_HEADINGS, "–")],
        [],
        {"rows": rows, "series": series},
    )
    if page.exists():
        filled = {
            "learned-tables": f"{title[0].upper()}{title[1:]}.\n\n{table(TABLE_HEADINGS, rows, 1)}",
            "learned-series": table(SERIES_HEADINGS, series, 1),
        }
        page.write_text(docs.filled(page.read_text(), filled))
    return True


def tables(data: Path) -> Iterator[Table]:
    """The tables of a folder.

    Raises:
        SettingsError: it holds none.
    """
    paths = sorted(data.glob("*.csv.gz"))
    if not paths:
        raise SettingsError(f"--data: {data} holds no NAME.csv.gz; name a folder with sets")
    for path in paths:
        with gzip.open(path, "rt", newline="") as file:
            header, *rows = csv.reader(file)
        label = header.index(next(name for name in LABELS if name in header))
        kept = [place for place, name in enumerate(header) if place != label and name not in HIDDEN]
        name = "".join(letter if letter.isalnum() else "-" for letter in path.name.removesuffix(".csv.gz"))
        yield Table(
            name, [header[place] for place in kept], [[*(row[p] for p in kept), row[label]] for row in rows]
        )


def definition(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """``pipeline.toml`` for a table: numbers as they are, text one-hot."""
    fields, features = [], []
    for place, column in enumerate(columns):
        values = {row[place] for row in rows}
        number = all(_is_number(value) for value in values)
        fields.append(f"{column} = {{ type = {json.dumps('number' if number else 'text')} }}")
        words = "" if number else f"\nvocabulary = {json.dumps(sorted(values)[:WORDS])}"
        kind = "raw" if number else "one_hot"
        features.append(f'[[feature]]\nkind = "{kind}"\nfield = "{column}"{words}')
    return "\n".join([f'name = "{name}"\nversion = 1\nlabel = "label"\n[fields]', *fields, *features])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text
    return True


def _prepared(each: Table, folder: Path, seed: int) -> tuple[Pipeline, Path]:
    """The pipeline of a table, and its rows in random order as CSV."""
    order = np.random.default_rng(seed).permutation(len(each.rows))
    rows = [each.rows[place] for place in order]
    learnt = rows[: int(len(rows) * training.LEARNT)]
    return written(folder, definition(each.name, each.columns, learnt), [*each.columns, "label"], rows)


def written(
    folder: Path, toml: str, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> tuple[Pipeline, Path]:
    """A pipeline, and a file of its records, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(toml)
    path = folder / "data.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return Pipeline.load(folder), path


SERIES_TOML = """\
name = "series"
version = 1
key = "series"
time = "timestamp"
lateness = "1d"
[fields]
value = { type = "number", grid = 0.0001 }
[[feature]]
kind = "raw"
field = "value"
[[feature]]
kind = "time_of_day"
[[feature]]
kind = "rolling"
field = "value"
windows = ["1h", "24h"]
stats = ["mean", "std", "ratio"]
bucket = "10m"
"""


def _series_row(data: Path, folder: Path, name: str, seed: int) -> tuple[str, ...]:
    """How a detector does on all series, each learnt from its own probation and from no label."""
    windows = json.loads((data / "combined_windows.json").read_text())
    found = known = 0
    false = []
    count = 0
    for path in sorted(data.glob("*/*.csv.gz")):
        count += 1
        alarms, times = _alarms(path, folder, name, seed)
        spans = [
            tuple(map(epoch, span)) for span in windows[f"{path.parent.name}/{path.name.removesuffix('.gz')}"]
        ]
        inside = np.zeros(len(times), bool)
        for first, last in spans:
            here = (times >= first) & (times <= last)
            inside |= here
            known += 1
            found += bool((alarms & here).any())
        days = max((times[-1] - times[0]) / 86_400, 1e-9)
        false.append(float((alarms & ~inside).sum() / days))
    return (name, f"{found} of {known}", f"{count}", f"{np.median(false):.2f}", f"{max(false):.2f}")


def _alarms(path: Path, folder: Path, name: str, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """bool[n], the alarms behind the probation of a series, and float64[n], their times in epoch seconds."""
    with gzip.open(path, "rt", newline="") as file:
        header, *rows = csv.reader(file)
    probation = min(int(len(rows) * PROBATION), PROBATION_MAX)
    keyed = [[*row, path.name] for row in rows]
    pipeline, whole = written(folder / path.name, SERIES_TOML, [*header, "series"], keyed)
    dataset = read(whole, pipeline, None, lambda count: None)
    known, rest = dataset.part(0, probation), dataset.part(probation, len(rows))
    parts, limit = training.split(known), training.limit(pipeline, known)
    found = training.train(name, pipeline.feature_names, parts, limit, budgeted=True, seed=seed)
    count = len(rest.values)
    scores = coin(count, seed) if name == training.COIN else Session(found.model).score(rest.values)
    alarms = scores >= np.float32(found.threshold)
    assert rest.times is not None  # the pipeline has time
    return alarms, rest.times / 1000
