"""The rows of docs/scorecard.md: written, read again, and held against each other."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

#: Delays this much longer are the same, seconds: the page has them to a tenth.
ALIKE = 0.15


class Score(NamedTuple):
    """How one rule did on one kind of attack. Delays are of event time, seconds; None where none was found.

    Attributes:
        attack, rule: their names.
        over: attacks with more clicks of one user than the rule allows, in a window that begins anywhere.
        found: attacks it told of.
        of: attacks there were.
        median, worst: from the first click to the alarm.
        lag, lag_worst: the same from the click that was one too many, wherever its window begins.
        false: incidents a day of honest shoppers under this rule.
    """

    attack: str
    rule: str
    over: int
    found: int
    of: int
    median: float | None
    worst: float | None
    lag: float | None
    lag_worst: float | None
    false: float


class Honest(NamedTuple):
    """How one rule did on honest users of one kind.

    Attributes:
        who, rule: their names.
        alarms: incidents of theirs that were told of, a day.
        users: who were told of.
        busiest: most clicks in one window, if at least half of what the rule allows; else 0.
        threshold: the rule's.
    """

    who: str
    rule: str
    alarms: float
    users: int
    busiest: int
    threshold: int


SCORES = (
    "attack",
    "rule",
    "over its limit",
    "found",
    "from first click, median s",
    "from first click, worst s",
    "from one too many, median s",
    "from one too many, worst s",
    "incidents a day of shoppers",
)
HONEST = ("who", "rule", "incidents a day", "users", "busiest window", "limit")


def score_row(score: Score) -> tuple[str, ...]:
    """As it stands on the page."""
    delays = (score.median, score.worst, score.lag, score.lag_worst)
    return (
        score.attack,
        score.rule,
        str(score.over),
        f"{score.found} of {score.of}",
        *("" if delay is None else f"{delay:.1f}" for delay in delays),
        f"{score.false:g}",
    )


def honest_row(honest: Honest) -> tuple[str, ...]:
    """As it stands on the page."""
    busiest = str(honest.busiest) if honest.busiest else f"below {honest.threshold // 2}"
    return (
        honest.who,
        honest.rule,
        f"{honest.alarms:g}",
        str(honest.users),
        busiest,
        str(honest.threshold),
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """Markdown; the first ``left`` columns are text."""
    rules = ["---"] * left + ["--:"] * (len(headings) - left)
    lines = [f"| {' | '.join(row)} |" for row in (headings, *rows)]
    return "\n".join([lines[0], f"|{'|'.join(rules)}|", *lines[1:]]) + "\n"


def scores_of(page: str) -> dict[tuple[str, str], Score]:
    """The scores on a page, by attack and rule."""
    found = {}
    for attack, rule, over, share, *delays, false in _rows(page, "scores"):
        hit, of = map(int, share.split(" of "))
        median, worst, lag, lag_worst = (float(delay) if delay else None for delay in delays)
        found[attack, rule] = Score(
            attack, rule, int(over), hit, of, median, worst, lag, lag_worst, float(false)
        )
    return found


def honest_of(page: str) -> dict[tuple[str, str], Honest]:
    """The honest users on a page, by kind and rule."""
    found = {}
    for who, rule, alarms, users, busiest, limit in _rows(page, "honest"):
        most = int(busiest) if busiest.isdecimal() else 0
        found[who, rule] = Honest(who, rule, float(alarms), int(users), most, int(limit))
    return found


def _rows(page: str, name: str) -> Iterator[list[str]]:
    """Cells of the table between the comments of this name, without its head."""
    part = re.search(rf"^<!-- {name} -->$(.*?)^<!-- /{name} -->$", page, re.MULTILINE | re.DOTALL)
    lines = [line for line in part[1].splitlines() if line.startswith("|")] if part else []
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def worse(before: str, now: str) -> Iterator[str]:
    """What is worse on one page than on another, in words."""
    after = scores_of(now)
    for case, old in scores_of(before).items():
        what = f"{old.attack} under {old.rule}"
        new = after.get(case)
        if new is None:
            yield f"{what}: measured no more"
        elif new.found * old.of < old.found * new.of:
            yield f"{what}: found {new.found} of {new.of}, were {old.found} of {old.of}"
        elif new.found * old.of == old.found * new.of:
            # Who finds more finds the harder ones too, and those later.
            for name, late, early in (
                ("median", new.median, old.median),
                ("worst", new.worst, old.worst),
                ("median from one too many", new.lag, old.lag),
                ("worst from one too many", new.lag_worst, old.lag_worst),
            ):
                if late is not None and early is not None and late > early + ALIKE:
                    yield f"{what}: {name} {late:.1f} s, was {early:.1f} s"
    alarmed = honest_of(now)
    for case, past in honest_of(before).items():
        new_honest = alarmed.get(case)
        if new_honest is not None and new_honest.alarms > past.alarms:
            yield f"{past.who} under {past.rule}: {new_honest.alarms:g} incidents a day, were {past.alarms:g}"
