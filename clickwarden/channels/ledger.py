"""The ledger: what was told to whom, as it stands in a compacted topic."""

from typing import Literal

import msgspec

from clickwarden.channels.message import Stage
from clickwarden.channels.routing import Told
from clickwarden.formats.json import UNREADABLE

#: ``intent``: it is about to be sent, or was and nobody noted so; ``told``: taken; ``failed``: never taken,
#: and given up; ``again``: given up, and somebody asked for it once more.
State = Literal["intent", "told", "failed", "again"]

#: A summary's key begins with it, and goes on with the day.
SUMMARY = "summary."


class Entry(msgspec.Struct, kw_only=True):
    """One message to one channel, keyed by both; or, without a message, that there is the channel.

    Attributes:
        channel: its name.
        key: of the message; empty for the channel's own entry.
        state: what has become of it.
        stage: what it tells.
        incidents: severity told of each incident, by incident_id.
        ended: those of them that are told to be over.
        reference: what the channel calls it; empty where it does not.
        at: when it was first to be sent, epoch seconds; of the channel: since when it is there.
        attempts: how often it was tried.
        words: what the other side said last.
        waiting: of the channel, incidents of which it is yet to be told.
        silenced: of the channel, incidents of which it is not told, by reason.
        version: of this record's layout.
    """

    channel: str
    key: str = ""
    state: State = "told"
    stage: Stage = "opening"
    incidents: dict[str, int] = {}
    ended: list[str] = []
    reference: str = ""
    at: float = 0.0
    attempts: int = 0
    words: str = ""
    waiting: int = 0
    silenced: dict[str, int] = {}
    version: int = 1

    @property
    def day(self) -> str:
        """What it is the summary of, ISO-8601; empty where it is none."""
        return self.key.removeprefix(SUMMARY) if self.stage == "summary" else ""

    @property
    def name(self) -> bytes:
        """The key of its record."""
        return f"{self.channel}/{self.key}".encode()


class Ledger:
    """What the topic says, as far as it was read.

    Attributes:
        entries: messages that are not told, by channel and key.
        channels: the channels' own entries, by name.
        summaries: newest day that a channel was given a summary of, or is about to be, by its name.
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}
        self.channels: dict[str, Entry] = {}
        self.summaries: dict[str, str] = {}
        self._told: dict[tuple[str, str], Told] = {}

    def take(self, value: bytes | None) -> Entry | None:
        """Take over a record; None where it is none."""
        try:
            entry = msgspec.json.decode(value or b"", type=Entry)
        except UNREADABLE:
            return None
        self.note(entry)
        return entry

    def note(self, entry: Entry) -> None:
        """Take over an entry."""
        if not entry.key:
            self.channels[entry.channel] = entry
            return
        if entry.day:
            self.summaries[entry.channel] = max(entry.day, self.summaries.get(entry.channel, ""))
        self.entries[entry.channel, entry.key] = entry
        if entry.state == "told":
            del self.entries[entry.channel, entry.key]
        if entry.state in ("told", "failed"):
            for incident_id, severity in entry.incidents.items():
                self._note(entry, incident_id, severity)

    def _note(self, entry: Entry, incident_id: str, severity: int) -> None:
        known = self.told(entry.channel, incident_id)
        alone = entry.reference if entry.stage in ("opening", "escalation", "end") else ""
        self._told[entry.channel, incident_id] = Told(
            max(severity, known.severity if known else 0),
            incident_id in entry.ended or bool(known and known.ended),
            (known.reference if known else "") or alone,
        )

    def told(self, channel: str, incident_id: str) -> Told | None:
        """What a channel was told of an incident."""
        return self._told.get((channel, incident_id))

    def going_on(self, channel: str) -> list[str]:
        """Ids of the incidents whose end a channel was not told."""
        return [
            incident_id
            for (name, incident_id), told in self._told.items()
            if name == channel and not told.ended
        ]

    def unsettled(self, channel: str) -> list[Entry]:
        """Messages of which it is not known whether they were sent, or that are asked for again."""
        return [
            entry
            for (name, _), entry in self.entries.items()
            if name == channel and entry.state in ("intent", "again")
        ]
