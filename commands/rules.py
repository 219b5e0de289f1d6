"""``faust -A app rules``: what is abnormal, looked at and changed."""

from pathlib import Path
from time import time
from typing import Any

import click
from faust.cli import argument, option
from rich.console import Console

from app.main import settings
from clickwarden.alerts.words import limit, plural, visible
from clickwarden.detection import rulesfile
from clickwarden.detection.adoption import Adoption
from clickwarden.detection.revision import Revision, revised
from clickwarden.errors import SettingsError
from clickwarden.kafka.rulestopic import RulesTopic, change_of, written
from commands import reading, trial
from commands.changing import make, names, who
from commands.command import AsyncCommand
from commands.shadowed import would_have_told
from commands.terminal import whole_table

console = Console(highlight=False, markup=False, soft_wrap=True)


class Rules(AsyncCommand):
    """Look at the rules in force, and change them while workers run.

    list: the rules in force, and since which offset of each partition; and what those in shadow would have
    told.

    check [FILE]: read a file of rules (left out: CLICKWARDEN_RULES) and run its tests.

    put [FILE]: the same, and put them into force in place of all others.

    disable NAME: put a rule out of force, until a file that has it is put, or the page enables it.

    try FILE: the history of the clicks topic, or a log, through the rules of FILE beside those in force:
    who would have been reported and was not, who no longer, how many messages. Nothing is put into
    force, and nothing changed in Kafka. FILE may be -, standard input.

    history: who has changed what, when and why.

    The rules are in Kafka, in the topic <app id>-rules, which begins with those
    of the first worker's CLICKWARDEN_RULES. From then on the topic decides:
    what is changed in the file is in force when it is put. Workers take a change up
    within 2 s, each rule with its next window.

    Exit code: 0 it was done; 1 it was not, and nothing is changed.
    """

    options = [  # noqa: RUF012
        argument("action", type=click.Choice(["list", "check", "put", "disable", "try", "history"])),
        argument("what", required=False, metavar="[FILE|NAME]"),
        option("--why", default="", metavar="WORDS", help="Why, for the history."),
        option("--since", metavar="SPAN", help="try: only records of the last 90m, 12h, 7d, 2w."),
        option(
            "--file",
            "log",
            metavar="LOG",
            type=click.Path(path_type=Path),
            help="try: a log, NDJSON or a table in place of the topic, read as scan does; it needs no Kafka.",
        ),
        option(
            "--labels",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="try: which users are bots: one a line, or CSV with a header or NDJSON (user_id, label).",
        ),
        option("--json", "as_json", is_flag=True, help="try: print one JSON object."),
        *reading.HOW,
    ]

    async def run(self, action: str, what: str | None, why: str, **tried: Any) -> None:
        """Do what is asked for."""
        if action == "try":
            if what is None:
                raise SettingsError("try: say which file of rules; - is standard input")
            await trial.show(Path(what), **tried)
        elif action == "check":
            _check(Path(what) if what else settings.rules)
        elif action == "put":
            await _put(Path(what) if what else settings.rules, why)
        elif action == "disable":
            await _disable(what, why)
        else:
            topic = RulesTopic(settings)
            await topic.read()
            if action == "list":
                await _list(topic)
            else:
                _history(topic)


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


async def _list(topic: RulesTopic) -> None:
    if not topic.book.number:
        console.print(f"no rules yet: the first worker begins with those of {settings.rules}")
        return
    last = topic.book.editions[-1]
    shadows = [rule.name for rule in topic.book.rules if rule.shadow]
    told = await would_have_told(settings, shadows) if shadows else {}
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
    lists = topic.adoptions.last_lists
    for partition, adoption in topic.adoptions.last.items():
        console.print(f"partition {partition}: {_since(topic, adoption, lists[partition])}")


def _since(topic: RulesTopic, adoption: Adoption | None, allow_list: tuple[int, int]) -> str:
    if adoption is None:
        return "rules that this release cannot read: ask a newer one"
    offset, made_by = allow_list
    number = topic.book.numbered(adoption.rules, made_by)
    which = f"change {number}" if number else "rules of no change"
    return f"{which} from offset {max(offset, adoption.offset):,} on"


def _history(topic: RulesTopic) -> None:
    table = whole_table("change", "when", "who", "what", "why", "in force")
    for edition in topic.book.editions:
        change = edition.change
        told = (change.who, change.what, change.why, names(edition))
        table.add_row(f"{change.number}", change.when, *map(visible, told))
    console.print(table)
