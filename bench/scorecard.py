"""``scorecard``: which attacks the shipped rules find, how soon, and whom they alarm by mistake.

Nothing has to run. docs/scorecard.md is written anew, and held against the one that is committed: whoever
makes a score worse has to commit that.
"""

import math
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from bench import docs, trial
from bench.results import Goal, at_least, at_most, report
from bench.scores import HONEST, SCORES, Honest, Score, honest_row, score_row, scores_of, table, worse
from bench.trial import Label, Scale, Tally
from clickwarden.detection.rules import Rule
from clickwarden.detection.rulesfile import load
from clickwarden.sandbox.attacks import ATTACKS
from clickwarden.sandbox.crowd import OTHERS
from clickwarden.settings import Settings

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "scorecard.md"
RULES = ROOT / "rules.toml"
KINDS = ("shopper", *OTHERS)
#: Of these all are to be found.
BURSTS, EDGES = ("burst",), ("edge", "any minute")


def measure(scale: Scale, page: Path = PAGE, rules: Path = RULES) -> bool:
    """Whether no score is worse than on the committed page; writes the page anew.

    Args:
        scale: of what is made up.
        page: to be filled between its comments.
        rules: the file of them.
    """
    console = Console(stderr=True, highlight=False)
    before = _committed(page)
    shipped = load(rules)
    with Progress(
        *Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    ) as progress:
        # As shipped, whatever this machine's environment says.
        tally = trial.run(shipped, Settings.model_construct(), scale, progress)
    honest = [honest_of(tally, kind, rule, scale) for kind in KINDS for rule in shipped]
    scores = [score_of(tally, attack.name, rule, honest) for attack in ATTACKS for rule in shipped]
    goals = [
        at_least("bursts of more than 50 that are found, %", 100, _percent(tally, shipped, BURSTS)),
        at_least("more than 50 around an edge that are found, %", 100, _percent(tally, shipped, EDGES)),
        at_most(
            "incidents of shoppers in 24 hours", 0, sum(row.alarms for row in honest if row.who == KINDS[0])
        ),
    ]
    title = (
        f"{scale.each} attacks of each kind among {tally.clicks:,} clicks in {scale.hours} simulated hours, "
        f"seed {scale.seed}"
    )
    report(
        "scorecard",
        title,
        [dict(zip(SCORES, score_row(score), strict=True)) for score in scores if score.over or score.found],
        goals,
        {"scores": [score._asdict() for score in scores], "honest": [row._asdict() for row in honest]},
    )
    filled = {
        "attacks": _attacks(tally),
        "scores": f"{title}.\n\n" + table(SCORES, map(score_row, scores), 2),
        "honest": table(HONEST, map(honest_row, honest), 2),
        "unseen": _unseen(tally, shipped),
        "goals": _goals(goals),
    }
    now = docs.filled(page.read_text(), filled)
    page.write_text(now)
    faults = list(worse(before, now))
    if not scores_of(before):
        console.print(f"no {page.name} with scores is committed: nothing to hold it against", style="bold")
    for fault in faults:
        console.print(f"worse: {fault}", style="bold red")
    return not faults


def honest_of(tally: Tally, kind: str, rule: Rule, scale: Scale) -> Honest:
    """How a rule did on honest users of a kind."""
    alarmed = tally.honest(rule.name, kind)
    return Honest(
        kind,
        rule.name,
        sum(map(len, alarmed)) * 24 / scale.hours,
        len(alarmed),
        tally.busiest.get((rule.name, kind), 0),
        rule.threshold,
    )


def score_of(tally: Tally, attack: str, rule: Rule, honest: Sequence[Honest]) -> Score:
    """How a rule did on attacks of one kind."""
    labels = _of(tally, attack)
    told = [(label, tally.found(label, rule.name)) for label in labels]
    found = [(label, time) for label, time in told if time < math.inf]
    delays = [time - label.first for label, time in found]
    lags = [time - label.over[rule.name] for label, time in found if rule.name in label.over]
    false = sum(row.alarms for row in honest if (row.who, row.rule) == (KINDS[0], rule.name))
    over = sum(rule.name in label.over for label in labels)
    return Score(attack, rule.name, over, len(found), len(labels), *_summary(delays), *_summary(lags), false)


def _of(tally: Tally, attack: str) -> list[Label]:
    return [label for label in tally.labels if label.attack == attack]


def _summary(delays: list[float]) -> tuple[float | None, float | None]:
    return (statistics.median(delays), max(delays)) if delays else (None, None)


def _found(tally: Tally, shipped: Sequence[Rule], attack: str) -> tuple[int, int]:
    """Attacks of a kind that any rule told of, and all of them."""
    labels = _of(tally, attack)
    told = [any(tally.found(label, rule.name) < math.inf for rule in shipped) for label in labels]
    return sum(told), len(told)


def _percent(tally: Tally, shipped: Sequence[Rule], attacks: Sequence[str]) -> float:
    counts = [_found(tally, shipped, attack) for attack in attacks]
    return 100 * sum(found for found, _ in counts) / sum(of for _, of in counts)


def _attacks(tally: Tally) -> str:
    rows = []
    for attack in ATTACKS:
        most = [label.most for label in _of(tally, attack.name)]
        between = f"{min(most):,}–{max(most):,}" if min(most) < max(most) else f"{most[0]:,}"
        rows.append((attack.name, attack.owasp, attack.description, between))
    return table(("attack", "OWASP", "what is done", "clicks of one user in any 60 s"), rows, 3)


def _unseen(tally: Tally, shipped: Sequence[Rule]) -> str:
    counts = [(attack, *_found(tally, shipped, attack.name)) for attack in ATTACKS]
    rows = [(attack.name, f"{found} of {of}", attack.cure) for attack, found, of in counts if found < of]
    return table(("attack", "found by any rule", "what would see it"), rows, 3)


def _goals(goals: Sequence[Goal]) -> str:
    rows = [(goal.what, f"{goal.figure:,.3g}", "met" if goal.met else "**missed**") for goal in goals]
    return table(("goal", "figure", ""), rows, 1)


def _committed(page: Path) -> str:
    """The page as it is committed; empty where it is not."""
    command = ["git", "show", f"HEAD:./{page.name}"]
    return subprocess.run(command, cwd=page.parent, capture_output=True, text=True, check=False).stdout
