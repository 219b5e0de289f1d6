"""``faust -A app rules try FILE``: the history through a draft of rules, beside those in force."""

import asyncio
import os
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from app.main import settings
from clickwarden.audit import labels as labelled
from clickwarden.audit.comparison import compare
from clickwarden.detection import rulesfile, ruletest
from clickwarden.detection.rules import Rule
from clickwarden.errors import SettingsError
from clickwarden.sources.files import STDIN
from commands import reading
from commands.terminal import RateColumn, show_comparison
from commands.tried import Tried

#: A worker on the same machine goes first.
NICENESS = 10
#: What a span of time is written in, seconds.
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


class Draft(NamedTuple):
    """What is tried.

    Attributes:
        name: of its file, for people.
        rules: in it.
    """

    name: str
    rules: tuple[Rule, ...]


async def show(
    file: Path, since: str | None, log: Path | None, labels: Path | None, as_json: bool, **how: object
) -> None:
    """Try a file of rules, and print what it would have changed."""
    began = time.monotonic()
    os.nice(NICENESS)
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    draft = _draft(file)
    moment = None if since is None else time.time() - _seconds(since)
    if log is not None and since is not None:
        raise SettingsError("--since goes with the topic; a file is read whole: leave it out")
    known = None if labels is None else labelled.read(labels, settings.field_user_id.split("|"))
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tried = Tried(settings, draft.rules, known, progress)
        try:
            if log is None:
                about = await tried.topic(moment)
            else:
                about = await tried.files(log, *reading.reading_of(settings, **how))  # type: ignore[arg-type]
        except asyncio.CancelledError:
            console.print(f"stopped: {tried.progressed}; nothing was changed")
            raise
    about.took = time.monotonic() - began
    found = compare(tried.sides, tried.rules, draft.rules, known, about)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    else:
        show_comparison(found, draft.name, Console(highlight=False, markup=False))


class _Rules(msgspec.Struct, forbid_unknown_fields=True):
    """Rules as JSON, each as it stands in a change."""

    rule: list[ruletest.Draft]


def _draft(file: Path) -> Draft:
    """The rules of a file, which pass their tests; from standard input also as JSON, as programs have them.

    Raises:
        SettingsError: they cannot be rules, or a test fails.
    """
    if file != STDIN:
        return Draft(str(file), _rules(rulesfile.parse(rulesfile.read(file), str(file))))
    content, name = sys.stdin.buffer.read(rulesfile.MOST_BYTES + 1), "standard input"
    if len(content) > rulesfile.MOST_BYTES:
        raise SettingsError(f"{name}: rules have at most {rulesfile.MOST_BYTES:,} bytes; is it another file?")
    if not content.lstrip().startswith(b"{"):
        return Draft(name, _rules(rulesfile.parse(content, name)))
    try:
        drafts = msgspec.json.decode(content, type=_Rules).rule
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise SettingsError(f"{name}: {error}; rules as JSON are an object with a list, rule") from None
    if not drafts or len({draft.name for draft in drafts}) < len(drafts):
        raise SettingsError(f"{name}: holds no rule, or two of one name; give each a name of its own")
    for draft in drafts:
        for _, fault in draft.faults():
            raise SettingsError(
                f"{name}: rule {draft.name!r}: {fault}; mend the rule, or what the test expects"
            )
    return Draft(name, _rules(drafts))


def _rules(drafts: Iterable[ruletest.Draft]) -> tuple[Rule, ...]:
    return tuple(draft.rule for draft in drafts)


def _seconds(span: str) -> float:
    found = re.fullmatch(r"([0-9]{1,6})([smhdw])", span)
    if found is None:
        raise SettingsError(f"--since {span}: is no span of time; write 90m, 12h, 7d or 2w")
    return float(found[1]) * UNITS[found[2]]
