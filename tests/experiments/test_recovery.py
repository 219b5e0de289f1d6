"""The recovery experiment: what it reads off a time line, and what it prints and draws of it."""

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from experiments.recovery import RATE, Course, Position, Sample, draw, show

VERDICT = {
    "produced": 12_345,
    "excused": 7,
    "repeats": 1,
    "missing": 0,
    "invented": 0,
    "conflicting": 2,
    "interval_misses": 0,
}


@pytest.fixture
def course() -> Course:
    """Down at 10 s with 1,000 clicks counted, up at 12 s, counts again at 15 s, close at 16 s."""
    samples = [
        Sample(9.0, 1000, 990),
        Sample(10.0, 1100, 1000),
        Sample(11.0, 2000, None),
        Sample(13.0, 3000, None),
        Sample(14.0, 4000, 900),
        Sample(15.0, 5000, 1001),
        Sample(16.0, 6000, int(6000 - RATE)),
        Sample(17.0, 7000, 7000),
    ]
    return Course(
        "worker killed", samples, 10.0, 12.0, [Position(0, 1000, 950, 900)], (10_000, 9_976, 10_000), VERDICT
    )


def test_counting_again_means_clicks_not_counted_before(course: Course) -> None:
    assert course.counting_again() == 3.0


def test_caught_up_is_close_to_the_producer_after_the_disaster(course: Course) -> None:
    assert course.caught_up() == 4.0
    course.samples = course.samples[:-2]
    assert math.isnan(course.caught_up())


def test_tables_show_the_figures_and_the_positions(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    show([course], Console(width=100))
    rows = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if "│" in line}
    assert "2.0 s" in rows["away"]
    assert "10,000 (9,976–10,000)" in rows["attacker: reported"]
    assert " 7 " in rows["late by wall clock"]
    assert " 2 " in rows["conflicting"]
    assert " 0 " in rows["missing"]
    assert "950" in rows["0"]


def test_a_missing_anomaly_is_said(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    course.reported = None
    show([course], Console(width=100))
    assert "nothing" in capsys.readouterr().out


def test_the_image_is_the_same_each_time(course: Course, tmp_path: Path) -> None:
    draw([course], tmp_path / "one.svg")
    draw([course], tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert ElementTree.parse(tmp_path / "one.svg").getroot().tag.endswith("svg")


def test_what_was_counted_while_kafka_went_down_is_no_sign_of_life(course: Course) -> None:
    course.samples.insert(2, Sample(10.5, 1100, 1050))
    assert course.counting_again() == 4.0
