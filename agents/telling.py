"""What the worker's log says of records that cannot be counted."""

import logging
from collections import Counter
from collections.abc import Mapping

from clickwarden.alerts.sight import Blindness, Complaint, Sight
from clickwarden.alerts.words import plural
from clickwarden.detection.intake import Intake

log = logging.getLogger(__name__)

#: A reason is told so often, seconds.
REASON_SECONDS = 60.0
#: And a warning, once it has held for as long as a reason is not told again.
WARNING_SECONDS = 3600.0


class Warnings:
    """Tells each warning once it has held for a minute, and then once an hour."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def tell(self, warnings: Mapping[str, str], now: float) -> None:
        """Log what is due of these, by what they are about, ``now``, seconds of any steady clock."""
        self._since = {about: self._since.get(about, now) for about in warnings}
        for about, text in warnings.items():
            is_new = now - self._told.get(about, -WARNING_SECONDS) >= WARNING_SECONDS
            if is_new and now - self._since[about] >= REASON_SECONDS:
                self._told[about] = now
                log.warning("%s", text)


class Telling:
    """Tells of each reason at once, and then a line a minute while it lasts.

    Args:
        rejected_topic: where the records are.
        about: how each line begins.
    """

    def __init__(self, rejected_topic: str, about: str = "") -> None:
        self._about = about
        self._rejected_topic = rejected_topic
        self._untold: Counter[str] = Counter()
        self._told: dict[str, float] = {}
        self._blind = False
        self._warnings = Warnings()

    def take(self, intake: Intake) -> None:
        """Take over what is to be told of a partition."""
        self._untold += intake.untold
        intake.untold.clear()

    def tell(
        self, sight: Sight, blindness: Blindness | None, warnings: Mapping[str, str], now: float
    ) -> None:
        """Log what is due ``now``, seconds of any steady clock."""
        if (blindness is not None or self._blind) and self._is_due("blind", REASON_SECONDS, now):
            self._say(blindness, now)
        for reason in [reason for reason in self._untold if self._is_due(reason, REASON_SECONDS, now)]:
            self._told[reason] = now
            complaint = sight.complaints.get(reason, Complaint(reason))
            why = f"{reason} ({complaint.detail})" if complaint.detail else reason
            log.warning(
                "%s%s could not be counted: %s; %s has them. %s",
                self._about,
                plural(self._untold.pop(reason), "record"),
                why,
                self._rejected_topic,
                complaint.advice,
            )
        self._warnings.tell(warnings, now)

    def _say(self, blindness: Blindness | None, now: float) -> None:
        """Log that it is blind, or is not any more."""
        self._blind = blindness is not None
        self._told["blind"] = now
        if blindness is None:
            log.warning("%sNo longer blind: records can be counted again", self._about)
        else:
            self._told[blindness.complaint.reason] = now
            self._untold.pop(blindness.complaint.reason, None)
            log.error("%sBlind: %s", self._about, blindness.text)

    def _is_due(self, about: str, seconds: float, now: float) -> bool:
        return now - self._told.get(about, -seconds) >= seconds
