"""The incidents that the incidents topic tells of."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Callable

import msgspec

from clickwarden.alerts.feed import RECORD_BYTES, SLICE, Place
from clickwarden.alerts.incidents import Incident
from clickwarden.formats.json import UNREADABLE

#: Incidents that are kept, the newest.
KEEP = 20_000

_decode = msgspec.json.Decoder(Incident).decode


def place(incident: Incident) -> Place:
    """Where an incident stands in the list."""
    return incident.since, incident.incident_id


class KnownIncidents:
    """The last word on each incident; those that began last are kept."""

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._incidents: dict[str, Incident] = {}
        self._places: list[Place] = []
        self._by_user: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """How many incidents are kept."""
        return len(self._incidents)

    def get(self, incident_id: str) -> Incident | None:
        """What was said of an incident last."""
        return self._incidents.get(incident_id)

    def of(self, user_id: str) -> list[Incident]:
        """All incidents of a user, in no order."""
        return [self._incidents[incident_id] for incident_id in self._by_user.get(user_id, ())]

    async def select(
        self, wanted: Callable[[Incident], bool], before: Place | None = None
    ) -> AsyncIterator[list[Incident]]:
        """Yield the wanted incidents some at a time, the newest first, from behind a place on."""
        while True:
            end = len(self._places) if before is None else bisect_left(self._places, before)
            places = self._places[max(0, end - SLICE) : end]
            if not places:
                return
            incidents = (self._incidents[incident_id] for _, incident_id in reversed(places))
            yield [incident for incident in incidents if wanted(incident)]
            before = places[0]
            await asyncio.sleep(0)

    def take(self, value: bytes | None) -> None:
        """Take over a record of the topic; what is no incident is passed over."""
        if value is None or len(value) > RECORD_BYTES:
            return
        try:
            incident = _decode(value)
        except UNREADABLE:
            return
        if incident.incident_id in self._incidents:
            self._forget(incident.incident_id)
        self._incidents[incident.incident_id] = incident
        insort(self._places, place(incident))
        self._by_user.setdefault(incident.user_id, set()).add(incident.incident_id)
        if len(self._places) > self._keep:
            self._forget(self._places[0][1])

    def _forget(self, incident_id: str) -> None:
        incident = self._incidents.pop(incident_id)
        del self._places[bisect_left(self._places, place(incident))]
        of_user = self._by_user[incident.user_id]
        of_user.discard(incident_id)
        if not of_user:
            del self._by_user[incident.user_id]
