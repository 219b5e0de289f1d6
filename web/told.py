"""Which incidents people were told of."""

from collections.abc import Iterator

from clickwarden.channels.ledger import Entry

#: Incidents that are kept, those told of last.
KEEP = 20_000


class ToldIncidents:
    """The incidents of which a channel was told, by the ledger."""

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._ids: dict[str, None] = {}

    def note(self, entry: Entry) -> None:
        """Take over an entry."""
        if entry.state != "told":
            return
        for incident_id in entry.incidents:
            self._ids.pop(incident_id, None)
            self._ids[incident_id] = None
        while len(self._ids) > self._keep:
            del self._ids[next(iter(self._ids))]

    def __iter__(self) -> Iterator[str]:
        """Their ids."""
        return iter(list(self._ids))
