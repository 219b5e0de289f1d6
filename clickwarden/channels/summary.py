"""A day in one message: what happened, whom nobody was told of and why, and that nothing did."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from clickwarden.alerts.incidents import SEVERITIES
from clickwarden.alerts.words import plural
from clickwarden.channels.inert import inert
from clickwarden.channels.message import NAMED, Case, Fact, Message, by_excess, crowd, ranking, tally
from clickwarden.channels.routing import SILENCES, Silence


class Day(NamedTuple):
    """What a channel is told of a day.

    Attributes:
        day: ISO-8601, in the channel's time zone.
        cases: incidents of the day that the channel wants to be told of.
        silenced: how many others there were, by why it does not.
        given_up: messages that the channel did not take.
        blind: that clicks cannot be counted now, in words; empty where they can.
    """

    day: str
    cases: Sequence[Case]
    silenced: Mapping[Silence, int]
    given_up: int = 0
    blind: str = ""


def message_of_day(day: Day, key: str, at: str, page: str) -> Message:
    """What to tell of a day, also where nothing happened: silence might be blindness.

    It holds the worst ten; a day may have tens of thousands.

    Args:
        day: the day.
        key: of the message.
        at: when, ISO-8601 UTC.
        page: where people reach the page, with a slash at its end; may be empty.
    """
    worst = by_excess(day.cases)
    what = crowd(day.cases) if day.cases else "nothing happened"
    return Message(
        key=key,
        stage="summary",
        thread=key,
        at=at,
        subject=f"Clickwarden: {day.day}",
        title=f"{day.day}: {what}",
        facts=tuple(_facts(day, worst, page)),
        link=page,
        cases=tuple(worst[:NAMED]),
    )


def _facts(day: Day, worst: Sequence[Case], page: str) -> Iterator[Fact]:
    if day.blind:
        yield Fact("Blind", inert(day.blind))
    if worst:
        severities = Counter(case.severity for case in worst)
        yield Fact("Rules", tally(Counter(case.rule for case in worst)))
        yield Fact(
            "Severity",
            ", ".join(f"{name} ({severities[name]:,})" for name in reversed(SEVERITIES) if severities[name]),
        )
        yield Fact("Going on", f"{sum(case.ongoing for case in worst):,} of {len(worst):,}")
        yield from ranking(worst, page)
    silenced = ", ".join(f"{SILENCES[why]} ({count:,})" for why, count in sorted(day.silenced.items()))
    yield Fact("Not told of", silenced or "nobody")
    if day.given_up:
        yield Fact(
            "Not taken",
            f"{plural(day.given_up, 'message')}; 'faust -A app notify status' says why, and 'notify replay' "
            "sends them again",
        )
