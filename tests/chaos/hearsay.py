"""What people were told, held against the ledger, and the ledger against the incidents."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from clickwarden.alerts.incidents import SEVERITIES, Incident
from clickwarden.channels.ledger import Entry, Ledger
from clickwarden.channels.message import Stage
from tests.chaos.sinks import Seen

ALONE: tuple[Stage, ...] = ("opening", "escalation", "end")


def complaints(channel: str, seen: Sequence[Seen], entries: Iterable[Entry], excused: int) -> list[str]:
    """What is wrong with what a channel was told.

    Args:
        channel: its name.
        seen: what somebody saw there, in its order, each named as the channel can name it.
        entries: the messages of the ledger, by the same names.
        excused: how many repeats there may be.
    """
    expected = Counter(entry.key for entry in entries)
    came = Counter(message.what for message in seen)
    unmarked = Counter(message.what for message in seen if not message.marked)
    found = [f"{channel}: never told of {what}" for what in expected if came[what] < expected[what]]
    found += [
        f"{channel}: told of {what}, of which the ledger knows nothing" for what in came.keys() - expected
    ]
    found += [
        f"{channel}: told {number} times more of {what} without a mark"
        for what, number in (unmarked - expected).items()
    ]
    repeats = (came - expected).total()
    if repeats > excused:
        found.append(f"{channel}: {repeats} repeats, where there may be {excused}")
    return found


def untold(channel: str, incidents: Collection[Incident], ledger: Ledger) -> list[str]:
    """Of which incidents the ledger does not say that a channel was told of all."""
    found = []
    for incident in incidents:
        told = ledger.told(channel, incident.incident_id)
        if told is None:
            found.append(f"{channel}: not told of {incident.user_id}")
        elif told.severity != SEVERITIES.index(incident.severity):
            found.append(
                f"{channel}: told of {incident.user_id} that it is {SEVERITIES[told.severity]}, "
                f"and it is {incident.severity}"
            )
        elif told.ended != (incident.ended is not None):
            found.append(f"{channel}: not told that {incident.user_id} has ended")
    return found


def openings_untold(channel: str, entries: Collection[Entry], incidents: Iterable[Incident]) -> list[str]:
    """Of which incidents no message of a channel tells that they have begun before it tells of their end."""
    first: dict[str, Entry] = {}
    for entry in entries:
        for incident_id in entry.incidents:
            first.setdefault(incident_id, entry)
    return [
        f"{channel}: the first that it was told of {incident.user_id} is its {begun.stage}"
        for incident in incidents
        if (begun := first.get(incident.incident_id)) is not None and begun.stage in ("escalation", "end")
    ]


def named(entries: Mapping[str, Entry], users: Mapping[str, str]) -> list[Entry]:
    """The messages of a ledger, each by what Slack shows of it; ``users`` by incident_id."""
    renamed = []
    for entry in entries.values():
        alone = entry.stage in ALONE
        what = f"{users[next(iter(entry.incidents))]} {entry.stage}" if alone else "many"
        renamed.append(Entry(channel=entry.channel, key=what, stage=entry.stage, incidents=entry.incidents))
    return renamed
