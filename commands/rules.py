"""``faust -A app rules``: what is abnormal, looked at and changed."""

from pathlib import Path

import click
from faust.cli import argument
from rich.console import Console

from app.main import settings
from clickwarden.alerts.words import plural
from clickwarden.detection import rulesfile
from commands.command import AsyncCommand


class Rules(AsyncCommand):
    """Check rules before they are put into force.

    check FILE: reads a file of rules (left out: CLICKWARDEN_RULES) and runs the
    tests in it. Nothing need be running.

    Exit code: 0 the rules are right; 1 they are not.
    """

    options = [  # noqa: RUF012
        argument("action", type=click.Choice(["check"])),
        argument("what", required=False, metavar="[FILE]"),
    ]

    async def run(self, action: str, what: str | None) -> None:
        """Do what is asked for."""
        file = Path(what) if what else settings.rules
        drafts = rulesfile.parse(rulesfile.read(file), str(file))
        tests = sum(len(draft.test) for draft in drafts)
        Console(highlight=False, markup=False, soft_wrap=True).print(
            f"{file}: {plural(len(drafts), 'rule')}, {plural(tests, 'test')} passed"
        )
