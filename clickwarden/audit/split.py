"""Users whose clicks of one window lie in several partitions, where each is counted by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from clickwarden.audit.recount import Recount


@dataclass(frozen=True, slots=True)
class Split:
    """One such user in one window of one rule.

    Attributes:
        rule: its name.
        window: its start, epoch seconds.
        user_id: an attacker's text.
        clicks: by partition.
        threshold: of the rule.
    """

    rule: str
    window: int
    user_id: str
    clicks: Mapping[int, int]
    threshold: int

    @property
    def hidden(self) -> bool:
        """Whether the user is over the threshold, and in no partition alone."""
        return sum(self.clicks.values()) > self.threshold >= max(self.clicks.values())

    def __str__(self) -> str:
        """Name it for people; a user id is an attacker's text, and so escaped."""
        start = datetime.fromtimestamp(self.window, UTC)
        places = ", ".join(f"{clicks:,} in {number}" for number, clicks in sorted(self.clicks.items()))
        return (
            f"{self.rule} {start:%Y-%m-%dT%H:%M:%SZ} user {self.user_id!r}: {sum(self.clicks.values()):,} "
            f"clicks, threshold {self.threshold:,}; by partition {places}"
        )


def splits(truth: Recount) -> Iterator[Split]:
    """The users of a recount who are split, window by window."""
    for rule in truth.rules.values():
        for start, partitions in truth.clicks(rule.name):
            seen: set[str] = set()
            twice: set[str] = set()
            for users in partitions.values():
                twice |= seen & users.keys()
                seen |= users.keys()
            for user in sorted(twice):
                clicks = {number: users[user] for number, users in partitions.items() if user in users}
                yield Split(rule.name, start, user, clicks, rule.threshold)
