"""What people could not be told."""

from collections.abc import Iterator

import msgspec

from clickwarden.alerts.words import plural
from clickwarden.channels.ledger import Entry
from clickwarden.formats.json import UNREADABLE

_decode = msgspec.json.Decoder(Entry).decode


class Untold:
    """The messages that were given up, by channel."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}

    def take(self, value: bytes | None) -> Entry | None:
        """Take over a record of the ledger; None where it is none."""
        try:
            entry = _decode(value or b"")
        except UNREADABLE:
            return None
        self._entries.pop(entry.name, None)
        if entry.state == "failed":
            self._entries[entry.name] = entry
        return entry

    def warnings(self) -> Iterator[str]:
        """Of each channel, of how many incidents it was not told, and why not the last time."""
        why = {entry.channel: entry.words for entry in self._entries.values()}
        for channel, incidents in self.incidents().items():
            yield (
                f"Channel {channel} was not told of {plural(incidents, 'incident')}: {why[channel]}; "
                f"mend it, and 'faust -A app notify replay {channel}' tells it"
            )

    def incidents(self) -> dict[str, int]:
        """Of how many incidents each channel was not told."""
        ids: dict[str, set[str]] = {}
        for entry in self._entries.values():
            ids.setdefault(entry.channel, set()).update(entry.incidents)
        return {channel: len(theirs) for channel, theirs in sorted(ids.items())}
