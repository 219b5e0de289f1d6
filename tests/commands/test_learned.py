"""``train`` and ``score``: a table of anybody's, with nothing running."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PIPELINE = """
name = "table"
version = 1
label = "anomaly"

[fields]
f0 = { type = "number" }
f1 = { type = "number" }

[[feature]]
kind = "raw"
field = "f0"

[[feature]]
kind = "raw"
field = "f1"
"""


def faust(*arguments: str) -> subprocess.CompletedProcess[str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("CLICKWARDEN_")}
    return subprocess.run(
        (sys.executable, "-m", "faust", "-A", "app", *arguments),
        env=others | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("table")
    (folder / "pipeline.toml").write_text(PIPELINE)
    random = np.random.default_rng(4)
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["f0", "f1", "anomaly"])
        for place, (first, second) in enumerate(random.normal(size=(600, 2)).tolist()):
            abnormal = place % 25 == 0
            writer.writerow([first, second + 9 * abnormal, int(abnormal)])
    return folder


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    done = faust("train", str(folder), "--data", str(folder / "data.csv"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_tells_how_it_did_beside_a_coin(said: str, folder: Path) -> None:
    assert "600 records in random order, as they have no time; the first 360 were learnt from" in said
    (heads,) = (line.split("┃")[2:-1] for line in said.splitlines() if "detector" in line)
    (areas,) = (line.split("│")[2:-1] for line in said.splitlines() if "ROC AUC" in line)
    found = {head.strip(): float(area.split()[0]) for head, area in zip(heads, areas, strict=True)}
    assert found.keys() == {"iforest", "zscore", "coin"}
    assert found["iforest"] > 0.95 > 0.8 > found["coin"]
    report = (folder / "model" / "report.html").read_text()
    assert report.count("<svg") == 3
    assert {path.name for path in (folder / "model").iterdir()} == {
        *("model.onnx", "manifest.json", "report.md", "report.html"),
        *("scores.svg", "roc.svg", "precision-recall.svg"),
    }


def test_each_record_is_one_object_with_its_score(said: str, folder: Path) -> None:
    done = faust("score", str(folder), str(folder / "data.csv"), "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 600
    alarmed = {each["record"] for each in found if each["anomaly"]}
    really = {place + 1 for place in range(0, 600, 25)}
    assert len(alarmed & really) >= 20
    assert len(alarmed - really) <= 10
    assert {"score", "p_value", "threshold", "reasons", "model", "version"} <= found[0].keys()
    causes = [each["reasons"][0]["feature"] for each in found if each["record"] in alarmed & really]
    assert causes.count("f1") >= 0.8 * len(causes)
    assert "600 records" in done.stderr


def test_a_spoilt_model_is_one_line_and_exit_code_1(said: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    (tmp_path / "model").mkdir()
    for name in ("model.onnx", "manifest.json"):
        (tmp_path / "model" / name).write_bytes((folder / "model" / name).read_bytes()[:-9])
    done = faust("score", str(tmp_path), str(folder / "data.csv"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("clickwarden: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["train", "score"])
def test_what_is_heavy_is_not_imported_before_it_is_needed(command: str) -> None:
    """Neither by the commands' help, nor where another command runs."""
    code = (
        f"import sys, commands.{command}; "
        "heavy = ('sklearn', 'scipy', 'onnx', 'onnxruntime', 'matplotlib'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [("train", "sklearn", "learn"), ("train", "onnx", "learn"), ("score", "onnxruntime", "serve")],
)
def test_an_extra_that_is_missing_is_named(
    command: str, package: str, extra: str, said: str, folder: Path
) -> None:
    arguments = {
        "train": ("--data", str(folder / "data.csv")),
        "score": (str(folder / "data.csv"),),
    }[command]
    code = (
        f"import sys; sys.modules[{package!r}] = None; "
        f"sys.argv = ['faust', '-A', 'app', *{(command, str(folder), *arguments)!r}]; "
        "from faust.cli.faust import cli; cli()"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert f"{package} is missing" in done.stderr
    assert f"clickwarden[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say what is to be learnt from: --data FILE or TOPIC, or --since 30d"),
        (("--data", "data.csv", "--since", "7d"), "--data is read whole; leave out --since"),
        (("--data", "data.csv", "--with-feedback"), "--data is read whole; leave out --since"),
        (("--data", "no/such.csv"), "--data: there is no file no/such.csv, and no topic can be called so"),
        (("--data", "numbers"), "records of a topic have no order but by time; add key and time"),
        (("--data", "numbers", "--spark"), "--spark reads a file, and there is none called numbers"),
        (("--since", "7d"), "has no topic to learn from; give --data FILE"),
    ],
)
def test_training_that_cannot_be_meant_is_refused(folder: Path, options: tuple[str, ...], said: str) -> None:
    named = (str(folder / each) if each == "data.csv" else each for each in options)
    done = faust("train", str(folder), *named)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.alone  # Spark takes every core
def test_by_spark_it_is_the_same_model_and_says_the_same_of_what_it_learnt(tmp_path: Path) -> None:
    folder = tmp_path / "maintenance"
    shutil.copytree("pipelines/maintenance", folder)
    sample = str(folder / "sample.ndjson.zst")
    versions = []
    for more in ((), ("--spark",)):
        done = faust("train", str(folder), "--data", sample, *more)
        assert done.returncode == 0, done.stderr
        assert "Grubbs' test (α 0.05 for all 12 series together): no record" in done.stdout
        assert "Grubbs' test" in (folder / "model" / "report.md").read_text()
        versions.append(
            json.loads((folder / "model" / "manifest.json").read_bytes())["manifest"]["model_sha256"]
        )
    assert versions[0] == versions[1]
    scored = faust("score", str(folder), sample)
    assert scored.returncode == 0, scored.stderr
    assert "17,280 records" in scored.stderr


def test_spark_wants_a_file(folder: Path) -> None:
    done = faust("train", str(folder), "--since", "30d", "--spark")
    assert done.returncode == 1
    assert "--spark reads a file; give --data FILE" in done.stderr
