"""``faust -A app rules``: what is abnormal, looked at and changed."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import time
from typing import Any

import click
import msgspec
from faust.cli import argument, option
from rich.console import Console

from app.main import settings
from clickwarden.alerts.words import limit, plural, visible
from clickwarden.detection import rulesfile
from clickwarden.detection.adoption import Adoption
from clickwarden.detection.revision import Revision, revised
from clickwarden.detection.rulebook import name_of
from clickwarden.errors import SettingsError
from clickwarden.kafka.rulestopic import RulesTopic, change_of, written
from commands import reading, trial
from commands.changing import make, names, who
from commands.command import Action, group
from commands.shadowed import would_have_told
from commands.terminal import whole_table

console = Console(highlight=False, markup=False, soft_wrap=True)


rules = group(
    "rules",
    """Look at the rules in force, and change them while workers run.

    The rules are in Kafka, in the topic <app id>-rules, which begins with those
    of the first worker's CLICKWARDEN_RULES. From then on the topic decides:
    what is changed in the file is in force when it is put. Workers take a change
    up within 2 s, each rule with its next window.

    Exit code: 0 it was done; 1 it was not, and nothing is changed.
    """,
)

FILE = argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))
WHY = option("--why", default="", metavar="WORDS", help="Why, for the history.")
AS_JSON = option("--json", "as_json", is_flag=True, help="One JSON object a line.")


class ListRules(Action):
    """The rules in force, and where.

    Since which offset of each partition that is so; and of those in shadow, how
    many incidents they would have told of in the last 24 h.

    With --json each line is a rule: name, words, in_force, shadow,
    would_have_told, tests (how many), unreadable (why this release leaves it
    out, else empty), rule (as it was put), change (its number), and of each
    partition the change it is counted by (0: none that is known) and since
    which offset.
    """

    group, action = rules, "list"
    options = [AS_JSON]  # noqa: RUF012

    async def run(self, as_json: bool) -> None:
        """Read the topic, and print them."""
        topic = RulesTopic(settings)
        await topic.read()
        shadows = [rule.name for rule in topic.book.rules if rule.shadow]
        told = await would_have_told(settings, shadows) if shadows else {}
        if as_json or self.json:
            _write(_listed(topic, told))
        else:
            _list(topic, told)


class CheckRules(Action):
    """Read a file of rules, and run the tests that are in it.

    FILE left out is CLICKWARDEN_RULES. It needs no Kafka, and changes nothing.
    Exit code: 0 it is right; 1 a rule is wrong, or a test fails: with line,
    field and cure.
    """

    group, action = rules, "check"
    options = [FILE]  # noqa: RUF012

    async def run(self, file: Path | None) -> None:
        """Read it."""
        _check(file or settings.rules)


class PutRules(Action):
    """Put the rules of a file into force, in place of all others.

    FILE left out is CLICKWARDEN_RULES. It is checked as by 'rules check', and
    where a rule is wrong, or a test fails, all stays as it is.
    """

    group, action = rules, "put"
    options = [FILE, WHY]  # noqa: RUF012

    async def run(self, file: Path | None, why: str) -> None:
        """Check them, and make the change."""
        await _put(file or settings.rules, why)


class DisableRule(Action):
    """Put a rule out of force.

    It stays so until a file that has it is put, or the page enables it. What
    it has found is kept.
    """

    group, action = rules, "disable"
    options = [argument("name", required=False, metavar="NAME"), WHY]  # noqa: RUF012

    async def run(self, name: str | None, why: str) -> None:
        """Make the change."""
        await _disable(name, why)


class TryRules(Action):
    """The history through the rules of a file, beside those in force.

    The records of the clicks topic, or a log, are counted by both: who would
    have been reported and was not, who no longer, in how many messages. Nothing
    is put into force, and nothing changed in Kafka. FILE may be -, standard
    input.
    """

    group, action = rules, "try"
    options = [  # noqa: RUF012
        argument("file", required=False, metavar="FILE"),
        option("--since", metavar="SPAN", help="Only records of the last 90m, 12h, 7d, 2w."),
        option(
            "--file",
            "log",
            metavar="LOG",
            type=click.Path(path_type=Path),
            help="A log, NDJSON or a table in place of the topic, read as scan does; it needs no Kafka.",
        ),
        option(
            "--labels",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Which users are bots: one a line, or CSV with a header or NDJSON (user_id, label).",
        ),
        option("--json", "as_json", is_flag=True, help="One JSON object."),
        *reading.HOW,
    ]

    async def run(self, file: str | None, as_json: bool, **tried: Any) -> None:
        """Count, and print what came of it."""
        if file is None:
            raise SettingsError("try: say which file of rules; - is standard input")
        await trial.show(Path(file), as_json=as_json or self.json, **tried)


class RulesPast(Action):
    """Who has changed the rules and the allow-list, what, when and why.

    With --json each line is a change: number, when, who, what, why, in_force
    (names of rules), unreadable (why this release leaves a rule out, by name).
    """

    group, action = rules, "history"
    options = [AS_JSON]  # noqa: RUF012

    async def run(self, as_json: bool) -> None:
        """Read the topic, and print them."""
        topic = RulesTopic(settings)
        await topic.read()
        if as_json or self.json:
            _write(_changes(topic))
        else:
            _history(topic)


def _write(lines: Iterable[dict[str, object]]) -> None:
    sys.stdout.buffer.writelines(msgspec.json.encode(line) + b"\n" for line in lines)


def _check(file: Path) -> None:
    drafts = rulesfile.parse(rulesfile.read(file), str(file))
    tests = sum(len(draft.test) for draft in drafts)
    console.print(f"{file}: {plural(len(drafts), 'rule')}, {plural(tests, 'test')} passed")


async def _put(file: Path, why: str) -> None:
    drafts = rulesfile.parse(rulesfile.read(file), str(file))
    topic = RulesTopic(settings)
    await topic.read()
    book = topic.book
    if book.number and book.editions[-1].is_of(drafts):
        console.print(f"{file}: these rules are in force already, by change {book.number}")
        return
    change = change_of(book, written(drafts), what=f"put {file}", who=who(), why=why, now=time())
    await make(topic, change)


async def _disable(name: str | None, why: str) -> None:
    if name is None:
        raise SettingsError("disable: say which rule, by its name; 'faust -A app rules list' has them")
    topic = RulesTopic(settings)
    await topic.read()
    if not topic.book.editions:
        raise SettingsError(f"{name}: there are no rules yet; the first worker begins with its file's")
    new = revised(topic.book.editions[-1], name, Revision(enabled=False))
    change = change_of(topic.book, new.rules, new.disabled, what=new.what, who=who(), why=why, now=time())
    await make(topic, change)


def _list(topic: RulesTopic, told: dict[str, int]) -> None:
    if not topic.book.number:
        console.print(f"no rules yet: the first worker begins with those of {settings.rules}")
        return
    last = topic.book.editions[-1]
    in_shadow = {
        name: f"; in shadow: nobody is told, it would have told of {plural(count, 'incident')} in 24 h"
        for name, count in told.items()
    }
    table = whole_table("rule", "what it takes", "tests")
    for draft in last.drafts:
        off = draft.name in last.change.disabled
        words = "disabled" if off else limit(draft.rule) + in_shadow.get(draft.name, "")
        table.add_row(draft.name, words, f"{len(draft.test)}", style="dim" if off else None)
    for name, why in last.unreadable.items():
        table.add_row(visible(name), f"left out, for this release cannot read it: {visible(why)}", "")
    console.print(table)
    change = last.change
    console.print(
        f"by change {change.number} of {change.when}: {visible(change.what)}, {visible(change.who)}"
    )
    for partition, adoption in topic.adoptions.last.items():
        since = "rules that this release cannot read: ask a newer one"
        if adoption is not None:
            number, offset = _adopted(topic, partition, adoption)
            which = f"change {number}" if number else "rules of no change"
            since = f"{which} from offset {offset:,} on"
        console.print(f"partition {partition}: {since}")


def _listed(topic: RulesTopic, told: dict[str, int]) -> Iterator[dict[str, object]]:
    """The rules as a program reads them."""
    if not topic.book.number:
        return
    last = topic.book.editions[-1]
    partitions = {
        partition: dict(zip(("change", "offset"), _adopted(topic, partition, adoption), strict=True))
        for partition, adoption in topic.adoptions.last.items()
        if adoption is not None
    }
    drafts = {draft.name: draft for draft in last.drafts}
    for raw in last.change.rules:
        name = name_of(raw)
        draft = drafts.get(name)
        yield {
            "name": name,
            "words": limit(draft.rule) if draft else "",
            "in_force": draft is not None and name not in last.change.disabled,
            "shadow": draft is not None and draft.shadow,
            "would_have_told": told.get(name),
            "tests": len(draft.test) if draft else None,
            "unreadable": last.unreadable.get(name, ""),
            "rule": raw,
            "change": last.change.number,
            "partitions": partitions,
        }


def _adopted(topic: RulesTopic, partition: int, adoption: Adoption) -> tuple[int, int]:
    """The change that a partition is counted by, 0 where it is none that is known, and since which offset."""
    offset, made_by = topic.adoptions.last_lists[partition]
    return topic.book.numbered(adoption.rules, made_by), max(offset, adoption.offset)


def _changes(topic: RulesTopic) -> Iterator[dict[str, object]]:
    for edition in topic.book.editions:
        change = edition.change
        yield {
            "number": change.number,
            "when": change.when,
            "who": change.who,
            "what": change.what,
            "why": change.why,
            "in_force": [rule.name for rule in edition.rules],
            "unreadable": edition.unreadable,
        }


def _history(topic: RulesTopic) -> None:
    table = whole_table("change", "when", "who", "what", "why", "in force")
    for edition in topic.book.editions:
        change = edition.change
        told = (change.who, change.what, change.why, names(edition))
        table.add_row(f"{change.number}", change.when, *map(visible, told))
    console.print(table)
