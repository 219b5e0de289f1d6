"""``faust -A app inspect TOPIC|FILE|-``: what somebody's records are, and the settings that read them."""

import asyncio
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec
from dotenv import dotenv_values, set_key, unset_key
from faust.cli import argument, option
from rich.console import Console

from app.main import app, settings
from clickwarden.alerts import surveying
from clickwarden.alerts.survey import OWN, SURVEYED, Survey
from clickwarden.alerts.words import plural
from clickwarden.errors import BrokerError, SettingsError
from clickwarden.formats.choice import bare_decoder_of
from clickwarden.formats.prefixes import peeled
from clickwarden.formats.recognition import Reading, recognised
from clickwarden.settings import PREFIX
from clickwarden.sources.files import STDIN, beginning, found
from commands.command import BLIND, AsyncCommand
from commands.scanned import Whole
from commands.terminal import show_survey

TOPIC = f"{PREFIX}CLICKS_TOPIC"


class Inspect(AsyncCommand):
    """Say what the records of a topic, or the lines of a file, are, and which settings read them.

    Nothing need be set but where Kafka is. The newest thousand records of the
    topic SOURCE are looked at, or the first thousand lines of the file SOURCE,
    or of the first file in the folder SOURCE; - is standard input. A file of
    that name goes before a topic.

    Told are what the records come in, their key, time stamps and order; which
    field is probably the user, the time, the event and the product, and how
    sure that is; three clicks as they would be counted; what would be rejected,
    and why; how many clicks each rule would see; what is wrong with the topic;
    and the settings. It changes nothing in Kafka, and joins no group.

    Exit code: 0 clicks can be read; 3 none can, or there are none.
    """

    options = [  # noqa: RUF012
        argument("source", required=True),
        option("--json", "as_json", is_flag=True, help="All of it as one JSON object."),
        option(
            "--write",
            "env",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write the settings to this file, such as .env, whose other lines stay as they are.",
        ),
    ]

    async def run(self, source: str, as_json: bool, env: Path | None) -> None:
        """Print it; exit with its code."""
        path = Path(source)
        if await asyncio.to_thread(path.is_dir):
            path = (await asyncio.to_thread(found, [path]))[0]
        if path == STDIN or await asyncio.to_thread(path.is_file):
            survey = survey_of_file(path)
        elif re.fullmatch(r"[A-Za-z0-9._-]{1,200}", source):
            there = settings.model_copy(update={"clicks_topic": source})
            try:
                survey = await surveying.of_topic(there, app.rules)
            except BrokerError as error:
                raise BrokerError(f"{error}; and there is no file {source}") from None
            if survey.settings and source != settings.clicks_topic:
                survey.settings = {TOPIC: source} | survey.settings
        else:
            raise SettingsError(f"{source}: no such file, and no topic can be called so")
        if as_json:
            sys.stdout.buffer.write(msgspec.json.encode(survey) + b"\n")
        else:
            show_survey(survey, Console(highlight=False))
        if env is not None:
            _write(env, survey)
        sys.exit(0 if survey.clicks else BLIND)


def survey_of_file(path: Path) -> Survey:
    """What the first lines of a file are.

    Raises:
        ClickwardenError: it cannot be read.
    """
    head = beginning(path, SURVEYED, settings)
    lines = head.split(b"\n")
    if not head.strip():
        return Survey(f"{path}", 0, warnings=[f"{path} is empty"])
    known = recognised(head, Reading(), bare_decoder_of(settings), settings.field_names)
    source = f"{path}: the first {plural(sum(map(bool, lines)), 'line')}"
    bare = peeled(lines)[0]
    survey = surveying.of_file(source, bare, time.time(), app.rules, settings)
    if not isinstance(known, str) and known.is_log and not _has_users(survey):
        with tempfile.TemporaryFile() as store:
            scanned = Whole(app.rules, settings, store)
            block = Reading().sieve()(known.parse(head, 1))
            scanned.take(block)
            log = surveying.of_log(source, known, block, app.rules, list(scanned.warnings()))
        if bare == lines and _places(survey)[:1] == _places(log)[:1]:  # they may also be a topic's records
            log.settings = survey.settings
            log.facts["in a topic"] = "the settings below read such records; scan and replay need none"
        return log
    if isinstance(known, str) and not survey.forms:
        survey.warnings = [f"{path} {known}"]
    return survey


def _places(survey: Survey) -> list[str]:
    """Where the fields of a click stand, the user first."""
    return [field.setting for field in survey.fields]


def _has_users(survey: Survey) -> bool:
    """Whether what a log also is names somebody, and not an address alone."""
    return any(field.name == "user_id" and field.confidence == "sure" for field in survey.fields)


def _write(env: Path, survey: Survey) -> None:
    """Write the settings to a file, and take those of ours away that would read the records otherwise.

    Raises:
        SettingsError: the file cannot be written.
    """
    console = Console(stderr=True, highlight=False)
    if not survey.settings:
        why = ": scan and replay read it as it is" if survey.clicks else ""
        console.print(f"{env} stays as it is: there is nothing to set{why}", markup=False, soft_wrap=True)
        return
    try:
        known = dotenv_values(env)
        for name in known.keys() & set(OWN) - survey.settings.keys():
            unset_key(env, name)
        for name, value in survey.settings.items():
            set_key(env, name, value, quote_mode="auto", follow_symlinks=True)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--write {env}: {error}") from None
    console.print(f"{len(survey.settings)} settings written to {env}", markup=False, soft_wrap=True)
    for name, value in survey.settings.items():
        if os.environ.get(name, value) != value:
            console.print(
                f"warning: {name} is set in the environment, which goes before {env}: unset it",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )
