"""What an empty rules topic begins with: the file of rules."""

import logging
from time import time

from clickwarden.detection import rulesfile
from clickwarden.detection.rules import by_name
from clickwarden.errors import RulesChanged, SettingsError
from clickwarden.kafka.rulestopic import RulesTopic, change_of, written
from clickwarden.settings import Settings

log = logging.getLogger(__name__)


class Founding:
    """Has a worker begin with the rules of the topic, and an empty topic with those of the file.

    Attributes:
        warnings: that the file is not what is in force, in words.
    """

    def __init__(self, settings: Settings, topic: RulesTopic) -> None:
        self.warnings: dict[str, str] = {}
        self._settings = settings
        self._topic = topic

    async def begin(self) -> None:
        """Read the topic to its end, before anything is counted.

        Raises:
            SettingsError: it is empty, and the file is wrong.
            BrokerError, AccessError: it cannot be read, or not be written.
        """
        await self._topic.read()
        if not self._topic.book.number:
            await self._found()
        self._compare()

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

    def _compare(self) -> None:
        """Notice where the file is not what is in force."""
        settings, book = self._settings, self._topic.book
        last = book.editions[-1].change
        try:
            same = by_name(rulesfile.load(settings.rules)) == by_name(book.rules)
        except SettingsError as error:
            self.warnings["rules file"] = f"{error} (not needed: the rules are in {settings.rules_topic})"
            return
        if not same:
            self.warnings["rules file"] = (
                f"{settings.rules} is not what is in force: the rules are those in topic "
                f"{settings.rules_topic}, changed last by {last.who} ({last.what}); "
                f"'faust -A app rules put {settings.rules}' puts the file into force"
            )
