"""Which anomalies are asked for: filters, and the place a page goes on from."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from clickwarden.alerts.feed import Place
from clickwarden.alerts.incidents import KINDS
from clickwarden.detection.anomaly import STATUSES
from clickwarden.detection.rules import OWASP
from clickwarden.errors import ClickwardenError
from clickwarden.models.served import PREFIX
from clickwarden.times import isotime

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


class QueryError(ClickwardenError):
    """A request asks for something that is not there to ask for."""


class Found(Protocol):
    """An anomaly or an incident."""

    rule: str
    user_id: str
    category: str
    window_start: str
    window_end: str

    @property
    def status(self) -> str:
        """What was said of it last."""

    @property
    def kind(self) -> str:
        """What it is to people."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What an anomaly must be to be wanted; None: anything. Times as in a record, whole seconds.

    Those of a pipeline are of its champion and of its challengers.
    """

    rule: str | None = None
    user: str | None = None
    category: str | None = None
    status: str | None = None
    since: str | None = None
    until: str | None = None
    kind: str | None = None
    pipeline: str | None = None

    def __call__(self, entry: Found) -> bool:
        """Whether an anomaly is wanted; its window must have a part of ``[since, until)``."""
        return (
            (self.rule is None or entry.rule == self.rule)
            and (self.user is None or entry.user_id == self.user)
            and (self.category is None or entry.category == self.category)
            and (self.status is None or entry.status == self.status)
            and (self.kind is None or entry.kind == self.kind)
            and (self.pipeline is None or f"{entry.rule}/".startswith(f"{PREFIX}{self.pipeline}/"))
            and (self.since is None or entry.window_end > self.since)
            and (self.until is None or entry.window_start < self.until)
        )


def wanted(query: Mapping[str, str]) -> Filter:
    """The filter of a query string.

    Raises:
        QueryError: a value is not one the field may have.
    """
    for name, values in (("category", tuple(OWASP)), ("status", STATUSES), ("kind", KINDS)):
        if name in query and query[name] not in values:
            raise QueryError(f"{name}: {query[name]!r} must be one of {', '.join(values)}")
    return Filter(
        rule=query.get("rule"),
        user=query.get("user"),
        category=query.get("category"),
        status=query.get("status"),
        since=_time(query, "since", up=False),
        until=_time(query, "until", up=True),
        kind=query.get("kind"),
        pipeline=query.get("pipeline"),
    )


def _time(query: Mapping[str, str], name: str, up: bool) -> str | None:
    """Whole seconds: windows begin and end with one."""
    if name not in query:
        return None
    try:
        moment = datetime.fromisoformat(query[name])
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        if moment.microsecond:
            moment = moment.replace(microsecond=0) + timedelta(seconds=up)
        return isotime(moment.timestamp())
    except (ValueError, OverflowError):
        raise QueryError(f"{name}: {query[name]!r} must be a time, ISO-8601: 2026-01-31T15:00:00Z") from None


def limit(query: Mapping[str, str]) -> int:
    """How many anomalies at most.

    Raises:
        QueryError: it is no number from 1 to 1000.
    """
    given = query.get("limit", str(DEFAULT_LIMIT))
    if not (given.isascii() and given.isdigit() and len(given) <= 4 and 1 <= int(given) <= MAX_LIMIT):
        raise QueryError(f"limit: {given!r} must be a number from 1 to {MAX_LIMIT}")
    return int(given)


def cursor(place: Place) -> str:
    """A place as text for the query string."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def place(query: Mapping[str, str]) -> Place | None:
    """Where the page before ended; None for the first.

    Raises:
        QueryError: it is none of ours.

    >>> place({"cursor": cursor(("2026-01-31T15:00:00Z", "e1fe"))})
    ('2026-01-31T15:00:00Z', 'e1fe')
    """
    if "cursor" not in query:
        return None
    try:
        place: Place = msgspec.json.decode(
            base64.b64decode(query["cursor"], b"-_", validate=True), type=Place
        )
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise QueryError(f"cursor: {query['cursor']!r} is not the 'next' of an answer") from None
    return place
