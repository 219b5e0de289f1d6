"""The benchmark at tiny sizes: every measurement runs, and says when an output is wrong."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from rich.progress import Progress

from app.errors import ClickwardenError
from app.recount import Case
from app.topics import declare
from bench import latency, page, results, scan, sketch, throughput
from bench.__main__ import main
from bench.contenders import Clickwarden
from bench.load import Load
from bench.process import Process
from bench.worker import deployment


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of the test are no results."""
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    return tmp_path


def kept(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "results").iterdir()
    return json.loads(path.read_text())


def test_throughput_compares_and_judges(kafka: str, folder: Path) -> None:
    assert throughput.measure(kafka, folder, clicks=20_000, partitions=2, runs=1, seed=7)
    contenders = kept(folder)["figures"]["contenders"]
    (ours,) = contenders["clickwarden"]["runs"]
    (bare,) = contenders["aiokafka"]["runs"]
    assert ours["output"] == "right"
    assert bare["output"] == "-"
    assert contenders["clickwarden"]["ratios"] == [bare["reading"] / ours["reading"]]
    assert contenders["aiokafka"]["ratios"] == [1.0]
    assert min(ours["start"], ours["reading"], ours["settling"], ours["cpu"]) > 0
    assert ours["peak"] > bare["peak"] > 10_000_000


def test_an_output_without_the_anomalies_is_wrong(kafka: str, folder: Path) -> None:
    load = Load(deployment(kafka, 1, folder), 20_000, 7)
    with Progress(disable=True) as progress:
        load.produce(progress)
    idle = Clickwarden()
    idle.prepare(load, folder)
    asyncio.run(declare(idle.settings))
    assert len(load.truth.over()) > 20
    assert idle.result() == f"{len(load.truth.over()):,} missing"


def test_the_load_is_keyed_by_user_and_the_same_for_the_same_seed(kafka: str, folder: Path) -> None:
    def fill(seed: int) -> set[Case]:
        load = Load(deployment(kafka, 3, folder), 30_000, seed)
        with Progress(disable=True) as progress:
            load.produce(progress)
        assert load.truth.accepted == load.truth.produced == 30_000
        return set(load.truth.over())

    cases = fill(7)
    assert len(cases) == len({case._replace(partition=0) for case in cases})  # none is in two partitions
    assert {case.partition for case in cases} == {0, 1, 2}
    assert fill(7) == cases
    assert fill(8) != cases


def test_page_counts_while_people_look(kafka: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {name: page.CASES[name] for name in ("nobody looks", "10,000 alerts and listeners")}
    monkeypatch.setattr(page, "CASES", cases)
    monkeypatch.setattr(page, "REST_SECONDS", 1.0)
    page.measure(kafka, folder, clicks=20_000, partitions=2, runs=1, listeners=3)
    figures = kept(folder)["figures"]
    assert figures.keys() == cases.keys()
    assert all(seconds > 0 for runs in figures.values() for seconds in runs)


def test_latency_finds_every_attack(kafka: str, folder: Path) -> None:
    assert latency.measure(kafka, folder, partitions=2, rate=100, seconds=2)
    figures = kept(folder)["figures"]
    assert len(figures["milliseconds"]) == 2 * latency.ATTACKS
    assert 0 < figures["p50"] <= figures["p99"] <= figures["max"] < 5_000


def test_sketch_misses_nobody(folder: Path) -> None:
    plot = folder / "img" / "plot.svg"
    assert sketch.measure(loads=(10_000, 20_000), clicks=20_000, plot=plot)
    mistakes = kept(folder)["figures"]["mistakes"]
    assert len(mistakes) == 3 * len(sketch.WAYS_AND_WIDTHS)
    assert not any(each["missed"] for each in mistakes)
    assert "users reported by mistake" in plot.read_text()


def test_sketch_sees_the_mistakes_of_a_narrow_one() -> None:
    users = sketch.traffic(20_000, 1)
    names = [f"user-{user}" for user in range(users.max() + 1)]
    over = np.bincount(users) > sketch.THRESHOLD
    plain, conservative = (
        int((way(users, names, 1024) & ~over).sum()) for way in (sketch.plain, sketch.conservative)
    )
    assert plain > conservative


def test_scan_finds_what_the_log_holds(folder: Path) -> None:
    assert scan.measure(folder, lines=10_000, runs=1)
    path = folder / "access.log"
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 10_000
    path.write_text("".join(line for line in lines if not line.startswith("192.0.2.7 ")))
    found = scan.scan(path)
    assert {user for _, user, _ in found} == {f"192.0.2.{number}" for number in range(20) if number != 7}


def test_a_process_that_dies_is_an_error_with_its_log(folder: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('boom')"]
    with (
        pytest.raises(ClickwardenError, match=r"ended with 1; its log ends:\n  boom"),
        Process(command, folder / "log", {}) as process,
    ):
        process.line()


def test_throughput_is_what_is_measured_by_default() -> None:
    result = CliRunner().invoke(main, ["--clicks", "0"])
    assert result.exit_code == 2
    assert "throughput" in result.output
