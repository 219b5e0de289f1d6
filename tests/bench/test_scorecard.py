"""The scorecard, small: attacks are what they say, what is found stands on the page, worse is called so."""

import math
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.progress import Progress

from bench import results, scorecard, trial
from bench.__main__ import main
from bench.scores import honest_of, scores_of, worse
from bench.trial import Scale, Tally
from clickwarden.detection import rulesfile
from clickwarden.detection.rules import Rule
from clickwarden.sandbox.attacks import ATTACKS
from clickwarden.settings import Settings

SMALL = Scale(hours=1, rate=200_000, each=12)
SHIPPED = rulesfile.load(scorecard.RULES)
PAGE = scorecard.PAGE.read_text()


@pytest.fixture(scope="module")
def tally() -> Tally:
    return tried(SHIPPED, SMALL)


def tried(shipped: tuple[Rule, ...], scale: Scale) -> Tally:
    with Progress(disable=True) as progress:
        return trial.run(shipped, Settings.model_construct(), scale, progress)


def found(tally: Tally, attack: str, rule: str) -> int:
    return scorecard.score_of(tally, attack, named(rule), []).found


def named(name: str) -> Rule:
    (rule,) = (rule for rule in SHIPPED if rule.name == name)
    return rule


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page in a repository of its own, committed as it is here."""
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    page = tmp_path / "scorecard.md"
    page.write_text(re.sub(r"^(<!-- (\w+) -->\n).*?(^<!-- /\2 -->)$", r"\1\3", PAGE, flags=re.M | re.S))
    commit(page, "init", "--quiet")
    return page


def commit(page: Path, *first: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    for command in (first, ("add", page.name), (*identity, "commit", "--quiet", "--message", "Measure")):
        if command:
            subprocess.run(["git", *command], cwd=page.parent, check=True)


def test_what_is_wholly_found_on_the_page_is_found_here(tally: Tally) -> None:
    sure = [score for score in scores_of(PAGE).values() if score.of and score.found == score.of]
    assert {"burst", "stuffing", "scraper", "drip", "fast clock"} <= {score.attack for score in sure}
    missed = [score[:2] for score in sure if found(tally, score.attack, score.rule) < SMALL.each]
    assert missed == []


def test_a_burst_is_found_at_the_click_that_is_one_too_many(tally: Tally) -> None:
    for label in tally.labels:
        if label.attack == "burst":
            assert tally.found(label, "bot") - label.over["bot"] == pytest.approx(0, abs=0.2)


def test_alarms_come_while_the_attack_lasts(tally: Tally) -> None:
    told = [(label, tally.found(label, rule.name)) for label in tally.labels for rule in SHIPPED]
    found = [(label, time) for label, time in told if time < math.inf]
    assert found
    assert [label for label, time in found if not label.first < time <= label.last] == []


def test_no_shopper_is_alarmed_and_the_page_says_so(tally: Tally) -> None:
    assert [tally.honest(rule.name, "shopper") for rule in SHIPPED] == [[]] * len(SHIPPED)
    assert [honest_of(PAGE)["shopper", rule.name].alarms for rule in SHIPPED] == [0] * len(SHIPPED)


def test_a_partner_who_reads_too_much_is_alarmed_of_once(tally: Tally) -> None:
    (alarms,) = tally.honest("slow-scraper", "partner")
    assert len(alarms) == 1
    assert tally.busiest["slow-scraper", "partner"] == 300


def test_the_page_has_a_row_for_each_rule_and_attack() -> None:
    assert list(scores_of(PAGE)) == [(attack.name, rule.name) for attack in ATTACKS for rule in SHIPPED]
    assert list(honest_of(PAGE)) == [(kind, rule.name) for kind in scorecard.KINDS for rule in SHIPPED]


@pytest.mark.parametrize("attack", ["trickle", "rotation", "one account", "slow stuffing", "cart holder"])
def test_what_keeps_below_every_rule_is_said_to_be_unseen(attack: str, tally: Tally) -> None:
    assert [label.over for label in tally.labels if label.attack == attack] == [{}] * SMALL.each
    assert [found(tally, attack, rule.name) for rule in SHIPPED] == [0] * len(SHIPPED)
    _, _, unseen = PAGE.partition("<!-- unseen -->")
    assert f"| {attack} | 0 of " in unseen


@pytest.mark.parametrize(
    ("attack", "rule"),
    [
        ("trickle", Rule(name="hours", window=3600, threshold=250, events=("view",))),
        ("slow stuffing", Rule(name="hours", window=3600, threshold=100, events=("login_failed",))),
        ("cart holder", Rule(name="carts", window=600, threshold=25, events=("add_to_cart",))),
    ],
)
def test_a_rule_as_the_page_advises_sees_it(attack: str, rule: Rule) -> None:
    advised = tried((rule,), SMALL)
    assert scorecard.score_of(advised, attack, rule, []).found == SMALL.each


def test_labels_say_the_most_clicks_in_any_minute(tally: Tally) -> None:
    most = {
        attack.name: [label.most for label in tally.labels if label.attack == attack.name]
        for attack in ATTACKS
    }
    assert set(most["drip"]) == {50}
    assert set(most["trickle"]) == set(most["rotation"]) == {20}
    assert set(most["cart holder"]) == {30}
    assert all(50 < clicks <= 100 for clicks in most["edge"])
    assert all(50 < clicks <= 60 for clicks in most["any minute"])


def test_attacks_are_over_a_limit_only_where_they_say_so(tally: Tally) -> None:
    over = {
        attack.name: {rule for label in tally.labels if label.attack == attack.name for rule in label.over}
        for attack in ATTACKS
    }
    assert over["edge"] == over["any minute"] == {"bot"}
    assert over["stuffing edge"] == {"credential-stuffing"}
    assert over["scraper edge"] == over["scraper"] == over["drip"] == {"slow-scraper"}
    assert {"bot"} <= over["burst"]


def test_a_worse_rule_fails_and_the_same_one_does_not(page: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scale = SMALL._replace(rate=6_000, each=2)
    assert scorecard.measure(scale, page)
    assert "nothing to hold it against" in capfd.readouterr().err
    commit(page)
    assert scorecard.measure(scale, page)
    assert "worse" not in capfd.readouterr().err
    weak = page.with_name("weak.toml")
    weak.write_text(scorecard.RULES.read_text().replace("threshold = 200", "threshold = 600"))
    assert not scorecard.measure(scale, page, weak)
    assert re.search(r"worse: drip under slow-scraper: found 0 of 2,\s+were 2 of 2", capfd.readouterr().err)
    assert scores_of(page.read_text())["drip", "slow-scraper"].found == 0
    # What is worse is written, and is no better when it is measured again.
    assert not scorecard.measure(scale, page, weak)


def test_what_is_worse_is_said() -> None:
    assert list(worse(PAGE, PAGE)) == []
    assert list(worse("", PAGE)) == []
    burst = next(line for line in PAGE.splitlines() if line.startswith("| burst | bot |"))
    cells = burst.split(" | ")
    later = PAGE.replace(burst, " | ".join([*cells[:4], f"{float(cells[4]) + 1:.1f}", *cells[5:]]))
    assert next(worse(PAGE, later)).startswith("burst under bot: median ")
    assert list(worse(later, PAGE)) == []
    assert list(worse(PAGE, PAGE.replace(f"{burst}\n", ""))) == ["burst under bot: measured no more"]
    loud = PAGE.replace("| shopper | bot | 0 |", "| shopper | bot | 2 |")
    assert list(worse(PAGE, loud)) == ["shopper under bot: 2 incidents a day, were 0"]


def test_the_command_explains_itself() -> None:
    said = CliRunner().invoke(main, ["scorecard", "--help"])
    assert "Exit code 1: a score is worse" in said.output
