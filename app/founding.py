"""What an empty rules topic begins with: the file of rules."""

import logging
from time import time

from clickwarden.detection import rulesfile
from clickwarden.detection.rules import Rule, by_name
from clickwarden.errors import RulesChanged, SettingsError
from clickwarden.kafka.rulestopic import RulesTopic, change_of, written
from clickwarden.settings import Settings

log = logging.getLogger(__name__)


class Founding:
    """Has a worker begin with the rules of the topic, and an empty topic with those of the file."""

    def __init__(self, settings: Settings, topic: RulesTopic) -> None:
        self._settings = settings
        self._topic = topic
        self._known: tuple[tuple[int, int, int], tuple[Rule, ...]] | None = None

    async def begin(self) -> None:
        """Read the topic to its end, before anything is counted.

        Raises:
            SettingsError: it is empty, and the file is wrong.
            BrokerError, AccessError: it cannot be read, or not be written.
        """
        await self._topic.read()
        if not self._topic.book.number:
            await self._found()

    async def _found(self) -> None:
        settings, file = self._settings, str(self._settings.rules)
        drafts = rulesfile.parse(rulesfile.read(settings.rules), file)
        first = change_of(
            self._topic.book,
            written(drafts),
            what=f"begin with {file}",
            who=f"worker {settings.member}",
            why="the topic was empty",
            now=time(),
        )
        try:
            await self._topic.write(first)
        except RulesChanged:
            log.info("another worker was first to begin with its rules")

    @property
    def warnings(self) -> list[str]:
        """That the file is not what is in force, in words, as both are now."""
        settings, book = self._settings, self._topic.book
        if not book.number:
            return []
        try:
            same = by_name(self._in_file()) == by_name(book.rules)
        except SettingsError as error:
            return [f"{error} (not needed: the rules are in {settings.rules_topic})"]
        if same:
            return []
        # Those of the allow-list leave the rules as they are.
        changes = (edition.change for edition in reversed(book.editions))
        last = next(change for change in changes if not change.allow and not change.disallow)
        return [
            f"{settings.rules} is not what is in force: the rules are those in topic "
            f"{settings.rules_topic}, changed last by {last.who} ({last.what}); "
            f"'faust -A app rules put {settings.rules}' puts the file into force"
        ]

    def _in_file(self) -> tuple[Rule, ...]:
        """The rules of the file, which is read again when it is another."""
        try:
            found = self._settings.rules.stat()
        except OSError:
            return rulesfile.load(self._settings.rules)  # says what is wrong
        state = found.st_ino, found.st_size, found.st_mtime_ns
        if self._known is None or self._known[0] != state:
            self._known = state, rulesfile.load(self._settings.rules)
        return self._known[1]
