"""What the records of the clicks topic are, whatever the settings say: made when it is asked for."""

import asyncio
from time import monotonic

import msgspec

from app.main import app, settings
from clickwarden.alerts import surveying
from clickwarden.errors import ClickwardenError

#: For so long an answer, or that there is none, stands for all who ask, seconds: to find it reads the topic.
STANDS = 60.0


class SurveyError(Exception):
    """Kafka could not be asked; why, in words."""


class Asked:
    """The survey as it was found last: one is under way at a time, however many ask."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._encoded = b""
        self._trouble = ""
        self._until = 0.0

    async def __call__(self) -> bytes:
        """The survey as JSON.

        Raises:
            SurveyError: Kafka cannot be asked.
        """
        async with self._lock:
            if monotonic() >= self._until:
                await self._ask()
                self._until = monotonic() + STANDS
        if self._trouble:
            raise SurveyError(self._trouble)
        return self._encoded

    async def _ask(self) -> None:
        try:
            survey = await surveying.of_topic(settings, app.rules)
        except ClickwardenError as error:
            self._trouble = str(error)
        else:
            self._encoded, self._trouble = msgspec.json.encode(survey), ""


surveyed = Asked()
