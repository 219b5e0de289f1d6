"""Who was told of as abnormal, in the newest windows of one rule."""


class Told:
    """The users who went over the threshold, by window.

    Counting says who crosses (:meth:`add`); in which incident is known when what was closed before is
    (:meth:`join`), and settled within the batch.

    Attributes:
        incidents: by start of the window and user, start of the window that the user's incident began with.
    """

    def __init__(self, incidents: dict[int, dict[str, int]] | None = None) -> None:
        self.incidents = incidents or {}
        self._new: set[tuple[int, str]] = set()

    def __contains__(self, crossing: tuple[int, str]) -> bool:
        """Whether in the window of this start that user has gone over the threshold."""
        start, user_id = crossing
        return user_id in self.incidents.get(start, ()) or crossing in self._new

    def add(self, start: int, user_id: str) -> None:
        """Note that a user goes over the threshold."""
        self._new.add((start, user_id))

    def incident(self, start: int, user_id: str) -> int | None:
        """The incident that a window is part of; None where there is none."""
        return self.incidents.get(start, {}).get(user_id)

    def join(self, start: int, user_id: str, incident: int) -> None:
        """Note which incident a window is part of."""
        self.incidents.setdefault(start, {})[user_id] = incident
        self._new.discard((start, user_id))

    def forget(self, until: float) -> None:
        """Forget the windows that start by this moment."""
        for start in [start for start in self.incidents if start <= until]:
            del self.incidents[start]
