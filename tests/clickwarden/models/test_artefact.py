"""A model is trained, kept, loaded and scores; whatever is not what it says is refused in one sentence."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from clickwarden.errors import ModelError, SettingsError
from clickwarden.models import artefact, datafile, training
from clickwarden.models.dataset import Reading, dataset, read
from clickwarden.models.labels import Labels
from clickwarden.models.manifest import LAYOUT, Manifest
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.report import lines_of
from clickwarden.models.scoring import Scored, score

PIPELINE = """
name = "table"
version = 1
{more}
[fields]
f0 = {{ type = "number" }}
f1 = {{ type = "number" }}
[[feature]]
kind = "raw"
field = "f0"
[[feature]]
kind = "raw"
field = "f1"
"""


def define(folder: Path, more: str = "") -> Pipeline:
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.toml").write_text(PIPELINE.format(more=more))
    return Pipeline.load(folder)


def write(path: Path, count: int = 1_000, seed: int = 0, *, label: bool = True) -> Path:
    """A table of two columns, in which one record in 25 is far out; a line is text, and one is empty."""
    random = np.random.default_rng(seed)
    rows: list[list[object]] = random.normal(size=(count, 2)).round(4).tolist()
    abnormal = random.random(count) < 0.04
    for place in np.flatnonzero(abnormal):
        rows[place][1] = 8 + place % 3
    rows[17], rows[18] = ["n/a", 0.5], ["", ""]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["f0", "f1", *(["anomaly"] if label else [])])
        for row, flag in zip(rows, abnormal.tolist(), strict=True):
            writer.writerow([*row, *([int(flag)] if label else [])])
    return path


def trained(pipeline: Pipeline, data: Path, name: str = "iforest", labels: Path | None = None) -> Manifest:
    given = Labels.read(labels, pipeline) if labels else None
    rows = read(data, pipeline, given, lambda count: None)
    parts = training.split(rows)
    limit = training.limit(pipeline, rows)
    found = training.train(
        name, pipeline.feature_names, parts, limit, budgeted=pipeline.budget is not None, seed=1
    )
    manifest = training.manifest_of(found, pipeline, rows, limit, 1, 1_800_000_000)
    artefact.save(pipeline, found.model, manifest, {"report.md": b"#"})
    return manifest


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    trained(define(folder / "table", 'label = "anomaly"'), write(folder / "data.csv", count=4_000))
    return folder


@pytest.fixture
def table(made: Path, tmp_path: Path) -> Pipeline:
    """A copy that a test may spoil."""
    pipeline = define(tmp_path / "table", 'label = "anomaly"')
    (pipeline.folder / "model").mkdir()
    for file in (made / "table" / "model").iterdir():
        (pipeline.folder / "model" / file.name).write_bytes(file.read_bytes())
    return pipeline


def scored(pipeline: Pipeline, data: Path) -> list[Scored]:
    return [each for part in score(data, pipeline, artefact.load(pipeline)) for each in part]


def test_every_record_has_a_score_and_the_abnormal_ones_are_told_why(table: Pipeline, tmp_path: Path) -> None:
    found = scored(table, write(tmp_path / "fresh.csv", seed=9))
    assert [each.record for each in found] == list(range(1, 1_001))
    assert all(each.score is not None and np.isfinite(each.score) for each in found)
    with (tmp_path / "fresh.csv").open() as file:
        really = [row["anomaly"] == "1" for row in csv.DictReader(file)]
    alarmed = [each.anomaly for each in found]
    hits = sum(a and b for a, b in zip(alarmed, really, strict=True))
    assert hits >= 0.9 * sum(really)
    assert hits >= 0.7 * sum(alarmed)
    for each in found:
        assert each.anomaly == (each.score >= each.threshold)  # type: ignore[operator]
        assert bool(each.reasons) == each.anomaly
    causes = [each.reasons[0] for each, flag in zip(found, really, strict=True) if each.anomaly and flag]
    assert sum(cause.feature == "f1" for cause in causes) >= 0.8 * len(causes)
    for cause in causes:
        low, median, high = cause.usual
        assert low < median < high
        assert cause.effect > 0
        assert cause.value is not None
        assert not low <= cause.value <= high


def test_the_label_is_shown_to_no_detector(tmp_path: Path) -> None:
    with_label = define(tmp_path / "a", 'label = "anomaly"')
    without = define(tmp_path / "b")
    first = trained(with_label, write(tmp_path / "labelled.csv"))
    second = trained(without, write(tmp_path / "plain.csv", label=False))
    assert first.features == second.features == ("f0", "f1")
    assert first.model_sha256 == second.model_sha256
    assert "roc_auc" in first.metrics
    assert "roc_auc" not in second.metrics


def test_a_label_that_is_a_feature_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="label 'f1' is a field of a feature"):
        read(write(tmp_path / "data.csv"), define(tmp_path / "t", 'label = "f1"'), None, lambda count: None)


def test_labels_may_be_in_a_file_of_their_own(tmp_path: Path) -> None:
    data, pipeline = write(tmp_path / "data.csv"), define(tmp_path / "t")
    with data.open() as file:
        labels = [row["anomaly"] for row in csv.DictReader(file)]
    (tmp_path / "labels.csv").write_text("\n".join(["anomaly", *labels]))
    manifest = trained(pipeline, data, "random_forest", tmp_path / "labels.csv")
    assert (manifest.metrics["pr_auc"] or 0) > 0.95
    assert manifest.threshold_by == "labels"
    (tmp_path / "labels.csv").write_text("\n".join(["anomaly", *labels[:-1]]))
    with pytest.raises(SettingsError, match="has 999 labels, and there are more records"):
        read(data, pipeline, Labels.read(tmp_path / "labels.csv", pipeline), lambda count: None)


def test_a_detector_that_needs_labels_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'logreg' learns from labels of both kinds"):
        trained(define(tmp_path / "t"), write(tmp_path / "data.csv"), "logreg")


def test_too_little_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="40 records with features are too few"):
        trained(define(tmp_path / "t"), write(tmp_path / "data.csv", count=40))


def test_training_again_gives_the_same_version(made: Path, table: Pipeline) -> None:
    again = trained(table, made / "data.csv")
    assert again.version == artefact.load(Pipeline.load(made / "table")).manifest.version


def test_a_crash_between_two_models_leaves_the_former(table: Pipeline, tmp_path: Path) -> None:
    version = artefact.load(table).manifest.version
    (table.folder / "model").rename(table.folder / "model.old")
    (table.folder / "model.new").mkdir()
    assert artefact.load(table).manifest.version == version
    again = trained(table, write(tmp_path / "other.csv", seed=3))
    assert again.version != version
    assert artefact.load(table).manifest.version == again.version
    assert [path.name for path in table.folder.glob("model*")] == ["model"]


def test_a_sorted_table_without_time_is_alarmed_by_its_budget(tmp_path: Path) -> None:
    rows = sorted(np.random.default_rng(5).normal(size=2_000).tolist())
    (tmp_path / "data.csv").write_text("\n".join(["f0,f1", *(f"{row},{row}" for row in rows)]))
    pipeline = define(tmp_path / "t")
    trained(pipeline, tmp_path / "data.csv")
    assert 10 <= sum(each.anomaly for each in scored(pipeline, tmp_path / "data.csv")) <= 40


def test_times_and_numbers_that_are_none_are_said(tmp_path: Path) -> None:
    (tmp_path / "soon.csv").write_text("f0,f1,when\n" + "1,2,soon\n" * 99)
    with pytest.raises(SettingsError, match="none of its 99 records says when in 'when'"):
        read(tmp_path / "soon.csv", define(tmp_path / "t", 'time = "when"'), None, lambda count: None)
    (tmp_path / "commas.csv").write_text("f0;f1\n" + "1,5;2,5\n" * 99)
    with pytest.raises(SettingsError, match="no feature has a value in any of its 99 records; are they"):
        read(tmp_path / "commas.csv", define(tmp_path / "t"), None, lambda count: None)


WILD = ("-1e39", "1e39", "-3.4e38", "3.4028235e38", "inf", "-inf", "nan", "")


@pytest.mark.parametrize("name", ["zscore", "iforest", "residual", "autoencoder"])
@pytest.mark.parametrize("wild", [*WILD, WILD])
def test_no_number_makes_a_model_that_cannot_be_loaded(
    wild: str | tuple[str, ...], name: str, tmp_path: Path
) -> None:
    """One of it among usual ones, or a whole column of it."""
    given = [wild] if isinstance(wild, str) else wild
    usual = np.random.default_rng(3).normal(size=400).round(4).tolist()
    usual[20] = given[0]
    lines = ["f0,f1", *(f"{each},{given[place % len(given)]}" for place, each in enumerate(usual))]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    pipeline = define(tmp_path / "t")
    trained(pipeline, tmp_path / "data.csv", name)
    manifest = artefact.load(pipeline).manifest
    assert np.isfinite([edge for each in manifest.expected for edge in each.edges]).all()
    assert sum(manifest.expected[0].counts) == manifest.data.learnt
    assert len(scored(pipeline, tmp_path / "data.csv")) == 400


def test_what_cannot_be_loaded_is_told_and_takes_no_place(table: Pipeline) -> None:
    former = artefact.load(table)
    model = (table.folder / "model" / "model.onnx").read_bytes()
    spoilt = msgspec.structs.replace(former.manifest, threshold=float("inf"))
    with pytest.raises(ModelError, match=r"cannot be loaded, and is not kept: manifest.json is none of ours"):
        artefact.save(table, model, spoilt, {})
    assert artefact.load(table).manifest == former.manifest
    assert [path.name for path in table.folder.glob("model*")] == ["model"]


TIMED = 'time = "when"\nbudget = 5'
BEGIN = 1_760_000_000


def timed(path: Path, wrong: dict[int, int], count: int = 1_000) -> Path:
    """Records of every minute, the 950th far out; some, by place, say another time."""
    values = np.random.default_rng(0).normal(size=(count, 2)).round(4)
    values[950] = 9
    rows = zip(values.tolist(), range(count), strict=True)
    told = [f"{a},{b},{wrong.get(place, BEGIN + 60 * place)}" for (a, b), place in rows]
    path.write_text("\n".join(["f0,f1,when", *told]))
    return path


@pytest.mark.parametrize(
    "wrong",
    [
        {999: 99_999_999_999},
        {0: 0},
        {place: 0 if place % 2 else 99_999_999_999 for place in range(0, 1_000, 17)},
    ],
    ids=["the last", "the first", "six in a hundred"],
)
def test_a_few_wrong_clocks_move_neither_budget_nor_figures(wrong: dict[int, int], tmp_path: Path) -> None:
    right = trained(define(tmp_path / "right", TIMED), timed(tmp_path / "right.csv", {}), "zscore")
    found = trained(define(tmp_path / "wrong", TIMED), timed(tmp_path / "wrong.csv", wrong), "zscore")
    assert right.share == pytest.approx(5 * 999 * 60 / 86_400 / 1_000)
    assert found.share == pytest.approx(right.share, rel=0.07)
    assert found.data.aside == {"their time is far from that of nearly all others": len(wrong)}
    assert (found.data.first[:4], found.data.last[:4]) == ("2025", "2025")
    records, alarmed = (found.metrics[name] or 0.0 for name in ("records", "alarmed"))
    assert alarmed
    assert found.metrics["alarms_a_day"] == pytest.approx(alarmed / (records * 60 / 86_400), rel=0.1)
    assert not any("warning" in line for line in lines_of(found))


def test_records_that_are_spread_unevenly_are_all_learnt_from(tmp_path: Path) -> None:
    """A night of little traffic at either end, and a month without any in the middle."""
    moved = {place: BEGIN - 86_400 + 240 * place for place in range(120)}
    moved |= {place: BEGIN + 60 * place + 30 * 86_400 for place in range(500, 1_000)}
    found = trained(define(tmp_path / "t", TIMED), timed(tmp_path / "data.csv", moved), "zscore")
    assert found.data.aside == {}


def test_the_newest_week_is_that_of_nearly_all(tmp_path: Path) -> None:
    pipeline = define(tmp_path / "t", TIMED)
    reading = Reading(pipeline)
    for records in datafile.read(timed(tmp_path / "data.csv", {7: 99_999_999_999}), pipeline):
        reading.add(records, np.zeros(records.size, bool))
    rows = dataset(pipeline, [reading], "it", "", labelled=False, span=600 * 60_000)
    assert rows.times is not None
    assert rows.times.tolist() == [(BEGIN + 60 * place) * 1000 for place in range(400, 1_000)]


def test_a_budget_of_more_than_half_of_the_records_is_warned_of(tmp_path: Path) -> None:
    told = []
    for budget in (600, 800):
        pipeline = define(tmp_path / "t", f'time = "when"\nbudget = {budget}')
        told.append(lines_of(trained(pipeline, timed(tmp_path / "data.csv", {}), "zscore")))
    assert not any("warning" in line for line in told[0])
    (warning,) = (line for line in told[1] if "warning" in line)
    assert "budget" in warning
    assert "time" in warning


def edited(change: Callable[[dict[str, object]], None]) -> Callable[[Path], None]:
    """A manifest whose content was changed by someone who did not mend the seal."""

    def edit(folder: Path) -> None:
        sealed = json.loads((folder / "manifest.json").read_text())
        change(sealed["manifest"])
        (folder / "manifest.json").write_text(json.dumps(sealed))

    return edit


def cut(name: str, part: float) -> Callable[[Path], None]:
    def cut_off(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * part)])

    return cut_off


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "threshold": (edited(lambda manifest: manifest.update(threshold=0.1)), "SHA-256 differs"),
    "unknown key": (edited(lambda manifest: manifest.update(more=1)), "SHA-256 differs"),
    "newer": (edited(lambda manifest: manifest.update(layout=LAYOUT + 1)), "of a newer release"),
    "older": (edited(lambda manifest: manifest.update(layout=LAYOUT - 1)), "of an older release"),
    "cut manifest": (cut("manifest.json", 0.7), "cut off, or none of ours"),
    "empty manifest": (cut("manifest.json", 0), "cut off, or none of ours"),
    "cut model": (cut("model.onnx", 0.9), "model.onnx is not the one that manifest.json describes"),
    "empty model": (cut("model.onnx", 0), "model.onnx is not the one that manifest.json describes"),
    "changed model": (flip, "model.onnx is not the one that manifest.json describes"),
    "no model": (lambda folder: (folder / "model.onnx").unlink(), "no such file; train a model first"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoilt_model_is_refused_in_one_sentence(fault: str, table: Pipeline) -> None:
    spoil, why = FAULTS[fault]
    spoil(table.folder / "model")
    with pytest.raises(ModelError, match=why) as refused:
        artefact.load(table)
    assert "\n" not in str(refused.value)


def resealed(table: Pipeline, **changed: object) -> bytes:
    """A manifest with other content and a seal that fits."""
    from clickwarden.models.manifest import decoded, encoded

    manifest = decoded((table.folder / "model" / "manifest.json").read_bytes())
    return encoded(msgspec.structs.replace(manifest, **changed))


def refusals(table: Pipeline) -> Iterator[tuple[bytes, bytes, str]]:
    model = (table.folder / "model" / "model.onnx").read_bytes()
    manifest = artefact.load(table).manifest
    golden = (msgspec.structs.replace(manifest.golden[0], score=0.9), *manifest.golden[1:])
    foreign = b"PK\x03\x04 something else"
    sha256 = __import__("hashlib").sha256(foreign).hexdigest()
    yield resealed(table, pipeline="cards"), model, "is of pipeline 'cards', and this one is 'table'"
    yield resealed(table, definition_hash="0" * 64), model, "was trained with other features"
    yield resealed(table, features=("f1", "f0")), model, "has other columns"
    yield resealed(table, golden=golden), model, "gives a golden row the score"
    yield resealed(table, golden=()), model, "no golden rows"
    yield resealed(table, model_sha256=sha256), foreign, "is no model that onnxruntime can run"
    yield b'{"manifest": {"layout": 1}, "sha256": ""}', model, "SHA-256 differs"
    yield b"[]", model, "none of ours"


def test_what_is_whole_and_not_of_this_pipeline_is_refused(table: Pipeline) -> None:
    for content, model, why in refusals(table):
        with pytest.raises(ModelError, match=why):
            artefact.verified(table, content, model)


def test_other_features_in_pipeline_toml_refuse_the_model(table: Pipeline) -> None:
    path = table.folder / "pipeline.toml"
    path.write_text(path.read_text().replace('"raw"', '"log1p"'))
    with pytest.raises(ModelError, match=r"other features than pipeline.toml defines; train it again"):
        artefact.load(Pipeline.load(table.folder))


def test_nothing_of_a_model_is_pickled(made: Path) -> None:
    names = {path.name for path in (made / "table" / "model").iterdir()}
    assert names == {"model.onnx", "manifest.json", "report.md"}
