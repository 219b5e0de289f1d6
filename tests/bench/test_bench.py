"""The benchmark at tiny sizes: every measurement runs, and says when an output is wrong."""

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from rich.progress import Progress

from bench import (
    alarms,
    anomalies,
    backlog,
    capture,
    collect,
    conditions,
    curves,
    docs,
    environments,
    history,
    idle,
    latency,
    page,
    profile,
    records,
    results,
    scan,
    scoring,
    sketch,
    telling,
    throughput,
)
from bench.__main__ import main
from bench.contenders import CONTENDERS, Clickwarden, said_of
from bench.load import Load, Shape
from bench.process import Process
from bench.scorers import ScoringPeer
from bench.stopwatch import Stopwatch
from bench.worker import Crew, deployment
from clickwarden.audit.tally import Case
from clickwarden.errors import ClickwardenError
from clickwarden.kafka.topics import declare


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of the test are no results."""
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    return tmp_path


def kept(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "results").glob("*.json")
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def filled(load: Load, clicks: int) -> Load:
    with Progress(disable=True) as progress:
        load.produce(clicks, progress)
    return load


def test_throughput_compares_and_judges(kafka: str, folder: Path) -> None:
    contenders = [CONTENDERS[name] for name in ("clickwarden", "aiokafka", "confluent")]
    assert throughput.measure(kafka, folder, contenders, clicks=300_000, partitions=2, runs=1, seed=7)
    figures = kept(folder)["figures"]["contenders"]
    (ours,) = figures["clickwarden"]["runs"]
    (bare,) = figures["bare aiokafka"]["runs"]
    assert ours["output"] == "right"
    assert bare["output"] == figures["bare confluent-kafka"]["runs"][0]["output"] == "-"
    assert figures["clickwarden"]["ratios"] == [ours["rate"] / bare["rate"]]
    assert figures["bare aiokafka"]["ratios"] == [1.0]
    assert min(ours["start"], ours["reading"], ours["settling"], ours["cpu"], ours["changelog"]) > 0
    assert ours["peak"] > bare["peak"] > 10_000_000
    assert {path.suffix for path in (folder / "results").iterdir()} == {".json", ".txt", ".svg"}


@pytest.mark.alone
def test_a_capture_is_held_to_each_row_once_in_order(kafka: str, folder: Path) -> None:
    assert capture.measure(kafka, folder, rows=2_000, seconds=2)
    figures = kept(folder)["figures"]
    assert set(figures["rates"]) == {"snapshot", "one COPY", "commits of 100 rows"}
    assert 0 < figures["record"]["p50"] <= figures["record"]["p99"]
    assert 0 < figures["anomaly"]["p50"] <= figures["anomaly"]["p99"]
    assert 0 < figures["idle"] < figures["full"] < 1000


def test_a_row_that_is_missing_told_again_or_out_of_order_is_seen() -> None:
    def came(*ids: int, ordered: bool = True) -> capture.Came:
        moments = np.zeros(len(ids))
        return capture.Came(np.array(ids, np.int64), moments, moments, ordered)

    assert came(3, 1, 2).are(1, 3)
    assert not came(1, 3).are(1, 3)
    assert not came(1, 2, 2, 3).are(1, 3)
    assert not came(1, 2, 3, ordered=False).are(1, 3)


def test_scoring_is_held_to_features_made_in_one_piece(kafka: str, folder: Path) -> None:
    assert scoring.measure(
        kafka, folder, records=40_000, runs=1, peers=[ScoringPeer("loop", "article_loop", 1 / 800)]
    )
    contenders = kept(folder)["figures"]["contenders"]
    (cost,), (loop,) = (contenders[name]["runs"] for name in ("clickwarden", "loop"))
    assert cost["output"] == loop["output"] == "right"
    assert 0 < cost["records"] <= 40_000
    assert (loop["records"], loop["alarms"] > 0) == (50, True)
    assert min(cost["cpu"], cost["peak"], cost["alarms"]) > 0
    assert 5 < cost["changelog"] < 30


def test_alarms_are_timed_where_few_are_and_where_nearly_all_are(kafka: str, folder: Path) -> None:
    assert alarms.measure(kafka, folder, rate=400, alarming=200, seconds=3)
    few, many = kept(folder)["figures"].values()
    assert 0 < len(few["milliseconds"]) < 600 / 5
    assert 540 < len(many["milliseconds"]) <= 600
    assert 0 < min(few["milliseconds"]) < max(few["milliseconds"])
    assert few["busy"] > 0


def test_clicks_are_counted_beside_an_idle_pipeline(kafka: str, folder: Path) -> None:
    assert idle.measure(kafka, folder, clicks=200_000, partitions=2, runs=2, seed=7)
    figures = kept(folder)["figures"]
    without, beside = (figures[name] for name in ("clickwarden", "clickwarden, a pipeline idle"))
    rates = zip(beside, without, strict=True)
    assert figures["ratios"] == [one["rate"] / other["rate"] for one, other in rates]


def test_anomalies_are_followed_until_each_incident_is_written(kafka: str, folder: Path) -> None:
    assert anomalies.measure(kafka, folder, anomalies=400, partitions=2)
    figures = kept(folder)["figures"]
    assert min(figures["microseconds"].values()) > 0
    assert figures["written"] >= 10


def test_a_collector_is_held_to_what_it_acknowledged(kafka: str, folder: Path) -> None:
    assert collect.measure(kafka, folder, seconds=1, runs=1)
    figures = kept(folder)["figures"]
    assert figures["right"]
    ((single,), (several,)) = figures["runs"].values()
    assert single["clicks"] > 100
    assert several["clicks"] % 50 == 0
    assert single["clicks"] / single["cpu"] < several["clicks"] / several["cpu"]


def test_two_workers_count_together(kafka: str, folder: Path) -> None:
    load = filled(Load(deployment(kafka, 2, folder), 7), 100_000)
    both = Clickwarden(workers=2)
    both.prepare(load, folder)
    with Crew(both.settings, 2) as crew:
        crew.until(crew.ready, "both have a partition")
        crew.until(lambda: crew.committed() == load.clicks, "every click is committed")
        assert crew.counted() == load.clicks
        assert crew.peak() > 1.5 * crew.workers[0].peak()
    assert both.result() == "right"


def test_too_few_clicks_make_no_figure(kafka: str, folder: Path) -> None:
    load = filled(Load(deployment(kafka, 1, folder), 7), 100)
    with pytest.raises(ClickwardenError, match="all 100 clicks were counted before"):
        throughput.run(Clickwarden(), load, folder)


def test_idiomatic_faust_runs_and_is_judged(kafka: str, folder: Path) -> None:
    load = filled(Load(deployment(kafka, 2, folder), 7, Shape(rate=2_000)), 5_000)
    cost, verdict = throughput.run(CONTENDERS["faust"], load, folder)
    assert cost.clicks == 5_000
    assert "missing" in verdict


def test_an_output_without_the_anomalies_is_wrong(kafka: str, folder: Path) -> None:
    load = filled(Load(deployment(kafka, 1, folder), 7), 20_000)
    idle = Clickwarden()
    idle.prepare(load, folder)
    asyncio.run(declare(idle.settings))
    assert len(load.truth.over()) > 20
    assert idle.result() == f"{len(load.truth.over()):,} missing"


class Told(NamedTuple):
    value: bytes


def test_a_peer_is_judged_by_who_when_and_how_often(kafka: str, folder: Path) -> None:
    load = filled(Load(deployment(kafka, 2, folder), 7, Shape(rate=10_000)), 25_000)
    cases = {case: count.total.count for case, count in load.truth.over().items() if case.rule == "bot"}
    right = [
        Told(json.dumps({"user_id": each.user_id, "window_start": each.window, "clicks": clicks}).encode())
        for each, clicks in cases.items()
    ]
    first = json.loads(right[0].value)
    fewer, stranger = ({**first, **other} for other in ({"clicks": 51}, {"user_id": "nobody"}))
    open_ones = sum(not load.truth.closed(case) for case in cases)
    assert 0 < open_ones < len(cases)
    assert said_of(load.truth, right) == said_of(load.truth, right * 2) == "right"
    assert said_of(load.truth, []) == f"{len(cases) - open_ones} missing"
    assert said_of(load.truth, [*right, Told(json.dumps(fewer).encode())]) == "1 miscounted"
    assert said_of(load.truth, [*right, Told(json.dumps(stranger).encode())]) == "1 invented"


def test_the_load_is_keyed_by_user_and_the_same_for_the_same_seed(kafka: str, folder: Path) -> None:
    def fill(seed: int) -> set[Case]:
        load = filled(Load(deployment(kafka, 3, folder), seed), 30_000)
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
    page.measure(kafka, folder, clicks=300_000, partitions=2, runs=1, listeners=3)
    figures = kept(folder)["figures"]
    assert figures.keys() == cases.keys()
    assert all(seconds > 0 for runs in figures.values() for seconds in runs)


def test_the_load_has_the_shape_that_is_asked_for(kafka: str, folder: Path) -> None:
    shape = Shape(users=1_000, garbage=0.1)
    truth = filled(Load(deployment(kafka, 1, folder), 7, shape), 20_000).truth
    assert 1_800 < truth.rejected < 2_200
    late = filled(Load(deployment(kafka, 1, folder), 7, Shape(rate=10_000, disorder=60)), 20_000).truth
    assert late.late > 1_000

    message = next(Load(deployment(kafka, 1, folder), 7, Shape(size=1024)).messages(10))
    assert len(message["value"]) == 1024
    assert {"user_id", "event", "product_id", "timestamp", "page"} == json.loads(message["value"]).keys()


def test_a_curve_has_a_point_for_each_value(
    kafka: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(curves.CURVES, "rules", curves.CURVES["rules"]._replace(values=(1, 8)))
    assert curves.measure(kafka, folder, ["rules"], scale=0.15)
    figures = kept(folder)["figures"]
    assert figures["values"] == [1, 8]
    assert [point["output"] for point in figures["points"]] == ["right", "right"]
    assert [goal["what"] for goal in kept(folder)["goals"]] == ["8 rules, time × that of 1 ≤ 2"]


def test_every_curve_has_points() -> None:
    points = [curve.point(value) for curve in curves.CURVES.values() for value in curve.values]
    assert len(set(points)) >= len(points) - len(curves.CURVES)  # one of each may be the usual one


def test_profile_accounts_for_all_of_a_click(kafka: str, folder: Path) -> None:
    assert profile.measure(kafka, folder, clicks=150_000, partitions=2, seed=7)
    steps = kept(folder)["figures"]["microseconds"]
    assert list(steps) == [*profile.STEPS, "all around"]
    assert min(cost for step, cost in steps.items() if step != "snapshot") > 0


def test_profile_does_what_the_worker_does(folder: Path) -> None:
    settings = deployment("127.0.0.1:1", 2, folder)
    snapshots_at = 20_000
    taken = profile.steps(Load(settings, 7), 100_000, snapshots_at).seconds
    assert taken.keys() == set(profile.STEPS)
    assert taken["snapshot"] > 0
    assert "snapshot" not in profile.steps(Load(settings, 7), 10_000, snapshots_at).seconds


def test_a_step_within_a_step_is_not_counted_twice() -> None:
    class Work:
        def inner(self) -> None:
            end = time.thread_time() + 0.06
            while time.thread_time() < end:
                pass

    watch = Stopwatch()
    began = time.thread_time()
    with watch.wrapped("inner", [(Work, "inner")]), watch.step("outer"):
        Work().inner()
        Work().inner()
    whole = time.thread_time() - began
    Work().inner()  # no longer wrapped
    assert 0.12 <= watch.seconds["inner"] <= sum(watch.seconds.values()) <= whole
    assert watch.seconds["outer"] < 0.02


def test_backlog_is_counted_by_the_worker_that_was_away(kafka: str, folder: Path) -> None:
    assert backlog.measure(kafka, folder, clicks=40_000, partitions=2, seed=7)
    (run,) = kept(folder)["figures"]["runs"]
    assert run["output"] == "right"
    assert run["clicks"] <= 40_000


def test_history_is_tried_and_held_against_what_the_worker_told(kafka: str, folder: Path) -> None:
    assert history.measure(kafka, folder, clicks=300_000, partitions=2, seed=7)
    tried = kept(folder)["figures"]["tried"]
    changed = {name: cost["comparison"]["changed"] for name, cost in tried.items()}
    assert list(changed.values()) == [False, True, True]
    assert all(cost["rate"] > 0 and cost["comparison"]["clicks"] == 300_000 for cost in tried.values())
    before = tried["rules try, no rule changed"]["comparison"]["before"]
    assert history.verdict(before, (before["windows"], before["messages"])) == "right"
    assert history.verdict(before, (before["windows"] + 1, before["messages"])).startswith("1 window ")


def test_latency_finds_every_attack(kafka: str, folder: Path) -> None:
    assert latency.measure(kafka, folder, partitions=2, rates=[100], seconds=2)
    figures = kept(folder)["figures"]["rates"]["100"]
    assert len(figures["milliseconds"]) == 2 * latency.ATTACKS
    assert 0 < figures["p50"] <= figures["p99"] <= figures["p99.9"] <= figures["max"] < 5_000


def test_everybody_who_attacks_is_told_of_and_behind_the_anomaly(kafka: str, folder: Path) -> None:
    anomalies, messages = telling.latencies(kafka, folder, partitions=2, rate=100, seconds=2)
    assert len(anomalies) == len(messages) == 2 * latency.ATTACKS
    assert np.isfinite(messages).all()
    assert 0 < np.median(anomalies) < np.median(messages) < 5_000


def test_peers_with_libraries_of_ours_run_in_our_environment(folder: Path) -> None:
    assert environments.python("bare_aiokafka", folder) == sys.executable
    assert list(folder.iterdir()) == []


def test_an_environment_is_made_once_of_what_is_pinned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "FOLDER", folder)
    (folder / "peer.txt").write_text("# nothing\n")
    made = environments.python("peer", folder / "cache")
    assert subprocess.check_output([made, "-c", "import sys; print(sys.prefix)"], text=True).startswith(
        str(folder)
    )
    (Path(made).parent / "kept").touch()
    assert environments.python("peer", folder / "cache") == made
    assert (Path(made).parent / "kept").exists()
    (folder / "peer.txt").write_text("# something else\n")
    assert environments.python("peer", folder / "cache") != made


def test_a_peer_that_cannot_be_installed_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "FOLDER", folder)
    (folder / "peer.txt").write_text("./no-such-package\n")
    with pytest.raises(ClickwardenError, match=r"(?s)peer cannot be installed: .*--peers names others"):
        environments.python("peer", folder / "cache")


def test_every_pin_is_exact() -> None:
    pins = [line for path in environments.FOLDER.glob("*.txt") for line in path.read_text().splitlines()]
    assert len(pins) > 50
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []


def test_docs_are_filled_with_the_newest_results(folder: Path) -> None:
    rows = [{"step": "decode", "µs a click": "0.50"}]
    page = folder / "performance.md"
    page.write_text(
        "before\n<!-- profile -->\nold\n<!-- /profile -->\nbetween\n<!-- latency -->\n<!-- /latency -->\n"
    )
    results.report(
        "profile", "a title", rows, [results.at_most("µs", 1, 0.5)], {"microseconds": {"decode": 0.5}}
    )
    docs.refresh(page)
    text = page.read_text()
    assert "| decode | 0.50 |\n" in text
    assert "| µs ≤ 1 | 0.5 | met |\n" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("between\n<!-- latency -->\n<!-- /latency -->\n")
    assert "decode" in (folder / "img" / "profile.svg").read_text()


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


def test_clicks_of_every_shape_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert records.measure(clicks=4000, runs=1)
    assert set(kept(folder)["figures"]["ratios"]) == records.SHAPES.keys()
    monkeypatch.setitem(records.SHAPES, "flat", records.Shape(lambda clicks: [{} for _ in clicks]))
    assert not records.measure(clicks=4000, runs=1)


def test_clicks_that_fulfil_conditions_are_all_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert conditions.measure(clicks=4000, turns=1)
    assert kept(folder)["figures"]["ratio"] > 0
    monkeypatch.setattr(conditions, "WHERE", {"status": "< 400"})
    assert not conditions.measure(clicks=4000, turns=1)


def test_scan_finds_what_the_log_holds(folder: Path) -> None:
    assert scan.measure(folder, lines=10_000, runs=1)
    path = folder / "0.log"  # combined
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
        process.said("first")


def test_throughput_is_what_is_measured_by_default() -> None:
    result = CliRunner().invoke(main, ["--clicks", "0"])
    assert result.exit_code == 2
    assert "throughput" in result.output


def test_a_peer_nobody_knows_is_named() -> None:
    result = CliRunner().invoke(main, ["throughput", "--peers", "storm"])
    assert result.exit_code == 2
    assert "storm: use usual, all, or names of clickwarden," in result.output
